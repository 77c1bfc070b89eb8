// relive.h - a user's events applied once more to a new ledger. Pure.
#pragma once
#include "event.h"
#include "ledger.h"

typedef struct {
    bus_view_t user_id;
    // Up to the first event with a later time: the user's clock never goes back, so from there on
    // it was past this one. UINT64_MAX: all.
    uint64_t until;
    uint64_t events; // applied so far
    karma_ledger_t ledger;
    karma_qtable_t qtable;
} karma_relive_t;

// Applies the next event, the oldest first; fits karma_event_walk. BUS_ABORTED: it lies behind
// `until`, and so does whatever follows. BUS_CORRUPT: it cannot have happened to this ledger.
BUS_CHECK bus_err_t karma_relive_event(void *relive, const karma_event_t *event);
