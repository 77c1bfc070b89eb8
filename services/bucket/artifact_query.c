// artifact_query.c - searching artifacts by what is said of them. docs/contract.md section 3.
//
// Oldest first, so that a page never changes once it was answered: what is written later comes
// later. A cursor is where the next page begins, tied to the product and the filters that it
// belongs to.
#include "artifact_damage.h"
#include "artifact_search.h"
#include "artifact_store.h"
#include "audit.h"
#include "governance.h"
#include "monitor.h"
#include "proto/walk.h"
#include "runtime/clock.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

enum {
    PAGE_BYTES_MAX = 3 * 1024 * 1024, // docs/contract.md section 1
    ROW_BYTES = 128,                  // of a row beside its id and metadata, at most
    TOTAL_MAX = 10000,                // counted one by one; above it `total` is a lower bound
    CURSOR_SIZE = 33,                 // 32 hex digits, NUL
    CURSOR_DIGITS = 16,               // of either half
};

typedef struct {
    channel_query_t asked;
    bus_view_t requester_id;
    uint64_t begun_us;    // boot clock
    uint64_t fingerprint; // of product and filters
    uint64_t from;        // seq where the page begins
    uint64_t next;        // where the next one does; 0: this is the last
    uint32_t returned;    // artifacts in the page
    uint32_t damaged;     // records left out because they fail their check
    uint64_t damaged_seq; // the first of them
    uint64_t total;       // that match
    bool is_total_exact;
} query_t;

// --- Cursors -------------------------------------------------------------------------------------

static uint64_t
hash_of(bus_view_t bytes)
{
    merkle_hash_t hash;
    merkle_sha256(bytes, &hash);
    uint64_t number;
    memcpy(&number, hash.bytes, sizeof number);
    return number;
}

// The same for the same product, dates and set of tags, in whatever order.
static uint64_t
fingerprint(const channel_query_t *asked)
{
    const uint64_t fixed[] = {asked->product, asked->created_after, asked->created_before};
    uint64_t mixed = hash_of(view_from(fixed, sizeof fixed));
    for (uint32_t i = 0; i < asked->tag_count; i++) {
        mixed ^= hash_of(asked->tags[i]); // each is there once
    }
    return mixed;
}

// Reads sixteen digits of hex.
static bool
read_hex(const char *digits, uint64_t *ret_number)
{
    uint64_t number = 0;
    for (int i = 0; i < CURSOR_DIGITS; i++) {
        char digit = digits[i];
        bool is_letter = digit >= 'a' && digit <= 'f';
        if (!is_letter && (digit < '0' || digit > '9')) {
            return false;
        }
        number = number << 4 | (uint64_t) (is_letter ? digit - 'a' + 10 : digit - '0');
    }
    *ret_number = number;
    return true;
}

// Where the page begins. False for a cursor that is none of this query's.
static bool
read_cursor(query_t *self)
{
    self->from = 1;
    bus_view_t cursor = self->asked.cursor;
    if (cursor.data == NULL) {
        return true;
    }
    uint64_t whose;
    return cursor.size == CURSOR_SIZE - 1 && read_hex(cursor.data, &whose) &&
           whose == self->fingerprint && read_hex(cursor.data + CURSOR_DIGITS, &self->from);
}

static void
pack_cursor(pack_t *out, const query_t *self)
{
    if (self->next == 0) {
        pack_pair_nil(out, "next_cursor");
        return;
    }
    char cursor[CURSOR_SIZE];
    (void) snprintf(
        cursor, sizeof cursor, "%016" PRIx64 "%016" PRIx64, self->fingerprint, self->next);
    pack_pair_text(out, "next_cursor", cursor);
}

// --- The page ------------------------------------------------------------------------------------

static void
note_damage(query_t *self, uint64_t seq)
{
    self->damaged_seq = self->damaged == 0 ? seq : self->damaged_seq;
    self->damaged++;
}

static void
pack_row(pack_t *out, const bucket_artifact_t *artifact)
{
    pack_map(out, 3);
    pack_pair_str(out, "artifact_id", artifact->artifact_id);
    pack_pair_raw(out, "metadata", artifact->metadata);
    pack_pair_rfc3339(out, "created_at", artifact->row.created_at);
}

// Packs one artifact. BUS_BUSY where it does not fit into the page any more.
static bus_err_t
add_row(query_t *self, service_apply_t *apply, uint64_t seq)
{
    bucket_artifact_t artifact;
    bus_err_t err = bucket_artifact_get(apply->txn, seq, &artifact);
    bool is_whole =
        err == BUS_OK && artifact.row.product == self->asked.product && artifact.metadata.size > 0;
    if (err == BUS_IO) {
        return err;
    }
    if (!is_whole) {
        note_damage(self, seq); // an index row of what cannot be read, or is not there
        return BUS_OK;
    }
    size_t size = ROW_BYTES + artifact.artifact_id.size + artifact.metadata.size;
    if (self->returned > 0 && pack_view(apply->answer).size + size > PAGE_BYTES_MAX) {
        return BUS_BUSY;
    }
    pack_row(apply->answer, &artifact);
    self->returned++;
    return BUS_OK;
}

