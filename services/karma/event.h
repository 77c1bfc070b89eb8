// event.h - what each user did, kept in the journal's order: for replay and for transactions.
//
// The key is the user_id's size in one byte, the user_id, and the record's seq in eight bytes
// big-endian: no user_id, whatever its bytes, can be taken for the beginning of another.
// Owner: the service's thread.
#pragma once
#include "proto/auto.h"
#include "proto/pack.h"
#include "runtime/store.h"

// Views into the record. What has no `action` is the making of a test user.
typedef struct {
    uint64_t seq;      // of the journaled message: the key's
    uint64_t at;       // microseconds: the time that it was applied with
    bus_view_t role;   // the caller's word
    bus_view_t action; // as sent, so an alias stays one
    bus_view_t intent; // of the action's row
    bus_view_t token;  // paid into, absent: none
    bus_view_t class_; // of that token, absent where it has none
    double reward;     // paid
    double merit;      // after it
    bus_view_t became; // the ladder's role after it
    bus_view_t cheat;  // the word of the cheat ladder's row; absent: no cheat
    bus_view_t source; // who told it
    bus_view_t trace_id;
    bus_view_t note;
    bus_view_t context;   // whole msgpack
    bus_view_t metadata;  // whole msgpack
    bus_view_t timestamp; // the caller's own time, as given
} karma_event_t;

// Keeps it under event->seq. `scratch` is cleared and used. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t karma_event_put(store_txn_t *txn,
                                    bus_view_t user_id,
                                    const karma_event_t *event,
                                    pack_t *scratch);

// Calls `fn` for each of the user's events, oldest first, until it returns another error than
// BUS_OK, which is then returned. BUS_CORRUPT, BUS_IO.
typedef bus_err_t(karma_event_fn)(void *arg, const karma_event_t *event);
BUS_CHECK bus_err_t karma_event_each(store_txn_t *txn,
                                     bus_view_t user_id,
                                     karma_event_fn *fn,
                                     void *arg);

// Removes all of the user's events. BUS_CORRUPT, BUS_IO.
BUS_CHECK bus_err_t karma_event_clear(store_txn_t *txn, bus_view_t user_id);
