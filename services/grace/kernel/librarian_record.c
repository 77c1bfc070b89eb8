// librarian_record.c - what the librarian knows of documents. See librarian_record.h.
//
// A fact takes the place of what was known of its document: first all that led to the old row goes,
// then the new one comes. A damaged row is as good as none.
#include "librarian_record.h"

#include "proto/walk.h"

#include <assert.h>

#define TOTALS_KEY VIEW_LITERAL("totals")
#define SOURCE "kernel-librarian"

enum { DOCUMENT_ID_MAX = 128 };

const store_table_t kernel_librarian_tables[KERNEL_LIBRARIAN_TABLE_COUNT] = {
    [KERNEL_LIBRARIAN_DOCUMENTS] = {"documents", STORE_KEYS_BYTES, true, "document_id -> row"},
    [KERNEL_LIBRARIAN_HASHES] = {"hashes", STORE_KEYS_BYTES, true, "sha256 -> document_id"},
    [KERNEL_LIBRARIAN_LOW] = {"low", STORE_KEYS_UINT64, true, "seq -> fact with its text"},
    [KERNEL_LIBRARIAN_REJECTED] = {"rejected", STORE_KEYS_UINT64, true, "seq -> document_id"},
    [KERNEL_LIBRARIAN_TOTALS] = {"totals", STORE_KEYS_BYTES, true, "counts and sums"},
};

// --- Reading -------------------------------------------------------------------------------------

bus_err_t
kernel_librarian_record_get(store_txn_t *txn,
                            bus_view_t document_id,
                            schema_librarian_document_t *ret_row)
{
    bus_view_t value;
    schema_problems_t problems;
    bus_err_t err = store_get(txn, KERNEL_LIBRARIAN_DOCUMENTS, document_id, &value);
    if (err == BUS_OK &&
        schema_decode(&SCHEMA_librarian_document, value, ret_row, &problems) != BUS_OK) {
        err = BUS_CORRUPT;
    }
    return err;
}

bus_err_t
kernel_librarian_record_find(store_txn_t *txn, bus_view_t sha256, bus_view_t *ret_document_id)
{
    bus_err_t err = store_get(txn, KERNEL_LIBRARIAN_HASHES, sha256, ret_document_id);
    if (err != BUS_OK) {
        return err;
    }
    bool is_id = ret_document_id->size > 0 && ret_document_id->size <= DOCUMENT_ID_MAX;
    return is_id ? BUS_OK : BUS_CORRUPT;
}

bus_err_t
kernel_librarian_record_totals(store_txn_t *txn, kernel_librarian_totals_t *ret_totals)
{
    bus_view_t value;
    *ret_totals = (kernel_librarian_totals_t){.accepted = 0};
    bus_err_t err = store_get(txn, KERNEL_LIBRARIAN_TOTALS, TOTALS_KEY, &value);
    if (err == BUS_OK && value.size == sizeof *ret_totals) {
        memcpy(ret_totals, value.data, sizeof *ret_totals);
    }
    return store_forgive(err);
}

// --- A change ------------------------------------------------------------------------------------

typedef struct {
    store_txn_t *txn;
    const header_t *header;
    kernel_librarian_totals_t totals;
    pack_t *copy; // of a row that was read: its views survive writes
} change_t;

static void
less(uint64_t *total, uint64_t by)
{
    *total -= *total > by ? by : *total; // one that was damaged may know of fewer
}

static uint64_t *
total_of(change_t *self, bus_view_t status)
{
    return view_is(status, "accepted")   ? &self->totals.accepted
           : view_is(status, "rejected") ? &self->totals.rejected
                                         : &self->totals.joined;
}

static uint64_t
thousandths(schema_real_t score)
{
    return (uint64_t) (score.value * 1000 + 0.5);
}

static void
count_row(change_t *self, const schema_librarian_document_t *row, bool comes)
{
    bool counts = view_is(row->status, "accepted");
    if (comes) {
        ++*total_of(self, row->status);
        self->totals.quality += counts ? thousandths(row->quality_score) : 0;
    } else {
        less(total_of(self, row->status), 1);
        less(&self->totals.quality, counts ? thousandths(row->quality_score) : 0);
    }
}

