// librarian_reprocess.c - documents of low quality, mended. See librarian_reprocess.h.
//
// First a plan is made of what is kept: which documents are joined to which, which are tried alone.
// Then each item of it is read anew when its turn comes, so at most one text is held.
#include "librarian_reprocess.h"

#include "proto/walk.h"
#include "runtime/clock.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

enum {
    ID_MAX = 128,
    TRACE_SIZE = 129,
    SHOWN_MAX = 50,                           // documents that the result names
    GOOD_TENTHS = 7,                          // of the average: the brain's threshold
    ITEMS_MAX = 2 * KERNEL_LIBRARIAN_LOW_MAX, // each document alone, and once in a join
};

// A document that may be mended, as the plan is made.
typedef struct {
    uint64_t place;  // among the low ones
    uint64_t words;  // of its text
    uint64_t family; // hash of title and source; 0: it has no title
    bool is_taken;   // by an item
} candidate_t;

// One thing to do, in one go.
typedef struct {
    uint64_t *places; // owned: of its documents among the low ones
    size_t count;     // above 1: they are joined
} item_t;

typedef struct {
    kernel_librarian_t *librarian;
    item_t items[ITEMS_MAX];
    size_t item_count;
    size_t at; // the next

    // Of the item in hand.
    text_t *text;
    pack_t *fact; // the first member's: its views live as long as the item
    pack_t *members;
    pack_t *removes;
    double before;
    size_t member_count;

    char trace_id[TRACE_SIZE];
    uint64_t began_us;
    uint64_t tried, mended, joined, unchanged, failed;
    double sum_before, sum_after; // by document
    pack_t *shown;                // an array, open
    size_t shown_place;
    uint32_t shown_count;
} work_t;

// --- The plan ------------------------------------------------------------------------------------

static uint64_t
family_of(const schema_kb_ingested_t *fact)
{
    if (fact->title.size == 0) {
        return 0;
    }
    uint64_t title = XXH3_64bits(fact->title.data, fact->title.size);
    return XXH3_64bits_withSeed(fact->source.data, fact->source.size, title) | 1;
}

static bool
may_be_tried(store_txn_t *txn,
             uint64_t place,
             const schema_kb_ingested_t *fact,
             const kernel_librarian_reprocess_t *asked,
             bool *ret_tried)
{
    schema_librarian_document_t row;
    if (kernel_librarian_record_get(txn, fact->document_id, &row) != BUS_OK ||
        row.low.value != (int64_t) place) {
        return false;
    }
    *ret_tried = row.tried.value;
    return asked->document_id.data == NULL || view_equal(asked->document_id, fact->document_id);
}

// All that is kept and may be mended. Those that were tried alone can still be joined.
static bus_err_t
find_candidates(store_txn_t *txn,
                const kernel_librarian_reprocess_t *asked,
                candidate_t *candidates,
                size_t *ret_count)
{
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_view_t key = VIEW_NONE;
    bus_view_t value;
    size_t count = 0;
    bus_err_t err = store_cursor_open(txn, KERNEL_LIBRARIAN_LOW, &cursor);
    if (err == BUS_OK) {
        err = store_first(cursor, &key, &value);
    }
    for (; (err == BUS_OK || err == BUS_CORRUPT) && count < KERNEL_LIBRARIAN_LOW_MAX;
         err = store_next(cursor, &key, &value)) {
        schema_kb_ingested_t fact;
        schema_problems_t problems;
        uint64_t place;
        bool is_tried = false;
        assert(key.size == sizeof place);
        memcpy(&place, key.data, sizeof place);
        if (err == BUS_CORRUPT ||
            schema_decode(&SCHEMA_kb_ingested, value, &fact, &problems) != BUS_OK ||
            !may_be_tried(txn, place, &fact, asked, &is_tried)) {
            continue;
        }
        bool is_short = (uint64_t) fact.words.value < KERNEL_LIBRARIAN_SHORT_WORDS;
        candidate_t candidate = {.place = place,
                                 .words = (uint64_t) fact.words.value,
                                 .family = is_short ? family_of(&fact) : 0,
                                 .is_taken = is_tried};
        if (!is_tried || candidate.family != 0) {
            candidates[count++] = candidate;
        }
    }
    *ret_count = count;
    return err == BUS_OK || store_forgive(err);
}

