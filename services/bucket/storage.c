// storage.c - whether the store has room for what callers want to be kept.
#include "storage.h"

#include "audit.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    FULL_PERCENT = 85, // the store itself refuses at 90: what lies between is for deletions
    ROOM_PERCENT = 80, // below it artifacts are taken again
    MAIL_SIZE = 512,
    THREAT_STORAGE = 1, // storage exhaustion
};

static bus_err_t
mail(service_apply_t *apply, const schema_bucket_storage_t *storage)
{
    char body[MAIL_SIZE];
    (void) snprintf(body,
                    sizeof body,
                    "%" PRId64 " of the %" PRId64 " bytes that Bucket's store may have are in use. "
                    "Artifacts are refused with STORE_FULL until something is deleted or Bucket is "
                    "started with more (--store-bytes).",
                    storage->held_bytes.value,
                    storage->map_bytes.value);
    return bucket_governance_mail(apply, "owner_email", "Bucket: the store is full", body);
}

bus_err_t
bucket_storage_apply(service_apply_t *apply, const void *message)
{
    const schema_bucket_storage_t *storage = message;
    bucket_state_t *state = apply->state;
    bool was_full = state->totals.full_since != 0;
    if (!view_is(apply->header->source, "bhiv_bucket") || storage->is_full.value == was_full) {
        return BUS_OK; // somebody else's word for it, or known
    }
    state->totals.full_since = storage->is_full.value ? apply->header->at : 0;
    bus_err_t err = bucket_tables_save(apply->txn, &state->totals);
    const bucket_audit_t entry = {
        .event_type = "governance",
        .operation = "storage",
        .rule = storage->is_full.value ? "store_full" : "store_has_room",
        .severity = storage->is_full.value ? "WARNING" : NULL,
        .details = apply->body,
    };
    bucket_audit_place_t place;
    if (err == BUS_OK) {
        err = bucket_audit_add(apply, &entry, &place);
    }
    return err == BUS_OK && storage->is_full.value ? mail(apply, storage) : err;
}

bus_err_t
bucket_storage_require(service_apply_t *apply, const bucket_refusal_t *asked)
{
    const bucket_state_t *state = apply->state;
    if (state->totals.full_since == 0) {
        return BUS_OK;
    }
    bucket_refusal_t refusal = *asked;
    refusal.err = BUS_FULL;
    refusal.message = "Bucket's store is full; deletions and reads go on";
    refusal.rule = "store_full";
    bus_err_t err = bucket_governance_count(apply, THREAT_STORAGE);
    return err == BUS_OK ? bucket_governance_refuse(apply, &refusal) : err;
}

void
bucket_storage_tick(service_query_t *query)
{
    const bucket_state_t *state = query->state;
    bool was_full = state->totals.full_since != 0;
    uint64_t map_bytes = 0;
    uint64_t held_bytes = 0;
    store_room(query->txn, &map_bytes, &held_bytes);
    uint64_t limit = map_bytes / 100 * (was_full ? ROOM_PERCENT : FULL_PERCENT);
    bool is_full = held_bytes >= limit;
    if (is_full == was_full) {
        return;
    }
    const schema_bucket_storage_t storage = {
        .is_full = {.has = true, .value = is_full},
        .held_bytes = {.has = true, .value = (int64_t) held_bytes},
        .map_bytes = {.has = true, .value = (int64_t) map_bytes},
    };
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    schema_encode(&SCHEMA_bucket_storage, &storage, body);
    // What is not said now is said by the next tick.
    bus_err_t err = service_query_say(query, "bucket.storage", pack_view(body));
    (void) err;
}