// The row as it is, in memory of our own. BUS_NOT_FOUND, too, where it is damaged.
static bus_err_t
load(change_t *self, bus_view_t document_id, schema_librarian_document_t *ret_row)
{
    bus_view_t value;
    schema_problems_t problems;
    bus_err_t err = store_get(self->txn, KERNEL_LIBRARIAN_DOCUMENTS, document_id, &value);
    if (err != BUS_OK) {
        return err == BUS_CORRUPT ? BUS_NOT_FOUND : err;
    }
    pack_clear(self->copy);
    pack_raw(self->copy, value);
    err = schema_decode(&SCHEMA_librarian_document, pack_view(self->copy), ret_row, &problems);
    return err == BUS_OK ? BUS_OK : BUS_NOT_FOUND;
}

static bus_err_t
put_row(change_t *self, bus_view_t document_id, const schema_librarian_document_t *row)
{
    BUS_AUTO(pack_destroy) pack_t *packed = pack_new();
    schema_encode(&SCHEMA_librarian_document, row, packed);
    return store_put(self->txn, KERNEL_LIBRARIAN_DOCUMENTS, document_id, pack_view(packed));
}

static bus_err_t
drop_low(change_t *self, uint64_t place)
{
    bus_view_t value = VIEW_NONE;
    bus_err_t err = store_get(self->txn, KERNEL_LIBRARIAN_LOW, STORE_U64(place), &value);
    if (err == BUS_OK) {
        less(&self->totals.low_bytes, value.size);
    }
    return err == BUS_OK || err == BUS_CORRUPT
               ? store_forgive(store_del(self->txn, KERNEL_LIBRARIAN_LOW, STORE_U64(place)))
               : store_forgive(err);
}

// All that leads to a row goes; the row itself is its caller's. `keeps_low`: but its text.
static bus_err_t
unlead(change_t *self,
       bus_view_t document_id,
       const schema_librarian_document_t *row,
       bool keeps_low)
{
    bus_view_t owner;
    bus_err_t err = kernel_librarian_record_find(self->txn, row->sha256, &owner);
    if (err == BUS_OK && view_equal(owner, document_id)) {
        err = store_del(self->txn, KERNEL_LIBRARIAN_HASHES, row->sha256);
    }
    err = store_forgive(err);
    if (err == BUS_OK && view_is(row->status, "rejected")) {
        err = store_forgive(
            store_del(self->txn, KERNEL_LIBRARIAN_REJECTED, STORE_U64((uint64_t) row->seq.value)));
    }
    if (err == BUS_OK && row->low.value > 0 && !keeps_low) {
        err = drop_low(self, (uint64_t) row->low.value);
    }
    count_row(self, row, false);
    return err;
}

static bus_err_t
forget(change_t *self, bus_view_t document_id)
{
    schema_librarian_document_t row;
    bus_err_t err = load(self, document_id, &row);
    if (err == BUS_OK) {
        err = unlead(self, document_id, &row, false);
    }
    return err == BUS_OK
               ? store_forgive(store_del(self->txn, KERNEL_LIBRARIAN_DOCUMENTS, document_id))
               : store_forgive(err);
}

static bus_err_t
save_totals(change_t *self)
{
    return store_put(self->txn,
                     KERNEL_LIBRARIAN_TOTALS,
                     TOTALS_KEY,
                     view_from(&self->totals, sizeof self->totals));
}

// --- Bounds --------------------------------------------------------------------------------------

// The first place of a table of places, and what stands there, absent where that is damaged.
// BUS_NOT_FOUND, BUS_IO.
static bus_err_t
find_oldest(change_t *self, unsigned table, uint64_t *ret_place, bus_view_t *ret_value)
{
    bus_err_t err = store_lowest(self->txn, table, ret_place);
    *ret_value = VIEW_NONE;
    if (err == BUS_OK) {
        err = store_get(self->txn, table, STORE_U64(*ret_place), ret_value);
    }
    if (err == BUS_CORRUPT) {
        *ret_value = VIEW_NONE;
        err = BUS_OK;
    }
    return err;
}

// Copies an id out of the store. "" where it is damaged.
static bus_view_t
copy_id(bus_view_t id, char copy[DOCUMENT_ID_MAX])
{
    size_t size = id.data != NULL && id.size <= DOCUMENT_ID_MAX ? id.size : 0;
    if (size > 0) {
        memcpy(copy, id.data, size);
    }
    return view_from(copy, size);
}

