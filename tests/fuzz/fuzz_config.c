// fuzz_config.c - any bytes as settings: as numbers of every kind, as variables of a table, as
// Bucket's quotas and addresses, as two states of drill.conf. What is taken is within its bounds.
#include "bucket/config.h"
#include "kernel/heal_conf.h"
#include "proto/channel.h"
#include "runtime/address.h"
#include "runtime/option.h"
#include "runtime/setting.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NAME_SIZE = 40, LEAST = -5, MOST = 1000 };

typedef struct {
    double real;
    int64_t count;
    bool flag;
} settings_t;

static const setting_row_t rows[] = {
    {"BHIV_FUZZ_REAL", SETTING_REAL, offsetof(settings_t, real), 0.5, LEAST, MOST},
    {"BHIV_FUZZ_COUNT", SETTING_COUNT, offsetof(settings_t, count), 1, 1, MOST},
    {"BHIV_FUZZ_FLAG", SETTING_FLAG, offsetof(settings_t, flag), 1, 0, 0},
};

static void
check_values(const char *text)
{
    static const option_type_t types[] = {OPTION_FLAG, OPTION_COUNT, OPTION_BYTES, OPTION_MS};
    uint64_t plain = 0;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        uint64_t value = 0;
        if (option_value(types[i], text, &value) != BUS_OK) {
            continue;
        }
        assert(text[0] != '\0' && text[0] != '-');
        assert(types[i] != OPTION_FLAG || value <= 1);
        // A bare number means itself, whatever it counts.
        if (option_value(OPTION_COUNT, text, &plain) == BUS_OK && types[i] != OPTION_FLAG) {
            assert(value == plain);
        }
    }
    (void) address_is_loopback(text);
}

static void
check_settings(const char *text)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        settings_t settings = {0};
        setenv(rows[i].variable, text, 1);
        if (setting_read(rows, sizeof rows / sizeof rows[0], &settings) == BUS_OK) {
            assert(settings.real >= LEAST && settings.real <= MOST);
            assert(settings.count >= 1 && settings.count <= MOST);
        }
        unsetenv(rows[i].variable);
    }
}

// What the check lets through can be journaled.
static void
check_bucket(const char *text)
{
    static const char *const variables[] = {"BHIV_BUCKET_QUOTAS", "BHIV_ADVISOR_EMAIL"};
    static const service_options_t options = {.dir = "/nonexistent"};
    for (size_t i = 0; i < 2; i++) {
        setenv(variables[i], text, 1);
        if (bucket_config_check() == BUS_OK) {
            BUS_AUTO(pack_destroy) pack_t *body = pack_new();
            bucket_config_pack(&options, body);
            assert(pack_view(body).size > 0);
        }
        unsetenv(variables[i]);
    }
}

// A difference is told by a setting's name, and never with its value.
static void
check_conf(char *first, size_t first_size, char *second, size_t second_size)
{
    const kernel_heal_conf_t a = {.text = first, .size = first_size};
    const kernel_heal_conf_t b = {.text = second, .size = second_size};
    char name[NAME_SIZE];
    size_t count = 0;
    while (count < 64 && kernel_heal_conf_difference(&a, &b, count, name, sizeof name)) {
        assert(strlen(name) > 0 && strlen(name) < sizeof name && strchr(name, '=') == NULL);
        count++;
    }
    assert(count == 0 || !kernel_heal_conf_equal(&a, &b));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    assert(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    check_values(text);
    check_settings(text);
    check_bucket(text);
    size_t half = strcspn(text, "|");
    half = half < size ? half : size;
    size_t rest = half < size ? half + 1 : size;
    check_conf(text, half, text + rest, size - rest);
    free(text);
    return 0;
}