// Packs the artifacts of one page.
static bus_err_t
pack_page(query_t *self, service_apply_t *apply, bucket_artifact_search_t *search)
{
    uint64_t seq = self->from;
    bus_err_t err = bucket_artifact_search_next(search, self->from, &seq);
    while (err == BUS_OK && self->returned < self->asked.limit) {
        err = add_row(self, apply, seq);
        if (err == BUS_OK) {
            err = bucket_artifact_search_next(search, seq + 1, &seq);
        }
    }
    if (err == BUS_OK || err == BUS_BUSY) {
        self->next = seq; // the first that is not in it
        return BUS_OK;
    }
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

static bus_err_t
search(query_t *self, service_apply_t *apply)
{
    bucket_artifact_search_t found;
    bus_err_t err = bucket_artifact_search_open(apply->txn, &self->asked, &found);
    if (err != BUS_OK) {
        return err;
    }
    err = pack_page(self, apply, &found);
    if (err == BUS_OK) {
        err = bucket_artifact_search_count(&found, TOTAL_MAX, &self->total, &self->is_total_exact);
    }
    for (uint32_t i = 0; i < found.damaged; i++) {
        note_damage(self, 0);
    }
    if (self->total < self->returned) {
        self->total = self->returned; // the counting ran out of steps before the page did
    }
    bucket_artifact_search_close(&found);
    return err;
}

// --- The answer ----------------------------------------------------------------------------------

static bus_err_t
raise_alarm(const query_t *self, service_apply_t *apply)
{
    const bucket_artifact_damage_t damage = {
        .operation = channel_name(CHANNEL_METADATA_QUERY),
        .what = self->damaged_seq != 0 ? "record" : "index",
        .product = self->asked.product,
        .requester_id = self->requester_id,
        .seq = self->damaged_seq,
    };
    return bucket_artifact_damage_alarm(apply, &damage);
}

static bus_err_t
audit(const query_t *self, service_apply_t *apply)
{
    bus_view_t filters = VIEW_NONE;
    bool has_filters = walk_find(apply->body, "filters", &filters) == BUS_OK;
    BUS_AUTO(pack_destroy) pack_t *details = pack_new();
    pack_map(details, has_filters ? 3 : 2);
    if (has_filters) {
        pack_pair_raw(details, "filters", filters);
    }
    pack_pair_uint(details, "returned", self->returned);
    pack_pair_uint(details, "total", self->total);
    const bucket_audit_t entry = {
        .event_type = "query",
        .operation = channel_name(CHANNEL_METADATA_QUERY),
        .product = view_from_text(channel_product_name(self->asked.product)),
        .requester_id = self->requester_id,
        .details = pack_view(details),
    };
    bucket_audit_place_t place;
    bus_err_t err = bucket_audit_add(apply, &entry, &place);
    if (err == BUS_OK) {
        bucket_audit_answer(apply->answer, &entry, &place);
    }
    return err;
}

// The counts of the answer and of the live message. The time that it took is the one thing in an
// answer that the journal does not tell: answers of reads are no part of the state.
static uint32_t
pack_counts(const query_t *self, pack_t *out)
{
    pack_pair_uint(out, "total", self->total);
    pack_pair_uint(out, "returned", self->returned);
    pack_pair_uint(out, "query_time_ms", (clock_boot_us() - self->begun_us) / 1000);
    uint32_t count = 3;
    if (!self->is_total_exact) {
        pack_pair_bool(out, "total_is_lower_bound", true);
        count++;
    }
    if (self->damaged > 0) {
        pack_pair_uint(out, "damaged", self->damaged);
        count++;
    }
    return count;
}

static void
tell(const query_t *self, service_apply_t *apply)
{
    bucket_state_t *state = apply->state;
    pack_t *live = state->scratch;
    pack_clear(live);
    size_t map = pack_map_begin(live);
    pack_pair_text(live, "channel", "query_results");
    pack_pair_text(live, "status", "success");
    pack_count(live, map, 2 + pack_counts(self, live));
    bucket_monitor_tell(apply, "query_results", self->asked.product, pack_view(live));
}

static bus_err_t
answer(query_t *self, service_apply_t *apply)
{
    pack_t *out = apply->answer;
    size_t map = pack_map_begin(out);
    pack_pair_text(out, "channel", "query_results");
    pack_pair_text(out, "status", "success");
    pack_text(out, "artifacts");
    size_t artifacts = pack_array_begin(out);
    bus_err_t err = search(self, apply);
    if (err != BUS_OK) {
        return err;
    }
    pack_count(out, artifacts, self->returned);
    uint32_t counts = pack_counts(self, out);
    pack_cursor(out, self);
    pack_count(out, map, 3 + counts + 1 + 3);
    err = audit(self, apply);
    if (err == BUS_OK && self->damaged > 0) {
        err = raise_alarm(self, apply);
    }
    if (err == BUS_OK) {
        tell(self, apply);
    }
    return err;
}

bus_err_t
bucket_artifact_query(service_apply_t *apply, const void *message BUS_UNUSED)
{
    query_t self = {.begun_us = clock_boot_us()};
    const char *operation = channel_name(CHANNEL_METADATA_QUERY);
    const refusal_t *row = bucket_governance_find_read(apply);
    if (row != NULL) {
        return bucket_governance_refuse_row(apply, row, operation, apply->body);
    }
    schema_problems_t problems;
    if (channel_decode_query(apply->body, &self.asked, &problems) != BUS_OK) {
        return bucket_governance_refuse_problems(apply, &problems, operation, apply->body);
    }
    self.requester_id = channel_requester(apply->body);
    self.fingerprint = fingerprint(&self.asked);
    if (!read_cursor(&self)) {
        problems = (schema_problems_t){
            .count = 1, .at = {{"filters.cursor", "belongs to another query, or is none"}}};
        return bucket_governance_refuse_problems(apply, &problems, operation, apply->body);
    }
    return answer(&self, apply);
}
