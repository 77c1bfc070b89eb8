// owner.h - the owner's credential as a signature: who holds the token may command, on any door.
//
// The token (<dir>/owner.token, mode 0600) never travels on the bus and never into the journal.
// Ed25519 keys are derived from it: seed = SHA-256("bhiv-owner-v1\n" token). Bucket is started with
// the public key in its journaled configuration; an owner's command carries signed_at and
// signature, and a reducer can check it at any time, and again in a rebuild. What is signed:
//   "bhiv-owner-command-v1\n" topic "\n" signed_at "\n" body
// where body is the msgpack map without its pairs signed_at and signature, in its order.
#pragma once
#include "proto/auto.h"
#include "proto/error.h"
#include "proto/pack.h"
#include "proto/view.h"
#include <stdint.h>

enum {
    OWNER_KEY_SIZE = 32,
    OWNER_TOKEN_SIZE_MAX = 256,
    OWNER_WINDOW_US = 300000000, // signed_at is within five minutes of the journal's time
};

// Reads <dir>/owner.token, without its line end. BUS_NOT_FOUND, BUS_IO; BUS_FORBIDDEN where others
// than its owner may read it.
BUS_CHECK bus_err_t owner_read_token(const char *dir, char ret_token[OWNER_TOKEN_SIZE_MAX + 1]);
// Whether `given` is that token, compared in constant time. BUS_UNAUTHORIZED_ACCESS: it is not;
// else what owner_read_token says. Reads the file each time: it may be replaced.
BUS_CHECK bus_err_t owner_check_token(const char *dir, bus_view_t given);
void owner_public_key(bus_view_t token, uint8_t ret_key[OWNER_KEY_SIZE]);
// Packs `body` (one whole msgpack map) with signed_at and signature behind its pairs.
void
owner_sign(bus_view_t token, bus_view_t topic, uint64_t signed_at, bus_view_t body, pack_t *out);
// Whether `body` carries a good signature. *ret_signed_at for the caller, who checks the window and
// that it is later than the last. BUS_UNAUTHORIZED_ACCESS.
BUS_CHECK bus_err_t owner_verify(const uint8_t key[OWNER_KEY_SIZE],
                                 bus_view_t topic,
                                 bus_view_t body,
                                 uint64_t *ret_signed_at);
