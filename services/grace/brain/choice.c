// choice.c - which action for which issue. See choice.h.
#include "choice.h"

#include <assert.h>

enum { KEY_SIZE = 64 + 1 + 64 };

typedef struct {
    const char *issue_type;
    const char *actions[BRAIN_CHOICE_ACTIONS_MAX]; // the usual one first
} candidates_row_t;

// What self_healing can do about each. The last row is for all that have none.
static const candidates_row_t rows[] = {
    {"boot_performance_degradation", {"run_diagnostics", BRAIN_CHOICE_RESTART}},
    {"quality_degradation", {"reprocess_low_quality", "run_diagnostics"}},
    {"trust_degradation", {"reprocess_low_quality", "run_diagnostics"}},
    {"sla_compliance_issue", {"optimize_htm_scheduling", "run_diagnostics"}},
    {"", {"run_diagnostics"}},
};
enum { ROW_COUNT = sizeof rows / sizeof rows[0] };

void
brain_choice_candidates(bus_view_t issue_type, bool names_part, brain_choice_t *ret_choice)
{
    const candidates_row_t *row = &rows[ROW_COUNT - 1];
    for (unsigned i = 0; i < ROW_COUNT - 1; i++) {
        if (view_is(issue_type, rows[i].issue_type)) {
            row = &rows[i];
        }
    }
    *ret_choice = (brain_choice_t){.is_usual = true};
    for (unsigned i = 0; i < BRAIN_CHOICE_ACTIONS_MAX && row->actions[i] != NULL; i++) {
        if (names_part || strcmp(row->actions[i], BRAIN_CHOICE_RESTART) != 0) {
            ret_choice->candidates[ret_choice->count++].action = row->actions[i];
        }
    }
}

// --- Choosing ------------------------------------------------------------------------------------

void
brain_choice_make(brain_choice_t *self)
{
    assert(self->count > 0);
    unsigned best = self->count;
    unsigned untried = self->count;
    for (unsigned i = 0; i < self->count; i++) {
        const brain_score_t *score = &self->candidates[i].score;
        if (score->samples == 0) {
            untried = untried == self->count ? i : untried;
        } else if (best == self->count ||
                   brain_score_of(score) > brain_score_of(&self->candidates[best].score)) {
            best = i;
        }
    }
    self->is_usual = best == self->count;
    self->chosen = self->is_usual ? 0 : best;
    if (!self->is_usual && untried < self->count &&
        brain_score_of(&self->candidates[best].score) < BRAIN_SCORE_DECREASE) {
        self->chosen = untried;
    }
}

static bus_view_t
make_key(char key[KEY_SIZE], bus_view_t issue_type, bus_view_t action)
{
    assert(issue_type.size <= 64 && action.size <= 64); // the schemas' limits
    memcpy(key, issue_type.data, issue_type.size);
    key[issue_type.size] = '\0';
    memcpy(key + issue_type.size + 1, action.data, action.size);
    return view_from(key, issue_type.size + 1 + action.size);
}

bus_err_t
brain_choice_for(store_txn_t *txn,
                 bus_view_t issue_type,
                 bool names_part,
                 brain_choice_t *ret_choice)
{
    brain_choice_candidates(issue_type, names_part, ret_choice);
    bus_err_t err = BUS_OK;
    for (unsigned i = 0; i < ret_choice->count && err == BUS_OK; i++) {
        brain_candidate_t *candidate = &ret_choice->candidates[i];
        char key[KEY_SIZE];
        bus_view_t view = make_key(key, issue_type, view_from_text(candidate->action));
        err =
            brain_tables_get(txn, BRAIN_OUTCOMES, view, &candidate->score, sizeof candidate->score);
    }
    brain_choice_make(ret_choice);
    return err;
}

bus_err_t
brain_choice_learn(store_txn_t *txn,
                   bus_view_t issue_type,
                   bus_view_t action,
                   brain_sample_t sample)
{
    char key[KEY_SIZE];
    bus_view_t view = make_key(key, issue_type, action);
    bool fits = false;
    brain_score_t score;
    bus_err_t err = brain_tables_fits(txn, BRAIN_OUTCOMES, view, BRAIN_CHOICE_OUTCOMES_MAX, &fits);
    if (err == BUS_OK) {
        err = brain_tables_get(txn, BRAIN_OUTCOMES, view, &score, sizeof score);
    }
    if (err != BUS_OK || !fits) {
        return err;
    }
    brain_score_add(&score, sample);
    return store_put(txn, BRAIN_OUTCOMES, view, view_from(&score, sizeof score));
}

// --- Saying why ----------------------------------------------------------------------------------

static void
add_record(const brain_candidate_t *candidate, text_t *out)
{
    text_add_format(out,
                    "%.2f over %llu task%s",
                    brain_score_of(&candidate->score),
                    (unsigned long long) candidate->score.samples,
                    candidate->score.samples == 1 ? "" : "s");
}

// The best of those that were tried: what another was chosen instead of.
static const brain_candidate_t *
best_tried(const brain_choice_t *self)
{
    const brain_candidate_t *best = NULL;
    for (unsigned i = 0; i < self->count; i++) {
        const brain_candidate_t *at = &self->candidates[i];
        if (at->score.samples > 0 &&
            (best == NULL || brain_score_of(&at->score) > brain_score_of(&best->score))) {
            best = at;
        }
    }
    return best;
}

void
brain_choice_explain(const brain_choice_t *self, bus_view_t issue_type, text_t *out)
{
    const brain_candidate_t *chosen = &self->candidates[self->chosen];
    const brain_candidate_t *best = best_tried(self);
    text_add_format(out, "%s: ", chosen->action);
    if (best == NULL) {
        text_add_format(out,
                        "the usual action for %.*s, of which nothing was tried yet",
                        (int) issue_type.size,
                        issue_type.data);
    } else if (chosen->score.samples == 0) {
        text_add_format(out, "explored, because the best so far, %s, scores ", best->action);
        add_record(best, out);
    } else {
        text_add_format(out,
                        "%s for %.*s so far, scoring ",
                        brain_score_of(&chosen->score) < BRAIN_SCORE_DECREASE ? "the least bad"
                                                                              : "worked best",
                        (int) issue_type.size,
                        issue_type.data);
        add_record(chosen, out);
    }
}
