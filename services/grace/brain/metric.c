// metric.c - what the brain watches. See metric.h.
#include "metric.h"

#include "proto/walk.h"

#include <math.h>

#define NUMBER_MAX 1e12 // of a metric without a natural end

// One rule, whether a drill or the live queue shows it. The floor: one task of the last hundred.
#define SLA_RULE                                                                                   \
    .name = "sla_compliance", .issue_type = "sla_compliance_issue", .unit = "",                    \
    .reasoning = "SLA compliance fell below threshold",                                            \
    .drifted = "SLA compliance drifted below what was learned", .has_rule = true,                  \
    .baseline = 0.95, .threshold = 0.90, .well = 0.925, .floor = 0.01, .most = 1

const brain_metric_row_t brain_metric_rows[BRAIN_METRIC_COUNT] = {
    [BRAIN_METRIC_BOOT_TIME] =
        {
            .name = "boot_time_ms",
            .watch = "boot_time_ms",
            .issue_type = "boot_performance_degradation",
            .drill = "avg_boot_time",
            .unit = " ms",
            .reasoning = "Boot time exceeded threshold",
            .drifted = "Boot time drifted above what was learned",
            .is_high = true,
            .has_rule = true,
            .baseline = 200,
            .threshold = 300,
            .well = 250,
            .floor = 10,    // a twentieth of the baseline: less is the machine's own noise
            .least = 0.001, // the mean of no boots is 0, which is no time at all
            .most = NUMBER_MAX,
        },
    [BRAIN_METRIC_CHUNK_QUALITY] =
        {
            .name = "chunk_quality",
            .watch = "chunk_quality",
            .issue_type = "quality_degradation",
            .drill = "avg_quality_score",
            .unit = "",
            .reasoning = "Chunk quality fell below threshold",
            .drifted = "Chunk quality drifted below what was learned",
            .has_rule = true,
            .baseline = 0.85,
            .threshold = 0.70,
            .well = 0.775,
            .floor = 0.02,
            .most = 1,
        },
    [BRAIN_METRIC_TRUST_SCORE] =
        {
            .name = "trust_score",
            .watch = "trust_score",
            .issue_type = "trust_degradation",
            .drill = "avg_trust_score",
            .unit = "",
            .reasoning = "Trust score fell below threshold",
            .drifted = "Trust score drifted below what was learned",
            .has_rule = true,
            .baseline = 0.80,
            .threshold = 0.70,
            .well = 0.75,
            .floor = 0.02,
            .most = 1,
        },
    [BRAIN_METRIC_SLA_COMPLIANCE] =
        {
            SLA_RULE,
            .watch = "sla_compliance",
            .drill = "sla_compliance_rate",
        },
    [BRAIN_METRIC_SLA_QUEUE] =
        {
            SLA_RULE,
            .watch = "sla_compliance_queue",
        },
    [BRAIN_METRIC_CPU] =
        {
            .name = "cpu_percent",
            .watch = "cpu_percent",
            .issue_type = "cpu_usage_drift",
            .telemetry = "cpu_percent",
            .unit = " %",
            .reasoning = "",
            .drifted = "Processor use drifted above what was learned",
            .is_high = true,
            .floor = 5,
            .most = 100,
        },
    [BRAIN_METRIC_MEMORY] =
        {
            .name = "memory_percent",
            .watch = "memory_percent",
            .issue_type = "memory_usage_drift",
            .telemetry = "memory_percent",
            .unit = " %",
            .reasoning = "",
            .drifted = "Memory use drifted above what was learned",
            .is_high = true,
            .floor = 2,
            .most = 100,
        },
    [BRAIN_METRIC_LAG] =
        {
            .name = "consumer_lag",
            .watch = "consumer_lag",
            .issue_type = "consumer_lag_drift",
            .telemetry = "lag",
            .unit = " records",
            .reasoning = "",
            .drifted = "Services drifted further behind the journal than was learned",
            .is_high = true,
            .floor = 100, // what a page of a busy moment leaves, and the next has taken
            .most = NUMBER_MAX,
        },
    [BRAIN_METRIC_COMMIT] =
        {
            .name = "commit_p99_us",
            .watch = "commit_p99_us",
            .issue_type = "commit_latency_drift",
            .telemetry = "commit_p99_us",
            .unit = " us",
            .reasoning = "",
            .drifted = "The broker's commits drifted above the time that was learned",
            .is_high = true,
            .floor = 1000, // a disk's own caprice
            .most = NUMBER_MAX,
        },
};

bool
brain_metric_is_broken(const brain_metric_row_t *row, double value)
{
    return row->has_rule && (row->is_high ? value > row->threshold : value < row->threshold);
}

bool
brain_metric_is_well(const brain_metric_row_t *row, double value)
{
    return row->has_rule && (row->is_high ? value <= row->well : value >= row->well);
}

bus_err_t
brain_metric_read(const brain_metric_row_t *row, bus_view_t map, const char *key, double *ret_value)
{
    bus_view_t raw;
    double value;
    bus_err_t err = walk_find(map, key, &raw);
    err = err == BUS_OK ? walk_as_real(raw, &value) : err;
    if (err != BUS_OK) {
        return err;
    }
    if (!isfinite(value)) {
        return BUS_NOT_FOUND;
    }
    if (value < row->least || value > row->most) {
        return BUS_VALIDATION_FAILED;
    }
    *ret_value = value;
    return BUS_OK;
}
