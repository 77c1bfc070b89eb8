// intent.c - what the brain wants done. See intent.h.
#include "intent.h"

#include <assert.h>

#define CREATED_BY "agentic_brain_auto"

const brain_intent_row_t brain_intent_rows[BRAIN_INTENT_COUNT] = {
    [BRAIN_INTENT_REMEDIATE] = {"remediate_drift",
                                "high",
                                3600,
                                "self_healing",
                                NULL,
                                "a metric broke its constant rule, or left what was learned of it",
                                true},
    [BRAIN_INTENT_DRILL] = {"proactive_stress_test",
                            "low",
                            86400,
                            "stress_runner",
                            "run_stress_drill",
                            "fewer than 5 tasks queued or running, and none drilled for a while",
                            false},
    [BRAIN_INTENT_INVESTIGATE] = {"investigate_anomalies",
                                  "high",
                                  1800,
                                  "self_healing",
                                  "run_diagnostics",
                                  "hunter.anomaly.detected, task.sla.breached, or a drill with "
                                  "SLA breaches",
                                  true},
    [BRAIN_INTENT_TRUST] = {"improve_trust_scores",
                            "high",
                            1800,
                            "librarian",
                            "reprocess_low_quality",
                            "a drill's avg_trust_score below its baseline of 0.80, not yet drift",
                            false},
    [BRAIN_INTENT_REPROCESS] = {"reprocess_low_quality",
                                "low",
                                86400,
                                "librarian",
                                "reprocess_low_quality",
                                "a document was ingested with quality_score below 0.70",
                                false},
    [BRAIN_INTENT_AUDIT] = {"audit_external_feeds",
                            "normal",
                            14400,
                            "librarian",
                            "reprocess_low_quality",
                            "3 documents with trust_score below 0.70 since the last",
                            false},
    [BRAIN_INTENT_INDEX] = {"index_new_documents",
                            "normal",
                            14400,
                            "librarian",
                            "index_new_documents",
                            "10 documents were ingested since the last",
                            false},
    [BRAIN_INTENT_RETRIEVAL] = {"optimize_retrieval",
                                "low",
                                86400,
                                "self_healing",
                                "optimize_htm_scheduling",
                                "more than 10 tasks queued or running",
                                false},
};

static const char *const held_words[] = {
    [BRAIN_ISSUE_ACT] = NULL,
    [BRAIN_ISSUE_IS_OPEN] = "an intent for this issue is still open",
    [BRAIN_ISSUE_COOLS_DOWN] = "the last intent for this issue is too recent",
    [BRAIN_ISSUE_TOO_DEEP] = "as many remediations in a row as are allowed lie behind it",
};

brain_intent_kind_t
brain_intent_find(bus_view_t name)
{
    for (unsigned i = 0; i < BRAIN_INTENT_COUNT; i++) {
        if (view_is(name, brain_intent_rows[i].name)) {
            return (brain_intent_kind_t) i;
        }
    }
    return BRAIN_INTENT_COUNT;
}

bus_err_t
brain_intent_weigh(const brain_story_t *story,
                   brain_intent_kind_t kind,
                   bus_view_t issue_type,
                   brain_weighed_t *ret_weighed)
{
    store_txn_t *txn = story->apply->txn;
    *ret_weighed = (brain_weighed_t){.kind = kind, .issue_type = issue_type};
    bus_view_t key = brain_issue_key(&ret_weighed->key, brain_intent_rows[kind].name, issue_type);
    bool fits = true;
    bus_err_t err = BUS_OK;
    if (kind == BRAIN_INTENT_INVESTIGATE) { // the others' issue types are our own words
        err = brain_tables_fits(txn, BRAIN_ISSUES, key, BRAIN_ISSUE_MAX, &fits);
    }
    if (err == BUS_OK &&
        !fits) { // new names share a row: whoever made up the others locks none out
        key = brain_issue_key(&ret_weighed->key, brain_intent_rows[kind].name, VIEW_NONE);
    }
    err = err == BUS_OK ? brain_issue_load(txn, key, &ret_weighed->issue) : err;
    if (err != BUS_OK) {
        return err;
    }
    brain_issue_see(&ret_weighed->issue, &story->config, story->at);
    ret_weighed->held = held_words[brain_issue_decide(
        &ret_weighed->issue, &story->config, story->at, story->depth)];
    ret_weighed->may_act = ret_weighed->held == NULL;
    return brain_issue_save(txn, key, &ret_weighed->issue);
}

