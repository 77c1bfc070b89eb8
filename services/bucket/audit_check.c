// audit_check.c - checking the audit log against itself and against what it speaks of.
//
// Whoever can write to the store's file can repair checksums. So nothing here trusts one: entries
// are compared with their leaf hashes, those with the nodes above them, contents with the hashes in
// the entries. What is consistent in itself and still not what was signed is found by a checkpoint
// that somebody kept: merkle_verify_consistency.
#include "audit_check.h"

#include "artifact.h"
#include "audit_entry.h"
#include "index.h"
#include "proto/limits.h"
#include "proto/walk.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum {
    PROBE_MAX = 16, // damaged entries in a row that the search for a tombstone steps over
};

typedef struct {
    store_txn_t *txn;
    bucket_audit_problem_fn *fn;
    void *arg;
    uint64_t size;      // leaves of the tree
    uint64_t forgotten; // entries before it may be without their bodies
    uint64_t index;     // the leaf in hand
    bus_view_t id;      // its audit_id; absent: not known
    uint64_t bytes;     // read so far
    uint64_t problems;  // found so far
} check_t;

static void report(check_t *self, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void
report(check_t *self, const char *format, ...)
{
    bucket_audit_problem_t problem = {.leaf_index = self->index};
    va_list args;
    va_start(args, format);
    (void) vsnprintf(problem.problem, sizeof problem.problem, format, args);
    va_end(args);
    if (self->id.size < sizeof problem.audit_id && self->id.size > 0) {
        memcpy(problem.audit_id, self->id.data, self->id.size);
    }
    self->problems++;
    self->fn(self->arg, &problem);
}

// Reads one record. False where that is a problem, which is then reported.
static bool
read_record(check_t *self, unsigned table, uint64_t key, const char *what, bus_view_t *ret_value)
{
    bus_err_t err = store_get(self->txn, table, STORE_U64(key), ret_value);
    if (err == BUS_OK) {
        self->bytes += ret_value->size;
        return true;
    }
    report(self, "%s %s", what, err == BUS_NOT_FOUND ? "is missing" : "is damaged");
    return false;
}

static bool
is_hex_of(bus_view_t text, const merkle_hash_t *hash)
{
    char hex[BUCKET_AUDIT_HEX_SIZE];
    bucket_audit_entry_hex(hash, hex);
    return view_is(text, hex);
}

static bool
is_hash_of(bus_view_t text, bus_view_t bytes)
{
    merkle_hash_t hash;
    merkle_sha256(bytes, &hash);
    return is_hex_of(text, &hash);
}

// --- The tree ------------------------------------------------------------------------------------

// The nodes above the leaf that it completes.
static void
check_nodes(check_t *self)
{
    for (unsigned level = 1; ((self->index + 1) & ((UINT64_C(1) << level) - 1)) == 0; level++) {
        uint64_t index = self->index >> level;
        merkle_hash_t kept;
        merkle_hash_t left;
        merkle_hash_t right;
        if (bucket_audit_node(self->txn, level, index, &kept) != BUS_OK) {
            report(self, "node %u/%" PRIu64 " is damaged or missing", level, index);
            continue;
        }
        // A child that cannot be read is named where it is checked itself.
        if (bucket_audit_node(self->txn, level - 1, 2 * index, &left) != BUS_OK ||
            bucket_audit_node(self->txn, level - 1, 2 * index + 1, &right) != BUS_OK) {
            continue;
        }
        merkle_hash_t made;
        merkle_node(&left, &right, &made);
        if (!merkle_equal(&made, &kept)) {
            report(self, "node %u/%" PRIu64 " does not match its children", level, index);
        }
    }
}

// The leaf's hash, against its bytes where there are some.
static void
check_hash(check_t *self, bus_view_t leaf)
{
    merkle_hash_t kept;
    if (bucket_audit_node(self->txn, 0, self->index, &kept) != BUS_OK) {
        report(self, "the leaf hash is damaged or missing");
        return;
    }
    if (leaf.data == NULL) {
        return;
    }
    merkle_hash_t made;
    merkle_leaf(leaf, &made);
    if (!merkle_equal(&made, &kept)) {
        report(self, "the entry does not match its leaf hash");
    }
}

// The row that leads from the audit_id to the leaf.
static void
check_place(check_t *self, const bucket_audit_entry_t *entry)
{
    uint64_t seq;
    uint64_t number;
    if (bucket_audit_entry_parse(entry->audit_id, &seq, &number) != BUS_OK || seq != entry->seq) {
        report(self, "the entry's audit_id and seq differ");
        return;
    }
    bus_view_t value;
    uint64_t first;
    if (!read_record(self, BUCKET_AUDIT_SEQS, seq, "the row of its seq", &value)) {
        return;
    }
    if (value.size != sizeof first) {
        report(self, "the row of its seq is damaged");
        return;
    }
    memcpy(&first, value.data, sizeof first);
    if (first + number != self->index) {
        report(self, "the row of its seq leads to another leaf");
    }
}

// --- Tombstones ----------------------------------------------------------------------------------

// The entry at `index` or, where that one cannot be read, at one of the next. False: none.
static bool
probe(check_t *self, uint64_t index, bucket_audit_entry_t *ret_entry, uint64_t *ret_index)
{
    for (uint64_t i = index; i < self->size && i < index + PROBE_MAX; i++) {
        bus_view_t leaf;
        if (store_get(self->txn, BUCKET_AUDIT, STORE_U64(i), &leaf) == BUS_OK &&
            bucket_audit_entry_read(leaf, ret_entry) == BUS_OK) {
            self->bytes += leaf.size;
            *ret_index = i;
            return true;
        }
    }
    return false;
}

// The first leaf that is not older than `at`: times rise with the leaves.
static uint64_t
find_time(check_t *self, uint64_t at)
{
    uint64_t low = self->forgotten;
    uint64_t high = self->size;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        uint64_t found = middle;
        bucket_audit_entry_t entry;
        if (!probe(self, middle, &entry, &found) || entry.at >= at) {
            high = middle;
        } else {
            low = found + 1;
        }
    }
    return low;
}