static bus_err_t
forget_oldest_rejected(change_t *self)
{
    char copy[DOCUMENT_ID_MAX];
    uint64_t place;
    bus_view_t value;
    bus_err_t err = find_oldest(self, KERNEL_LIBRARIAN_REJECTED, &place, &value);
    if (err != BUS_OK) {
        return store_forgive(err);
    }
    bus_view_t id = copy_id(value, copy);
    if (id.size > 0) {
        err = forget(self, id);
    }
    return err == BUS_OK
               ? store_forgive(store_del(self->txn, KERNEL_LIBRARIAN_REJECTED, STORE_U64(place)))
               : err;
}

// The document stays; only it can no longer be mended.
static bus_err_t
give_up_oldest_low(change_t *self)
{
    char copy[DOCUMENT_ID_MAX];
    uint64_t place;
    bus_view_t value;
    schema_librarian_document_t row;
    bus_err_t err = find_oldest(self, KERNEL_LIBRARIAN_LOW, &place, &value);
    if (err != BUS_OK) {
        return store_forgive(err);
    }
    bus_view_t id = copy_id(walk_text_at(value, "document_id"), copy);
    err = drop_low(self, place);
    if (err == BUS_OK && id.size > 0) {
        err = load(self, id, &row);
        if (err == BUS_OK && row.low.value == (int64_t) place) {
            row.low.value = 0;
            err = put_row(self, id, &row);
        }
    }
    return store_forgive(err);
}

static bus_err_t
keep_bounds(change_t *self)
{
    uint64_t rejected;
    uint64_t low = 0;
    bus_err_t err = store_count(self->txn, KERNEL_LIBRARIAN_REJECTED, &rejected);
    if (err == BUS_OK && rejected > KERNEL_LIBRARIAN_REJECTED_MAX) {
        err = forget_oldest_rejected(self);
    }
    if (err == BUS_OK) {
        err = store_count(self->txn, KERNEL_LIBRARIAN_LOW, &low);
    }
    while (err == BUS_OK && low > 1 &&
           (low > KERNEL_LIBRARIAN_LOW_MAX ||
            self->totals.low_bytes > KERNEL_LIBRARIAN_LOW_BYTES_MAX)) {
        err = give_up_oldest_low(self);
        low--;
    }
    return err;
}

// --- Facts ---------------------------------------------------------------------------------------

static bus_err_t
begin(change_t *self, service_apply_t *apply, pack_t *copy)
{
    *self = (change_t){.txn = apply->txn, .header = apply->header, .copy = copy};
    return kernel_librarian_record_totals(apply->txn, &self->totals);
}

// What was known of the document goes. *ret_low: its place among the low ones, where it stays.
static bus_err_t
replace(change_t *self, const schema_kb_ingested_t *fact, int64_t *ret_low)
{
    schema_librarian_document_t was;
    *ret_low = 0;
    bus_err_t err = load(self, fact->document_id, &was);
    if (err != BUS_OK) {
        return store_forgive(err);
    }
    // Mending that changed nothing tells no text: the one that is kept stays.
    bool keeps_low = fact->before.has && fact->text.data == NULL && was.low.value > 0 &&
                     fact->quality_score.value <= fact->before.value;
    *ret_low = keeps_low ? was.low.value : 0;
    return unlead(self, fact->document_id, &was, keeps_low);
}

static bus_err_t
put_low(change_t *self, bus_view_t body)
{
    self->totals.low_bytes += body.size;
    return store_put(self->txn, KERNEL_LIBRARIAN_LOW, STORE_U64(self->header->seq), body);
}

