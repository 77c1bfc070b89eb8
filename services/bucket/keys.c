// keys.c - the keys in memory: one signs, one waits for its turn.
//
// A rotation must never name a key whose secret a crash could take. So the next key is made ahead,
// and on disk since a commit long past when it is named; a rotation is then a fact like any other,
// and where that fact is applied the next key becomes the active one. Should the journal know a
// successor whose secret is not here (the store was made anew, or a power cut took its last
// commit), the tick sees that our key is retired or unknown, and announces one that is here.
#include "keys.h"

#include "keys_self.h"
#include "proto/walk.h"
#include "runtime/clock.h"
#include "runtime/id.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    NAME_DIGITS = 8, // of the first key's id in the log's name
    ID_BYTES = 8,    // of a key's hash in its id
};

#define ID_PREFIX "key_"
#define NAME_PREFIX "bhiv.bucket/audit/"
#define SIGNED_PREFIX "bhiv-signature-v1\n"

static_assert(BUCKET_KEYS_ID_SIZE == sizeof ID_PREFIX + (size_t) 2 * ID_BYTES, "an id and its NUL");
static_assert(BUCKET_KEYS_SIGNED_SIZE == sizeof SIGNED_PREFIX - 1 + BUCKET_KEYS_HASH_TEXT_SIZE,
              "what is signed");

// --- Names ---------------------------------------------------------------------------------------

void
bucket_keys_id(const uint8_t key[NOTE_KEY_SIZE], char ret_id[BUCKET_KEYS_ID_SIZE])
{
    merkle_hash_t hash;
    merkle_sha256(view_from(key, NOTE_KEY_SIZE), &hash);
    memcpy(ret_id, ID_PREFIX, sizeof ID_PREFIX - 1);
    id_hex(hash.bytes, ID_BYTES, ret_id + sizeof ID_PREFIX - 1);
}

static void
name_pair(const bucket_keys_t *self, bucket_keys_pair_t *pair)
{
    if (pair->secret == NULL) {
        return;
    }
    uint8_t key[NOTE_KEY_SIZE];
    memcpy(key, pair->verifier.key, sizeof key);
    bus_err_t err = note_verifier_make(view_from_text(self->name), key, &pair->verifier);
    assert(err == BUS_OK); // the name was made here, or checked before it was applied
}

void
bucket_keys_rename(bucket_keys_t *self, bus_view_t name)
{
    assert(name.size < sizeof self->name);
    memmove(self->name, name.data, name.size);
    self->name[name.size] = '\0';
    name_pair(self, &self->active);
    name_pair(self, &self->next);
}

// That of the first key which the journal knows; before it knows one, what our own gives.
static bus_err_t
find_name(bucket_keys_t *self, store_txn_t *txn)
{
    char made[sizeof NAME_PREFIX + NAME_DIGITS];
    (void) snprintf(
        made, sizeof made, NAME_PREFIX "%.*s", NAME_DIGITS, self->active.id + sizeof ID_PREFIX - 1);
    size_t count = 0;
    bucket_keys_public_t *known = calloc(BUCKET_KEYS_MAX, sizeof *known);
    assert(known != NULL);
    bus_err_t err = self->is_throwaway ? BUS_OK : bucket_keys_public_list(txn, known, &count);
    if (err == BUS_OK) {
        bucket_keys_rename(self, count > 0 ? known[0].name : view_from_text(made));
    }
    free(known);
    return err;
}

// --- Opening -------------------------------------------------------------------------------------

static void
make(bucket_keys_t *self, bucket_keys_pair_t *pair)
{
    bucket_keys_store_make(pair);
    pair->made = ++self->made;
}

// Gives each secret its place. The journal knows the active one, and does not know the next one
// yet; before the first is known, it is the older of two. Others are left over: retired.
static bus_err_t
place(bucket_keys_t *self, store_txn_t *txn, bucket_keys_pair_t pairs[], size_t count)
{
    bus_err_t err = BUS_OK;
    for (size_t i = 0; i < count; i++) {
        bucket_keys_pair_t *pair = &pairs[i];
        bucket_keys_public_t known = {.retired_at = 0};
        err = err != BUS_OK ? err : bucket_keys_public_find(txn, view_from_text(pair->id), &known);
        bool is_known = err == BUS_OK || err == BUS_CORRUPT;
        err = is_known || err == BUS_KEY_NOT_FOUND ? BUS_OK : err;
        self->made = pair->made > self->made ? pair->made : self->made;
        bool is_retired = is_known && known.retired_at != 0;
        bucket_keys_pair_t left = *pair; // retired, or one too many
        if (!is_retired && (is_known || self->active.secret == NULL)) {
            left = self->active;
            self->active = *pair;
        } else if (!is_retired && self->next.secret == NULL) {
            left = (bucket_keys_pair_t){.secret = NULL};
            self->next = *pair;
        }
        if (left.secret != NULL && err == BUS_OK) {
            err = bucket_keys_store_remove(txn, left.id);
        }
        bucket_keys_store_clear(&left);
    }
    return err;
}

