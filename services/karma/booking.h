// booking.h - writing one command's consequences: the user, the event, the rankings, the sums, the
// totals, the Q-table, and the live events that tell of it.
//
// A command makes up its booking, and nothing is written before it is complete; what the shared
// records hold is read first, so only the store can fail after the first write. A damaged record
// harms what it holds, and nothing else.
#pragma once
#include "event.h"
#include "ledger.h"
#include "runtime/service.h"
#include "sum.h"
#include "totals.h"

// One balance that moved.
typedef struct {
    karma_balance_t balance; // KARMA_BALANCE_NONE: nothing was paid, but told all the same
    double delta;            // what was paid; decay is not in it
} karma_move_t;

enum { KARMA_MOVES_MAX = KARMA_BALANCE_COUNT };

typedef struct {
    bus_view_t user_id;
    const karma_ledger_t *before;  // NULL: a new user
    karma_ledger_t *after;         // is given the event's place
    karma_event_t *event;          // is given that of the one before it
    const karma_qtable_t *learned; // NULL: the Q-table stays
    uint64_t at;                   // whose hour and week it is
    bus_view_t action;             // what live events call it
    bool role_changed;
    bool is_summed; // the moves are a deed's, and count in the sums
    size_t move_count;
    karma_move_t moves[KARMA_MOVES_MAX];
} karma_booking_t;

void karma_booking_add(karma_booking_t *self, karma_balance_t balance, double delta);

// Writes it all and tells. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t karma_booking_write(service_apply_t *self, const karma_booking_t *booking);

// Writes a new user who did nothing yet.
BUS_CHECK bus_err_t karma_booking_create(service_apply_t *self,
                                         bus_view_t user_id,
                                         karma_ledger_t *ledger,
                                         karma_event_t *event);
// Removes a user and all that is kept of them; what the sums and agents counted stays.
BUS_CHECK bus_err_t karma_booking_remove(service_apply_t *self,
                                         bus_view_t user_id,
                                         const karma_ledger_t *ledger);
