// drift.h - a value of a metric was observed: is it drift, and is something to be done about it?
#pragma once
#include "intent.h"
#include "metric.h"

enum { BRAIN_DRIFT_PART = 64 }; // bytes of a part's name

typedef struct {
    uint64_t seen; // values
    double last;
    uint64_t last_at;
    uint64_t drifts;             // that were said
    char part[BRAIN_DRIFT_PART]; // named last with a value; zero-padded
    brain_detector_t detector;
} brain_watch_t;

enum { BRAIN_DRIFTS_MAX = 1000 }; // kept for req.brain.drifts: its limit

// Takes a value: says brain.drift where it is drift, always, and a remediation where that may be.
// `part`: of which part it was seen most, which restart_peer restarts; absent: it was
// not said, and the last that was is meant. At most BRAIN_DRIFT_PART bytes (asserted). BUS_FULL,
// BUS_IO.
BUS_CHECK bus_err_t brain_drift_observe(brain_story_t *story,
                                        const brain_metric_row_t *metric,
                                        double value,
                                        bus_view_t part);
// What is known of a metric; all zero before the first value. BUS_IO.
BUS_CHECK bus_err_t brain_drift_watch(store_txn_t *txn,
                                      const brain_metric_row_t *metric,
                                      brain_watch_t *ret_watch);
