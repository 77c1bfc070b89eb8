// keys.h - Bucket's signing keys: Ed25519, one active, the others retired but still verifiable.
//
// Secret keys lie encrypted (XSalsa20-Poly1305) in BUCKET_SECRETS under a key derived from
// BHIV_KEY_PASSPHRASE (Argon2id) or, without one, from the file <dir>/bucket.key (0600, made at
// first start); they and the use counts are not part of the state. Public halves and signatures are
// journaled facts. A rebuilt store makes a new key; checkpoints of the old ones verify as before.
//
// A key's id is "key_" and the first 16 hex digits of SHA-256 of its public key. The signer's name,
// which is the log's origin, is "bhiv.bucket/audit/" and the first 8 digits of the first key's; it
// stays the same across rotations and rebuilds.
//
// req.crypto.sign signs SHA-256 of the data, not the data: Ed25519 over "bhiv-signature-v1\n" and
// its 64 lower-case hex digits. No note and no owner's command begins like that.
#pragma once
#include "proto/note.h"
#include "runtime/service.h"
#include "tables.h"

// Loads the keys, makes the first, and the one that a rotation will take. In memory alone where
// options->rebuild. BUS_FORBIDDEN where the passphrase or key file is wrong, BUS_IO.
BUS_CHECK bus_err_t bucket_keys_open(const service_options_t *options,
                                     store_txn_t *txn,
                                     bucket_keys_t **ret_self);
void bucket_keys_close(bucket_keys_t **self_p);
// Writes the use counts, and what a rotation changed.
BUS_CHECK bus_err_t bucket_keys_save(bucket_keys_t *self, store_txn_t *txn);
// A batch was undone, and with it what was saved for its commit: it is written again.
void bucket_keys_undone(bucket_keys_t *self);
// Announces a key that the journal does not know yet, or knows as retired, from the tick.
void bucket_keys_tick(bucket_keys_t *self, service_query_t *query);

// Signs a note with the active key, under its name. Counts.
void bucket_keys_note(bucket_keys_t *self, bus_view_t text, text_t *out);
// The active key's verifier.
const note_verifier_t *bucket_keys_verifier(const bucket_keys_t *self);

// Apply crypto.key.created, crypto.key.retired and crypto.signature: keeps them, audits them. Only
// from Bucket's own source, and a signature only where it verifies. A key that takes over from
// another has that one retired (said as a consequence).
BUS_CHECK bus_err_t bucket_keys_created(service_apply_t *apply, const void *message);
BUS_CHECK bus_err_t bucket_keys_retired(service_apply_t *apply, const void *message);
BUS_CHECK bus_err_t bucket_keys_signature(service_apply_t *apply, const void *message);

// req.crypto.list -> {keys: [{key_id, name, algorithm, public_key, vkey, state, created_at,
//   retired_at, replaces, uses, last_used}…], active, name}; show and export_public: one of them.
// req.crypto.rotate (the owner's: owner.h) -> {key_id, replaces, vkey}, once durable.
// req.crypto.sign -> {signature_id, data_hash, key_id, signature, created_at, vkey}, once durable;
//   BUS_BUSY in the first second of a key.
// req.crypto.verify -> {valid, key_id, data_hash, signature_id?, created_at?, requester_id?}
enum { BUCKET_KEYS_QUERIES = 6 };
extern const service_query_row_t bucket_keys_queries[BUCKET_KEYS_QUERIES];
