// query.c - what the brain is asked. See query.h.
#include "query.h"

#include "choice.h"
#include "drift.h"
#include "show.h"

enum {
    LIMIT_DEFAULT = 100,
    STATUS_DRIFTS = 10,
    STATUS_SCORES = 100,
    SCORES = 4000, // of each table: with the longest names still one answer of 4 MiB
};

bus_err_t
brain_query_drifts(service_query_t *query, const void *message)
{
    const schema_brain_history_query_t *asked = message;
    uint32_t limit = asked->limit.has ? (uint32_t) asked->limit.value : LIMIT_DEFAULT;
    uint32_t count = 0;
    pack_map(query->answer, 2);
    pack_text(query->answer, "drifts");
    bus_err_t err = brain_show_drifts(query->txn, limit, query->answer, &count);
    pack_pair_uint(query->answer, "count", count);
    return err;
}

bus_err_t
brain_query_why(service_query_t *query, const void *message)
{
    const schema_brain_why_query_t *asked = message;
    brain_choice_t choice;
    bus_err_t err = brain_choice_for(query->txn, asked->issue_type, true, &choice);
    if (err != BUS_OK) {
        return err;
    }
    pack_t *out = query->answer;
    pack_map(out, 4);
    pack_pair_str(out, "issue_type", asked->issue_type);
    pack_text(out, "candidates");
    pack_array(out, choice.count);
    for (unsigned i = 0; i < choice.count; i++) {
        const brain_candidate_t *candidate = &choice.candidates[i];
        pack_map(out, 4);
        pack_pair_text(out, "action", candidate->action);
        pack_pair_real(out, "score", brain_score_of(&candidate->score));
        pack_pair_uint(out, "samples", candidate->score.samples);
        pack_pair_uint(out, "successes", candidate->score.successes);
    }
    pack_pair_text(out, "choice", choice.candidates[choice.chosen].action);
    BUS_AUTO(text_destroy) text_t *why = text_new();
    brain_choice_explain(&choice, asked->issue_type, why);
    pack_pair_str(out, "why", text_view(why));
    return BUS_OK;
}

bus_err_t
brain_query_scores(service_query_t *query, const void *message BUS_UNUSED)
{
    pack_t *out = query->answer;
    pack_map(out, 3);
    pack_text(out, "scores");
    bus_err_t err = brain_show_scores(query->txn, SCORES, out);
    pack_text(out, "outcomes");
    err = err == BUS_OK ? brain_show_outcomes(query->txn, SCORES, out) : err;
    pack_text(out, "recommendations");
    return err == BUS_OK ? brain_show_recommendations(query->txn, SCORES, out) : err;
}

// --- Status --------------------------------------------------------------------------------------

static bus_err_t
pack_learning(service_query_t *query)
{
    pack_t *out = query->answer;
    pack_text(out, "scores");
    bus_err_t err = brain_show_scores(query->txn, STATUS_SCORES, out);
    pack_text(out, "recommendations");
    return err == BUS_OK ? brain_show_recommendations(query->txn, STATUS_SCORES, out) : err;
}

static bus_err_t
pack_drifts(service_query_t *query)
{
    pack_t *out = query->answer;
    uint32_t count = 0;
    uint64_t last = 0;
    pack_text(out, "drifts");
    bus_err_t err = brain_show_drifts(query->txn, STATUS_DRIFTS, out, &count);
    err = err == BUS_OK ? brain_tables_last(query->txn, BRAIN_DRIFTS, &last) : err;
    pack_pair_uint(out, "drift_count", last);
    return err;
}

bus_err_t
brain_query_status(service_query_t *query, const void *message BUS_UNUSED)
{
    const brain_state_t *state = query->state;
    pack_t *out = query->answer;
    pack_map(out, 13);
    bus_err_t err = brain_show_config(query->txn, out);
    if (err == BUS_OK) {
        brain_show_baselines(out);
        err = brain_show_learned(query->txn, out);
    }
    err = err == BUS_OK ? brain_show_issues(query->txn, out) : err;
    err = err == BUS_OK ? pack_drifts(query) : err;
    err = err == BUS_OK ? pack_learning(query) : err;
    err = err == BUS_OK ? brain_show_queue(query->txn, state->live, out) : err;
    if (err == BUS_OK) {
        brain_show_intents(out);
    }
    return err;
}
