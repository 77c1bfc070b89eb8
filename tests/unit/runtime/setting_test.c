// setting_test.c - what a service is started with, read from the environment by a table.
#include "runtime/setting.h"
#include <criterion/criterion.h>
#include <stdlib.h>

typedef struct {
    double seconds;
    int64_t count;
    bool is_on;
} settings_t;

static const setting_row_t rows[] = {
    {"BHIV_TEST_SECONDS", SETTING_REAL, offsetof(settings_t, seconds), 5, 0.05, 100},
    {"BHIV_TEST_COUNT", SETTING_COUNT, offsetof(settings_t, count), 3, 1, 100},
    {"BHIV_TEST_ON", SETTING_FLAG, offsetof(settings_t, is_on), 1, 0, 0},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

static void
clear(void)
{
    for (size_t i = 0; i < ROWS; i++) {
        unsetenv(rows[i].variable);
    }
}

TestSuite(setting, .init = clear, .fini = clear);

static bus_err_t
read_with(const char *variable, const char *value, settings_t *settings)
{
    clear();
    cr_assert_eq(setenv(variable, value, 1), 0);
    return setting_read(rows, ROWS, settings);
}

Test(setting, is_its_preset_where_the_variable_is_unset_or_empty)
{
    settings_t settings = {.seconds = 1};
    cr_assert_eq(read_with("BHIV_TEST_SECONDS", "", &settings), BUS_OK);
    cr_assert_eq(settings.seconds, 5);
    cr_assert_eq(settings.count, 3);
    cr_assert(settings.is_on);
    cr_assert(setting_text("BHIV_TEST_SECONDS") == NULL);
}

Test(setting, is_what_the_variable_says)
{
    settings_t settings;
    cr_assert_eq(read_with("BHIV_TEST_SECONDS", "0.25", &settings), BUS_OK);
    cr_assert_eq(settings.seconds, 0.25);
    cr_assert_eq(read_with("BHIV_TEST_COUNT", "100", &settings), BUS_OK);
    cr_assert_eq(settings.count, 100, "both ends are allowed");
    cr_assert_eq(read_with("BHIV_TEST_ON", "off", &settings), BUS_OK);
    cr_assert(!settings.is_on);
    cr_assert_str_eq(setting_text("BHIV_TEST_ON"), "off");
}

Test(setting, refuses_what_is_no_such_value_or_out_of_bounds)
{
    static const char *const wrong[][2] = {
        {"BHIV_TEST_SECONDS", "soon"},
        {"BHIV_TEST_SECONDS", "5s"},
        {"BHIV_TEST_SECONDS", "-1"},
        {"BHIV_TEST_SECONDS", "0"},
        {"BHIV_TEST_SECONDS", "nan"},
        {"BHIV_TEST_SECONDS", "inf"},
        {"BHIV_TEST_SECONDS", "1e999"},
        {"BHIV_TEST_SECONDS", " "},
        {"BHIV_TEST_COUNT", "2.5"},
        {"BHIV_TEST_COUNT", "0"},
        {"BHIV_TEST_COUNT", "101"},
        {"BHIV_TEST_COUNT", "-1"},
        {"BHIV_TEST_ON", "maybe"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        settings_t settings;
        cr_expect_eq(read_with(wrong[i][0], wrong[i][1], &settings),
                     BUS_VALIDATION_FAILED,
                     "%s=%s",
                     wrong[i][0],
                     wrong[i][1]);
    }
}

Test(setting, presets_do_not_look_at_the_environment)
{
    settings_t settings;
    cr_assert_eq(setenv("BHIV_TEST_COUNT", "soon", 1), 0);
    setting_presets(rows, ROWS, &settings);
    cr_assert_eq(settings.seconds, 5);
    cr_assert_eq(settings.count, 3);
    cr_assert(settings.is_on);
}
