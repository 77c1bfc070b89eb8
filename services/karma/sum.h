// sum.h - what was done by hour and by week, kept as it happens: a question over a year reads 52
// small records, whatever their events.
//
// An event belongs to the hour and the week of the time that it was applied with. Hours count from
// 1970, weeks begin on Monday, 00:00 UTC, and count from that of 1970-01-01. Sums are of what deeds
// brought (life events, debts apart, and completed atonements); what is redeemed, and what a death
// leaves behind, is in the count alone. Added in the journal's order, so the bits are the
// journal's. Owner: the service's thread.
#pragma once
#include "proto/pack.h"
#include "rules.h"
#include "runtime/store.h"

typedef struct {
    uint64_t count; // events: commands that were applied
    double dharma;
    double seva;
    double paap; // all classes
    double punya;
} karma_sum_t;

// Adds what one event paid into a balance to the sum's part for it, if it has one.
void karma_sum_pay(karma_sum_t *self, karma_balance_t balance, double amount);
// Adds a sum to another, part by part.
void karma_sum_add(karma_sum_t *self, const karma_sum_t *more);

uint64_t karma_sum_hour(uint64_t at);
uint64_t karma_sum_week(uint64_t at);
// When a week began, in microseconds; the first one before 1970, which is told as 1970-01-01.
uint64_t karma_sum_week_start(uint64_t week);

// Adds to the hour and the week of `at`; one that is damaged stays as it is, and the question for
// it says so. `scratch` is cleared and used. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t karma_sum_save(store_txn_t *txn,
                                   uint64_t at,
                                   const karma_sum_t *more,
                                   pack_t *scratch);

// Reads one hour or week; all zero where nothing happened. `table`: KARMA_HOURS or KARMA_WEEKS.
BUS_CHECK bus_err_t karma_sum_load(store_txn_t *txn,
                                   unsigned table,
                                   uint64_t number,
                                   karma_sum_t *ret_self);
