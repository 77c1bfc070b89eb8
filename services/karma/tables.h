// tables.h - Karma's tables on disk, and what the service keeps in memory.
//
// Owner: the service's thread. All of the state is in the store; memory holds only scratch buffers,
// so a batch that was undone leaves nothing to repair.
#pragma once
#include "proto/auto.h"
#include "proto/pack.h"
#include "runtime/store.h"

typedef enum {
    KARMA_USERS,  // user_id -> a user's record (user.h)
    KARMA_EVENTS, // size, user_id, seq big-endian -> what that user did (event.h)
    KARMA_QTABLE, // "q" -> the Q-table (qtable.h)
    KARMA_CONFIG, // "test_helpers" -> "1": the journaled configuration in force
    KARMA_TABLE_COUNT
} karma_table_t;

extern const store_table_t karma_tables[KARMA_TABLE_COUNT];

enum { KARMA_USER_ID_MAX = 255 }; // bytes; its size is one byte of an event's key

typedef struct {
    pack_t *record; // a record on its way into the store
    pack_t *told;   // the body of a live event
} karma_state_t;

// Whether the test helpers are enabled by the journaled configuration; off until it said otherwise.
BUS_CHECK bus_err_t karma_tables_test_helpers(store_txn_t *txn, bool *ret_enabled);
// Sets it. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t karma_tables_set_test_helpers(store_txn_t *txn, bool enabled);
