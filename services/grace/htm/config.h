// config.h - what HTM is started with: BHIV_HTM_… of the environment. docs/grace.md.
#pragma once
#include "state.h"

typedef struct {
    double lease_seconds;
    double backoff_seconds;
    double strained_cpu;    // percent
    double strained_memory; // percent
    int64_t losses_max;
} htm_config_t;

// BUS_VALIDATION_FAILED where a variable makes no sense; says so in the log.
BUS_CHECK bus_err_t htm_config_read(htm_config_t *ret_config);
// As task.config. htm_config_read came before.
void htm_config_pack(const service_options_t *options, pack_t *out);
// task.config
bus_err_t htm_config_apply(service_apply_t *apply, const void *message);
