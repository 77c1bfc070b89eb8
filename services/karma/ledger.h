// ledger.h - one user's karma as a plain struct, and the rules that move it.
//
// Pure: no storage, no clock, no allocation; any thread. Everything follows from the tables of
// rules.def and the events in their order.
//
// Bits. Only + - * / on doubles, each rounded on its own, in the order written in ledger.c (the
// build forbids contraction), and for decay one power by MPFR, correctly rounded, which does not
// depend on the processor. So the same events give the same bits everywhere.
//
// Time is what the caller says: the record's `at`, or a test's simulated time. A user's own clock,
// decayed_at, never goes back: an earlier event decays nothing.
//
// Source: docs/contract.md section 5; docs/originals.md 1.4, the order of 1.5, and 1.6.
#pragma once
#include "qtable.h"
#include "rules.h"
#include <stdbool.h>

enum {
    // Cheats remembered: the ladder's last row holds from the sixth, so a hundred only serve to be
    // counted, and a user who does nothing else keeps a small record.
    KARMA_CHEATS_MAX = 100
};

typedef struct {
    uint8_t size;
    char bytes[KARMA_WORD_MAX];
} karma_word_t;

typedef struct {
    uint64_t created_at; // microseconds since 1970, of this life; tokens expire from here
    uint64_t decayed_at; // the user's clock: the latest time that was applied
    uint64_t actions;    // transactions: life events, completed atonements, redemptions
    unsigned ladder;     // karma_role_t by merit after the last action; the first before any
    karma_word_t role;   // shown: the word given at creation, from the first action on the ladder's
    karma_word_t called; // the word that the last caller used
    uint64_t appeals;    // plans of atonement that were made
    uint64_t atoned;     // of them, completed
    uint64_t lives;      // that ended
    uint64_t last_event; // seq of the last kept event; where it lies, so no part of what is hashed
    double balance[KARMA_BALANCE_COUNT];
    size_t cheat_count;
    uint64_t cheat[KARMA_CHEATS_MAX]; // times, in the order in which they were told
} karma_ledger_t;

karma_word_t karma_ledger_word(bus_view_t text); // 1 to KARMA_WORD_MAX bytes: asserted
bus_view_t karma_ledger_word_view(const karma_word_t *word);

// A new user, called `role`, with nothing.
void karma_ledger_init(karma_ledger_t *self, bus_view_t role, uint64_t at);

// Decay and expiry up to `at`: with d days since decayed_at (d <= 0: nothing happens) each balance
// above 0 whose token decays becomes balance * (1 - daily_decay)^d, then what belongs to an expired
// token becomes 0. Expiry counts whole days from the account's creation, as the original does.
void karma_ledger_decay(karma_ledger_t *self, uint64_t at);

double karma_ledger_merit(const karma_ledger_t *self);
double karma_ledger_paap(const karma_ledger_t *self);
double karma_ledger_net(const karma_ledger_t *self); // merit - paap
double karma_ledger_weighted(const karma_ledger_t *self);
// One row of MODULE.
double karma_ledger_module(const karma_ledger_t *self, const karma_module_row_t *module);
// Dharma + Seva + Punya.
double karma_ledger_engagement(const karma_ledger_t *self);

// The highest role whose threshold `merit` reaches.
karma_role_t karma_ledger_role(double merit);

// One action of a user.
typedef struct {
    const karma_action_row_t *action;
    bus_view_t role;  // the caller's word; 1 to KARMA_WORD_MAX bytes
    uint64_t at;      // microseconds since 1970
    bool harms_other; // another user was harmed: a penalty is owed to them in part
} karma_deed_t;

// What it came to.
typedef struct {
    double reward;                  // as paid; a cheat's is negative
    double merit;                   // after it
    karma_role_t role;              // by that merit
    bool role_changed;              // against the ladder's role before
    bool learned;                   // the Q-table moved
    unsigned cheats;                // of a cheat: within the window, this one too
    const karma_cheat_row_t *cheat; // of a cheat: the row that was paid; else NULL
    const karma_debt_row_t *debt;   // of what is owed: its row; else NULL
    double owed;                    // share * |reward|, added to the debt's balance
} karma_outcome_t;

// Applies one action: decay, Q step, balance, debt, merit and role, count.
void karma_ledger_apply(karma_ledger_t *self,
                        karma_qtable_t *qtable,
                        const karma_deed_t *deed,
                        karma_outcome_t *ret_outcome);

// Decay, then one plan more.
void karma_ledger_appeal(karma_ledger_t *self, uint64_t at);

// Decay, and, where that completed the plan (`atonement` is its row, else NULL), what completion
// pays and teaches.
void karma_ledger_atone(karma_ledger_t *self,
                        karma_qtable_t *qtable,
                        const karma_atonement_row_t *atonement,
                        uint64_t at,
                        karma_outcome_t *ret_outcome);

// How a life ended, by the ledger as decay left it.
typedef struct {
    double net;
    const karma_loka_row_t *loka;
    karma_role_t level;   // the role of the next life
    bool is_due;          // PrarabdhaKarma had reached its threshold
    double carried_punya; // positive * net, of the PunyaTokens row of CARRY
    double carried_paap;  // negative * -net, of the PaapTokens rows, before it is parted
} karma_end_t;

// Ends a life, decay first, and begins the next with what is carried over: its balances, its role,
// its time of creation. Cheats within their window stay remembered, and plans open.
void karma_ledger_die(karma_ledger_t *self, uint64_t at, karma_end_t *ret_end);

// Takes `amount` of a balance that has it (asserted; decay comes before, and is the caller's).
void karma_ledger_redeem(karma_ledger_t *self,
                         karma_balance_t balance,
                         double amount,
                         karma_outcome_t *ret_outcome);
