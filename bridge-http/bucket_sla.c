// bucket_sla.c - what the seeds promise, as metrics with thresholds: GET /bucket/sla and
// Prometheus.
//
// Each is a share with a target; what cannot be told yet is null with the reason.
//   availability          requests on Bucket's port, but for probes, not answered 5xx
//   response              requests on Bucket's port answered within 5 s
//   event_logging         write-events durable, and answered, within 100 ms
//   integrity             reads of artifacts whose checksum matched
//   behavioural_tracking  events in Karma's ledger within 500 ms: those of Karma's own door from
//                         request to answer, and of Bucket's a sample (probe.h)
//   workflow_execution    executions answered within 1 s
//   audit_coverage        commands and events that Bucket took and that have an audit entry
#include "answer.h"
#include "handler.h"
#include "health.h"
#include "metrics.h"
#include "probe.h"
#include "proto/walk.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef struct {
    const char *name;  // in /bucket/sla
    const char *slo;   // the label of the metric
    double target;     // a share
    double threshold;  // in seconds; 0: none
    const char *share; // of what
} slo_t;

typedef enum {
    AVAILABILITY,
    RESPONSE,
    EVENT_LOGGING,
    INTEGRITY,
    BEHAVIOURAL_TRACKING,
    WORKFLOW_EXECUTION,
    AUDIT_COVERAGE,
    SLO_COUNT
} slo_id_t;

static const slo_t slos[SLO_COUNT] = {
    [AVAILABILITY] = {"availability", "availability", 0.999, 0, "requests not answered 5xx"},
    [RESPONSE] = {"response_under_5s", "response", 0.999, 5, "requests"},
    [EVENT_LOGGING] = {"event_logging_under_100ms", "event_logging", 0.999, 0.1, "events"},
    [INTEGRITY] = {"integrity", "integrity", 0.9999, 0, "reads whose checksum matched"},
    [BEHAVIOURAL_TRACKING] =
        {"behavioural_tracking_under_500ms", "behavioural_tracking", 0.999, 0.5, "events"},
    [WORKFLOW_EXECUTION] =
        {"workflow_execution_under_1s", "workflow_execution", 0.999, 1, "executions"},
    [AUDIT_COVERAGE] = {"audit_coverage", "audit_coverage", 1.0, 0, "audited operations"},
};

typedef struct {
    uint64_t samples; // 0: it is not known
    uint64_t good;    // of them
    const char *why;  // it is not known
} measure_t;

static const char NO_REQUESTS[] = "nothing of the kind since this bridge started";

static measure_t
of_requests(const bridge_metrics_t *metrics, bool by_time)
{
    bridge_metrics_sum_t sum = bridge_metrics_sum(metrics, BRIDGE_BUCKET);
    uint64_t bad = by_time ? sum.slow : sum.failed;
    return (measure_t){.samples = sum.requests, .good = sum.requests - bad, .why = NO_REQUESTS};
}

// The requests of a route that took at most so long.
static measure_t
of_route(const bridge_metrics_t *metrics,
         bridge_port_id_t port,
         const char *operation,
         uint64_t limit_us)
{
    measure_t measured = {.why = NO_REQUESTS};
    double share = bridge_metrics_within(metrics, port, operation, limit_us, &measured.samples);
    measured.good = (uint64_t) (share * (double) measured.samples + 0.5);
    return measured;
}

static uint64_t
number_of(bus_view_t value)
{
    uint64_t number = 0;
    return value.data != NULL && walk_as_uint(value, &number) == BUS_OK ? number : 0;
}

static uint64_t
number_at(bus_view_t map, const char *key)
{
    bus_view_t value;
    return map.data != NULL && walk_find(map, key, &value) == BUS_OK ? number_of(value) : 0;
}

// A read whose checksum does not match is 500 INTEGRITY_ERROR.
static measure_t
of_integrity(const bridge_metrics_t *metrics)
{
    uint64_t good = bridge_metrics_answered(metrics, BRIDGE_BUCKET, "artifact_read", 200);
    uint64_t bad = bridge_metrics_answered(metrics, BRIDGE_BUCKET, "artifact_read", 500);
    return (measure_t){.samples = good + bad, .good = good, .why = NO_REQUESTS};
}

// Of the commands and events that Bucket took since it started, applied or refused: those with an
// entry.
static measure_t
of_audit(const bridge_health_t *health)
{
    bus_view_t governance = bridge_health_of_bucket(health, "governance");
    uint64_t due = number_at(governance, "due");
    uint64_t audited = number_at(governance, "audited");
    return (measure_t){.samples = due,
                       .good = audited < due ? audited : due,
                       .why = governance.data == NULL ? "Bucket was not heard yet"
                                                      : "nothing was done yet"};
}

