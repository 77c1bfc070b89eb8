// keys_public.c - public halves and signatures: what the journal says of keys, kept and audited.
//
// All of it is state, made of records alone. Who says such facts is looked at first: keys are
// Bucket's own, and a signature is kept only where it verifies.
#include "audit.h"
#include "governance.h"
#include "keys_self.h"
#include "proto/walk.h"
#include "runtime/owner.h"

#include <stdlib.h>

#define OWN_SOURCE "bhiv_bucket"

// --- Reading -------------------------------------------------------------------------------------

static bool
get_text(bus_view_t map, const char *key, bus_view_t *ret_text)
{
    bus_view_t value;
    return walk_find(map, key, &value) == BUS_OK && walk_as_str(value, ret_text) == BUS_OK;
}

static bool
get_uint(bus_view_t map, const char *key, uint64_t *ret_number)
{
    bus_view_t value;
    return walk_find(map, key, &value) == BUS_OK && walk_as_uint(value, ret_number) == BUS_OK;
}

static bool
read_key(bus_view_t text, uint8_t ret_key[NOTE_KEY_SIZE])
{
    size_t size = 0;
    return text.size == BUCKET_KEYS_PUBLIC_TEXT_SIZE &&
           note_unbase64(text, ret_key, NOTE_KEY_SIZE, &size) == BUS_OK && size == NOTE_KEY_SIZE;
}

static bus_err_t
decode(bus_view_t key_id, bus_view_t value, bucket_keys_public_t *ret_key)
{
    *ret_key = (bucket_keys_public_t){.key_id = key_id};
    bus_view_t text = VIEW_NONE;
    bool is_whole = get_text(value, "name", &ret_key->name) &&
                    get_text(value, "public_key", &text) && read_key(text, ret_key->key) &&
                    get_uint(value, "created_at", &ret_key->created_at) &&
                    get_uint(value, "retired_at", &ret_key->retired_at);
    if (!get_text(value, "replaces", &ret_key->replaces)) {
        ret_key->replaces = VIEW_NONE;
    }
    return is_whole ? BUS_OK : BUS_CORRUPT;
}

bus_err_t
bucket_keys_public_find(store_txn_t *txn, bus_view_t key_id, bucket_keys_public_t *ret_key)
{
    bus_view_t value;
    if (key_id.size == 0 || key_id.size > STORE_KEY_SIZE_MAX) {
        return BUS_KEY_NOT_FOUND;
    }
    bus_err_t err = store_get(txn, BUCKET_PUBLIC_KEYS, key_id, &value);
    if (err != BUS_OK) {
        return err == BUS_NOT_FOUND ? BUS_KEY_NOT_FOUND : err;
    }
    return decode(key_id, value, ret_key);
}

static int
compare_ages(const void *a_, const void *b_)
{
    const bucket_keys_public_t *a = a_;
    const bucket_keys_public_t *b = b_;
    return a->created_at < b->created_at ? -1 : a->created_at > b->created_at;
}

bus_err_t
bucket_keys_public_list(store_txn_t *txn,
                        bucket_keys_public_t ret_keys[BUCKET_KEYS_MAX],
                        size_t *ret_count)
{
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_view_t key, value;
    size_t count = 0;
    bus_err_t err = store_cursor_open(txn, BUCKET_PUBLIC_KEYS, &cursor);
    err = err == BUS_OK ? store_first(cursor, &key, &value) : err;
    while ((err == BUS_OK || err == BUS_CORRUPT) && count < BUCKET_KEYS_MAX) {
        if (err == BUS_OK && decode(key, value, &ret_keys[count]) == BUS_OK) {
            count++;
        }
        err = store_next(cursor, &key, &value);
    }
    if (err != BUS_OK && err != BUS_NOT_FOUND) {
        return err;
    }
    qsort(ret_keys, count, sizeof ret_keys[0], compare_ages);
    *ret_count = count;
    return BUS_OK;
}

bus_err_t
bucket_keys_public_signature(store_txn_t *txn,
                             bus_view_t signature_id,
                             bucket_keys_signature_t *ret_signature)
{
    bus_view_t value;
    bus_err_t err = store_get(txn, BUCKET_SIGNATURES, signature_id, &value);
    if (err != BUS_OK) {
        return err;
    }
    *ret_signature = (bucket_keys_signature_t){.created_at = 0};
    bool is_whole = get_text(value, "data_hash", &ret_signature->data_hash) &&
                    get_text(value, "key_id", &ret_signature->key_id) &&
                    get_text(value, "signature", &ret_signature->signature) &&
                    get_uint(value, "created_at", &ret_signature->created_at);
    if (!get_text(value, "requester_id", &ret_signature->requester_id)) {
        ret_signature->requester_id = VIEW_NONE;
    }
    return is_whole ? BUS_OK : BUS_CORRUPT;
}

// --- Writing -------------------------------------------------------------------------------------