static bus_err_t
put_fact(change_t *self, const schema_kb_ingested_t *fact, int64_t low)
{
    const schema_librarian_document_t row = {
        .sha256 = fact->sha256,
        .status = fact->status,
        .reason = fact->reason,
        .title = fact->title,
        .source = fact->source,
        .words = fact->words,
        .sections = fact->sections,
        .chunks = fact->chunks,
        .quality_score = fact->quality_score,
        .trust_score = fact->trust_score,
        .before = fact->before,
        .seq = {.has = true, .value = (int64_t) self->header->seq},
        .at = {.has = true, .value = (int64_t) self->header->at},
        .low = {.has = true, .value = low},
        .tried = {.has = true, .value = fact->before.has},
    };
    bus_err_t err = put_row(self, fact->document_id, &row);
    if (err == BUS_OK) {
        err = store_put(self->txn, KERNEL_LIBRARIAN_HASHES, fact->sha256, fact->document_id);
    }
    if (err == BUS_OK && view_is(fact->status, "rejected")) {
        err = store_put(
            self->txn, KERNEL_LIBRARIAN_REJECTED, STORE_U64(self->header->seq), fact->document_id);
    }
    count_row(self, &row, true);
    self->totals.mended += fact->before.has && fact->quality_score.value > fact->before.value;
    return err;
}

// A document whose text is part of another now. Its hash still leads to it: it is not taken in
// again.
static bus_err_t
join_member(change_t *self, bus_view_t document_id, bus_view_t whole)
{
    schema_librarian_document_t row;
    char reason[DOCUMENT_ID_MAX];
    bus_err_t err = load(self, document_id, &row);
    if (err != BUS_OK) {
        return store_forgive(err);
    }
    err = unlead(self, document_id, &row, false);
    row.status = VIEW_LITERAL("joined");
    row.reason = copy_id(whole, reason);
    row.low.value = 0;
    if (err == BUS_OK) {
        err = store_put(self->txn, KERNEL_LIBRARIAN_HASHES, row.sha256, document_id);
    }
    if (err == BUS_OK) {
        err = put_row(self, document_id, &row);
    }
    count_row(self, &row, true);
    return err;
}

static bus_err_t
join_members(change_t *self, const schema_kb_ingested_t *fact)
{
    walk_t walk = walk_from(fact->members);
    walk_item_t head;
    walk_item_t id;
    bus_err_t err = BUS_OK;
    if (fact->members.data == NULL || walk_next(&walk, &head) != BUS_OK) {
        return BUS_OK;
    }
    for (uint32_t i = 0; i < head.count && err == BUS_OK; i++) {
        if (walk_next(&walk, &id) != BUS_OK || id.type != WALK_STR || id.bytes.size == 0 ||
            id.bytes.size > DOCUMENT_ID_MAX) {
            break; // what follows is not ids
        }
        if (!view_equal(id.bytes, fact->document_id)) {
            err = join_member(self, id.bytes, fact->document_id);
        }
    }
    return err;
}

bus_err_t
kernel_librarian_record_ingested(service_apply_t *self, const void *message)
{
    const schema_kb_ingested_t *fact = message;
    BUS_AUTO(pack_destroy) pack_t *copy = pack_new();
    change_t change;
    int64_t low;
    if (!view_is(self->header->source, SOURCE)) {
        return service_refuse(
            self, BUS_UNAUTHORIZED_ACCESS, "the librarian alone says what it took in", VIEW_NONE);
    }
    bus_err_t err = begin(&change, self, copy);
    if (err == BUS_OK) {
        err = replace(&change, fact, &low);
    }
    if (err == BUS_OK && fact->text.data != NULL) {
        low = (int64_t) self->header->seq;
        err = put_low(&change, self->body);
    }
    if (err == BUS_OK) {
        err = put_fact(&change, fact, low);
    }
    if (err == BUS_OK) {
        err = join_members(&change, fact);
    }
    if (err == BUS_OK) {
        err = keep_bounds(&change);
    }
    return err == BUS_OK ? save_totals(&change) : err;
}

static bus_err_t
take_away(service_apply_t *self, bus_view_t document_id)
{
    BUS_AUTO(pack_destroy) pack_t *copy = pack_new();
    change_t change;
    if (view_is(self->header->source, SOURCE)) {
        return BUS_OK; // ours: a fact tells what came of it
    }
    bus_err_t err = begin(&change, self, copy);
    if (err == BUS_OK) {
        err = forget(&change, document_id);
    }
    return err == BUS_OK ? save_totals(&change) : err;
}

bus_err_t
kernel_librarian_record_replaced(service_apply_t *self, const void *message)
{
    const schema_kb_document_t *document = message;
    return take_away(self, document->document_id);
}

bus_err_t
kernel_librarian_record_removed(service_apply_t *self, const void *message)
{
    const schema_kb_remove_t *gone = message;
    return take_away(self, gone->document_id);
}