static bus_err_t
store_pair(bucket_keys_t *self, store_txn_t *txn, bucket_keys_pair_t *pair)
{
    if (pair->is_stored) {
        return BUS_OK;
    }
    bus_err_t err = bucket_keys_store_put(txn, self->wrap, pair);
    pair->is_stored = err == BUS_OK;
    return err;
}

static bus_err_t
open_stored(bucket_keys_t *self, const service_options_t *options, store_txn_t *txn)
{
    bucket_keys_pair_t pairs[BUCKET_KEYS_SECRETS_MAX];
    size_t count = 0;
    self->wrap = sodium_malloc(BUCKET_KEYS_WRAP_SIZE);
    assert(self->wrap != NULL);
    bus_err_t err = bucket_keys_store_unlock(options, txn, self->wrap);
    err = err == BUS_OK ? bucket_keys_store_load(txn, self->wrap, pairs, &count) : err;
    err = err == BUS_OK ? place(self, txn, pairs, count) : err;
    if (err != BUS_OK) {
        return err;
    }
    if (self->active.secret == NULL) {
        make(self, &self->active);
    }
    if (self->next.secret == NULL) {
        make(self, &self->next);
    }
    err = store_pair(self, txn, &self->active);
    err = err == BUS_OK ? store_pair(self, txn, &self->next) : err;
    return err == BUS_OK
               ? bucket_keys_store_use(txn, view_from_text(self->active.id), &self->active.use)
               : err;
}

bus_err_t
bucket_keys_open(const service_options_t *options, store_txn_t *txn, bucket_keys_t **ret_self)
{
    int ready = sodium_init(); // 1: it was already
    assert(ready >= 0);
    bucket_keys_t *self = calloc(1, sizeof *self);
    assert(self != NULL);
    self->is_throwaway = options->rebuild;
    bus_err_t err = BUS_OK;
    if (self->is_throwaway) {
        make(self, &self->active);
    } else {
        err = open_stored(self, options, txn);
    }
    err = err == BUS_OK ? find_name(self, txn) : err;
    if (err != BUS_OK) {
        bucket_keys_close(&self);
        return err;
    }
    *ret_self = self;
    return BUS_OK;
}

void
bucket_keys_close(bucket_keys_t **self_p)
{
    bucket_keys_t *self = *self_p;
    if (self != NULL) {
        bucket_keys_store_clear(&self->active);
        bucket_keys_store_clear(&self->next);
        sodium_free(self->wrap);
        free(self);
        *self_p = NULL;
    }
}

// --- Saving --------------------------------------------------------------------------------------

static bus_err_t
save_use(store_txn_t *txn, const char *key_id, const bucket_keys_use_t *use)
{
    return store_put(txn, BUCKET_USES, view_from_text(key_id), view_from(use, sizeof *use));
}

static bus_err_t
save_dropped(bucket_keys_t *self, store_txn_t *txn)
{
    if (self->dropped[0] == '\0') {
        return BUS_OK;
    }
    bus_err_t err = bucket_keys_store_remove(txn, self->dropped);
    err = err == BUS_OK ? save_use(txn, self->dropped, &self->dropped_use) : err;
    if (err == BUS_OK) {
        self->dropped[0] = '\0';
    }
    return err;
}

bus_err_t
bucket_keys_save(bucket_keys_t *self, store_txn_t *txn)
{
    if (self->is_throwaway) {
        return BUS_OK;
    }
    if (self->next.secret == NULL) {
        make(self, &self->next);
        name_pair(self, &self->next);
    }
    bus_err_t err = save_dropped(self, txn);
    err = err == BUS_OK ? store_pair(self, txn, &self->active) : err;
    err = err == BUS_OK ? store_pair(self, txn, &self->next) : err;
    if (err == BUS_OK && self->is_used) {
        err = save_use(txn, self->active.id, &self->active.use);
        self->is_used = err != BUS_OK;
    }
    return err == BUS_FULL ? BUS_OK : err; // the batch is worth more; with the next one, then
}

void
bucket_keys_undone(bucket_keys_t *self)
{
    self->active.is_stored = false;
    self->next.is_stored = false;
    self->is_used = true;
}

// --- Taking turns --------------------------------------------------------------------------------

bool
bucket_keys_promote(bucket_keys_t *self)
{
    if (self->next.secret == NULL || !self->next.is_stored || self->dropped[0] != '\0') {
        return false;
    }
    memcpy(self->dropped, self->active.id, sizeof self->dropped);
    self->dropped_use = self->active.use;
    bucket_keys_store_clear(&self->active);
    self->active = self->next;
    self->next = (bucket_keys_pair_t){.secret = NULL};
    self->is_used = false;
    return true;
}

