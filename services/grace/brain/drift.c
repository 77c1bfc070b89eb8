// drift.c - is it drift, and is something to be done about it? See drift.h.
#include "drift.h"

#include "choice.h"
#include "proto/walk.h"

#include <assert.h>

typedef struct {
    const brain_metric_row_t *metric;
    const char *detector;
    double current;
    double baseline;
    double threshold;
    uint64_t samples; // that the baseline rests on; a constant one rests on none
} finding_t;

bus_err_t
brain_drift_watch(store_txn_t *txn, const brain_metric_row_t *metric, brain_watch_t *ret_watch)
{
    bus_view_t key = view_from_text(metric->watch);
    return brain_tables_get(txn, BRAIN_METRICS, key, ret_watch, sizeof *ret_watch);
}

// The metric is well: what comes next of the issue is a row of its own.
static bus_err_t
end_row(const brain_story_t *story, const brain_metric_row_t *metric)
{
    brain_issue_key_t text;
    brain_issue_t issue;
    bus_view_t key = brain_issue_key(
        &text, brain_intent_rows[BRAIN_INTENT_REMEDIATE].name, view_from_text(metric->issue_type));
    bus_err_t err = brain_issue_load(story->apply->txn, key, &issue);
    if (err != BUS_OK || issue.row == 0) {
        return err;
    }
    issue.row = 0;
    return brain_issue_save(story->apply->txn, key, &issue);
}

// --- Saying it -----------------------------------------------------------------------------------

// "boot_time_ms is 301 ms, above 300 ms (expected 200 ms)"
static void
explain_finding(const finding_t *finding, text_t *out)
{
    const brain_metric_row_t *metric = finding->metric;
    const char *side = metric->is_high ? "above" : "below";
    text_add_format(out, "%s is %.6g%s, ", metric->name, finding->current, metric->unit);
    if (finding->samples == 0) {
        text_add_format(out,
                        "%s %.6g%s (expected %.6g%s)",
                        side,
                        finding->threshold,
                        metric->unit,
                        finding->baseline,
                        metric->unit);
    } else {
        text_add_format(out,
                        "and stays %s the %.6g%s of the last %llu values (Page's test)",
                        side,
                        finding->baseline,
                        metric->unit,
                        (unsigned long long) finding->samples);
    }
}

static void
explain(const finding_t *finding,
        const brain_weighed_t *weighed,
        const brain_choice_t *choice,
        text_t *out)
{
    text_clear(out);
    explain_finding(finding, out);
    if (weighed->held == NULL) {
        text_add(out, VIEW_LITERAL(". "));
        brain_choice_explain(choice, weighed->issue_type, out);
    } else {
        text_add_format(out, ". Nothing is done: %s", weighed->held);
        if (weighed->issue.row > 1) {
            text_add_format(out,
                            " (%llu in a row have not mended it)",
                            (unsigned long long) weighed->issue.row);
        }
    }
}

// The drift's own fields, with when it was and on which trace.
static void
pack_kept(const brain_story_t *story, bus_view_t drift, pack_t *out)
{
    walk_pairs_t pairs = walk_pairs(drift);
    bus_view_t key, value;
    pack_clear(out);
    pack_map(out, pairs.left + 2);
    pack_pair_rfc3339(out, "at", story->at);
    pack_pair_str(out, "trace_id", story->trace_id);
    while (walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
        pack_str(out, key);
        pack_raw(out, value);
    }
}

