// score.h - what each agent earned: the selector's memory, a table of the store.
#pragma once
#include "proto/auto.h"
#include "runtime/store.h"
#include "selector.h"
#include "tables.h"

enum {
    CORE_AGENT_ID_MAX = 64,  // bytes of an agent's id: one token of a topic
    CORE_SCORES_MAX = 10000, // agents ever heard of; further ones are not learned about
};

// As it is stored.
typedef struct {
    core_score_sum_t sum; // of formula and verdicts
    uint64_t failures;    // of the count
    uint64_t feedbacks;   // of the count: judged by a person
    uint64_t last_at;     // journal's time of the last outcome, microseconds
    uint64_t last_failed; // 1: that one failed
} core_score_t;

// Zeros for an agent that was never seen, BUS_OK all the same. BUS_CORRUPT, BUS_IO.
BUS_CHECK bus_err_t core_score_get(store_txn_t *txn, bus_view_t agent_id, core_score_t *ret_score);

typedef struct {
    bus_view_t agent_id;
    double reward;
    bool failed;
    uint64_t at;
} core_score_outcome_t;
// Counts one outcome. A damaged record begins anew. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t core_score_add(store_txn_t *txn, const core_score_outcome_t *outcome);

// A person's word takes the place of what was counted for one answer of the agent: the average
// moves by `difference` / count. `first`: it is the first word on that answer. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t core_score_correct(store_txn_t *txn,
                                       bus_view_t agent_id,
                                       double difference,
                                       bool first);
