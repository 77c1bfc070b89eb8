// config.c - what HTM is started with.
#include "config.h"

#include "dispatch.h"
#include "proto/schema.h"
#include "runtime/log.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

static const struct {
    const char *variable;
    size_t offset;
    double preset, min, max;
} numbers[] = {
    {"BHIV_HTM_LEASE_SECONDS", offsetof(htm_config_t, lease_seconds), 30, 0.05, 86400},
    {"BHIV_HTM_BACKOFF_SECONDS", offsetof(htm_config_t, backoff_seconds), 1, 0.001, 3600},
    {"BHIV_HTM_STRAINED_CPU", offsetof(htm_config_t, strained_cpu), 90, 1, 1000},
    {"BHIV_HTM_STRAINED_MEMORY", offsetof(htm_config_t, strained_memory), 85, 1, 1000},
};

static bool
read_number(const char *name, double preset, double *ret_value)
{
    const char *text = getenv(name);
    if (text == NULL || text[0] == '\0') {
        *ret_value = preset;
        return true;
    }
    char *end = NULL;
    errno = 0;
    *ret_value = strtod(text, &end);
    return errno == 0 && end != text && *end == '\0';
}

static bus_err_t
refuse(const char *variable, double min, double max)
{
    log_error("config_refused", "variable=%s want_from=%g to=%g", variable, min, max);
    return BUS_VALIDATION_FAILED;
}

bus_err_t
htm_config_read(htm_config_t *ret_config)
{
    double value;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (!read_number(numbers[i].variable, numbers[i].preset, &value) ||
            !(value >= numbers[i].min && value <= numbers[i].max)) {
            return refuse(numbers[i].variable, numbers[i].min, numbers[i].max);
        }
        memcpy((char *) ret_config + numbers[i].offset, &value, sizeof value);
    }
    if (!read_number("BHIV_HTM_LOSSES_MAX", 5, &value) || !(value >= 1 && value <= 100) ||
        value != (double) (int64_t) value) {
        return refuse("BHIV_HTM_LOSSES_MAX", 1, 100);
    }
    ret_config->losses_max = (int64_t) value;
    return BUS_OK;
}

void
htm_config_pack(const service_options_t *options BUS_UNUSED, pack_t *out)
{
    htm_config_t config;
    bus_err_t err = htm_config_read(&config);
    assert(err == BUS_OK); // it was read at open
    const schema_htm_config_t message = {
        .lease_seconds = {.has = true, .value = config.lease_seconds},
        .losses_max = {.has = true, .value = config.losses_max},
        .backoff_seconds = {.has = true, .value = config.backoff_seconds},
        .strained_cpu = {.has = true, .value = config.strained_cpu},
        .strained_memory = {.has = true, .value = config.strained_memory},
    };
    schema_encode(&SCHEMA_htm_config, &message, out);
}

bus_err_t
htm_config_apply(service_apply_t *apply, const void *message)
{
    const schema_htm_config_t *config = message;
    htm_state_t *state = apply->state;
    htm_settings_t *settings = &state->totals.settings;
    settings->lease_us = (uint64_t) (config->lease_seconds.value * 1e6 + 0.5);
    settings->backoff_us = (uint64_t) (config->backoff_seconds.value * 1e6 + 0.5);
    settings->losses_max = (uint32_t) config->losses_max.value;
    return htm_dispatch_finish(apply, BUS_OK);
}