static bool
is_number(bus_view_t details, const char *key, uint64_t wanted)
{
    bus_view_t value;
    uint64_t number;
    return walk_find(details, key, &value) == BUS_OK && walk_as_uint(value, &number) == BUS_OK &&
           number == wanted;
}

static bool
is_true(bus_view_t details, const char *key)
{
    bus_view_t value;
    bool truth;
    return walk_find(details, key, &value) == BUS_OK && walk_as_bool(value, &truth) == BUS_OK &&
           truth;
}

// Whether an entry of that time says that the artifact was removed.
static bool
has_tombstone(check_t *self, uint64_t artifact_seq, uint64_t removed_at)
{
    bucket_audit_entry_t entry;
    uint64_t index = find_time(self, removed_at);
    while (probe(self, index, &entry, &index) && entry.at == removed_at) {
        bool is_removal =
            view_is(entry.event_type, "retention") || view_is(entry.event_type, "owner");
        if (is_removal && is_true(entry.details, "removed") &&
            is_number(entry.details, "artifact_seq", artifact_seq)) {
            return true;
        }
        index++;
    }
    return false;
}

// --- Holds ---------------------------------------------------------------------------------------

static bool
is_hold(const bucket_audit_entry_t *entry)
{
    return view_is(entry->event_type, "owner") && view_is(entry->operation, "legal_hold") &&
           view_is(entry->decision, "allowed");
}

