// qtable.h - what Karma has learned: a value for each role and learner action, for all users.
//
// The table itself is pure and plain; load and save keep it in the store, in the transaction that
// moved it, so it comes back after a restart (the original's never did). Owner: the service's
// thread. Source: docs/originals.md 1.4.
#pragma once
#include "proto/auto.h"
#include "proto/pack.h"
#include "rules.h"
#include "runtime/store.h"

typedef struct {
    double q[KARMA_ROLE_COUNT][KARMA_COLUMN_COUNT];
    uint64_t steps;      // taken since the beginning
    uint64_t updated_at; // journal time of the last one, microseconds; 0: none yet
} karma_qtable_t;

// One step, seen going from role `from` by the action of `column` to role `to`:
//     q[from][column] += alpha * ((reward + gamma * max(q[to])) - q[from][column])
// with the maximum as it was before, each operation rounded to double in this order. `at` is noted.
void karma_qtable_step(karma_qtable_t *self,
                       karma_role_t from,
                       karma_column_t column,
                       double reward,
                       karma_role_t to,
                       uint64_t at);

// The best column of a role; of equals the first.
karma_column_t karma_qtable_best(const karma_qtable_t *self, karma_role_t role);

// An all-zero table where none was saved. BUS_CORRUPT, BUS_IO.
BUS_CHECK bus_err_t karma_qtable_load(store_txn_t *txn, karma_qtable_t *ret_self);
// `scratch` is cleared and used. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t karma_qtable_save(store_txn_t *txn,
                                      const karma_qtable_t *self,
                                      pack_t *scratch);
