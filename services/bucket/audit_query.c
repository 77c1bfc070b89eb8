// audit_query.c - what the audit log answers: entries, pages of its bytes, and what is wrong with
// it. What it proves is in audit_prove.c.
#include "audit_query.h"

#include "audit.h"
#include "audit_check.h"
#include "audit_entry.h"
#include "index.h"
#include "proto/note.h"
#include "proto/walk.h"

#include <assert.h>

enum {
    LOG_LIMIT = 100,                  // entries where no limit is given
    LOG_LIMIT_MAX = 1000,             // most of a page
    LOOKED_MAX = 50000,               // entries looked at for one page, in some 50 ms
    PAGE_BYTES_MAX = 3 * 1024 * 1024, // docs/contract.md section 1
    ENTRY_OVERHEAD = 72,              // of an entry in a page beside its own: leaf_index, logged_at
    PAGES_LIMIT = 1000,               // leaves where no limit is given
    CHECK_BYTES_MAX = 32 << 20,       // read for one page of verification: some 50 ms
    CHECK_PROBLEMS_MAX = 1000,        // named in one page
};

// --- The log -------------------------------------------------------------------------------------

typedef struct {
    store_txn_t *txn;
    const schema_audit_log_query_t *asked;
    bucket_index_kind_t kind;  // of the filter that the walk follows; 0: none, all leaves
    bus_view_t value;          // of that filter
    bucket_index_walk_t *walk; // along it; NULL for all leaves
    bool down;                 // from the end
    uint64_t next;             // of all leaves: where to look; downwards one above it
    uint64_t end;              // of all leaves, upwards
    unsigned looked;           // entries so far
} search_t;

static void
search_clear(search_t *self)
{
    bucket_index_walk_destroy(&self->walk);
}

// The filter with the fewest entries is followed: severities first, INFO is not indexed.
static void
choose_filter(search_t *self)
{
    const schema_audit_log_query_t *asked = self->asked;
    if (asked->severity.data != NULL && !view_is(asked->severity, "INFO")) {
        self->kind = BUCKET_INDEX_AUDIT_SEVERITY;
        self->value = asked->severity;
    } else if (asked->product.data != NULL) {
        self->kind = BUCKET_INDEX_AUDIT_PRODUCT;
        self->value = asked->product;
    } else if (asked->event_type.data != NULL) {
        self->kind = BUCKET_INDEX_AUDIT_TYPE;
        self->value = asked->event_type;
    }
}

static bus_err_t
search_open(search_t *self)
{
    choose_filter(self);
    self->down = !self->asked->after.has;
    uint64_t from = self->down ? 0 : (uint64_t) self->asked->after.value + 1; // of -1: 0
    if (self->kind != 0) {
        const bucket_index_range_t range = {
            .kind = self->kind, .value = self->value, .from = from, .down = self->down};
        return bucket_index_walk_open(self->txn, &range, &self->walk);
    }
    bus_err_t err = bucket_audit_size(self->txn, &self->end);
    self->next = self->down ? self->end : from;
    return err;
}

// The next leaf to look at. BUS_NOT_FOUND at the end.
static bus_err_t
search_step(search_t *self, uint64_t *ret_index)
{
    if (self->looked++ == LOOKED_MAX) {
        return BUS_NOT_FOUND;
    }
    if (self->walk != NULL) {
        return bucket_index_walk_next(self->walk, ret_index);
    }
    if (self->down ? self->next == 0 : self->next >= self->end) {
        return BUS_NOT_FOUND;
    }
    *ret_index = self->down ? --self->next : self->next++;
    return BUS_OK;
}

static bool
is_wanted(bus_view_t wanted, bus_view_t value)
{
    return wanted.data == NULL || view_equal(wanted, value);
}

// Whether the entry is to be listed. A damaged one is, where the walk says that it belongs: nobody
// must miss it.
static bool
matches(const search_t *self, bus_err_t err, bus_view_t leaf)
{
    bucket_audit_entry_t entry;
    if (err != BUS_OK || bucket_audit_entry_read(leaf, &entry) != BUS_OK) {
        return err != BUS_AUDIT_ENTRY_NOT_FOUND;
    }
    return is_wanted(self->asked->product, entry.product) &&
           is_wanted(self->asked->event_type, entry.event_type) &&
           is_wanted(self->asked->severity, entry.severity);
}

