// tables.h - Karma's tables on disk, and what the service keeps in memory.
//
// Owner: the service's thread. All of the state is in the store; memory holds only scratch buffers
// and the replays under way, so a batch that was undone leaves nothing to repair.
#pragma once
#include "proto/auto.h"
#include "proto/pack.h"
#include "replay.h"
#include "runtime/store.h"

typedef enum {
    KARMA_USERS,  // user_id -> a user's record (user.h)
    KARMA_EVENTS, // seq -> what a user did (event.h)
    KARMA_QTABLE, // "q" -> the Q-table (qtable.h)
    KARMA_CONFIG, // "test_helpers" -> "1": the journaled configuration in force
    KARMA_PLANS,  // user, number -> a plan of atonement (plan.h)
    KARMA_PROOFS, // user, plan's number, number -> what was submitted for it
    KARMA_HOURS,  // hours since 1970 -> sums (sum.h)
    KARMA_WEEKS,  // weeks since that of 1970-01-01 -> sums
    KARMA_RANKS,  // ranking, value, user_id -> nothing (rank.h)
    KARMA_AGENTS, // agent_id -> how it did (agent.h)
    KARMA_TOTALS, // "totals" -> counts over all users (totals.h)
    KARMA_TABLE_COUNT
} karma_table_t;

extern const store_table_t karma_tables[KARMA_TABLE_COUNT];

enum { KARMA_USER_ID_MAX = 255 }; // bytes; its size is one byte of a key

typedef struct {
    pack_t *record; // a record on its way into the store
    pack_t *told;   // the body of a live event
    pack_t *parsed; // a context that came as JSON text
    karma_replays_t replays;
} karma_state_t;

// Whether the test helpers are enabled by the journaled configuration; off until it said otherwise,
// and where that is damaged. BUS_IO.
BUS_CHECK bus_err_t karma_tables_test_helpers(store_txn_t *txn, bool *ret_enabled);
// Sets it. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t karma_tables_set_test_helpers(store_txn_t *txn, bool enabled);
