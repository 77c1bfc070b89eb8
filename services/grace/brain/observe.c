// observe.c - what the brain goes by. See observe.h.
#include "observe.h"

#include "drift.h"
#include "proto/walk.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>

#define DRILL_DONE ".completed"
#define BREACH "sla_breach" // the issue that broken promises are looked into as
#define PARTS "components"  // of a drill's summary: part -> mean boot, ms

enum {
    ANOMALIES_MAX = 32, // looked at of one message
    REASONING_SIZE = 160,
    DETAILS_SIZE_MAX = 4096, // of an anomaly that is handed on as it is
};

// --- Drills --------------------------------------------------------------------------------------

// Who may not be restarted: everything waits for the broker, and self_healing does the restarting.
static bool
may_restart(bus_view_t part)
{
    return part.size > 0 && part.size <= 64 && !view_is(part, "broker") &&
           !view_is(part, "supervisor") && !view_is(part, "kernel-self_healing");
}

// The part that took longest to start, of those that may be restarted. Absent: not said.
static bus_view_t
slowest_part(bus_view_t summary)
{
    bus_view_t parts, key, value;
    bus_view_t slowest = VIEW_NONE;
    double most = 0, ms = 0;
    if (walk_find(summary, PARTS, &parts) != BUS_OK) {
        return slowest;
    }
    walk_pairs_t pairs = walk_pairs(parts);
    while (walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
        bool is_it = walk_as_real(value, &ms) == BUS_OK && ms > most && may_restart(key);
        if (is_it) {
            slowest = key;
            most = ms;
        }
    }
    return slowest;
}

static bus_err_t
observe_metrics(brain_story_t *story, bus_view_t summary)
{
    bus_err_t err = BUS_OK;
    for (unsigned i = 0; i < BRAIN_METRIC_COUNT && err == BUS_OK; i++) {
        const brain_metric_row_t *metric = &brain_metric_rows[i];
        double value;
        if (metric->drill != NULL &&
            brain_metric_read(metric, summary, metric->drill, &value) == BUS_OK) {
            bool is_boot = i == BRAIN_METRIC_BOOT_TIME;
            err = brain_drift_observe(
                story, metric, value, is_boot ? slowest_part(summary) : VIEW_NONE);
        }
    }
    return err;
}

// Trust that is weak, but no drift yet.
static bus_err_t
observe_trust(brain_story_t *story, bus_view_t summary)
{
    const brain_metric_row_t *metric = &brain_metric_rows[BRAIN_METRIC_TRUST_SCORE];
    double trust;
    if (brain_metric_read(metric, summary, metric->drill, &trust) != BUS_OK ||
        trust >= metric->baseline || brain_metric_is_broken(metric, trust)) {
        return BUS_OK;
    }
    return brain_intent_offer(story,
                              BRAIN_INTENT_TRUST,
                              VIEW_NONE,
                              VIEW_NONE,
                              "A drill's trust score is below its baseline",
                              NULL);
}

static bus_err_t
observe_breaches(brain_story_t *story, bus_view_t summary)
{
    if (!(walk_real_at(summary, "sla_breaches", 0) > 0)) {
        return BUS_OK;
    }
    return brain_intent_offer(story,
                              BRAIN_INTENT_INVESTIGATE,
                              VIEW_LITERAL(BREACH),
                              VIEW_NONE,
                              "A drill broke its SLA",
                              NULL);
}

bus_err_t
brain_observe_drill(service_apply_t *apply, const void *message BUS_UNUSED)
{
    size_t tail = strlen(DRILL_DONE);
    bool is_done = apply->topic.size > tail &&
                   memcmp(apply->topic.data + apply->topic.size - tail, DRILL_DONE, tail) == 0;
    if (!is_done) {
        return BUS_OK; // what a drill says while it runs
    }
    bus_view_t summary;
    walk_item_t head = {.type = WALK_NIL};
    walk_t walk;
    if (walk_find(apply->body, "summary", &summary) == BUS_OK) {
        walk = walk_from(summary);
        bus_err_t is_whole = walk_next(&walk, &head);
        assert(is_whole == BUS_OK); // journaled bodies are checked
    }
    if (head.type != WALK_MAP) {
        return service_refuse(
            apply, BUS_VALIDATION_FAILED, "a drill's result needs a summary", VIEW_NONE);
    }
    brain_story_t story;
    bus_err_t err = brain_story_begin(&story, apply);
    err = err == BUS_OK ? observe_metrics(&story, summary) : err;
    err = err == BUS_OK ? observe_trust(&story, summary) : err;
    return err == BUS_OK ? observe_breaches(&story, summary) : err;
}

