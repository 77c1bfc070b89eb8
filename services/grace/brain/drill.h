// drill.h - proactive drills: while the queue is light, the system is tried out.
#pragma once
#include "intent.h"

enum { BRAIN_DRILL_QUEUE = 5 }; // tasks queued and running from which it is not light

// What is known of the last. All zero before the first. BUS_IO.
BUS_CHECK bus_err_t brain_drill_last(store_txn_t *txn, brain_issue_t *ret_last);
// Whether the next may begin at `at`, as far as time tells. Pure.
bool brain_drill_is_due(const brain_issue_t *last, const brain_config_t *config, uint64_t at);

// Applies brain.clock: says proactive_stress_test where one is due and the queue is light.
// BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t brain_drill_apply(service_apply_t *apply, const void *message);
