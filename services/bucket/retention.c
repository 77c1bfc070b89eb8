// retention.c - sweeps: what goes, when, and when not.
//
// BUCKET_EXPIRIES holds a row for each artifact that a sweep has yet to decide on. A sweep takes
// the due ones: it removes them or, where they are held, audits that they stay and takes the row
// away, so that the next sweep does not meet them again; letting go puts it back. All of it is a
// function of the journal: the time is the sweep's own, given by the broker.
#include "retention.h"

#include "artifact_damage.h"
#include "artifact_store.h"
#include "audit.h"
#include "governance.h"
#include "proto/rfc3339.h"
#include "retention_decision.h"

#include <stdio.h>

#define DAY_US UINT64_C(86400000000)

enum {
    FORGET_MAX = 1000, // audit bodies of one sweep
    MAIL_SIZE = 512,
};

static const char nothing[] = "\x80"; // an empty map

typedef struct {
    uint64_t retention_until;
    uint64_t seq;
} due_t;

static bus_err_t
del_expiry(store_txn_t *txn, const due_t *due)
{
    bucket_artifact_expiry_t key;
    bucket_artifact_store_expiry(due->retention_until, due->seq, &key);
    bus_err_t err = store_del(txn, BUCKET_EXPIRIES, view_from(key.bytes, sizeof key.bytes));
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

static bus_err_t
audit_sweep(service_apply_t *apply, const bucket_artifact_t *artifact, bool is_removed)
{
    const bucket_retention_decision_t decision = {
        .event_type = "retention",
        .operation = "sweep",
        .rule = is_removed ? "retention_expired" : "legal_hold",
        .is_refused = !is_removed,
        .is_removed = is_removed,
    };
    bucket_audit_t entry;
    bucket_audit_place_t place;
    return bucket_retention_decision_audit(apply, &decision, artifact, &entry, &place);
}

// What cannot be read is not removed, and not met again.
static bus_err_t
give_up(service_apply_t *apply, const due_t *due, const char *what)
{
    const bucket_artifact_damage_t damage = {
        .operation = "sweep",
        .what = what,
        .product = CHANNEL_PRODUCT_COUNT,
        .seq = due->seq,
    };
    bus_err_t err = bucket_artifact_damage_alarm(apply, &damage);
    return err == BUS_OK ? del_expiry(apply->txn, due) : err;
}

static bus_err_t
sweep_one(service_apply_t *apply, const due_t *due, pack_t *buffer)
{
    bucket_artifact_t artifact;
    bus_err_t err = bucket_artifact_get(apply->txn, due->seq, &artifact);
    if (err == BUS_CORRUPT || err == BUS_ARTIFACT_NOT_FOUND) {
        return give_up(apply, due, "record");
    }
    if (err != BUS_OK) {
        return err;
    }
    if (artifact.row.removed_at != 0) {
        return del_expiry(apply->txn, due);
    }
    bucket_artifact_store_own(&artifact, buffer);
    if (artifact.row.is_held != 0) {
        err = audit_sweep(apply, &artifact, false);
        return err == BUS_OK ? del_expiry(apply->txn, due) : err;
    }
    bus_view_t tags[CHANNEL_TAGS_MAX];
    uint32_t tag_count = channel_tags(artifact.metadata, tags);
    err = bucket_artifact_store_check(apply->txn, artifact.row.product, tags, tag_count);
    if (err == BUS_CORRUPT) {
        return give_up(apply, due, "counter");
    }
    if (err == BUS_OK) {
        err = bucket_artifact_store_drop(apply, &artifact);
    }
    return err == BUS_OK ? audit_sweep(apply, &artifact, true) : err;
}

// The rows that are due before `now`, the oldest first. A row that fails its check has its key all
// the same: the artifact decides.
static bus_err_t
find_due(store_txn_t *txn, uint64_t now, size_t count_max, due_t *ret_due, size_t *ret_count)
{
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_err_t err = store_cursor_open(txn, BUCKET_EXPIRIES, &cursor);
    *ret_count = 0;
    if (err != BUS_OK) {
        return err;
    }
    bus_view_t key;
    bus_view_t value;
    err = store_first(cursor, &key, &value);
    while ((err == BUS_OK || err == BUS_CORRUPT) && *ret_count < count_max &&
           key.size == BUCKET_ARTIFACT_EXPIRY_SIZE) {
        due_t due;
        bucket_artifact_store_expiry_read(key, &due.retention_until, &due.seq);
        if (due.retention_until >= now) {
            return BUS_OK;
        }
        ret_due[(*ret_count)++] = due;
        err = store_next(cursor, &key, &value);
    }
    return err == BUS_IO ? err : BUS_OK;
}

bus_err_t
bucket_retention_sweep(service_apply_t *apply, const void *message BUS_UNUSED)
{
    bucket_state_t *state = apply->state;
    if (state->totals.held_since != 0) {
        return BUS_OK;
    }
    due_t due[BUCKET_SWEEP_MAX];
    size_t count;
    bus_err_t err = find_due(apply->txn, apply->header->at, BUCKET_SWEEP_MAX, due, &count);
    BUS_AUTO(pack_destroy) pack_t *buffer = pack_new();
    for (size_t i = 0; err == BUS_OK && i < count; i++) {
        err = sweep_one(apply, &due[i], buffer);
    }
    if (err == BUS_OK) {
        err = bucket_audit_forget(apply, FORGET_MAX);
    }
    if (err == BUS_OK && count == BUCKET_SWEEP_MAX) {
        err = service_say(apply, "bucket.sweep", view_from(nothing, 1));
    }
    return err;
}

// --- When ----------------------------------------------------------------------------------------

// The journal's clock jumped: what looks expired may not be. Sweeps wait for the owner.
bus_err_t
bucket_retention_clock(service_apply_t *apply, const void *message BUS_UNUSED)
{
    bucket_state_t *state = apply->state;
    if (!view_is(apply->header->source, "$bus") || state->totals.held_since != 0) {
        return BUS_OK; // somebody else's word for it, or known
    }
    state->totals.held_since = apply->header->at;
    bus_err_t err = bucket_tables_save(apply->txn, &state->totals);
    const bucket_audit_t entry = {
        .event_type = "retention",
        .operation = "clock_ahead",
        .rule = "sweeps_wait_for_owner",
        .severity = "WARNING",
        .details = apply->body,
    };
    bucket_audit_place_t place;
    if (err == BUS_OK) {
        err = bucket_audit_add(apply, &entry, &place);
    }
    if (err != BUS_OK) {
        return err;
    }
    char at[RFC3339_SIZE];
    rfc3339_format(apply->header->at, at);
    char body[MAIL_SIZE];
    (void) snprintf(
        body,
        sizeof body,
        "At %s the bus started more than a day after its last record. Nothing is "
        "removed by retention until the clock was looked at and bucket.retention.resume "
        "is said with the owner's credential.",
        at);
    return bucket_governance_mail(apply, "owner_email", "Bucket: the clock jumped", body);
}

void
bucket_retention_tick(service_query_t *query)
{
    bucket_state_t *state = query->state;
    uint64_t now = query->header->at;
    due_t due;
    size_t count = 0;
    if (state->totals.held_since != 0 || find_due(query->txn, now, 1, &due, &count) != BUS_OK) {
        return;
    }
    // Artifacts as soon as they are due; old audit entries once a day.
    bool is_day_over = state->swept_at == 0 || now - state->swept_at >= DAY_US;
    if (count == 0 && !(is_day_over && bucket_audit_is_due(query->txn, now))) {
        return;
    }
    // The harness asks again only when it has seen this one applied: never two at a time.
    if (service_query_say(query, "bucket.sweep", view_from(nothing, 1)) == BUS_OK) {
        state->swept_at = now;
    }
}
