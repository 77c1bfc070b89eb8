// keys_query.c - what req.crypto answers: keys shown, rotated, used.
#include "config.h"
#include "keys_self.h"
#include "proto/refusal.h"
#include "proto/walk.h"
#include "runtime/clock.h"
#include "runtime/id.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    PAIRS_OF_A_KEY = 11,
    SIGNATURE_ID_DIGITS = 32,
};

static bucket_keys_t *
keys_of(const service_query_t *query)
{
    bucket_keys_t *keys = ((const bucket_state_t *) query->state)->keys;
    assert(keys != NULL); // since the service was opened
    return keys;
}

// --- Showing -------------------------------------------------------------------------------------

static void
pack_pair_time(pack_t *out, const char *key, uint64_t at)
{
    if (at == 0) {
        pack_pair_nil(out, key);
    } else {
        pack_pair_rfc3339(out, key, at);
    }
}

static void
pack_vkey(pack_t *out, const note_verifier_t *verifier)
{
    char vkey[NOTE_VKEY_SIZE];
    note_verifier_format(verifier, vkey);
    pack_pair_text(out, "vkey", vkey);
}

// A key: the one in memory knows more of itself than the store does.
static bus_err_t
pack_key(service_query_t *query, const bucket_keys_public_t *key, pack_t *out)
{
    const bucket_keys_t *self = keys_of(query);
    bool is_active = view_is(key->key_id, self->active.id);
    bucket_keys_use_t use = self->active.use;
    note_verifier_t verifier;
    bus_err_t err = note_verifier_make(key->name, key->key, &verifier);
    if (err == BUS_OK && !is_active) {
        err = bucket_keys_store_use(query->txn, key->key_id, &use);
    }
    if (err != BUS_OK) {
        return err == BUS_VALIDATION_FAILED ? BUS_CORRUPT : err;
    }
    BUS_AUTO(text_destroy) text_t *base64 = text_new();
    note_base64(view_from(key->key, sizeof key->key), base64);
    const char *state = key->retired_at != 0   ? "retired"
                        : key->created_at == 0 ? "announcing"
                        : is_active            ? "active"
                                               : "retiring";
    pack_map(out, PAIRS_OF_A_KEY);
    pack_pair_str(out, "key_id", key->key_id);
    pack_pair_str(out, "name", key->name);
    pack_pair_text(out, "algorithm", "Ed25519");
    pack_pair_str(out, "public_key", text_view(base64));
    pack_vkey(out, &verifier);
    pack_pair_text(out, "state", state);
    pack_pair_time(out, "created_at", key->created_at);
    pack_pair_time(out, "retired_at", key->retired_at);
    pack_pair_str(out, "replaces", key->replaces);
    pack_pair_uint(out, "uses", use.count);
    pack_pair_time(out, "last_used", use.last);
    return BUS_OK;
}

// The active key as the journal will know it.
static bucket_keys_public_t
own_key(const bucket_keys_t *self)
{
    bucket_keys_public_t key = {
        .key_id = view_from_text(self->active.id),
        .name = view_from_text(self->name),
    };
    memcpy(key.key, self->active.verifier.key, sizeof key.key);
    return key;
}

static bus_err_t
list_keys(service_query_t *query, bucket_keys_public_t *keys)
{
    const bucket_keys_t *self = keys_of(query);
    size_t count = 0;
    bus_err_t err = bucket_keys_public_list(query->txn, keys, &count);
    if (err != BUS_OK) {
        return err;
    }
    bool is_known = false;
    for (size_t i = 0; i < count; i++) {
        is_known = is_known || view_is(keys[i].key_id, self->active.id);
    }
    if (!is_known) {
        keys[count++] = own_key(self);
    }
    pack_map(query->answer, 3);
    pack_pair_text(query->answer, "active", self->active.id);
    pack_pair_text(query->answer, "name", self->name);
    pack_text(query->answer, "keys");
    pack_array(query->answer, (uint32_t) count);
    for (size_t i = 0; i < count && err == BUS_OK; i++) {
        err = pack_key(query, &keys[i], query->answer);
    }
    return err;
}

