// config.h - what the brain was started with: journaled as brain.config, read there and only there.
#pragma once
#include "tables.h"

typedef struct {
    uint64_t drill_us;    // at least so long between proactive drills
    uint64_t cooldown_us; // at least so long between remediations of one issue
    uint64_t depth_max;   // remediations in a row on one trace
    bool drills;          // whether there are proactive drills
} brain_config_t;

// Whether the environment can be read; says on the log what in it cannot. BUS_VALIDATION_FAILED.
BUS_CHECK bus_err_t brain_config_check(void);
// Packs it. brain_config_check came before, so that it can be read.
void brain_config_pack(const service_options_t *options, pack_t *out);
// Applies brain.config: in force from the next record on. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t brain_config_apply(service_apply_t *apply, const void *message);
// What is in force; the defaults before the first, or where the record is damaged. BUS_IO.
BUS_CHECK bus_err_t brain_config_get(store_txn_t *txn, brain_config_t *ret_config);
