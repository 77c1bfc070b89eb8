// config.c - what the brain was started with. See config.h.
#include "config.h"

#include "runtime/setting.h"

#include <assert.h>

#define CONFIG_KEY VIEW_LITERAL("config")
#define SECONDS_MAX 31536000.0 // a year: what is to be rarer is switched off

enum { DEPTH_MAX = 100 }; // the schema's

typedef struct {
    double drill_seconds;
    double cooldown_seconds;
    int64_t depth_max;
    bool drills;
} given_t;

// A drill every 300 s: the originals looked so often.
#define AT(field) offsetof(given_t, field)
static const setting_row_t rows[] = {
    {"BHIV_BRAIN_DRILL_SECONDS", SETTING_REAL, AT(drill_seconds), 300, 0.001, SECONDS_MAX},
    {"BHIV_BRAIN_COOLDOWN_SECONDS", SETTING_REAL, AT(cooldown_seconds), 60, 0, SECONDS_MAX},
    {"BHIV_BRAIN_DEPTH_MAX", SETTING_COUNT, AT(depth_max), 3, 1, DEPTH_MAX},
    {"BHIV_BRAIN_DRILLS", SETTING_FLAG, AT(drills), true, 0, 0},
};
#undef AT
enum { ROW_COUNT = sizeof rows / sizeof rows[0] };

static bus_err_t
read_given(given_t *ret_given)
{
    return setting_read(rows, ROW_COUNT, ret_given);
}

bus_err_t
brain_config_check(void)
{
    given_t given;
    return read_given(&given);
}

void
brain_config_pack(const service_options_t *options BUS_UNUSED, pack_t *out)
{
    given_t given;
    bus_err_t err = read_given(&given);
    assert(err == BUS_OK); // brain_config_check came before
    pack_map(out, 4);
    pack_pair_real(out, "drill_seconds", given.drill_seconds);
    pack_pair_real(out, "cooldown_seconds", given.cooldown_seconds);
    pack_pair_int(out, "depth_max", given.depth_max);
    pack_pair_bool(out, "drills", given.drills);
}

bus_err_t
brain_config_apply(service_apply_t *apply, const void *message BUS_UNUSED)
{
    return store_put(apply->txn, BRAIN_SINGLES, CONFIG_KEY, apply->body);
}

// What a journaled number means here: the schema says nothing of its size.
static uint64_t
to_us(double seconds)
{
    double bounded = seconds > 0 ? seconds : 0;
    return (uint64_t) ((bounded < SECONDS_MAX ? bounded : SECONDS_MAX) * 1e6);
}

bus_err_t
brain_config_get(store_txn_t *txn, brain_config_t *ret_config)
{
    given_t defaults;
    setting_presets(rows, ROW_COUNT, &defaults);
    *ret_config = (brain_config_t){
        .drill_us = to_us(defaults.drill_seconds),
        .cooldown_us = to_us(defaults.cooldown_seconds),
        .depth_max = (uint64_t) defaults.depth_max,
        .drills = defaults.drills,
    };
    bus_view_t value;
    bus_err_t err = store_get(txn, BRAIN_SINGLES, CONFIG_KEY, &value);
    if (err != BUS_OK) {
        return store_forgive(err);
    }
    schema_brain_config_t stored;
    schema_problems_t problems = {.count = 0};
    if (schema_decode(&SCHEMA_brain_config, value, &stored, &problems) == BUS_OK) {
        *ret_config = (brain_config_t){
            .drill_us = to_us(stored.drill_seconds.value),
            .cooldown_us = to_us(stored.cooldown_seconds.value),
            .depth_max = (uint64_t) stored.depth_max.value,
            .drills = stored.drills.value,
        };
    }
    return BUS_OK;
}
