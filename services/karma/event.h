// event.h - what each user did, kept in the journal's order: for replay and for transactions.
//
// The key is the record's seq, so that writing is appending (by user it would be a random place for
// each, many times as dear); each event knows the one before it of its user, and the user's record
// the last. What is kept is all that a replay needs.
// Owner: the service's thread.
#pragma once
#include "proto/auto.h"
#include "proto/pack.h"
#include "runtime/store.h"

// What a `kind` may be. A life event has none, and so has the making of a test user, which has no
// `action` either.
#define KARMA_KIND_APPEAL "appeal"
#define KARMA_KIND_ATONEMENT "atonement"
#define KARMA_KIND_DEATH "death"
#define KARMA_KIND_REDEEM "redeem"

// Views into the record.
typedef struct {
    uint64_t seq;      // of the journaled message: the key's
    uint64_t prev;     // seq of the user's event before it; 0: none
    uint64_t at;       // microseconds: the time that it was applied with
    bus_view_t kind;   // absent: a life event
    bus_view_t role;   // the caller's word
    bus_view_t action; // as sent, so an alias stays one
    bus_view_t intent; // of the action's row
    bus_view_t token;  // paid into or taken from, absent: none
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
    bus_view_t affected;  // of a cheat: whom it harmed
    bus_view_t described; // how
    double owed;          // to them; 0: nothing
    bus_view_t plan_id;   // of an appeal and an atonement
    bus_view_t practice;  // of an atonement
    double amount;        // of an atonement and a redemption; 0: of neither
    bus_view_t loka;      // of a death
} karma_event_t;

// Keeps it under event->seq, which is above all that are kept: asserted. `scratch` is cleared and
// used. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t karma_event_put(store_txn_t *txn, const karma_event_t *event, pack_t *scratch);

// A walk over a user's events, the oldest first, in portions, each of which may be in a transaction
// of its own: first back from the last one, to find where they are, then forward.
typedef struct {
    uint64_t *seqs; // heap: found and not called for yet, the youngest first
    size_t count;
    size_t room;
    size_t count_max; // events that it takes, above 0
    uint64_t back;    // the next one to be found; 0: all are
} karma_event_walk_t;

// `last`: the user's last event, 0: there is none.
void karma_event_walk_init(karma_event_walk_t *self, uint64_t last, size_t count_max);
void karma_event_walk_clear(karma_event_walk_t *self);

// Goes on by up to `steps` records, and calls `fn` for each event that it comes to going forward,
// until it returns another error than BUS_OK, which is then returned. BUS_OK: it is through.
// BUS_BUSY: there is more. BUS_PAYLOAD_TOO_LARGE: there are more than it takes, and `fn` was called
// for none. BUS_NOT_FOUND: an event is not there, or not any more. BUS_CORRUPT, BUS_IO.
typedef bus_err_t(karma_event_fn)(void *arg, const karma_event_t *event);
BUS_CHECK bus_err_t karma_event_walk(
    store_txn_t *txn, karma_event_walk_t *self, size_t steps, karma_event_fn *fn, void *arg);

// Removes the user's events; where one is damaged, what came before it stays, and nobody finds it.
// BUS_IO.
BUS_CHECK bus_err_t karma_event_clear(store_txn_t *txn, uint64_t last);
