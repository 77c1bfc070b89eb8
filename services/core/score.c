// score.c - what each agent earned. See score.h.
#include "score.h"

bus_err_t
core_score_get(store_txn_t *txn, bus_view_t agent_id, core_score_t *ret_score)
{
    *ret_score = (core_score_t){.failures = 0};
    bus_view_t value;
    bus_err_t err = store_get(txn, CORE_SCORES, agent_id, &value);
    if (err == BUS_NOT_FOUND) {
        return BUS_OK;
    }
    if (err == BUS_OK && value.size != sizeof *ret_score) {
        return BUS_CORRUPT;
    }
    if (err == BUS_OK) {
        memcpy(ret_score, value.data, sizeof *ret_score);
    }
    return err;
}

// For a change: one damaged record must not stop the journal.
static bus_err_t
get_or_begin(store_txn_t *txn, bus_view_t agent_id, core_score_t *ret_score)
{
    bus_err_t err = core_score_get(txn, agent_id, ret_score);
    if (err == BUS_CORRUPT) {
        *ret_score = (core_score_t){.failures = 0};
        return BUS_OK;
    }
    return err;
}

static bus_err_t
put(store_txn_t *txn, bus_view_t agent_id, const core_score_t *score)
{
    return store_put(txn, CORE_SCORES, agent_id, view_from(score, sizeof *score));
}

bus_err_t
core_score_add(store_txn_t *txn, const core_score_outcome_t *outcome)
{
    core_score_t score;
    bus_err_t err = get_or_begin(txn, outcome->agent_id, &score);
    if (err != BUS_OK) {
        return err;
    }
    if (score.sum.count == 0) {
        uint64_t known = 0;
        err = store_count(txn, CORE_SCORES, &known);
        if (err != BUS_OK || known >= CORE_SCORES_MAX) {
            return err;
        }
    }
    score.sum.count++;
    score.sum.reward_sum += outcome->reward;
    score.failures += outcome->failed ? 1 : 0;
    score.last_at = outcome->at;
    score.last_failed = outcome->failed ? 1 : 0;
    return put(txn, outcome->agent_id, &score);
}

bus_err_t
core_score_correct(store_txn_t *txn, bus_view_t agent_id, double difference, bool first)
{
    core_score_t score;
    bus_err_t err = get_or_begin(txn, agent_id, &score);
    if (err != BUS_OK || score.sum.count == 0) {
        return err; // not learned about
    }
    score.sum.reward_sum += difference;
    score.feedbacks += first ? 1 : 0;
    return put(txn, agent_id, &score);
}