static void
add_item(work_t *self, const uint64_t *places, size_t count)
{
    assert(self->item_count < ITEMS_MAX);
    item_t *item = &self->items[self->item_count++];
    item->places = calloc(count, sizeof item->places[0]);
    assert(item->places);
    memcpy(item->places, places, count * sizeof places[0]);
    item->count = count;
}

// Joins a family: as many of its documents as make up a whole one, then the next.
static size_t
plan_family(work_t *self, candidate_t *candidates, size_t count, size_t from, size_t room)
{
    uint64_t places[KERNEL_LIBRARIAN_LOW_MAX];
    size_t members[KERNEL_LIBRARIAN_LOW_MAX];
    size_t size = 0;
    size_t used = 0;
    uint64_t words = 0;
    uint64_t family = candidates[from].family;
    for (size_t i = from; i < count && used + size < room; i++) {
        if (candidates[i].family != family) {
            continue;
        }
        members[size] = i;
        places[size++] = candidates[i].place;
        words += candidates[i].words;
        if (words < KERNEL_LIBRARIAN_SHORT_WORDS) {
            continue;
        }
        add_item(self, places, size);
        for (size_t j = 0; j < size; j++) {
            candidates[members[j]].is_taken = true;
            candidates[members[j]].family = 0;
        }
        used += size;
        size = 0;
        words = 0;
    }
    for (size_t i = from; i < count; i++) { // what is left is too little for one
        candidates[i].family = candidates[i].family == family ? 0 : candidates[i].family;
    }
    return used;
}

static void
make_plan(work_t *self, candidate_t *candidates, size_t count, size_t limit)
{
    size_t used = 0;
    for (size_t i = 0; i < count && used < limit; i++) {
        if (candidates[i].family != 0) {
            used += plan_family(self, candidates, count, i, limit - used);
        }
    }
    for (size_t i = 0; i < count && used < limit; i++) {
        if (!candidates[i].is_taken) {
            add_item(self, &candidates[i].place, 1);
            used++;
        }
    }
}

// --- The next item -------------------------------------------------------------------------------

typedef struct {
    double quality;
    unsigned trust; // tenths
} score_t;

static score_t
score(bus_view_t text, bus_view_t source)
{
    BUS_AUTO(text_destroy) text_t *clean = text_new();
    bus_view_t sections[KERNEL_LIBRARIAN_SECTIONS_MAX];
    kernel_librarian_text_clean(text, clean);
    size_t count = kernel_librarian_mend_split(text_view(clean), sections);
    unsigned tenths = 0;
    for (size_t i = 0; i < count; i++) {
        kernel_librarian_measure_t measure = kernel_librarian_text_measure(sections[i]);
        tenths += kernel_librarian_text_quality(&measure);
    }
    uint64_t characters = kernel_librarian_text_characters(text_view(clean));
    return (score_t){.quality = (double) tenths / (10.0 * (double) count),
                     .trust = kernel_librarian_text_trust(source, characters)};
}

static void
add_member(work_t *self, const schema_kb_ingested_t *fact, unsigned *steps)
{
    if (text_view(self->text).size > 0) {
        text_add(self->text, VIEW_LITERAL("\n\n"));
    }
    *steps |= kernel_librarian_mend_text(fact->text, self->text);
    self->before += fact->quality_score.value;
    self->member_count++;
}

