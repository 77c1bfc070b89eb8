// ledger.c - the rules of Karma: decay, the cheat ladder, merit and roles.
//
// Every expression below is meant as it is bracketed: to change the order of two operations is to
// change the rules, and needs a new KARMA_RULES_VERSION.
#include "ledger.h"
#include <assert.h>
#include <math.h>
#include <mpfr.h>
#include <string.h>

#define US_A_DAY UINT64_C(86400000000)

enum { DOUBLE_BITS = 53 };

karma_word_t
karma_ledger_word(bus_view_t text)
{
    assert(text.size >= 1 && text.size <= KARMA_WORD_MAX);
    karma_word_t word = {.size = (uint8_t) text.size};
    memcpy(word.bytes, text.data, text.size);
    return word;
}

bus_view_t
karma_ledger_word_view(const karma_word_t *word)
{
    return view_from(word->bytes, word->size);
}

void
karma_ledger_init(karma_ledger_t *self, bus_view_t role, uint64_t at)
{
    *self = (karma_ledger_t){.created_at = at, .decayed_at = at};
    self->role = karma_ledger_word(role);
    self->called = self->role;
}

// base^exponent, rounded once.
static double
power(double base, double exponent)
{
    MPFR_DECL_INIT(x, DOUBLE_BITS);
    MPFR_DECL_INIT(y, DOUBLE_BITS);
    mpfr_set_d(x, base, MPFR_RNDN);
    mpfr_set_d(y, exponent, MPFR_RNDN);
    mpfr_pow(x, x, y, MPFR_RNDN);
    return mpfr_get_d(x, MPFR_RNDN);
}

void
karma_ledger_decay(karma_ledger_t *self, uint64_t at)
{
    if (at <= self->decayed_at) {
        return;
    }
    double days = (double) (at - self->decayed_at) / (double) US_A_DAY;
    uint64_t age_days = at > self->created_at ? (at - self->created_at) / US_A_DAY : 0;
    for (size_t i = 0; i < KARMA_BALANCE_COUNT; i++) {
        const karma_balance_row_t *row = &karma_rules.balances[i];
        if (row->daily_decay > 0.0 && self->balance[i] > 0.0) {
            self->balance[i] = self->balance[i] * power(1.0 - row->daily_decay, days);
        }
        if (row->expiry_days > 0 && age_days >= row->expiry_days) {
            self->balance[i] = 0.0;
        }
    }
    self->decayed_at = at;
}

// The sums go over the rows in their order, starting from 0, and skip weights of 0.

static double
merit_of(const double *balance)
{
    double sum = 0.0;
    for (size_t i = 0; i < KARMA_BALANCE_COUNT; i++) {
        if (karma_rules.balances[i].merit != 0.0) {
            sum = sum + karma_rules.balances[i].merit * balance[i];
        }
    }
    return sum;
}

double
karma_ledger_merit(const karma_ledger_t *self)
{
    return merit_of(self->balance);
}

double
karma_ledger_paap(const karma_ledger_t *self)
{
    double sum = 0.0;
    for (size_t i = 0; i < KARMA_BALANCE_COUNT; i++) {
        if (karma_rules.balances[i].paap != 0.0) {
            sum = sum + karma_rules.balances[i].paap * self->balance[i];
        }
    }
    return sum;
}

double
karma_ledger_net(const karma_ledger_t *self)
{
    return karma_ledger_merit(self) - karma_ledger_paap(self);
}

double
karma_ledger_weighted(const karma_ledger_t *self)
{
    double sum = 0.0;
    for (size_t i = 0; i < KARMA_BALANCE_COUNT; i++) {
        if (karma_rules.balances[i].weighted != 0.0) {
            sum = sum + karma_rules.balances[i].weighted * self->balance[i];
        }
    }
    return sum;
}

double
karma_ledger_module(const karma_ledger_t *self, const karma_module_row_t *module)
{
    double dharma = module->weight[0] * self->balance[KARMA_BALANCE_DHARMA];
    double seva = module->weight[1] * self->balance[KARMA_BALANCE_SEVA];
    double punya = module->weight[2] * self->balance[KARMA_BALANCE_PUNYA];
    return (dharma + seva) + punya;
}

double
karma_ledger_engagement(const karma_ledger_t *self)
{
    double sum = self->balance[KARMA_BALANCE_DHARMA] + self->balance[KARMA_BALANCE_SEVA];
    return sum + self->balance[KARMA_BALANCE_PUNYA];
}

karma_role_t
karma_ledger_role(double merit)
{
    unsigned role = 0;
    while (role + 1 < KARMA_ROLE_COUNT && merit >= karma_rules.roles[role + 1].merit_from) {
        role++;
    }
    return (karma_role_t) role;
}

// Forgets the cheats that are older than the window, adds this one, and finds its row. A cheat told
// with a later time than this one counts: it is not older.
static void
add_cheat(karma_ledger_t *self, uint64_t at, karma_outcome_t *outcome)
{
    uint64_t window = (uint64_t) (karma_rules.numbers.cheat_window_days * (double) US_A_DAY);
    size_t kept = 0;
    for (size_t i = 0; i < self->cheat_count; i++) {
        if (at <= self->cheat[i] || at - self->cheat[i] <= window) {
            self->cheat[kept++] = self->cheat[i];
        }
    }
    if (kept == KARMA_CHEATS_MAX) {
        kept--;
        memmove(&self->cheat[0], &self->cheat[1], kept * sizeof self->cheat[0]);
    }
    self->cheat[kept++] = at;
    memset(&self->cheat[kept], 0, (KARMA_CHEATS_MAX - kept) * sizeof self->cheat[0]);
    self->cheat_count = kept;

    size_t row = kept <= karma_rules.cheat_count ? kept - 1 : karma_rules.cheat_count - 1;
    outcome->cheats = (unsigned) kept;
    outcome->cheat = &karma_rules.cheats[row];
    outcome->reward = outcome->cheat->points;
}

