// keys_self.h - what the files of keys.c share: a pair of keys in memory, its secret on disk, its
// public half as the journal knows it.
#pragma once
#include "keys.h"

enum {
    BUCKET_KEYS_ID_SIZE = 4 + 16 + 1,      // "key_", 16 hex digits of SHA-256 of the key, NUL
    BUCKET_KEYS_WRAP_SIZE = 32,            // of the key that secrets lie under
    BUCKET_KEYS_MAX = 1000,                // one more a rotation; what one page can list
    BUCKET_KEYS_SECRETS_MAX = 8,           // on disk: two, and what a crash left behind
    BUCKET_KEYS_HASH_TEXT_SIZE = 64,       // hex digits of SHA-256
    BUCKET_KEYS_SIGNATURE_TEXT_SIZE = 88,  // base64 of an Ed25519 signature
    BUCKET_KEYS_PUBLIC_TEXT_SIZE = 44,     // and of a public key
    BUCKET_KEYS_SIGNED_SIZE = 18 + 64,     // bytes of what is signed: see bucket_keys_sign_hash
    BUCKET_KEYS_SIGNATURE_ID_SIZE_MAX = 64 // bytes of a signature_id
};

// How often a key signed; a record of BUCKET_USES.
typedef struct {
    uint64_t count;
    uint64_t last; // microseconds, wall clock; 0: never
} bucket_keys_use_t;

typedef struct {
    char id[BUCKET_KEYS_ID_SIZE];
    note_verifier_t verifier; // its public half, under the log's name
    uint8_t *secret; // NOTE_SECRET_SIZE bytes of guarded memory; NULL: there is no such key
    uint64_t made;   // it is the made-th of this store
    bool is_stored;  // its secret is on disk, as far as this process wrote it
    bucket_keys_use_t use;
} bucket_keys_pair_t;

// The one that signs, and the one that a rotation will take: made and on disk before it is named,
// so that the journal never knows a key whose secret a crash could take.
struct bucket_keys {
    bool is_throwaway;                 // of a rebuild: nothing is read, written or said
    char name[NOTE_NAME_MAX + 1];      // of the signer: the log's origin
    uint8_t *wrap;                     // BUCKET_KEYS_WRAP_SIZE bytes of guarded memory, or NULL
    bucket_keys_pair_t active;         //
    bucket_keys_pair_t next;           //
    char dropped[BUCKET_KEYS_ID_SIZE]; // its secret is to be removed; "": none
    bucket_keys_use_t dropped_use;     // and its count written
    uint64_t made;                     // keys so far
    bool is_used;                      // the count changed since it was written
    uint64_t rotated_at;               // signed_at of the owner's last rotation here
};

// --- keys.c --------------------------------------------------------------------------------------

// "key_" and 16 hex digits of SHA-256 of the public key.
void bucket_keys_id(const uint8_t key[NOTE_KEY_SIZE], char ret_id[BUCKET_KEYS_ID_SIZE]);
// The log's name, from here on.
void bucket_keys_rename(bucket_keys_t *self, bus_view_t name);
// The next key becomes the active one. False where it is not there, or not on disk yet.
bool bucket_keys_promote(bucket_keys_t *self);
// Says crypto.key.created of `pair`, which takes over from `replaces` ("": from none), by the
// owner's command of `signed_at` (0: by none).
BUS_CHECK bus_err_t bucket_keys_announce(service_query_t *query,
                                         const bucket_keys_pair_t *pair,
                                         const char *replaces,
                                         uint64_t signed_at);
// The active key's signature of a hash, as text with its NUL. Counts.
void bucket_keys_sign_hash(bucket_keys_t *self,
                           bus_view_t data_hash,
                           char ret_signature[BUCKET_KEYS_SIGNATURE_TEXT_SIZE + 1]);
// Whether `signature` (base64) is that of `data_hash` (64 lower-case hex digits) by `key`.
bool bucket_keys_verify_hash(const uint8_t key[NOTE_KEY_SIZE],
                             bus_view_t data_hash,
                             bus_view_t signature);
bool bucket_keys_is_hash(bus_view_t text);

// --- keys_store.c: secrets on disk ---------------------------------------------------------------

// The key that secrets lie under: derived from the passphrase, or read from (at first start written
// to) the key file. BUS_FORBIDDEN, having said why: it cannot be the one that they were written
// under, or others may read the file. BUS_IO.
BUS_CHECK bus_err_t bucket_keys_store_unlock(const service_options_t *options,
                                             store_txn_t *txn,
                                             uint8_t ret_wrap[BUCKET_KEYS_WRAP_SIZE]);
// Reads all secrets, oldest first. Damaged ones are said, removed and left out: a new key takes
// their place. BUS_FORBIDDEN, having said so: the wrong passphrase or file.
BUS_CHECK bus_err_t bucket_keys_store_load(store_txn_t *txn,
                                           const uint8_t wrap[BUCKET_KEYS_WRAP_SIZE],
                                           bucket_keys_pair_t ret_pairs[BUCKET_KEYS_SECRETS_MAX],
                                           size_t *ret_count);
BUS_CHECK bus_err_t bucket_keys_store_put(store_txn_t *txn,
                                          const uint8_t wrap[BUCKET_KEYS_WRAP_SIZE],
                                          const bucket_keys_pair_t *pair);
// Removes a secret; nothing where there is none.
BUS_CHECK bus_err_t bucket_keys_store_remove(store_txn_t *txn, const char *key_id);
// A count; of a key that never signed: zero.
BUS_CHECK bus_err_t bucket_keys_store_use(store_txn_t *txn,
                                          bus_view_t key_id,
                                          bucket_keys_use_t *ret_use);

// A new pair, or one made of a secret key; its memory is guarded, and zeroed by `clear`.
void bucket_keys_store_make(bucket_keys_pair_t *ret_pair);
void bucket_keys_store_take(const uint8_t secret[NOTE_SECRET_SIZE], bucket_keys_pair_t *ret_pair);
void bucket_keys_store_clear(bucket_keys_pair_t *pair);

// --- keys_public.c: public halves and signatures, as the journal has them ------------------------

// A record of BUCKET_PUBLIC_KEYS.
typedef struct {
    bus_view_t key_id; // views into the store
    bus_view_t name;
    bus_view_t replaces; // a key_id, or absent
    uint8_t key[NOTE_KEY_SIZE];
    uint64_t created_at; // microseconds, by the journal
    uint64_t retired_at; // the same; 0: it is not
} bucket_keys_public_t;

// BUS_KEY_NOT_FOUND, BUS_CORRUPT, BUS_IO.
BUS_CHECK bus_err_t bucket_keys_public_find(store_txn_t *txn,
                                            bus_view_t key_id,
                                            bucket_keys_public_t *ret_key);
// All of them but damaged ones, in the order in which they were made known.
BUS_CHECK bus_err_t bucket_keys_public_list(store_txn_t *txn,
                                            bucket_keys_public_t ret_keys[BUCKET_KEYS_MAX],
                                            size_t *ret_count);

// A record of BUCKET_SIGNATURES.
typedef struct {
    bus_view_t data_hash; // views into the store
    bus_view_t key_id;
    bus_view_t signature;
    bus_view_t requester_id;
    uint64_t created_at; // microseconds
} bucket_keys_signature_t;

// BUS_NOT_FOUND, BUS_CORRUPT, BUS_IO.
BUS_CHECK bus_err_t bucket_keys_public_signature(store_txn_t *txn,
                                                 bus_view_t signature_id,
                                                 bucket_keys_signature_t *ret_signature);
