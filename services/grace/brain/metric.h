// metric.h - what the brain watches: one row a metric, and how a value of it is told from a record.
//
// Constant rules are strict and their thresholds are the numbers themselves: the originals' were
// computed (.95 - .05 is 0.8999999999999999, and 0.90 would have passed or not by a rounding).
#pragma once
#include "detector.h"
#include "proto/auto.h"
#include "proto/error.h"
#include "proto/view.h"

typedef enum {
    BRAIN_METRIC_BOOT_TIME,
    BRAIN_METRIC_CHUNK_QUALITY,
    BRAIN_METRIC_TRUST_SCORE,
    BRAIN_METRIC_SLA_COMPLIANCE,
    BRAIN_METRIC_SLA_QUEUE, // sla_compliance too: of the live queue, not of a drill
    BRAIN_METRIC_CPU,
    BRAIN_METRIC_MEMORY,
    BRAIN_METRIC_LAG,
    BRAIN_METRIC_COMMIT,
    BRAIN_METRIC_COUNT
} brain_metric_t;

typedef struct {
    const char *name;       // as messages name it
    const char *watch;      // what is learned of it is kept by this: each source has its own level
    const char *issue_type; // of a drift
    const char *drill;      // its key in a drill's summary; NULL: none
    const char *telemetry;  // its key in layer3.telemetry.stream's summary; NULL: none
    const char *unit;       // for a person: " ms", " %"
    const char *reasoning;  // of the intent, where the constant rule is broken
    const char *drifted;    // of the intent, where what was learned is left
    bool is_high;           // whether more is worse
    bool has_rule;          // whether it has the three below
    double baseline;        // what is expected
    double threshold;       // beyond which (strictly) it is drift
    double well;            // within which it counts as mended: hysteresis, half-way between both
    double floor;           // a deviation that matters, for the detector
    double least, most;     // a value outside is none
} brain_metric_row_t;

extern const brain_metric_row_t brain_metric_rows[BRAIN_METRIC_COUNT];

static inline brain_detector_side_t
brain_metric_side(const brain_metric_row_t *row)
{
    return (brain_detector_side_t){.floor = row->floor, .is_high = row->is_high};
}

// Whether `value` breaks the constant rule, or is back within it by the margin. Neither where the
// metric has none.
bool brain_metric_is_broken(const brain_metric_row_t *row, double value);
bool brain_metric_is_well(const brain_metric_row_t *row, double value);

// The number at `key` of a map, an integer or a real. BUS_NOT_FOUND where there is none, or it is
// not finite; BUS_VALIDATION_FAILED where it is no value of this metric (a share above 1).
BUS_CHECK bus_err_t brain_metric_read(const brain_metric_row_t *row,
                                      bus_view_t map,
                                      const char *key,
                                      double *ret_value);
