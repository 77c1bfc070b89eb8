// audit_places.c - from a record's seq to its leaves: one look for the first, then those behind it
// that name the same record.
#include "audit_places.h"

#include "audit.h"
#include "audit_entry.h"
#include "proto/walk.h"

#include <inttypes.h>
#include <stdio.h>

enum { ENTRIES_MAX = 16 }; // of one record, followed

typedef struct {
    store_txn_t *txn;
    pack_t *out;
    uint64_t size;  // of the log
    uint32_t count; // of places
    bool truncated;
} listing_t;

static uint32_t
pack_known(bus_view_t leaf, pack_t *out)
{
    static const char *const keys[] = {"operation", "decision", "rule", "error_code", "severity"};
    uint32_t count = 0;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        bus_view_t value;
        if (walk_find(leaf, keys[i], &value) == BUS_OK) {
            pack_pair_raw(out, keys[i], value);
            count++;
        }
    }
    return count;
}

// Packs one place; `leaf` may be absent.
static void
add_place(listing_t *self, uint64_t seq, uint64_t number, uint64_t index, bus_view_t leaf)
{
    char audit_id[BUCKET_AUDIT_ID_SIZE];
    if (number == 0) {
        (void) snprintf(audit_id, sizeof audit_id, "audit_%" PRIu64, seq);
    } else {
        (void) snprintf(audit_id, sizeof audit_id, "audit_%" PRIu64 ".%" PRIu64, seq, number);
    }
    size_t map = pack_map_begin(self->out);
    pack_pair_uint(self->out, "seq", seq);
    pack_pair_text(self->out, "audit_id", audit_id);
    pack_pair_uint(self->out, "leaf_index", index);
    pack_count(self->out, map, 3 + (leaf.data == NULL ? 0 : pack_known(leaf, self->out)));
    self->count++;
}

static bus_err_t
list_seq(listing_t *self, uint64_t seq)
{
    char audit_id[BUCKET_AUDIT_ID_SIZE];
    int size = snprintf(audit_id, sizeof audit_id, "audit_%" PRIu64, seq);
    uint64_t first;
    bus_err_t err = bucket_audit_find(self->txn, view_from(audit_id, (size_t) size), &first);
    if (err != BUS_OK) {
        return err == BUS_AUDIT_ENTRY_NOT_FOUND || err == BUS_CORRUPT ? BUS_OK : err;
    }
    for (uint64_t number = 0; number < ENTRIES_MAX && first + number < self->size; number++) {
        bus_view_t leaf = VIEW_NONE;
        bucket_audit_entry_t entry = {.seq = 0};
        err = bucket_audit_leaf(self->txn, first + number, &leaf);
        if (err == BUS_IO) {
            return err;
        }
        bool is_read = err == BUS_OK && bucket_audit_entry_read(leaf, &entry) == BUS_OK;
        if (number > 0 && (!is_read || entry.seq != seq)) {
            break;
        }
        if (self->count == BUCKET_AUDIT_PLACES_MAX) {
            self->truncated = true;
            break;
        }
        add_place(self, seq, number, first + number, is_read ? leaf : VIEW_NONE);
    }
    return BUS_OK;
}

bus_err_t
bucket_audit_places_query(service_query_t *query, const void *message)
{
    const schema_audit_places_query_t *asked = message;
    listing_t listing = {.txn = query->txn, .out = query->answer};
    walk_t walk = walk_from(asked->seqs);
    walk_item_t item;
    bus_err_t err = walk_next(&walk, &item);
    if (err != BUS_OK || item.count > BUCKET_AUDIT_PLACES_SEQS_MAX) {
        return service_query_refuse(
            query, BUS_VALIDATION_FAILED, "seqs has more than 2000 of them", VIEW_NONE);
    }
    err = bucket_audit_size(query->txn, &listing.size);
    pack_map(query->answer, 2);
    pack_text(query->answer, "places");
    size_t place = pack_array_begin(query->answer);
    uint32_t left = item.count;
    for (; err == BUS_OK && left > 0; left--) {
        if (walk_next(&walk, &item) != BUS_OK || item.type != WALK_INT || item.integer < 1) {
            pack_clear(query->answer);
            return service_query_refuse(
                query, BUS_VALIDATION_FAILED, "seqs holds something that is no seq", VIEW_NONE);
        }
        err = list_seq(&listing, (uint64_t) item.integer);
    }
    pack_count(query->answer, place, listing.count);
    pack_pair_bool(query->answer, "truncated", listing.truncated);
    return err;
}
