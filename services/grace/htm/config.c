// config.c - what HTM is started with.
#include "config.h"

#include "dispatch.h"
#include "proto/schema.h"
#include "runtime/setting.h"

#include <assert.h>

#define AT(field) offsetof(htm_config_t, field)
static const setting_row_t rows[] = {
    {"BHIV_HTM_LEASE_SECONDS", SETTING_REAL, AT(lease_seconds), 30, 0.05, 86400},
    {"BHIV_HTM_BACKOFF_SECONDS", SETTING_REAL, AT(backoff_seconds), 1, 0.001, 3600},
    {"BHIV_HTM_LOSSES_MAX", SETTING_COUNT, AT(losses_max), 5, 1, 100},
    {"BHIV_HTM_STRAINED_CPU", SETTING_REAL, AT(strained_cpu), 90, 1, 1000},
    {"BHIV_HTM_STRAINED_MEMORY", SETTING_REAL, AT(strained_memory), 85, 1, 1000},
};
#undef AT

bus_err_t
htm_config_read(htm_config_t *ret_config)
{
    return setting_read(rows, sizeof rows / sizeof *rows, ret_config);
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

static bool
is_within(size_t offset, double value)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].offset == offset) {
            return value >= rows[i].min && value <= rows[i].max; // never where it is no number
        }
    }
    return false;
}

bus_err_t
htm_config_apply(service_apply_t *apply, const void *message)
{
    const schema_htm_config_t *config = message;
    htm_state_t *state = apply->state;
    if (!is_within(offsetof(htm_config_t, lease_seconds), config->lease_seconds.value) ||
        !is_within(offsetof(htm_config_t, backoff_seconds), config->backoff_seconds.value)) {
        return service_refuse(apply, BUS_VALIDATION_FAILED, "seconds out of bounds", VIEW_NONE);
    }
    htm_settings_t *settings = &state->totals.settings;
    settings->lease_us = (uint64_t) (config->lease_seconds.value * 1e6 + 0.5);
    settings->backoff_us = (uint64_t) (config->backoff_seconds.value * 1e6 + 0.5);
    settings->losses_max = (uint32_t) config->losses_max.value;
    return htm_dispatch_finish(apply, BUS_OK);
}