static bus_err_t
query_list(service_query_t *query, const void *message BUS_UNUSED)
{
    bucket_keys_public_t *keys = calloc(BUCKET_KEYS_MAX + 1, sizeof *keys); // and an unknown one
    assert(keys != NULL);
    bus_err_t err = list_keys(query, keys);
    free(keys);
    return err;
}

// The key that is asked for; none asked for: the active one.
static bus_err_t
find_asked(service_query_t *query, bus_view_t key_id, bucket_keys_public_t *ret_key)
{
    const bucket_keys_t *self = keys_of(query);
    bool is_own = key_id.data == NULL || view_is(key_id, self->active.id);
    bus_view_t wanted = is_own ? view_from_text(self->active.id) : key_id;
    bus_err_t err = bucket_keys_public_find(query->txn, wanted, ret_key);
    if (err == BUS_KEY_NOT_FOUND && is_own) {
        *ret_key = own_key(self);
        return BUS_OK;
    }
    return err;
}

static bus_err_t
query_show(service_query_t *query, const void *message)
{
    const schema_crypto_key_query_t *asked = message;
    bucket_keys_public_t key;
    bus_err_t err = find_asked(query, asked->key_id, &key);
    return err == BUS_OK ? pack_key(query, &key, query->answer) : err;
}

// --- Rotating ------------------------------------------------------------------------------------

// The attempt is on record before it is answered.
static bus_err_t
refuse_rotation(service_query_t *query)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    bus_view_t source = query->header->source;
    pack_map(body, 4);
    pack_pair_str(body, "requester_id", source.data != NULL ? source : VIEW_LITERAL("anonymous"));
    pack_pair_text(body, "operation", "req.crypto.rotate");
    pack_pair_text(body, "error_code", error_text(refusal_owner_only.err));
    pack_pair_text(body, "violation", refusal_owner_only.violation);
    bus_err_t err = service_query_say(query, "bucket.refused", pack_view(body));
    return err == BUS_OK ? service_query_refuse(
                               query, refusal_owner_only.err, refusal_owner_only.message, VIEW_NONE)
                         : err;
}

// Whether the owner asks. Its time may be used once.
static bool
is_owners(service_query_t *query)
{
    bucket_state_t *state = query->state;
    bucket_keys_t *self = keys_of(query);
    bucket_config_t config;
    if (bucket_config_get(query->txn, &config) != BUS_OK) {
        return false;
    }
    uint64_t last = state->totals.owner_at;
    const bucket_config_command_t command = {
        .topic = query->topic,
        .body = query->body,
        .at = clock_wall_us(),
        .last = last > self->rotated_at ? last : self->rotated_at,
    };
    return bucket_config_is_owner(&config, &command, &self->rotated_at);
}

static bus_err_t
query_rotate(service_query_t *query, const void *message BUS_UNUSED)
{
    bucket_keys_t *self = keys_of(query);
    if (!is_owners(query)) {
        return refuse_rotation(query);
    }
    uint64_t count = 0;
    bus_err_t err = store_count(query->txn, BUCKET_PUBLIC_KEYS, &count);
    if (err != BUS_OK) {
        return err;
    }
    if (count >= BUCKET_KEYS_MAX) {
        return service_query_refuse(query, BUS_CONFLICT, "there are too many keys", VIEW_NONE);
    }
    bucket_keys_public_t known;
    err = bucket_keys_public_find(query->txn, view_from_text(self->active.id), &known);
    bool is_ready = self->next.secret != NULL && self->next.is_stored && err == BUS_OK;
    if (!is_ready) {
        return service_query_refuse(
            query, BUS_BUSY, "the last key is still being made known", VIEW_NONE);
    }
    err = bucket_keys_announce(query, &self->next, self->active.id, self->rotated_at);
    if (err != BUS_OK) {
        return err;
    }
    pack_map(query->answer, 4);
    pack_pair_text(query->answer, "key_id", self->next.id);
    pack_pair_text(query->answer, "replaces", self->active.id);
    pack_pair_text(query->answer, "name", self->name);
    pack_vkey(query->answer, &self->next.verifier);
    return BUS_OK;
}

// --- Signing -------------------------------------------------------------------------------------

