// audit_forget.c - letting go of entries after seven years, in the order that they came.
//
// What goes is the body and its index rows; the hash stays, so every proof holds as before. How
// many have gone is kept, and an entry of its own says each time which went: a body that is missing
// beyond that was taken.
#include "audit.h"

#include "audit_entry.h"
#include "index.h"

#define DAY_US UINT64_C(86400000000)
#define KEPT_US (CHANNEL_RETENTION_DAYS_MAX * DAY_US) // seven years
#define FORGOTTEN_KEY VIEW_LITERAL("audit_forgotten")

enum {
    PROBE_MAX = 16, // damaged entries in a row that may hide how old they are
};

bus_err_t
bucket_audit_forgotten(store_txn_t *txn, uint64_t *ret_count)
{
    bus_view_t value;
    bus_err_t err = store_get(txn, BUCKET_TOTALS, FORGOTTEN_KEY, &value);
    if (err == BUS_NOT_FOUND || err == BUS_CORRUPT) {
        *ret_count = 0; // what is missing then is named
        return BUS_OK;
    }
    if (err == BUS_OK && value.size == sizeof *ret_count) {
        memcpy(ret_count, value.data, sizeof *ret_count);
    }
    return err;
}

// Whether the entry is older than `before`. A damaged one is as old as the next that can be read.
static bool
is_old(store_txn_t *txn, uint64_t index, uint64_t size, uint64_t before)
{
    for (uint64_t i = index; i < size && i < index + PROBE_MAX; i++) {
        bus_view_t leaf;
        bucket_audit_entry_t entry;
        if (store_get(txn, BUCKET_AUDIT, STORE_U64(i), &leaf) == BUS_OK &&
            bucket_audit_entry_read(leaf, &entry) == BUS_OK) {
            return entry.at < before;
        }
    }
    return false;
}

static bus_err_t
remove_row(store_txn_t *txn, bucket_index_kind_t kind, bus_view_t value, uint64_t index)
{
    if (value.size == 0 || value.size > BUCKET_INDEX_VALUE_MAX) {
        return BUS_OK;
    }
    bus_err_t err = bucket_index_remove(txn, kind, value, index);
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

// Removes the index rows of an entry that can be read; its values lie in the store, which writes.
static bus_err_t
remove_rows(service_apply_t *apply, uint64_t index)
{
    bucket_state_t *state = apply->state;
    bus_view_t leaf;
    bucket_audit_entry_t entry;
    if (store_get(apply->txn, BUCKET_AUDIT, STORE_U64(index), &leaf) != BUS_OK) {
        return BUS_OK;
    }
    pack_clear(state->scratch);
    pack_raw(state->scratch, leaf);
    if (bucket_audit_entry_read(pack_view(state->scratch), &entry) != BUS_OK) {
        return BUS_OK;
    }
    bus_err_t err = remove_row(apply->txn, BUCKET_INDEX_AUDIT_TYPE, entry.event_type, index);
    if (err == BUS_OK) {
        err = remove_row(apply->txn, BUCKET_INDEX_AUDIT_PRODUCT, entry.product, index);
    }
    if (err == BUS_OK && !view_is(entry.severity, "INFO")) {
        err = remove_row(apply->txn, BUCKET_INDEX_AUDIT_SEVERITY, entry.severity, index);
    }
    return err;
}

static bus_err_t
forget(service_apply_t *apply, uint64_t index)
{
    bus_err_t err = remove_rows(apply, index);
    if (err == BUS_OK) {
        err = store_del(apply->txn, BUCKET_AUDIT, STORE_U64(index));
    }
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

// Says which went.
static bus_err_t
conclude(service_apply_t *apply, uint64_t from, uint64_t to)
{
    bus_err_t err = store_put(apply->txn, BUCKET_TOTALS, FORGOTTEN_KEY, view_from(&to, sizeof to));
    if (err != BUS_OK) {
        return err;
    }
    BUS_AUTO(pack_destroy) pack_t *details = pack_new();
    pack_map(details, 2);
    pack_pair_uint(details, "from", from);
    pack_pair_uint(details, "to", to);
    const bucket_audit_t entry = {
        .event_type = "retention",
        .operation = "audit_forget",
        .rule = "audit_retention",
        .details = pack_view(details),
    };
    bucket_audit_place_t place;
    return bucket_audit_add(apply, &entry, &place);
}

static uint64_t
seven_years_before(uint64_t now)
{
    return now > KEPT_US ? now - KEPT_US : 0;
}

bool
bucket_audit_is_due(store_txn_t *txn, uint64_t now)
{
    uint64_t first = 0;
    uint64_t size = 0;
    return bucket_audit_forgotten(txn, &first) == BUS_OK &&
           bucket_audit_size(txn, &size) == BUS_OK &&
           is_old(txn, first, size, seven_years_before(now));
}

bus_err_t
bucket_audit_forget(service_apply_t *apply, unsigned count_max)
{
    uint64_t before = seven_years_before(apply->header->at);
    uint64_t from = 0;
    uint64_t size = 0;
    bus_err_t err = bucket_audit_forgotten(apply->txn, &from);
    if (err == BUS_OK) {
        err = bucket_audit_size(apply->txn, &size);
    }
    uint64_t to = from;
    while (err == BUS_OK && to - from < count_max && is_old(apply->txn, to, size, before)) {
        err = forget(apply, to);
        to++;
    }
    return err == BUS_OK && to > from ? conclude(apply, from, to) : err;
}
