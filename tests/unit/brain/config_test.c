// config_test.c - what the brain can be started with.
#include "brain/config.h"
#include "help.h"
#include "proto/transcode.h"
#include <criterion/criterion.h>
#include <stdlib.h>

static const char *const names[] = {"BHIV_BRAIN_DRILL_SECONDS",
                                    "BHIV_BRAIN_COOLDOWN_SECONDS",
                                    "BHIV_BRAIN_DEPTH_MAX",
                                    "BHIV_BRAIN_DRILLS"};

static void
forget(void)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        unsetenv(names[i]);
    }
}

TestSuite(config, .init = forget, .fini = forget);

static void
expect(const char *json)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    BUS_AUTO(text_destroy) text_t *text = text_new();
    cr_assert_eq(brain_config_check(), BUS_OK);
    brain_config_pack(NULL, out);
    transcode_to_json(pack_view(out), 0, text);
    cr_assert_str_eq(text_view(text).data, json);
}

Test(config, has_defaults_and_takes_fractions)
{
    expect("{\"drill_seconds\":300.0,\"cooldown_seconds\":60.0,\"depth_max\":3,\"drills\":true}");
    setenv(names[0], "1.5", 1);
    setenv(names[1], "0", 1);
    setenv(names[2], "7", 1);
    setenv(names[3], "off", 1);
    expect("{\"drill_seconds\":1.5,\"cooldown_seconds\":0.0,\"depth_max\":7,\"drills\":false}");
}

Test(config, refuses_what_cannot_be)
{
    const char *const bad[][2] = {
        {names[0], "0"},
        {names[0], "soon"},
        {names[0], "nan"},
        {names[0], "1e99"},
        {names[0], "3 s"},
        {names[1], "-1"},
        {names[1], "inf"},
        {names[2], "0"},
        {names[2], "101"},
        {names[2], "-1"},
        {names[2], "some"},
        {names[3], "maybe"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        forget();
        setenv(bad[i][0], bad[i][1], 1);
        cr_assert_eq(brain_config_check(), BUS_VALIDATION_FAILED, "%s=%s", bad[i][0], bad[i][1]);
    }
}

Test(config, journaled_numbers_of_any_size_are_taken)
{
    help_t *help = help_new();
    cr_assert_eq(help_apply(help,
                            "brain.config",
                            "{\"drill_seconds\":-1e300,\"cooldown_seconds\":1e300,\"depth_max\":1,"
                            "\"drills\":true}"),
                 BUS_OK);
    help_drill(help, "boot", "avg_boot_time", 400);
    cr_assert_eq(help_ask(help, "status", "{}"), BUS_OK);
    cr_assert_str_eq(help_at(help, "config.drill_seconds"), "0.0");
    help_destroy(&help);
}