// Reads the item's documents, mends and joins their texts. *ret_fact: the first of them.
static bus_err_t
read_item(work_t *self, const item_t *item, schema_kb_ingested_t *ret_fact, unsigned *ret_steps)
{
    BUS_AUTO(store_rollback) store_txn_t *txn = NULL;
    size_t members = pack_array_begin(self->members);
    size_t removes = pack_array_begin(self->removes);
    uint32_t remove_count = 0;
    schema_problems_t problems;
    bus_err_t err = service_begin_read(kernel_librarian_service(self->librarian), &txn);
    for (size_t i = 0; i < item->count && err == BUS_OK; i++) {
        bus_view_t value;
        schema_kb_ingested_t fact;
        err = store_get(txn, KERNEL_LIBRARIAN_LOW, STORE_U64(item->places[i]), &value);
        if (err == BUS_OK) {
            err = schema_decode(&SCHEMA_kb_ingested, value, &fact, &problems);
        }
        if (err != BUS_OK) {
            break; // it was replaced, or given up, since the plan was made
        }
        if (i == 0) {
            pack_raw(self->fact, value);
        }
        add_member(self, &fact, ret_steps);
        pack_str(self->members, fact.document_id);
        if (view_is(fact.status, "accepted")) {
            pack_str(self->removes, fact.document_id);
            remove_count++;
        }
    }
    pack_count(self->members, members, (uint32_t) self->member_count);
    pack_count(self->removes, removes, remove_count);
    if (err == BUS_OK) {
        err = schema_decode(&SCHEMA_kb_ingested, pack_view(self->fact), ret_fact, &problems);
    }
    return err;
}

static void
clear_item(work_t *self)
{
    text_clear(self->text);
    pack_clear(self->fact);
    pack_clear(self->members);
    pack_clear(self->removes);
    self->before = 0;
    self->member_count = 0;
}

// Members that make nothing good together are tried alone: they become items of their own.
static void
take_apart(work_t *self, const item_t *item)
{
    uint64_t places[KERNEL_LIBRARIAN_LOW_MAX];
    size_t count = item->count;
    memcpy(places, item->places, count * sizeof places[0]);
    for (size_t i = 0; i < count; i++) {
        add_item(self, &places[i], 1);
    }
}

static bool
fill_ask(work_t *self, const item_t *item, kernel_librarian_ask_t *ret_ask)
{
    schema_kb_ingested_t fact;
    unsigned steps = 0;
    clear_item(self);
    if (read_item(self, item, &fact, &steps) != BUS_OK) {
        return false;
    }
    bool is_join = item->count > 1;
    self->before /= (double) self->member_count;
    score_t scored = score(text_view(self->text), fact.source);
    bool is_better = scored.quality > self->before && scored.trust >= KERNEL_LIBRARIAN_GOOD_TRUST;
    bool is_good = scored.quality * 10 > KERNEL_LIBRARIAN_GOOD_QUALITY - 1e-9;
    if (is_join && !(is_better && is_good)) {
        take_apart(self, item);
        return false;
    }
    *ret_ask = (kernel_librarian_ask_t){
        .document_id = is_join ? VIEW_NONE : fact.document_id,
        .title = fact.title,
        .text = is_better ? text_view(self->text) : fact.text,
        .source = fact.source,
        .trace_id = view_from_text(self->trace_id),
        .sha256 = is_join ? VIEW_NONE : fact.sha256,
        .before = {.has = true, .value = self->before},
        .rejected = view_is(fact.status, "rejected") ? fact.reason : VIEW_NONE,
        .steps = is_better ? steps | (is_join ? KERNEL_LIBRARIAN_MEND_JOIN : 0) : 0,
        .members = is_join ? pack_view(self->members) : VIEW_NONE,
        .removes = is_join ? pack_view(self->removes) : VIEW_NONE,
    };
    return true;
}

static bool
next(void *own, kernel_librarian_ask_t *ret_ask)
{
    work_t *self = own;
    while (self->at < self->item_count) {
        if (fill_ask(self, &self->items[self->at++], ret_ask)) {
            return true;
        }
    }
    return false;
}

// --- What came of it -----------------------------------------------------------------------------

static void
show(work_t *self, const kernel_librarian_outcome_t *outcome, const char *status, double after)
{
    schema_kb_ingested_t fact;
    schema_problems_t problems;
    if (self->shown_count == SHOWN_MAX ||
        schema_decode(&SCHEMA_kb_ingested, pack_view(self->fact), &fact, &problems) != BUS_OK) {
        return;
    }
    self->shown_count++;
    pack_map(self->shown, 6);
    pack_pair_str(self->shown,
                  "document_id",
                  outcome->document_id.size > 0 ? outcome->document_id : fact.document_id);
    pack_pair_text(self->shown, "status", status);
    pack_pair_uint(self->shown, "documents", self->member_count);
    pack_pair_real(self->shown, "before", self->before);
    pack_pair_real(self->shown, "after", after);
    pack_pair_str(self->shown, "reason", view_from_text(outcome->why));
}