// --- Live ----------------------------------------------------------------------------------------

static bus_err_t
observe_telemetry(brain_story_t *story, bus_view_t values)
{
    bus_err_t err = BUS_OK;
    for (unsigned i = 0; i < BRAIN_METRIC_COUNT && err == BUS_OK; i++) {
        const brain_metric_row_t *metric = &brain_metric_rows[i];
        double value;
        if (metric->telemetry != NULL &&
            brain_metric_read(metric, values, metric->name, &value) == BUS_OK) {
            err = brain_drift_observe(story, metric, value, VIEW_NONE);
        }
    }
    return err;
}

static bus_err_t
observe_queue(brain_story_t *story, bus_view_t values)
{
    double open = walk_real_at(values, "queued", NAN) + walk_real_at(values, "running", NAN);
    if (!(open > BRAIN_INTENT_QUEUE)) {
        return BUS_OK; // few, or not said
    }
    char reasoning[REASONING_SIZE];
    (void) snprintf(reasoning, sizeof reasoning, "%.0f tasks in the queue", open);
    return brain_intent_offer(story, BRAIN_INTENT_RETRIEVAL, VIEW_NONE, values, reasoning, NULL);
}

bus_err_t
brain_observe_live(service_apply_t *apply, const void *message)
{
    const schema_brain_observation_t *observation = message;
    brain_story_t story;
    bus_err_t err = brain_story_only(apply, "brain");
    if (err == BUS_OK) {
        err = brain_story_begin(&story, apply);
    }
    if (err == BUS_OK && view_is(observation->kind, "telemetry")) {
        err = observe_telemetry(&story, observation->values);
    } else if (err == BUS_OK && view_is(observation->kind, "queue")) {
        err = observe_queue(&story, observation->values);
    }
    return err;
}

// --- Anomalies -----------------------------------------------------------------------------------

static bus_err_t
observe_anomaly(brain_story_t *story, bus_view_t anomaly)
{
    bus_view_t type = walk_text_at(anomaly, "type");
    if (type.size == 0 || type.size > 64) {
        return BUS_OK; // nobody could say what it is
    }
    char reasoning[REASONING_SIZE];
    (void) snprintf(reasoning, sizeof reasoning, "%.*s was detected", (int) type.size, type.data);
    bool is_short = anomaly.size <= DETAILS_SIZE_MAX;
    return brain_intent_offer(
        story, BRAIN_INTENT_INVESTIGATE, type, is_short ? anomaly : VIEW_NONE, reasoning, NULL);
}

bus_err_t
brain_observe_anomalies(service_apply_t *apply, const void *message)
{
    const schema_hunter_anomaly_t *said = message;
    brain_story_t story;
    bus_err_t err = brain_story_begin(&story, apply);
    walk_t walk = walk_from(said->anomalies);
    walk_item_t head;
    bus_err_t is_whole = walk_next(&walk, &head);
    assert(is_whole == BUS_OK && head.type == WALK_ARRAY); // the schema's word
    uint32_t count = head.count < ANOMALIES_MAX ? head.count : ANOMALIES_MAX;
    for (uint32_t i = 0; i < count && err == BUS_OK; i++) {
        bus_view_t anomaly;
        is_whole = walk_skip(&walk, &anomaly);
        assert(is_whole == BUS_OK);
        err = observe_anomaly(&story, anomaly);
    }
    return err;
}

bus_err_t
brain_observe_sla(service_apply_t *apply, const void *message)
{
    const schema_task_sla_t *sla = message;
    if (!view_is(apply->topic, "task.sla.breached")) {
        return BUS_OK;
    }
    char reasoning[REASONING_SIZE];
    (void) snprintf(reasoning,
                    sizeof reasoning,
                    "Task %.*s broke its SLA",
                    (int) sla->task_id.size,
                    sla->task_id.data);
    brain_story_t story;
    bus_err_t err = brain_story_only(apply, "htm");
    if (err == BUS_OK) {
        err = brain_story_begin(&story, apply);
    }
    return err == BUS_OK ? brain_intent_offer(&story,
                                              BRAIN_INTENT_INVESTIGATE,
                                              VIEW_LITERAL(BREACH),
                                              VIEW_NONE,
                                              reasoning,
                                              NULL)
                         : err;
}