static bus_err_t
refuse_field(service_query_t *query, const char *field, const char *problem)
{
    const schema_problems_t problems = {.count = 1, .at = {{field, problem}}};
    BUS_AUTO(pack_destroy) pack_t *details = pack_new();
    schema_pack_problems(&problems, details);
    return service_query_refuse(query, BUS_VALIDATION_FAILED, NULL, pack_view(details));
}

// The hash to sign or verify, as text: of `data`, or as it was given. False where neither or both
// were, or it is none.
static bool
find_hash(bus_view_t data, bus_view_t data_hash, char ret_hash[BUCKET_KEYS_HASH_TEXT_SIZE + 1])
{
    if ((data.data == NULL) == (data_hash.data == NULL)) {
        return false;
    }
    if (data.data != NULL) {
        merkle_hash_t hash;
        merkle_sha256(data, &hash);
        id_hex(hash.bytes, sizeof hash.bytes, ret_hash);
        return true;
    }
    if (!bucket_keys_is_hash(data_hash)) {
        return false;
    }
    memcpy(ret_hash, data_hash.data, data_hash.size);
    ret_hash[data_hash.size] = '\0';
    return true;
}

#define HASH_PROBLEM "wants either data or data_hash, which is 64 lower-case hex digits"

typedef struct {
    char id[sizeof "sig_" + SIGNATURE_ID_DIGITS];
    char data_hash[BUCKET_KEYS_HASH_TEXT_SIZE + 1];
    char signature[BUCKET_KEYS_SIGNATURE_TEXT_SIZE + 1];
    uint64_t created_at;
} signed_t;

static bus_err_t
say_signature(service_query_t *query, const signed_t *made, bus_view_t requester_id)
{
    const bucket_keys_t *self = keys_of(query);
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, requester_id.size > 0 ? 6 : 5);
    pack_pair_text(body, "signature_id", made->id);
    pack_pair_text(body, "data_hash", made->data_hash);
    pack_pair_text(body, "key_id", self->active.id);
    pack_pair_text(body, "signature", made->signature);
    pack_pair_uint(body, "created_at", made->created_at);
    if (requester_id.size > 0) {
        pack_pair_str(body, "requester_id", requester_id);
    }
    return service_query_say(query, "crypto.signature", pack_view(body));
}

static bus_err_t
query_sign(service_query_t *query, const void *message)
{
    const schema_crypto_sign_query_t *asked = message;
    bucket_keys_t *self = keys_of(query);
    signed_t made = {.created_at = clock_wall_us()};
    if (!find_hash(asked->data, asked->data_hash, made.data_hash)) {
        return refuse_field(query, "data_hash", HASH_PROBLEM);
    }
    bucket_keys_public_t known;
    bus_err_t err = bucket_keys_public_find(query->txn, view_from_text(self->active.id), &known);
    if (err == BUS_KEY_NOT_FOUND) {
        return service_query_refuse(
            query, BUS_BUSY, "the key is still being made known", VIEW_NONE);
    }
    if (err != BUS_OK) {
        return err;
    }
    memcpy(made.id, "sig_", sizeof "sig_");
    id_random_hex(made.id + sizeof "sig_" - 1, SIGNATURE_ID_DIGITS);
    bucket_keys_sign_hash(self, view_from_text(made.data_hash), made.signature);
    bus_view_t requester =
        asked->requester_id.data != NULL ? asked->requester_id : query->header->source;
    err = say_signature(query, &made, requester);
    if (err != BUS_OK) {
        return err;
    }
    pack_map(query->answer, 6);
    pack_pair_text(query->answer, "signature_id", made.id);
    pack_pair_text(query->answer, "data_hash", made.data_hash);
    pack_pair_text(query->answer, "key_id", self->active.id);
    pack_pair_text(query->answer, "signature", made.signature);
    pack_pair_time(query->answer, "created_at", made.created_at);
    pack_vkey(query->answer, &self->active.verifier);
    return BUS_OK;
}

// --- Verifying -----------------------------------------------------------------------------------

typedef struct {
    bus_view_t data_hash;
    bus_view_t signature;
    bus_view_t key_id; // absent: any of ours
} claim_t;