static bus_err_t
put(store_txn_t *txn, const bucket_keys_public_t *key)
{
    BUS_AUTO(text_destroy) text_t *text = text_new();
    BUS_AUTO(pack_destroy) pack_t *row = pack_new();
    note_base64(view_from(key->key, sizeof key->key), text);
    pack_map(row, 5);
    pack_pair_str(row, "name", key->name);
    pack_pair_str(row, "public_key", text_view(text));
    pack_pair_uint(row, "created_at", key->created_at);
    pack_pair_uint(row, "retired_at", key->retired_at);
    pack_pair_str(row, "replaces", key->replaces);
    return store_put(txn, BUCKET_PUBLIC_KEYS, key->key_id, pack_view(row));
}

// The facts are ours alone. BUS_OK, or what it was refused with.
static bus_err_t
require_own(service_apply_t *apply, const char *operation)
{
    if (view_is(apply->header->source, OWN_SOURCE)) {
        return BUS_OK;
    }
    const bucket_refusal_t refusal = {
        .err = refusal_not_yours.err,
        .message = refusal_not_yours.message,
        .operation = operation,
        .rule = refusal_not_yours.rule,
        .violation = refusal_not_yours.violation,
        .threat = refusal_not_yours.threat,
    };
    return bucket_governance_refuse(apply, &refusal);
}

static bus_err_t
refuse(service_apply_t *apply, bus_err_t why, const char *operation, const char *message)
{
    const bucket_refusal_t refusal = {.err = why, .message = message, .operation = operation};
    return bucket_governance_refuse(apply, &refusal);
}

static bus_err_t
audit(service_apply_t *apply, const char *operation, bus_view_t key_id, bus_view_t details)
{
    const bucket_audit_t entry = {
        .event_type = "key",
        .operation = operation,
        .subject = key_id,
        .details = details,
    };
    bucket_audit_place_t place;
    return bucket_audit_add(apply, &entry, &place);
}

// For a record being applied: one damaged key is a conflict with what is there, and no reason to
// undo the batch.
static bus_err_t
find(store_txn_t *txn, bus_view_t key_id, bucket_keys_public_t *ret_key)
{
    bus_err_t err = bucket_keys_public_find(txn, key_id, ret_key);
    return err == BUS_CORRUPT ? BUS_CONFLICT : err;
}

// The key that `replaces` names is to retire, where it has not.
static bus_err_t
retire(service_apply_t *apply, bus_view_t replaces, bus_view_t key_id)
{
    bucket_keys_public_t old;
    bus_err_t err = find(apply->txn, replaces, &old);
    if (err == BUS_KEY_NOT_FOUND || err == BUS_CONFLICT || (err == BUS_OK && old.retired_at != 0)) {
        return BUS_OK;
    }
    if (err != BUS_OK) {
        return err;
    }
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 2);
    pack_pair_str(body, "key_id", replaces);
    pack_pair_str(body, "replaced_by", key_id);
    return service_say(apply, "crypto.key.retired", pack_view(body));
}

// What is wrong with it, or NULL.
static const char *
problem_of(const schema_key_created_t *created, uint8_t ret_key[NOTE_KEY_SIZE])
{
    char id[BUCKET_KEYS_ID_SIZE];
    note_verifier_t verifier;
    if (!read_key(created->public_key, ret_key)) {
        return "public_key is no base64 of 32 bytes";
    }
    bucket_keys_id(ret_key, id);
    if (!view_is(created->key_id, id)) {
        return "key_id is not that of its public_key";
    }
    return note_verifier_make(created->name, ret_key, &verifier) == BUS_OK
               ? NULL
               : "name is no signer's name";
}

// In memory: the first key names the log, and the key that was waiting takes over.
static void
take_over(bucket_keys_t *keys, bus_view_t key_id, bus_view_t name, bool is_first)
{
    if (is_first) {
        bucket_keys_rename(keys, name);
    }
    if (keys->next.secret != NULL && view_is(key_id, keys->next.id)) {
        (void) bucket_keys_promote(keys);
    }
}

// The owner's command that had it made cannot be used again. A rotation goes by the wall clock, the
// owner's other commands by the journal's: one that is too far ahead of it must not outrun them.
static bus_err_t
use_up(service_apply_t *apply, const schema_key_created_t *created)
{
    bucket_state_t *state = apply->state;
    uint64_t signed_at = created->signed_at.has ? (uint64_t) created->signed_at.value : 0;
    if (signed_at <= state->totals.owner_at || signed_at > apply->header->at + OWNER_WINDOW_US) {
        return BUS_OK;
    }
    state->totals.owner_at = signed_at;
    return bucket_tables_save(apply->txn, &state->totals);
}

// Whether there is a place for this key. BUS_OK: put it; BUS_CONFLICT, having refused it.
static bus_err_t
check_place(service_apply_t *apply, const char *operation, uint64_t *ret_count)
{
    bus_err_t err = store_count(apply->txn, BUCKET_PUBLIC_KEYS, ret_count);
    if (err == BUS_OK && *ret_count >= BUCKET_KEYS_MAX) {
        return refuse(apply, BUS_CONFLICT, operation, "there are too many keys");
    }
    return err;
}

