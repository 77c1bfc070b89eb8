// rank.h - who has the most: every user by merit, by net karma and by each token, in order.
//
// An index, moved with the ledger: a ranking's key is its number, the value as eight bytes that
// sort as the number does, and the user_id. By merit and net everybody is there, by a token (of one
// with classes: by their sum) those whose balance is not 0. As of each user's last command, like a
// profile. Owner: the service's thread. The question is karma_rank_top in operations.h.
#pragma once
#include "ledger.h"
#include "runtime/store.h"

// Moves the user in every ranking where the value became another. `before` NULL: a new user,
// `after` NULL: one that goes. BUS_FULL, BUS_IO, BUS_CORRUPT.
BUS_CHECK bus_err_t karma_rank_move(store_txn_t *txn,
                                    bus_view_t user_id,
                                    const karma_ledger_t *before,
                                    const karma_ledger_t *after);
