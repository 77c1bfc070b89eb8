// metric.h - executions counted by action, status and how long the act took.
#pragma once
#include "tables.h"

enum { WORKFLOW_METRIC_BOUNDS = 9 };
// Upper bounds of the histogram, in microseconds.
extern const uint64_t workflow_metric_bounds_us[WORKFLOW_METRIC_BOUNDS];

// Counts one that ended. `action`: one of ours, or "other". BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t workflow_metric_count(store_txn_t *txn,
                                          const char *action,
                                          bool success,
                                          uint64_t duration_us);

// Packs [{action, status, count, seconds, buckets: [{le, count}…]}…]: what there is; le in seconds,
// counts cumulative as Prometheus has them.
BUS_CHECK bus_err_t workflow_metric_pack(store_txn_t *txn, pack_t *out);