bus_err_t
bucket_keys_created(service_apply_t *apply, const void *message)
{
    static const char operation[] = "crypto.key.created";
    const schema_key_created_t *created = message;
    bucket_state_t *state = apply->state;
    bus_err_t err = require_own(apply, operation);
    if (err != BUS_OK) {
        return err;
    }
    bucket_keys_public_t known;
    bucket_keys_public_t key = {
        .key_id = created->key_id,
        .name = created->name,
        .replaces = created->replaces.size > 0 ? created->replaces : VIEW_NONE,
        .created_at = apply->header->at,
    };
    const char *problem = problem_of(created, key.key);
    if (problem != NULL) {
        return refuse(apply, BUS_VALIDATION_FAILED, operation, problem);
    }
    err = find(apply->txn, created->key_id, &known);
    if (err != BUS_KEY_NOT_FOUND) {
        return err; // BUS_OK: it was said once more than was needed
    }
    uint64_t count = 0;
    err = check_place(apply, operation, &count);
    err = err == BUS_OK ? put(apply->txn, &key) : err;
    err = err == BUS_OK ? audit(apply, operation, key.key_id, apply->body) : err;
    if (err == BUS_OK && key.replaces.data != NULL) {
        err = retire(apply, key.replaces, key.key_id);
    }
    err = err == BUS_OK ? use_up(apply, created) : err;
    if (err == BUS_OK && state->keys != NULL) {
        take_over(state->keys, key.key_id, key.name, count == 0);
    }
    return err;
}

bus_err_t
bucket_keys_retired(service_apply_t *apply, const void *message)
{
    static const char operation[] = "crypto.key.retired";
    const schema_key_retired_t *retired = message;
    bus_err_t err = require_own(apply, operation);
    if (err != BUS_OK) {
        return err;
    }
    bucket_keys_public_t key;
    err = find(apply->txn, retired->key_id, &key);
    if (err == BUS_KEY_NOT_FOUND || err == BUS_CONFLICT) {
        return refuse(apply, err, operation, NULL);
    }
    if (err != BUS_OK || key.retired_at != 0) {
        return err;
    }
    key.retired_at = apply->header->at;
    err = put(apply->txn, &key);
    return err == BUS_OK ? audit(apply, operation, retired->key_id, apply->body) : err;
}

static bus_err_t
put_signature(service_apply_t *apply, const schema_crypto_signature_t *said)
{
    BUS_AUTO(pack_destroy) pack_t *row = pack_new();
    pack_map(row, 6);
    pack_pair_str(row, "data_hash", said->data_hash);
    pack_pair_str(row, "key_id", said->key_id);
    pack_pair_str(row, "signature", said->signature);
    pack_pair_uint(row,
                   "created_at",
                   said->created_at.has ? (uint64_t) said->created_at.value : apply->header->at);
    pack_pair_str(row, "requester_id", said->requester_id);
    pack_pair_bool(row, "verified", true);
    return store_put(apply->txn, BUCKET_SIGNATURES, said->signature_id, pack_view(row));
}

static bus_err_t
audit_signature(service_apply_t *apply, const schema_crypto_signature_t *said)
{
    BUS_AUTO(pack_destroy) pack_t *details = pack_new();
    pack_map(details, 2);
    pack_pair_str(details, "key_id", said->key_id);
    pack_pair_str(details, "data_hash", said->data_hash);
    const bucket_audit_t entry = {
        .event_type = "key",
        .operation = "crypto.signature",
        .requester_id = said->requester_id.size > 0 ? said->requester_id : VIEW_NONE,
        .subject = said->signature_id,
        .details = pack_view(details),
    };
    bucket_audit_place_t place;
    return bucket_audit_add(apply, &entry, &place);
}

bus_err_t
bucket_keys_signature(service_apply_t *apply, const void *message)
{
    static const char operation[] = "crypto.signature";
    const schema_crypto_signature_t *said = message;
    bus_err_t err = require_own(apply, operation);
    if (err != BUS_OK) {
        return err;
    }
    bucket_keys_public_t key;
    err = find(apply->txn, said->key_id, &key);
    if (err == BUS_KEY_NOT_FOUND || err == BUS_CONFLICT) {
        return refuse(apply, err, operation, NULL);
    }
    if (err != BUS_OK) {
        return err;
    }
    if (!bucket_keys_verify_hash(key.key, said->data_hash, said->signature)) {
        return refuse(apply, BUS_VALIDATION_FAILED, operation, "the signature is not good");
    }
    bus_view_t old;
    err = store_get(apply->txn, BUCKET_SIGNATURES, said->signature_id, &old);
    if (err == BUS_OK || err == BUS_CORRUPT) {
        return refuse(apply, BUS_CONFLICT, operation, "there is a signature of this id");
    }
    err = err == BUS_NOT_FOUND ? put_signature(apply, said) : err;
    return err == BUS_OK ? audit_signature(apply, said) : err;
}
