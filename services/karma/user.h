// user.h - a user's ledger as a record of the store.
//
// The encoding is canonical: one state has one, so its SHA-256 is the user's state_hash. The record
// is the encoding and, behind it, the seq of the user's last event. Owner: the service's thread.
#pragma once
#include "ledger.h"
#include "proto/pack.h"
#include "runtime/store.h"

// Appends the encoding: [version, created_at, decayed_at, actions, ladder, role, called,
// [balance…], [cheat…], appeals, atoned, lives], floats as float64, but a balance of 0 as the
// integer.
void karma_user_encode(const karma_ledger_t *ledger, pack_t *out);
// BUS_CORRUPT where the bytes are no such record. Balances that the rules added since are 0.
BUS_CHECK bus_err_t karma_user_decode(bus_view_t record, karma_ledger_t *ret_ledger);

// `user_id`: 1 to KARMA_USER_ID_MAX bytes. BUS_NOT_FOUND, BUS_CORRUPT, BUS_IO.
BUS_CHECK bus_err_t karma_user_load(store_txn_t *txn,
                                    bus_view_t user_id,
                                    karma_ledger_t *ret_ledger);
// `scratch` is cleared and used. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t karma_user_save(store_txn_t *txn,
                                    bus_view_t user_id,
                                    const karma_ledger_t *ledger,
                                    pack_t *scratch);

enum { KARMA_HASH_SIZE = 65 }; // 64 hex digits and the NUL
// SHA-256 of the record, in hex. Two users of equal state have equal hashes.
void karma_user_hash(const karma_ledger_t *ledger, char ret_hex[KARMA_HASH_SIZE]);