// Pays and learns: the state is the ladder's role by the merit before the reward, whatever word the
// caller sent, the next one that with it.
static void
pay(karma_ledger_t *self,
    karma_qtable_t *qtable,
    unsigned balance,
    unsigned column,
    karma_outcome_t *outcome)
{
    karma_role_t from = karma_ledger_role(karma_ledger_merit(self));
    if (balance != KARMA_BALANCE_NONE) {
        self->balance[balance] = self->balance[balance] + outcome->reward;
    }
    outcome->merit = karma_ledger_merit(self);
    outcome->role = karma_ledger_role(outcome->merit);
    if (column != KARMA_COLUMN_NONE) {
        karma_qtable_step(qtable,
                          from,
                          (karma_column_t) column,
                          outcome->reward,
                          outcome->role,
                          self->decayed_at);
        outcome->learned = true;
    }
}

// Gives the role that the merit has come to.
static void
settle(karma_ledger_t *self, karma_outcome_t *outcome)
{
    outcome->role_changed = outcome->role != self->ladder;
    self->ladder = outcome->role;
    self->role = karma_ledger_word(view_from_text(karma_rules.roles[outcome->role].word));
}

void
karma_ledger_apply(karma_ledger_t *self,
                   karma_qtable_t *qtable,
                   const karma_deed_t *deed,
                   karma_outcome_t *ret_outcome)
{
    const karma_action_row_t *action = deed->action;
    karma_outcome_t outcome = {.reward = action->reward};
    karma_ledger_decay(self, deed->at);
    if (action->pay == KARMA_PAY_LADDER) {
        add_cheat(self, deed->at, &outcome);
    }
    pay(self, qtable, action->balance, action->column, &outcome);
    const karma_debt_row_t *debt =
        outcome.cheat != NULL && deed->harms_other ? karma_rules_debt(action) : NULL;
    if (debt != NULL) {
        outcome.debt = debt;
        outcome.owed = fabs(outcome.reward) * debt->share;
        self->balance[debt->balance] = self->balance[debt->balance] + outcome.owed;
    }
    settle(self, &outcome);
    self->called = karma_ledger_word(deed->role);
    self->actions++;
    *ret_outcome = outcome;
}

void
karma_ledger_appeal(karma_ledger_t *self, uint64_t at)
{
    karma_ledger_decay(self, at);
    self->appeals++;
}

void
karma_ledger_atone(karma_ledger_t *self,
                   karma_qtable_t *qtable,
                   const karma_atonement_row_t *atonement,
                   uint64_t at,
                   karma_outcome_t *ret_outcome)
{
    karma_outcome_t outcome = {.reward = 0.0};
    karma_ledger_decay(self, at);
    if (atonement != NULL) {
        outcome.reward = atonement->reward;
        pay(self, qtable, atonement->balance, atonement->column, &outcome);
        settle(self, &outcome);
        self->atoned++;
        self->actions++;
    } else {
        outcome.merit = karma_ledger_merit(self);
        outcome.role = (karma_role_t) self->ladder;
    }
    *ret_outcome = outcome;
}

void
karma_ledger_die(karma_ledger_t *self, uint64_t at, karma_end_t *ret_end)
{
    karma_ledger_decay(self, at);
    karma_end_t end = {.net = karma_ledger_net(self)};
    double positive = end.net > 0.0 ? end.net : 0.0;
    double negative = end.net < 0.0 ? -end.net : 0.0;
    end.loka = karma_rules_loka(end.net);
    end.level = karma_rules_level(end.net);
    end.is_due = self->balance[KARMA_BALANCE_PRARABDHA] <= karma_rules.numbers.death_threshold;
    double next[KARMA_BALANCE_COUNT] = {0.0};
    for (size_t i = 0; i < karma_rules.carry_count; i++) {
        const karma_carry_row_t *row = &karma_rules.carries[i];
        double kept = row->keep * self->balance[row->balance];
        double gained = row->positive * positive + row->negative * negative;
        next[row->balance] = kept + gained / row->parts;
        if (row->balance == KARMA_BALANCE_PUNYA) {
            end.carried_punya = row->positive * positive;
        } else if (row->balance == KARMA_BALANCE_PAAP_MINOR) {
            end.carried_paap = row->negative * negative;
        }
    }
    memcpy(self->balance, next, sizeof next);
    self->created_at = self->decayed_at;
    self->ladder = karma_ledger_role(karma_ledger_merit(self));
    self->role = karma_ledger_word(view_from_text(karma_rules.roles[end.level].word));
    self->lives++;
    *ret_end = end;
}

void
karma_ledger_redeem(karma_ledger_t *self,
                    karma_balance_t balance,
                    double amount,
                    karma_outcome_t *ret_outcome)
{
    assert(balance < KARMA_BALANCE_COUNT && amount > 0.0 && amount <= self->balance[balance]);
    karma_outcome_t outcome = {.reward = -amount};
    self->balance[balance] = self->balance[balance] - amount;
    outcome.merit = karma_ledger_merit(self);
    outcome.role = karma_ledger_role(outcome.merit);
    settle(self, &outcome);
    self->actions++;
    *ret_outcome = outcome;
}
