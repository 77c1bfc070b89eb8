// config.h - what HTM is started with: BHIV_HTM_… of the environment. docs/grace.md.
#pragma once
#include "state.h"

typedef struct {
    double lease_seconds;   // where a task does not say
    double backoff_seconds; // before the first retry
    double strained_cpu;    // percent, from which the machine is strained
    double strained_memory; // percent, the same
    int64_t losses_max;     // attempts lost before a task is dead
} htm_config_t;

// Reads the environment. BUS_VALIDATION_FAILED where a variable makes no sense, which is logged.
BUS_CHECK bus_err_t htm_config_read(htm_config_t *ret_config);
// Packs it as task.config. htm_config_read came before, and succeeded (asserted).
void htm_config_pack(const service_options_t *options, pack_t *out);
// Applies task.config: tasks that come after it are treated so. BUS_FULL, BUS_IO.
bus_err_t htm_config_apply(service_apply_t *apply, const void *message);