// The body, in the order of the seed's.
static void
pack_body(const brain_weighed_t *weighed,
          const char *action,
          bus_view_t details,
          bus_view_t reasoning,
          pack_t *out)
{
    const brain_intent_row_t *row = &brain_intent_rows[weighed->kind];
    const schema_intent_task_t intent = {
        .intent = view_from_text(row->name),
        .issue_type = weighed->issue_type,
        .details = details,
        .priority = view_from_text(row->priority),
        .sla_seconds = {.has = true, .value = row->sla_seconds},
        .reasoning = reasoning,
        .created_by = VIEW_LITERAL(CREATED_BY),
        .task_type = view_from_text(action),
        .handler = view_from_text(row->handler),
    };
    pack_clear(out);
    schema_encode(&SCHEMA_intent_task, &intent, out);
}

bus_err_t
brain_intent_say(brain_story_t *story,
                 brain_weighed_t *weighed,
                 const char *action,
                 bus_view_t details,
                 bus_view_t reasoning)
{
    brain_state_t *state = story->apply->state;
    const brain_intent_row_t *row = &brain_intent_rows[weighed->kind];
    brain_issue_t *issue = &weighed->issue;
    action = row->task_type != NULL ? row->task_type : action;
    assert(action != NULL && strlen(action) < sizeof issue->action);
    pack_body(weighed, action, details, reasoning, state->said);
    bus_err_t err = service_say(story->apply, "layer3.intent.task", pack_view(state->said));
    assert(err != BUS_PAYLOAD_TOO_LARGE); // its parts have limits
    if (err != BUS_OK) {
        return err;
    }
    brain_issue_open(issue, story->at, (uint64_t) (row->sla_seconds * 1e6), story->trace_id);
    if (!row->is_remedy) {
        issue->row = 0; // the next one does not mean that this one failed
    }
    memset(issue->action, 0, sizeof issue->action);
    memcpy(issue->action, action, strlen(action));
    err =
        brain_issue_save(story->apply->txn, view_from(weighed->key.text, weighed->key.size), issue);
    // A drill is no remediation: what it shows is as deep as if anybody had run it.
    bool is_deeper = weighed->kind != BRAIN_INTENT_DRILL;
    return err == BUS_OK && is_deeper ? brain_story_deepen(story) : err;
}

bus_err_t
brain_intent_offer(brain_story_t *story,
                   brain_intent_kind_t kind,
                   bus_view_t issue_type,
                   bus_view_t details,
                   const char *reasoning,
                   bool *ret_said)
{
    brain_weighed_t weighed;
    bus_err_t err = brain_intent_weigh(story, kind, issue_type, &weighed);
    if (ret_said != NULL) {
        *ret_said = err == BUS_OK && weighed.may_act;
    }
    if (err != BUS_OK || !weighed.may_act) {
        return err;
    }
    brain_story_trace(story, "brain");
    return brain_intent_say(story,
                            &weighed,
                            NULL,
                            details.data != NULL ? details : PACK_EMPTY_MAP,
                            view_from_text(reasoning));
}

// Ends what is open there, where that is of the story's trace.
static bus_err_t
end_open(const brain_story_t *story,
         brain_intent_kind_t kind,
         bus_view_t issue_type,
         bool *ret_is_it)
{
    store_txn_t *txn = story->apply->txn;
    brain_issue_key_t text;
    brain_issue_t issue;
    bus_view_t key = brain_issue_key(&text, brain_intent_rows[kind].name, issue_type);
    bus_err_t err = brain_issue_load(txn, key, &issue);
    *ret_is_it = err == BUS_OK && issue.open_at != 0 && issue.trace_size <= sizeof issue.trace &&
                 view_equal(story->trace_id, view_from(issue.trace, issue.trace_size));
    if (!*ret_is_it) {
        return err;
    }
    brain_issue_end(&issue, story->at);
    return brain_issue_save(txn, key, &issue);
}

bus_err_t
brain_intent_over(const brain_story_t *story, bus_view_t intent, bus_view_t issue_type)
{
    brain_intent_kind_t kind = brain_intent_find(intent);
    if (kind == BRAIN_INTENT_COUNT) {
        return BUS_OK;
    }
    bool is_it = false;
    bus_err_t err = end_open(story, kind, issue_type, &is_it);
    return err == BUS_OK && !is_it && kind == BRAIN_INTENT_INVESTIGATE
               ? end_open(story, kind, VIEW_NONE, &is_it) // the row that new names share
               : err;
}