static measure_t
of_tracking(const bridge_t *bridge)
{
    measure_t direct = of_route(bridge->metrics, BRIDGE_KARMA, "karma_event", 500000);
    bridge_probe_counts_t sampled = bridge_probe_counts(bridge->probe);
    direct.samples += sampled.samples;
    direct.good += sampled.within;
    return direct;
}

static measure_t
measure(const bridge_t *bridge, slo_id_t id)
{
    switch (id) {
    case AVAILABILITY:
        return of_requests(bridge->metrics, false);
    case RESPONSE:
        return of_requests(bridge->metrics, true);
    case EVENT_LOGGING:
        return of_route(bridge->metrics, BRIDGE_BUCKET, "write_event", 100000);
    case INTEGRITY:
        return of_integrity(bridge->metrics);
    case BEHAVIOURAL_TRACKING:
        return of_tracking(bridge);
    case WORKFLOW_EXECUTION:
        return of_route(bridge->metrics, BRIDGE_WORKFLOW, "workflow_execute", 1000000);
    case AUDIT_COVERAGE:
        return of_audit(bridge->health);
    case SLO_COUNT:
        break;
    }
    return (measure_t){.why = "unknown"};
}

static double
share_of(const measure_t *self)
{
    return (double) self->good / (double) self->samples;
}

static void
pack_slo(const slo_t *slo, const measure_t *measured, pack_t *out)
{
    bool is_known = measured->samples > 0;
    pack_text(out, slo->name);
    pack_map(out, is_known ? 6 : 5);
    pack_pair_real(out, "target", slo->target);
    pack_pair_text(out, "unit", "share");
    pack_pair_text(out, "of", slo->share);
    if (is_known) {
        pack_pair_real(out, "measured", share_of(measured));
        pack_pair_uint(out, "samples", measured->samples);
        pack_pair_bool(out, "met", share_of(measured) >= slo->target);
    } else {
        pack_pair_nil(out, "measured");
        pack_pair_text(out, "reason", measured->why);
    }
}

void
bridge_bucket_sla_show(bridge_request_t *self)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 2);
    pack_pair_uint(body, "window_seconds", (self->started_us - self->bridge->started_us) / 1000000);
    pack_text(body, "sla");
    pack_map(body, SLO_COUNT);
    for (unsigned i = 0; i < SLO_COUNT; i++) {
        measure_t measured = measure(self->bridge, (slo_id_t) i);
        pack_slo(&slos[i], &measured, body);
    }
    bridge_answer(self, MHD_HTTP_OK, pack_view(body));
}

void
bridge_bucket_sla_write_metrics(const bridge_t *bridge, text_t *out)
{
    text_add_format(out,
                    "# HELP bhiv_slo_target The share that is promised.\n"
                    "# TYPE bhiv_slo_target gauge\n");
    for (unsigned i = 0; i < SLO_COUNT; i++) {
        text_add_format(out, "bhiv_slo_target{slo=\"%s\"} %g\n", slos[i].slo, slos[i].target);
    }
    text_add_format(out,
                    "# HELP bhiv_slo_threshold_seconds What a good one takes at most.\n"
                    "# TYPE bhiv_slo_threshold_seconds gauge\n");
    for (unsigned i = 0; i < SLO_COUNT; i++) {
        if (slos[i].threshold > 0) {
            text_add_format(
                out, "bhiv_slo_threshold_seconds{slo=\"%s\"} %g\n", slos[i].slo, slos[i].threshold);
        }
    }
    text_add_format(out,
                    "# HELP bhiv_slo_samples What was measured; good ones, and all.\n"
                    "# TYPE bhiv_slo_samples counter\n");
    for (unsigned i = 0; i < SLO_COUNT; i++) {
        measure_t measured = measure(bridge, (slo_id_t) i);
        text_add_format(out,
                        "bhiv_slo_samples{slo=\"%s\",kind=\"all\"} %llu\n"
                        "bhiv_slo_samples{slo=\"%s\",kind=\"good\"} %llu\n",
                        slos[i].slo,
                        (unsigned long long) measured.samples,
                        slos[i].slo,
                        (unsigned long long) measured.good);
    }
    text_add_format(out,
                    "# HELP bhiv_slo_met 1: at or above the target; absent where nothing was "
                    "measured. Alert on 0.\n# TYPE bhiv_slo_met gauge\n");
    for (unsigned i = 0; i < SLO_COUNT; i++) {
        measure_t measured = measure(bridge, (slo_id_t) i);
        if (measured.samples > 0) {
            text_add_format(out,
                            "bhiv_slo_met{slo=\"%s\"} %d\n",
                            slos[i].slo,
                            share_of(&measured) >= slos[i].target ? 1 : 0);
        }
    }
}