// Whether the owner set or released the artifact's hold, from leaf `from` on.
static bool
has_hold(check_t *self, uint64_t artifact_seq, uint64_t from)
{
    BUS_AUTO(bucket_index_walk_destroy) bucket_index_walk_t *walk = NULL;
    const bucket_index_range_t range = {
        .kind = BUCKET_INDEX_AUDIT_TYPE, .value = VIEW_LITERAL("owner"), .from = from};
    uint64_t index;
    bus_err_t err = bucket_index_walk_open(self->txn, &range, &walk);
    while (err == BUS_OK && bucket_index_walk_next(walk, &index) == BUS_OK) {
        bus_view_t leaf;
        bucket_audit_entry_t entry;
        if (bucket_audit_leaf(self->txn, index, &leaf) == BUS_OK &&
            bucket_audit_entry_read(leaf, &entry) == BUS_OK && is_hold(&entry) &&
            is_number(entry.details, "artifact_seq", artifact_seq)) {
            return true;
        }
        self->bytes += leaf.size;
    }
    return false;
}

// The owner's last word on an artifact's hold, against its record.
static void
check_hold(check_t *self, const bucket_audit_entry_t *entry)
{
    bus_view_t value;
    uint64_t seq;
    if (walk_find(entry->details, "artifact_seq", &value) != BUS_OK ||
        walk_as_uint(value, &seq) != BUS_OK || has_hold(self, seq, self->index + 1)) {
        return;
    }
    bucket_artifact_t artifact;
    bool is_held = is_true(entry->details, "legal_hold");
    if (bucket_artifact_get(self->txn, seq, &artifact) == BUS_OK &&
        artifact.row.is_held != (is_held ? 1 : 0)) {
        report(self, "the artifact is %sheld", is_held ? "not " : "");
    }
}

// --- What was written ----------------------------------------------------------------------------

static bool
is_hash(bus_view_t details, const char *key, bus_view_t bytes)
{
    bus_view_t value;
    bus_view_t hex;
    return walk_find(details, key, &value) == BUS_OK && walk_as_str(value, &hex) == BUS_OK &&
           is_hash_of(hex, bytes);
}

// Whether the record of the artifact says what the entry says: all of it but what may change, its
// removal and its hold.
static bool
is_same_artifact(const bucket_audit_entry_t *entry, const bucket_artifact_t *artifact)
{
    const bucket_artifact_row_t *row = &artifact->row;
    return row->created_at == entry->at &&
           view_is(entry->product, channel_product_name((channel_product_t) row->product)) &&
           view_equal(entry->subject, artifact->artifact_id) &&
           view_equal(entry->requester_id, artifact->requester_id) &&
           view_equal(entry->trace_id, artifact->trace_id) &&
           is_hex_of(entry->content_hash, &row->checksum) &&
           is_number(entry->details, "bytes", row->content_size) &&
           is_number(entry->details, "retention_until", row->retention_until) &&
           (row->removed_at != 0 ? artifact->metadata.size == 0 // it goes with the content
                                 : is_hash(entry->details, "metadata_hash", artifact->metadata));
}

// Whether its id leads to it: otherwise it could not be read, and be written again.
static void
check_id(check_t *self, const bucket_audit_entry_t *entry)
{
    channel_product_t product = channel_product(entry->product);
    bucket_artifact_t found;
    if (product == CHANNEL_PRODUCT_COUNT ||
        bucket_artifact_find(self->txn, product, entry->subject, &found) != BUS_OK ||
        found.seq != entry->seq) {
        report(self, "the artifact's id does not lead to it");
    }
}

static void
check_artifact(check_t *self, const bucket_audit_entry_t *entry)
{
    bucket_artifact_t artifact;
    bus_err_t err = bucket_artifact_get(self->txn, entry->seq, &artifact);
    if (err != BUS_OK) {
        report(self,
               "the artifact's record is %s",
               err == BUS_ARTIFACT_NOT_FOUND ? "missing" : "damaged");
        return;
    }
    self->bytes += artifact.metadata.size;
    if (!is_same_artifact(entry, &artifact)) {
        report(self, "the artifact's record is not what was written");
    }
    check_id(self, entry);
    if (artifact.row.is_held != 0 && !has_hold(self, entry->seq, 0)) {
        report(self, "the artifact is held, and no entry says so");
    }
    if (artifact.row.removed_at != 0) {
        if (!has_tombstone(self, entry->seq, artifact.row.removed_at)) {
            report(self, "the artifact is removed, and no entry says so");
        }
        return;
    }
    bus_view_t content;
    if (read_record(self, BUCKET_CONTENTS, entry->seq, "the artifact's content", &content) &&
        !is_hash_of(entry->content_hash, content)) {
        report(self, "the artifact's content is not what was written");
    }
}

