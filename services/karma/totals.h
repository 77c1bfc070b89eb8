// totals.h - counts over all users, kept as it happens. Owner: the service's thread.
#pragma once
#include "proto/auto.h"
#include "proto/error.h"
#include "proto/pack.h"
#include "runtime/store.h"

typedef struct {
    uint64_t events;      // commands that were applied, of every kind
    uint64_t actions;     // transactions of the users that there are
    uint64_t appeals;     // plans of theirs
    uint64_t atoned;      // of them, completed
    uint64_t redemptions; // ever
    uint64_t deaths;      // lives of theirs that ended
    uint64_t last_at;     // the time of the last event applied; 0: none yet
} karma_totals_t;

// All zero where nothing happened yet. BUS_CORRUPT, BUS_IO.
BUS_CHECK bus_err_t karma_totals_load(store_txn_t *txn, karma_totals_t *ret_self);
// `scratch` is cleared and used. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t karma_totals_save(store_txn_t *txn,
                                      const karma_totals_t *self,
                                      pack_t *scratch);
