// config.c - what the brain was started with. See config.h.
#include "config.h"

#include "runtime/log.h"
#include "runtime/option.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define CONFIG_KEY VIEW_LITERAL("config")
#define SECONDS_MAX 31536000.0 // a year: what is to be rarer is switched off

enum { DEPTH_MAX = 100 }; // the schema's

typedef struct {
    double drill_seconds;
    double cooldown_seconds;
    int64_t depth_max;
    bool drills;
} given_t;

static const given_t defaults = {
    .drill_seconds = 300, // the original's: it looked every five minutes
    .cooldown_seconds = 60,
    .depth_max = 3,
    .drills = true,
};

static const char *
variable(const char *name)
{
    const char *value = getenv(name);
    return value == NULL || value[0] == '\0' ? NULL : value;
}

static bus_err_t
refuse_variable(const char *name, const char *problem)
{
    log_error("config_refused", "variable=%s problem=%s", name, problem);
    return BUS_VALIDATION_FAILED;
}

static bool
read_seconds(const char *name, double least, double *ret_seconds)
{
    const char *text = variable(name);
    if (text == NULL) {
        return true;
    }
    char *end = NULL;
    errno = 0;
    double seconds = strtod(text, &end);
    if (errno != 0 || end == text || *end != '\0' || !isfinite(seconds) || seconds < least ||
        seconds > SECONDS_MAX) {
        return false;
    }
    *ret_seconds = seconds;
    return true;
}

static bus_err_t
read_given(given_t *ret_given)
{
    *ret_given = defaults;
    if (!read_seconds("BHIV_BRAIN_DRILL_SECONDS", 0.001, &ret_given->drill_seconds)) {
        return refuse_variable("BHIV_BRAIN_DRILL_SECONDS", "want_seconds_from_0.001");
    }
    if (!read_seconds("BHIV_BRAIN_COOLDOWN_SECONDS", 0, &ret_given->cooldown_seconds)) {
        return refuse_variable("BHIV_BRAIN_COOLDOWN_SECONDS", "want_seconds_from_0");
    }
    const char *depth = variable("BHIV_BRAIN_DEPTH_MAX");
    uint64_t number = (uint64_t) defaults.depth_max;
    if (depth != NULL && (option_value(OPTION_COUNT, depth, &number) != BUS_OK || number < 1 ||
                          number > DEPTH_MAX)) {
        return refuse_variable("BHIV_BRAIN_DEPTH_MAX", "want_an_integer_from_1_to_100");
    }
    ret_given->depth_max = (int64_t) number;
    const char *drills = variable("BHIV_BRAIN_DRILLS");
    uint64_t on = 1;
    if (drills != NULL && option_value(OPTION_FLAG, drills, &on) != BUS_OK) {
        return refuse_variable("BHIV_BRAIN_DRILLS", "want_true_or_false");
    }
    ret_given->drills = on != 0;
    return BUS_OK;
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
    *ret_config = (brain_config_t){
        .drill_us = to_us(defaults.drill_seconds),
        .cooldown_us = to_us(defaults.cooldown_seconds),
        .depth_max = (uint64_t) defaults.depth_max,
        .drills = defaults.drills,
    };
    bus_view_t value;
    bus_err_t err = store_get(txn, BRAIN_SINGLES, CONFIG_KEY, &value);
    if (err != BUS_OK) {
        return err == BUS_NOT_FOUND || err == BUS_CORRUPT ? BUS_OK : err;
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