static void
check_event(check_t *self, const bucket_audit_entry_t *entry)
{
    bus_view_t event;
    if (read_record(self, BUCKET_EVENTS, entry->seq, "the event", &event) &&
        !is_hash_of(entry->content_hash, event)) {
        report(self, "the event is not what was written");
    }
}

static void
check_subject(check_t *self, const bucket_audit_entry_t *entry)
{
    if (!view_is(entry->decision, "allowed") || entry->content_hash.data == NULL) {
        return;
    }
    if (view_is(entry->operation, "artifact_write")) {
        check_artifact(self, entry);
    } else if (view_is(entry->operation, "write-event")) {
        check_event(self, entry);
    } else if (is_hold(entry)) {
        check_hold(self, entry);
    }
}

// --- The walk ------------------------------------------------------------------------------------

// Reads the leaf in hand, and what it says; *ret_leaf is absent where that cannot be read.
static bool
read_leaf(check_t *self, bus_view_t *ret_leaf, bucket_audit_entry_t *ret_entry)
{
    *ret_leaf = VIEW_NONE;
    bus_view_t leaf;
    bus_err_t err = bucket_audit_leaf(self->txn, self->index, &leaf);
    if (err == BUS_AUDIT_ENTRY_NOT_FOUND && self->index < self->forgotten) {
        return false; // let go after its seven years
    }
    if (err != BUS_OK) {
        report(self, "the entry is %s", err == BUS_AUDIT_ENTRY_NOT_FOUND ? "missing" : "damaged");
        return false;
    }
    self->bytes += leaf.size;
    *ret_leaf = leaf;
    const char *why;
    if (walk_check(leaf, WALK_JSON, INBOX_BODY_DEPTH_MAX, &why) != BUS_OK ||
        bucket_audit_entry_read(leaf, ret_entry) != BUS_OK) {
        report(self, "the entry is no entry");
        return false;
    }
    self->id = ret_entry->audit_id;
    return true;
}

static void
check_leaf(check_t *self)
{
    self->id = VIEW_NONE;
    bus_view_t leaf;
    bucket_audit_entry_t entry;
    bool is_read = read_leaf(self, &leaf, &entry);
    check_hash(self, leaf);
    check_nodes(self);
    if (is_read) {
        check_place(self, &entry);
        check_subject(self, &entry);
    }
}

bus_err_t
bucket_audit_check(store_txn_t *txn,
                   const bucket_audit_range_t *range,
                   bucket_audit_problem_fn *fn,
                   void *arg,
                   uint64_t *ret_next)
{
    check_t self = {.txn = txn, .fn = fn, .arg = arg, .index = range->from};
    bus_err_t err = bucket_audit_size(txn, &self.size);
    if (err == BUS_OK) {
        err = bucket_audit_forgotten(txn, &self.forgotten);
    }
    if (err != BUS_OK) {
        return err;
    }
    uint64_t left = self.size > range->from ? self.size - range->from : 0;
    uint64_t end = range->from + (range->count < left ? range->count : left);
    while (self.index < end) {
        check_leaf(&self);
        self.index++;
        if ((range->bytes_max > 0 && self.bytes > range->bytes_max) ||
            (range->problems_max > 0 && self.problems >= range->problems_max)) {
            break;
        }
    }
    *ret_next = self.index;
    return BUS_OK;
}