bus_err_t
bucket_keys_announce(service_query_t *query,
                     const bucket_keys_pair_t *pair,
                     const char *replaces,
                     uint64_t signed_at)
{
    BUS_AUTO(text_destroy) text_t *text = text_new();
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    note_base64(view_from(pair->verifier.key, sizeof pair->verifier.key), text);
    size_t place_of_map = pack_map_begin(body);
    uint32_t count = 3;
    pack_pair_text(body, "key_id", pair->id);
    pack_pair_text(body, "name", pair->verifier.name);
    pack_pair_str(body, "public_key", text_view(text));
    if (replaces[0] != '\0') {
        pack_pair_text(body, "replaces", replaces);
        count++;
    }
    if (signed_at != 0) {
        pack_pair_uint(body, "signed_at", signed_at);
        count++;
    }
    pack_count(body, place_of_map, count);
    return service_query_say(query, "crypto.key.created", pack_view(body));
}

// The newest that is not retired, as the journal knows it: whom ours takes over from.
static bus_err_t
find_predecessor(store_txn_t *txn, char ret_id[BUCKET_KEYS_ID_SIZE])
{
    size_t count = 0;
    bucket_keys_public_t *known = calloc(BUCKET_KEYS_MAX, sizeof *known);
    assert(known != NULL);
    bus_err_t err = bucket_keys_public_list(txn, known, &count);
    ret_id[0] = '\0';
    for (size_t i = 0; err == BUS_OK && i < count; i++) {
        if (known[i].retired_at == 0 && known[i].key_id.size < BUCKET_KEYS_ID_SIZE) {
            memcpy(ret_id, known[i].key_id.data, known[i].key_id.size);
            ret_id[known[i].key_id.size] = '\0';
        }
    }
    free(known);
    return err;
}

void
bucket_keys_tick(bucket_keys_t *self, service_query_t *query)
{
    bucket_keys_public_t known;
    bus_err_t err = bucket_keys_public_find(query->txn, view_from_text(self->active.id), &known);
    bool is_retired = err == BUS_OK && known.retired_at != 0;
    if (self->is_throwaway || (err != BUS_KEY_NOT_FOUND && !is_retired)) {
        return; // as it should be; or it cannot be told, and is tried again
    }
    char replaces[BUCKET_KEYS_ID_SIZE];
    if ((is_retired && !bucket_keys_promote(self)) || find_name(self, query->txn) != BUS_OK ||
        find_predecessor(query->txn, replaces) != BUS_OK) {
        return;
    }
    err = bucket_keys_announce(query, &self->active, replaces, 0);
    (void) err; // not sent: at the next tick
}

// --- Signing -------------------------------------------------------------------------------------

static void
count_use(bucket_keys_t *self)
{
    self->active.use.count++;
    self->active.use.last = clock_wall_us();
    self->is_used = true;
}

void
bucket_keys_note(bucket_keys_t *self, bus_view_t text, text_t *out)
{
    note_sign(text, &self->active.verifier, self->active.secret, out);
    count_use(self);
}

const note_verifier_t *
bucket_keys_verifier(const bucket_keys_t *self)
{
    return &self->active.verifier;
}

bool
bucket_keys_is_hash(bus_view_t text)
{
    if (text.size != BUCKET_KEYS_HASH_TEXT_SIZE) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        char digit = text.data[i];
        if (!((digit >= '0' && digit <= '9') || (digit >= 'a' && digit <= 'f'))) {
            return false;
        }
    }
    return true;
}

static void
make_signed(bus_view_t data_hash, uint8_t ret_bytes[BUCKET_KEYS_SIGNED_SIZE])
{
    assert(data_hash.size == BUCKET_KEYS_HASH_TEXT_SIZE);
    memcpy(ret_bytes, SIGNED_PREFIX, sizeof SIGNED_PREFIX - 1);
    memcpy(ret_bytes + sizeof SIGNED_PREFIX - 1, data_hash.data, data_hash.size);
}

void
bucket_keys_sign_hash(bucket_keys_t *self,
                      bus_view_t data_hash,
                      char ret_signature[BUCKET_KEYS_SIGNATURE_TEXT_SIZE + 1])
{
    uint8_t bytes[BUCKET_KEYS_SIGNED_SIZE];
    uint8_t signature[NOTE_SIGNATURE_SIZE];
    make_signed(data_hash, bytes);
    crypto_sign_detached(signature, NULL, bytes, sizeof bytes, self->active.secret);
    sodium_bin2base64(ret_signature,
                      BUCKET_KEYS_SIGNATURE_TEXT_SIZE + 1,
                      signature,
                      sizeof signature,
                      sodium_base64_VARIANT_ORIGINAL);
    count_use(self);
}

bool
bucket_keys_verify_hash(const uint8_t key[NOTE_KEY_SIZE],
                        bus_view_t data_hash,
                        bus_view_t signature)
{
    uint8_t bytes[BUCKET_KEYS_SIGNED_SIZE];
    uint8_t decoded[NOTE_SIGNATURE_SIZE];
    size_t size = 0;
    if (!bucket_keys_is_hash(data_hash) || signature.size != BUCKET_KEYS_SIGNATURE_TEXT_SIZE ||
        note_unbase64(signature, decoded, sizeof decoded, &size) != BUS_OK ||
        size != sizeof decoded) {
        return false;
    }
    make_signed(data_hash, bytes);
    return crypto_sign_verify_detached(decoded, bytes, sizeof bytes, key) == 0;
}