// Collects a page's leaf indexes, the oldest first. *ret_last is the last leaf that was looked at.
static bus_err_t
search_page(search_t *self, uint64_t *indexes, size_t limit, size_t *ret_count, uint64_t *ret_last)
{
    size_t count = 0;
    size_t bytes = 0;
    bus_err_t err = BUS_OK;
    while (err == BUS_OK && count < limit && bytes < PAGE_BYTES_MAX) {
        uint64_t index;
        err = search_step(self, &index);
        if (err != BUS_OK) {
            break;
        }
        bus_view_t leaf = VIEW_NONE;
        bus_err_t read = bucket_audit_leaf(self->txn, index, &leaf);
        if (matches(self, read, leaf)) {
            bytes += leaf.size + ENTRY_OVERHEAD;
            if (count > 0 && bytes > PAGE_BYTES_MAX) {
                break; // it begins the next page
            }
            indexes[count++] = index;
        }
        *ret_last = index;
    }
    for (size_t i = 0; self->down && i < count / 2; i++) {
        uint64_t kept = indexes[i];
        indexes[i] = indexes[count - 1 - i];
        indexes[count - 1 - i] = kept;
    }
    *ret_count = count;
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

// The entry as it is, behind where and when it was logged.
static void
pack_entry(store_txn_t *txn, uint64_t index, pack_t *out)
{
    bus_view_t leaf;
    bucket_audit_entry_t entry;
    size_t map = pack_map_begin(out);
    uint32_t count = 2;
    pack_pair_uint(out, "leaf_index", index);
    if (bucket_audit_leaf(txn, index, &leaf) != BUS_OK ||
        bucket_audit_entry_read(leaf, &entry) != BUS_OK) {
        pack_pair_text(out, "error_code", error_text(BUS_CORRUPT));
        pack_count(out, map, count);
        return;
    }
    pack_pair_rfc3339(out, "logged_at", entry.at);
    walk_pairs_t pairs = walk_pairs(leaf);
    bus_view_t key;
    bus_view_t value;
    while (walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
        pack_str(out, key);
        pack_raw(out, value);
        count++;
    }
    pack_count(out, map, count);
}

bus_err_t
bucket_audit_query_log(service_query_t *query, const void *message)
{
    const schema_audit_log_query_t *asked = message;
    size_t limit = asked->limit.has ? (size_t) asked->limit.value : LOG_LIMIT;
    assert(limit <= LOG_LIMIT_MAX);
    if (asked->after.has && asked->after.value == INT64_MAX) {
        limit = 0; // there is nothing behind it
    }
    BUS_AUTO(search_clear) search_t search = {.txn = query->txn, .asked = asked};
    bus_err_t err = search_open(&search);
    uint64_t indexes[LOG_LIMIT_MAX];
    uint64_t last = UINT64_MAX;
    size_t count = 0;
    if (err == BUS_OK) {
        err = search_page(&search, indexes, limit, &count, &last);
    }
    if (err != BUS_OK) {
        return err;
    }
    bool is_short = search.down && count < limit && search.looked > LOOKED_MAX;
    int64_t next = asked->after.has ? asked->after.value : -1;
    if (count > 0) {
        next = (int64_t) indexes[count - 1];
    }
    if (!search.down && last != UINT64_MAX) {
        next = (int64_t) last; // what was looked at and is not wanted needn't be again
    }
    pack_map(query->answer, is_short ? 4 : 3);
    pack_text(query->answer, "entries");
    pack_array(query->answer, (uint32_t) count);
    for (size_t i = 0; i < count; i++) {
        pack_entry(query->txn, indexes[i], query->answer);
    }
    pack_pair_uint(query->answer, "count", count);
    pack_pair_int(query->answer, "next", next);
    if (is_short) {
        pack_pair_uint(query->answer, "searched_from", last);
    }
    return BUS_OK;
}

// --- One entry -----------------------------------------------------------------------------------

static void
pack_base64(pack_t *out, bus_view_t bytes)
{
    BUS_AUTO(text_destroy) text_t *text = text_new();
    note_base64(bytes, text);
    pack_str(out, text_view(text));
}

static void
pack_hash(pack_t *out, const merkle_hash_t *hash)
{
    pack_base64(out, view_from(hash->bytes, sizeof hash->bytes));
}

bus_err_t
bucket_audit_query_entry(service_query_t *query, const void *message)
{
    const schema_audit_id_query_t *asked = message;
    uint64_t index;
    bus_view_t leaf = VIEW_NONE;
    merkle_hash_t hash;
    bus_err_t err = bucket_audit_find(query->txn, asked->audit_id, &index);
    if (err == BUS_OK) {
        err = bucket_audit_leaf(query->txn, index, &leaf);
    }
    if (err == BUS_OK) {
        err = bucket_audit_node(query->txn, 0, index, &hash);
    }
    if (err != BUS_OK) {
        return err;
    }
    merkle_hash_t made;
    merkle_leaf(leaf, &made);
    if (!merkle_equal(&made, &hash)) {
        return BUS_CORRUPT; // never silently served
    }
    pack_map(query->answer, 5);
    pack_pair_str(query->answer, "audit_id", asked->audit_id);
    pack_pair_uint(query->answer, "leaf_index", index);
    pack_text(query->answer, "leaf");
    pack_base64(query->answer, leaf);
    pack_text(query->answer, "leaf_hash");
    pack_hash(query->answer, &hash);
    pack_pair_raw(query->answer, "entry", leaf);
    return BUS_OK;
}

// --- Pages of leaves -----------------------------------------------------------------------------

static void
read_range(const schema_audit_pages_query_t *asked, uint64_t *ret_from, uint64_t *ret_limit)
{
    *ret_from = asked->from.has ? (uint64_t) asked->from.value : 0;
    *ret_limit = asked->limit.has ? (uint64_t) asked->limit.value : PAGES_LIMIT;
}

// One leaf. A body that is gone, or damaged, is null: its hash says what it was.
static bus_err_t
pack_leaf(store_txn_t *txn, uint64_t index, pack_t *out)
{
    merkle_hash_t hash;
    bus_view_t leaf;
    bus_err_t err = bucket_audit_node(txn, 0, index, &hash);
    if (err != BUS_OK) {
        return err;
    }
    pack_map(out, 2);
    pack_text(out, "leaf");
    if (bucket_audit_leaf(txn, index, &leaf) == BUS_OK) {
        pack_base64(out, leaf);
    } else {
        pack_nil(out);
    }
    pack_text(out, "hash");
    pack_hash(out, &hash);
    return BUS_OK;
}

bus_err_t
bucket_audit_query_leaves(service_query_t *query, const void *message)
{
    uint64_t from;
    uint64_t limit;
    uint64_t size = 0;
    read_range(message, &from, &limit);
    bus_err_t err = bucket_audit_size(query->txn, &size);
    if (err != BUS_OK) {
        return err;
    }
    pack_map(query->answer, 4);
    pack_text(query->answer, "leaves");
    size_t array = pack_array_begin(query->answer);
    uint64_t next = from;
    while (next < size && next - from < limit) {
        size_t before = pack_view(query->answer).size;
        err = pack_leaf(query->txn, next, query->answer);
        if (err != BUS_OK) {
            return err;
        }
        if (next > from && pack_view(query->answer).size > PAGE_BYTES_MAX) {
            pack_truncate(query->answer, before);
            break;
        }
        next++;
    }
    pack_count(query->answer, array, (uint32_t) (next - from));
    pack_pair_uint(query->answer, "from", from);
    pack_pair_uint(query->answer, "next", next);
    pack_pair_uint(query->answer, "tree_size", size);
    return BUS_OK;
}

// --- Verification --------------------------------------------------------------------------------

typedef struct {
    pack_t *out;
    uint32_t count;
} listing_t;

static void
list_problem(void *arg, const bucket_audit_problem_t *problem)
{
    listing_t *self = arg;
    bool has_id = problem->audit_id[0] != '\0';
    pack_map(self->out, has_id ? 3 : 2);
    pack_pair_uint(self->out, "leaf_index", problem->leaf_index);
    if (has_id) {
        pack_pair_text(self->out, "audit_id", problem->audit_id);
    }
    pack_pair_text(self->out, "problem", problem->problem);
    self->count++;
}

bus_err_t
bucket_audit_query_verify(service_query_t *query, const void *message)
{
    bucket_audit_range_t range = {.bytes_max = CHECK_BYTES_MAX, .problems_max = CHECK_PROBLEMS_MAX};
    read_range(message, &range.from, &range.count);
    uint64_t size = 0;
    bus_err_t err = bucket_audit_size(query->txn, &size);
    if (err != BUS_OK) {
        return err;
    }
    pack_map(query->answer, 5);
    pack_text(query->answer, "bad");
    size_t array = pack_array_begin(query->answer);
    listing_t listing = {.out = query->answer};
    uint64_t next = range.from;
    err = bucket_audit_check(query->txn, &range, list_problem, &listing, &next);
    if (err != BUS_OK) {
        return err;
    }
    pack_count(query->answer, array, listing.count);
    pack_pair_uint(query->answer, "from", range.from);
    pack_pair_uint(query->answer, "next", next);
    pack_pair_uint(query->answer, "tree_size", size);
    pack_pair_uint(query->answer, "checked", next - range.from);
    return BUS_OK;
}