// Whose it is. BUS_KEY_NOT_FOUND where it is nobody's, or the key is not known.
static bus_err_t
find_signer(service_query_t *query, const claim_t *claim, bucket_keys_public_t *ret_key)
{
    bus_err_t err = BUS_OK;
    if (claim->key_id.data != NULL) {
        err = find_asked(query, claim->key_id, ret_key);
        bool is_good = err == BUS_OK &&
                       bucket_keys_verify_hash(ret_key->key, claim->data_hash, claim->signature);
        return err == BUS_OK && !is_good ? BUS_KEY_NOT_FOUND : err;
    }
    bucket_keys_public_t *keys = calloc(BUCKET_KEYS_MAX, sizeof *keys);
    assert(keys != NULL);
    size_t count = 0;
    err = bucket_keys_public_list(query->txn, keys, &count);
    bool is_found = false;
    for (size_t i = count; i-- > 0 && !is_found;) { // the newest first
        is_found = bucket_keys_verify_hash(keys[i].key, claim->data_hash, claim->signature);
        if (is_found) {
            *ret_key = keys[i];
        }
    }
    free(keys);
    return err == BUS_OK && !is_found ? BUS_KEY_NOT_FOUND : err;
}

static bus_err_t
answer_verified(service_query_t *query,
                const claim_t *claim,
                bus_view_t signature_id,
                const bucket_keys_signature_t *kept)
{
    bucket_keys_public_t key = {.key_id = claim->key_id};
    bus_err_t err = find_signer(query, claim, &key);
    if (err != BUS_OK && err != BUS_KEY_NOT_FOUND) {
        return err;
    }
    pack_map(query->answer, kept == NULL ? 3 : 6);
    pack_pair_bool(query->answer, "valid", err == BUS_OK);
    pack_pair_str(query->answer, "key_id", key.key_id);
    pack_pair_str(query->answer, "data_hash", claim->data_hash);
    if (kept != NULL) {
        pack_pair_str(query->answer, "signature_id", signature_id);
        pack_pair_time(query->answer, "created_at", kept->created_at);
        pack_pair_str(query->answer, "requester_id", kept->requester_id);
    }
    return BUS_OK;
}

static bus_err_t
query_verify(service_query_t *query, const void *message)
{
    const schema_crypto_verify_query_t *asked = message;
    bucket_keys_signature_t kept = {.created_at = 0};
    bool is_kept = asked->signature_id.data != NULL;
    if (is_kept) {
        bus_err_t err = bucket_keys_public_signature(query->txn, asked->signature_id, &kept);
        if (err != BUS_OK) {
            return err;
        }
    } else if (asked->signature.data == NULL) {
        return refuse_field(query, "signature", "or a signature_id is wanted");
    }
    claim_t claim = {
        .data_hash = kept.data_hash,
        .signature = asked->signature.data != NULL ? asked->signature : kept.signature,
        .key_id = asked->key_id.data != NULL ? asked->key_id : kept.key_id,
    };
    char hash[BUCKET_KEYS_HASH_TEXT_SIZE + 1];
    bool is_given = asked->data.data != NULL || asked->data_hash.data != NULL;
    if (is_given || !is_kept) {
        if (!find_hash(asked->data, asked->data_hash, hash)) {
            return refuse_field(query, "data_hash", HASH_PROBLEM);
        }
        claim.data_hash = view_from_text(hash);
    }
    return answer_verified(query, &claim, asked->signature_id, is_kept ? &kept : NULL);
}

const service_query_row_t bucket_keys_queries[BUCKET_KEYS_QUERIES] = {
    {"list", NULL, query_list, "lists the signing keys"},
    {"show", &SCHEMA_crypto_key_query, query_show, "one key"},
    {"rotate", NULL, query_rotate, "a new key takes over; the owner's"},
    {"export_public", &SCHEMA_crypto_key_query, query_show, "one key, to verify with"},
    {"sign", &SCHEMA_crypto_sign_query, query_sign, "signs, and keeps the signature"},
    {"verify", &SCHEMA_crypto_verify_query, query_verify, "verifies a signature"},
};