// Keeps the drift for those who ask.
static bus_err_t
keep(const brain_story_t *story, bus_view_t drift, pack_t *scratch)
{
    store_txn_t *txn = story->apply->txn;
    uint64_t last = 0;
    bus_err_t err = brain_tables_last(txn, BRAIN_DRIFTS, &last);
    if (err != BUS_OK) {
        return err;
    }
    pack_kept(story, drift, scratch);
    err = store_put(txn, BRAIN_DRIFTS, STORE_U64(last + 1), pack_view(scratch));
    if (err == BUS_OK && last >= BRAIN_DRIFTS_MAX) {
        err = store_del(txn, BRAIN_DRIFTS, STORE_U64(last + 1 - BRAIN_DRIFTS_MAX));
    }
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

static bus_err_t
say_drift(const brain_story_t *story, const finding_t *finding, const brain_weighed_t *weighed)
{
    brain_state_t *state = story->apply->state;
    const schema_brain_drift_t drift = {
        .metric = view_from_text(finding->metric->name),
        .issue_type = view_from_text(finding->metric->issue_type),
        .current = {.has = true, .value = finding->current},
        .baseline = {.has = true, .value = finding->baseline},
        .threshold = {.has = true, .value = finding->threshold},
        .detector = view_from_text(finding->detector),
        .samples = {.has = true, .value = (int64_t) finding->samples},
        .observed = {.has = true, .value = (int64_t) story->apply->header->seq},
        .depth = {.has = true, .value = (int64_t) story->depth},
        .acted = {.has = true, .value = weighed->may_act},
        .reason = text_view(state->why),
    };
    pack_clear(state->said);
    schema_encode(&SCHEMA_brain_drift, &drift, state->said);
    bus_err_t err = service_say(story->apply, "brain.drift", pack_view(state->said));
    assert(err != BUS_PAYLOAD_TOO_LARGE); // its parts have limits
    return err == BUS_OK ? keep(story, pack_view(state->said), state->details) : err;
}

static bus_err_t
remediate(brain_story_t *story,
          const finding_t *finding,
          brain_weighed_t *weighed,
          const brain_choice_t *choice,
          bus_view_t part)
{
    brain_state_t *state = story->apply->state;
    const char *action = choice->candidates[choice->chosen].action;
    bool names_part = part.size > 0 && strcmp(action, BRAIN_CHOICE_RESTART) == 0;
    pack_t *details = state->details;
    pack_clear(details);
    pack_map(details, names_part ? 6 : 5);
    pack_pair_text(details, "metric", finding->metric->name);
    pack_pair_real(details, "current", finding->current);
    pack_pair_real(details, "baseline", finding->baseline);
    pack_pair_text(details, "action", action);
    pack_pair_uint(details, "depth", story->depth);
    if (names_part) {
        pack_pair_str(details, "part", part);
    }
    text_clear(state->why);
    bool is_learned = finding->samples > 0;
    text_add(state->why,
             view_from_text(is_learned ? finding->metric->drifted : finding->metric->reasoning));
    if (!choice->is_usual) {
        text_add(state->why, VIEW_LITERAL("; "));
        brain_choice_explain(choice, weighed->issue_type, state->why);
    }
    return brain_intent_say(story, weighed, action, pack_view(details), text_view(state->why));
}

static bus_err_t
report(brain_story_t *story, const finding_t *finding, bus_view_t part)
{
    brain_state_t *state = story->apply->state;
    bus_view_t issue_type = view_from_text(finding->metric->issue_type);
    brain_weighed_t weighed;
    brain_choice_t choice;
    bus_err_t err = brain_intent_weigh(story, BRAIN_INTENT_REMEDIATE, issue_type, &weighed);
    if (err == BUS_OK) {
        err = brain_choice_for(story->apply->txn, issue_type, part.size > 0, &choice);
    }
    if (err != BUS_OK) {
        return err;
    }
    brain_story_trace(story, "drift");
    explain(finding, &weighed, &choice, state->why);
    err = say_drift(story, finding, &weighed);
    return err == BUS_OK && weighed.may_act ? remediate(story, finding, &weighed, &choice, part)
                                            : err;
}

// --- Finding it ----------------------------------------------------------------------------------

// Whether it is drift: by the constant rule, else by what was learned.
static bool
find(const brain_metric_row_t *metric, brain_watch_t *watch, double value, finding_t *ret_finding)
{
    brain_detector_t *detector = &watch->detector;
    brain_detector_side_t side = brain_metric_side(metric);
    const brain_detector_t before = *detector;
    bool has_moved = brain_detector_take(detector, side, value);
    if (has_moved) {
        *detector = (brain_detector_t){.count = 0}; // it learns the new level
    }
    if (brain_metric_is_broken(metric, value)) {
        *ret_finding = (finding_t){.metric = metric,
                                   .detector = "constant",
                                   .current = value,
                                   .baseline = metric->baseline,
                                   .threshold = metric->threshold};
        return true;
    }
    if (has_moved) {
        *ret_finding = (finding_t){.metric = metric,
                                   .detector = BRAIN_DETECTOR_NAME,
                                   .current = value,
                                   .baseline = before.mean,
                                   .threshold = brain_detector_limit(&before, side),
                                   .samples = before.count};
    }
    return has_moved;
}

bus_err_t
brain_drift_observe(brain_story_t *story,
                    const brain_metric_row_t *metric,
                    double value,
                    bus_view_t part)
{
    brain_watch_t watch;
    finding_t finding = {0};
    bus_err_t err = brain_drift_watch(story->apply->txn, metric, &watch);
    if (err != BUS_OK) {
        return err;
    }
    bool is_drift = find(metric, &watch, value, &finding);
    watch.seen++;
    watch.last = value;
    watch.last_at = story->at;
    watch.drifts += is_drift ? 1 : 0;
    assert(part.size <= sizeof watch.part);
    if (part.size > 0) {
        memset(watch.part, 0, sizeof watch.part);
        memcpy(watch.part, part.data, part.size);
    }
    bus_view_t key = view_from_text(metric->watch);
    err = store_put(story->apply->txn, BRAIN_METRICS, key, view_from(&watch, sizeof watch));
    if (err == BUS_OK && !is_drift && brain_metric_is_well(metric, value)) {
        err = end_row(story, metric);
    }
    part = view_from(watch.part, strnlen(watch.part, sizeof watch.part));
    return err == BUS_OK && is_drift ? report(story, &finding, part) : err;
}
