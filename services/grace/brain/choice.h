// choice.h - which action for which issue, by what the actions did so far.
//
// Each issue has candidates, the usual one first. Until one was tried, that is it; then the one
// with the best score (ties: the earlier in the table); but where even the best scores below
// BRAIN_SCORE_DECREASE, the next that was never tried, while there is one.
#pragma once
#include "score.h"
#include "tables.h"

#define BRAIN_CHOICE_RESTART "restart_peer" // the action that needs a part

enum {
    BRAIN_CHOICE_ACTIONS_MAX = 4,
    BRAIN_CHOICE_OUTCOMES_MAX = 10000, // issue and action: their names come from peers
};

typedef struct {
    const char *action;
    brain_score_t score;
} brain_candidate_t;

typedef struct {
    brain_candidate_t candidates[BRAIN_CHOICE_ACTIONS_MAX];
    unsigned count;
    unsigned chosen; // its place
    bool is_usual;   // nothing was learned that decided it
} brain_choice_t;

// The candidates for an issue, without their scores. Unknown issues have some, too.
void brain_choice_candidates(bus_view_t issue_type, bool names_part, brain_choice_t *ret_choice);
// Chooses by the scores that are there. Pure.
void brain_choice_make(brain_choice_t *self);
// Both, with the scores from the store. `names_part`: a part is known that could be restarted;
// without one restart_peer is no candidate. BUS_IO.
BUS_CHECK bus_err_t brain_choice_for(store_txn_t *txn,
                                     bus_view_t issue_type,
                                     bool names_part,
                                     brain_choice_t *ret_choice);
// Says why, in a sentence without its full stop.
void brain_choice_explain(const brain_choice_t *self, bus_view_t issue_type, text_t *out);

// Counts what came of an action for an issue. Where the table is full, a new pair is left out.
// BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t brain_choice_learn(store_txn_t *txn,
                                       bus_view_t issue_type,
                                       bus_view_t action,
                                       brain_sample_t sample);