static void
take(void *own, const kernel_librarian_outcome_t *outcome)
{
    work_t *self = own;
    bool is_better = outcome->err == BUS_OK && outcome->quality > self->before;
    double after = is_better ? outcome->quality : self->before;
    const char *status = outcome->err != BUS_OK   ? "failed"
                         : !is_better             ? "unchanged"
                         : self->member_count > 1 ? "joined"
                                                  : "mended";
    self->tried += self->member_count;
    self->sum_before += self->before * (double) self->member_count;
    self->sum_after += after * (double) self->member_count;
    if (outcome->err != BUS_OK) {
        self->failed += self->member_count;
    } else if (!is_better) {
        self->unchanged += self->member_count;
    } else {
        self->mended += self->member_count;
        self->joined += self->member_count > 1 ? self->member_count : 0;
    }
    show(self, outcome, status, after);
}

static void
pack(void *own, pack_t *out)
{
    work_t *self = own;
    bool is_some = self->tried > 0;
    double count = (double) self->tried;
    double after = is_some ? self->sum_after / count : 0;
    pack_count(self->shown, self->shown_place, self->shown_count);
    pack_map(out, is_some ? 11 : 10);
    pack_pair_text(out, "status", "completed");
    pack_pair_bool(
        out, "issue_resolved", is_some && self->failed == 0 && after * 10 > GOOD_TENTHS - 1e-9);
    pack_pair_uint(out, "tried", self->tried);
    pack_pair_uint(out, "mended", self->mended);
    pack_pair_uint(out, "joined", self->joined);
    pack_pair_uint(out, "unchanged", self->unchanged);
    pack_pair_uint(out, "failed", self->failed);
    if (is_some) {
        pack_pair_real(out, "quality_before", self->sum_before / count);
        pack_pair_real(out, "quality_score", after);
    } else {
        pack_pair_text(out, "reason", "no document of low quality is kept that was not tried");
    }
    pack_pair_real(out, "duration_seconds", (double) (clock_boot_us() - self->began_us) / 1e6);
    pack_pair_raw(out, "documents", pack_view(self->shown));
}

static void
destroy(void *own)
{
    work_t *self = own;
    for (size_t i = 0; i < self->item_count; i++) {
        free(self->items[i].places);
    }
    text_destroy(&self->text);
    pack_destroy(&self->fact);
    pack_destroy(&self->members);
    pack_destroy(&self->removes);
    pack_destroy(&self->shown);
    free(self);
}

bus_err_t
kernel_librarian_reprocess_start(kernel_librarian_t *self,
                                 const kernel_librarian_reprocess_t *asked,
                                 kernel_librarian_done_fn *fn,
                                 void *arg)
{
    static const kernel_librarian_batch_kind_t kind = {
        .next = next, .take = take, .pack = pack, .destroy = destroy};
    candidate_t candidates[KERNEL_LIBRARIAN_LOW_MAX];
    size_t count = 0;
    work_t *work = calloc(1, sizeof *work);
    assert(work && asked->trace_id.size < sizeof work->trace_id);
    work->librarian = self;
    work->text = text_new();
    work->fact = pack_new();
    work->members = pack_new();
    work->removes = pack_new();
    work->shown = pack_new();
    work->shown_place = pack_array_begin(work->shown);
    work->began_us = clock_boot_us();
    memcpy(
        work->trace_id, asked->trace_id.size > 0 ? asked->trace_id.data : "", asked->trace_id.size);
    BUS_AUTO(store_rollback) store_txn_t *txn = NULL;
    bus_err_t err = service_begin_read(kernel_librarian_service(self), &txn);
    if (err == BUS_OK) {
        err = find_candidates(txn, asked, candidates, &count);
    }
    if (err != BUS_OK) {
        destroy(work);
        return err;
    }
    make_plan(work, candidates, count, asked->limit);
    return kernel_librarian_batch_start(self, &kind, work, fn, arg);
}
