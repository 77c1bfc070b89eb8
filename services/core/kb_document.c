// kb_document.c - documents added, replaced and removed. They are listed in kb_list.c.
//
// A command is read whole, checked and cut into passages before anything is written; then what it
// takes the place of goes, by the words of its own passages, and it comes.
#include "kb_document.h"

#include "kb_chunk.h"
#include "kb_gather.h"
#include "kb_index.h"
#include "kb_text.h"
#include "runtime/id.h"
#include "runtime/log.h"
#include "runtime/sha256.h"
#include "tables.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

// --- What a part is cut into ---------------------------------------------------------------------

typedef struct {
    core_kb_chunk_t chunk;
    uint32_t words;
} piece_t;

typedef struct {
    core_kb_gather_t *gather;
    size_t term_count;
    piece_t *pieces;
    size_t count;
    size_t room;
    uint64_t words;
} cut_t;

static void
cut_clear(cut_t *self)
{
    core_kb_gather_destroy(&self->gather);
    free(self->pieces);
}

static void
cut_text(cut_t *self, bus_view_t text, uint64_t first)
{
    core_kb_chunk_t chunk = {.end = 0};
    self->gather = core_kb_gather_new();
    while (core_kb_chunk_next(text, &chunk, &chunk)) {
        if (self->count == self->room) {
            self->room = self->room * 2 + 64;
            self->pieces = reallocarray(self->pieces, self->room, sizeof self->pieces[0]);
            assert(self->pieces);
        }
        bus_view_t passage = view_from(text.data + chunk.start, chunk.end - chunk.start);
        uint32_t words = core_kb_gather_add(self->gather, first + self->count, passage);
        self->pieces[self->count++] = (piece_t){.chunk = chunk, .words = words};
        self->words += words;
    }
    self->term_count = core_kb_gather_finish(self->gather);
}

// --- A command -----------------------------------------------------------------------------------

typedef struct {
    service_apply_t *apply;
    const schema_kb_document_t *asked;
    core_kb_row_t *row; // of the document, as it was; then as it will be
    pack_t *kept;       // what the row's views point into
    core_kb_totals_t totals;
    uint32_t index; // of the part, from 0
    uint32_t parts;
    cut_t cut;
    uint8_t sha256[CORE_KB_HASH_SIZE];
    const char *action;
} add_t;

static bool
has_control(bus_view_t text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = (unsigned char) text.data[i];
        if (byte < 0x20 || byte == 0x7f) {
            return true;
        }
    }
    return false;
}

static bus_err_t
refuse_field(service_apply_t *apply, const char *field, const char *problem)
{
    schema_problems_t problems = {.count = 1, .at = {{.field = field, .problem = problem}}};
    BUS_AUTO(pack_destroy) pack_t *details = pack_new();
    schema_pack_problems(&problems, details);
    return service_refuse(apply, BUS_VALIDATION_FAILED, NULL, pack_view(details));
}

static bus_err_t
check_fields(add_t *self)
{
    const schema_kb_document_t *asked = self->asked;
    const struct {
        const char *name;
        bus_view_t text;
    } names[] = {{"document_id", asked->document_id},
                 {"title", asked->title},
                 {"book", asked->book},
                 {"type", asked->type},
                 {"version", asked->version},
                 {"source", asked->source}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (has_control(names[i].text)) {
            return refuse_field(self->apply, names[i].name, "must not have control characters");
        }
    }
    int64_t part = asked->part.has ? asked->part.value : 1;
    int64_t parts = asked->parts.has ? asked->parts.value : 1;
    if (part > parts) {
        return refuse_field(self->apply, "part", "must not be above parts");
    }
    self->index = (uint32_t) part - 1;
    self->parts = (uint32_t) parts;
    return BUS_OK;
}

// The document as it is; one that is damaged is as good as none, and what it had is not found.
static bus_err_t
load_row(service_apply_t *apply, bus_view_t document_id, core_kb_row_t *row)
{
    bus_err_t err = core_kb_row_get(apply->txn, document_id, row);
    if (err == BUS_CORRUPT) {
        log_error("kb_document_damaged", "seq=%llu", (unsigned long long) apply->header->seq);
    }
    if (err == BUS_CORRUPT || err == BUS_NOT_FOUND) {
        *row = (core_kb_row_t){.part_count = 0};
        return BUS_OK;
    }
    return err;
}

static bool
reals_equal(schema_real_t a, schema_real_t b)
{
    return a.has == b.has && (!a.has || (a.value >= b.value && a.value <= b.value));
}

static bool
says_the_same(const add_t *self)
{
    const schema_kb_row_t *is = &self->row->about;
    const schema_kb_document_t *asked = self->asked;
    return view_equal(is->title, asked->title) && view_equal(is->book, asked->book) &&
           view_equal(is->type, asked->type) && view_equal(is->version, asked->version) &&
           view_equal(is->source, asked->source) &&
           reals_equal(is->quality_score, asked->quality_score) &&
           reals_equal(is->trust_score, asked->trust_score);
}

static bool
has_text_already(const add_t *self)
{
    return self->index < self->row->part_count && self->row->parts[self->index].first > 0 &&
           memcmp(self->row->parts[self->index].sha256, self->sha256, CORE_KB_HASH_SIZE) == 0;
}

// --- What goes -----------------------------------------------------------------------------------

static bus_err_t
mark_run(store_txn_t *txn, const schema_kb_row_t *about, core_kb_run_t run)
{
    bus_err_t err = core_kb_passage_mark(txn, run, CORE_KB_BOOK, about->book);
    if (err == BUS_OK) {
        err = core_kb_passage_mark(txn, run, CORE_KB_TYPE, about->type);
    }
    return err == BUS_OK ? core_kb_passage_mark(txn, run, CORE_KB_VERSION, about->version) : err;
}

static bus_err_t
unmark_run(store_txn_t *txn, const schema_kb_row_t *about, core_kb_run_t run)
{
    bus_err_t err = core_kb_passage_unmark(txn, run, CORE_KB_BOOK, about->book);
    if (err == BUS_OK) {
        err = core_kb_passage_unmark(txn, run, CORE_KB_TYPE, about->type);
    }
    return err == BUS_OK ? core_kb_passage_unmark(txn, run, CORE_KB_VERSION, about->version) : err;
}

// Takes the words of passages [first, last] out of the index, and the passages away. One that is
// damaged takes its words' secret with it: its postings stay, and lead nowhere.
static bus_err_t
remove_passages(store_txn_t *txn, core_kb_run_t run)
{
    BUS_AUTO(core_kb_gather_destroy) core_kb_gather_t *gather = core_kb_gather_new();
    bus_err_t err = BUS_OK;
    for (uint64_t i = run.first; i <= run.last && err != BUS_IO; i++) {
        core_kb_passage_t passage;
        err = core_kb_passage_get(txn, i, &passage);
        if (err == BUS_OK) {
            // Only which words there are is asked, so all of it counts as one passage.
            (void) core_kb_gather_add(gather, run.first, passage.text);
        }
    }
    if (err != BUS_IO) {
        size_t count = core_kb_gather_finish(gather);
        err = core_kb_index_remove(txn, gather, count, run.first, run.last);
    }
    for (uint64_t i = run.first; i <= run.last && err == BUS_OK; i++) {
        err = store_del(txn, CORE_KB_PASSAGES, STORE_U64(i));
        err = err == BUS_NOT_FOUND ? BUS_OK : err;
    }
    return err;
}

// How many, but not below nothing: a total that was damaged and counted anew may know of fewer.
static uint64_t
less(uint64_t total, uint64_t gone)
{
    return total > gone ? total - gone : 0;
}

static bus_err_t
forget_part(store_txn_t *txn,
            core_kb_row_t *row,
            uint32_t index,
            const schema_kb_row_t *about,
            core_kb_totals_t *totals)
{
    core_kb_part_t *part = &row->parts[index];
    core_kb_run_t run = core_kb_row_run(row, index);
    bus_err_t err = core_kb_passage_disown(txn, run);
    if (err == BUS_OK) {
        err = unmark_run(txn, about, run);
    }
    totals->passages = less(totals->passages, part->last - part->first + 1);
    totals->words = less(totals->words, part->words);
    totals->bytes = less(totals->bytes, part->bytes);
    *part = (core_kb_part_t){.first = 0};
    return err;
}

// Removes parts [from, end) of the document: those whose passages follow each other at once, since
// most of what that costs is by the word.
static bus_err_t
remove_parts(
    store_txn_t *txn, core_kb_row_t *row, uint32_t from, uint32_t end, core_kb_totals_t *totals)
{
    bus_err_t err = BUS_OK;
    core_kb_run_t run = {.first = 0};
    for (uint32_t i = from; i < end && err == BUS_OK; i++) {
        const core_kb_part_t *part = &row->parts[i];
        if (part->first == 0) {
            continue;
        }
        if (run.first > 0 && part->first == run.last + 1) {
            run.last = part->last;
        } else {
            err = run.first > 0 ? remove_passages(txn, run) : BUS_OK;
            run = core_kb_row_run(row, i);
        }
        if (err == BUS_OK) {
            err = forget_part(txn, row, i, &row->about, totals);
        }
    }
    return err == BUS_OK && run.first > 0 ? remove_passages(txn, run) : err;
}

// --- What comes ----------------------------------------------------------------------------------

static bus_err_t
put_passages(const add_t *self, uint64_t first)
{
    bus_view_t text = self->asked->text;
    bus_err_t err = BUS_OK;
    for (size_t i = 0; i < self->cut.count && err == BUS_OK; i++) {
        const piece_t *piece = &self->cut.pieces[i];
        const core_kb_passage_t passage = {
            .offset = piece->chunk.start,
            .number = (uint32_t) i,
            .words = piece->words,
            .overlap = (uint32_t) piece->chunk.overlap,
            .text =
                view_from(text.data + piece->chunk.start, piece->chunk.end - piece->chunk.start)};
        err = core_kb_passage_append(self->apply->txn, first + i, &passage);
    }
    return err;
}

static bus_err_t
put_part(add_t *self)
{
    store_txn_t *txn = self->apply->txn;
    core_kb_run_t run = {.first = self->totals.next,
                         .last = self->totals.next + self->cut.count - 1};
    bus_err_t err = put_passages(self, run.first);
    if (err == BUS_OK) {
        err = core_kb_index_add(txn, self->cut.gather, self->cut.term_count);
    }
    if (err == BUS_OK) {
        err = core_kb_passage_own(txn, run, self->asked->document_id, self->index + 1);
    }
    if (err == BUS_OK) {
        err = mark_run(txn, &self->row->about, run);
    }
    core_kb_part_t *part = &self->row->parts[self->index];
    *part = (core_kb_part_t){.first = run.first,
                             .last = run.last,
                             .words = self->cut.words,
                             .bytes = self->asked->text.size};
    memcpy(part->sha256, self->sha256, sizeof part->sha256);
    self->totals.next = run.last + 1;
    self->totals.passages += self->cut.count;
    self->totals.words += self->cut.words;
    self->totals.bytes += self->asked->text.size;
    return err;
}

// What is said about the document is as this command says it. Runs that were there are found by it.
static bus_err_t
take_about(add_t *self)
{
    core_kb_row_t *row = self->row;
    schema_kb_row_t was = row->about;
    const schema_kb_document_t *asked = self->asked;
    row->about = (schema_kb_row_t){
        .title = asked->title,
        .book = asked->book,
        .type = asked->type,
        .version = asked->version,
        .source = asked->source,
        .quality_score = asked->quality_score,
        .trust_score = asked->trust_score,
        .added_at = was.added_at.has
                        ? was.added_at
                        : (schema_int_t){.has = true, .value = (int64_t) self->apply->header->at},
        .updated_at = {.has = true, .value = (int64_t) self->apply->header->at},
        .seq = {.has = true, .value = (int64_t) self->apply->header->seq},
    };
    bus_err_t err = BUS_OK;
    for (uint32_t i = 0; i < row->part_count && err == BUS_OK; i++) {
        if (row->parts[i].first > 0) {
            err = unmark_run(self->apply->txn, &was, core_kb_row_run(row, i));
            if (err == BUS_OK) {
                err = mark_run(self->apply->txn, &row->about, core_kb_row_run(row, i));
            }
        }
    }
    return err;
}

// Makes room in the row for the part, and none for what is behind a last one.
static bus_err_t
fit_parts(add_t *self)
{
    core_kb_row_t *row = self->row;
    uint32_t count = row->part_count > self->parts ? row->part_count : self->parts;
    for (uint32_t i = row->part_count; i < count; i++) {
        row->parts[i] = (core_kb_part_t){.first = 0};
    }
    bool is_last = self->index + 1 == self->parts;
    bus_err_t err = BUS_OK;
    if (is_last && row->part_count > self->parts) {
        err = remove_parts(self->apply->txn, row, self->parts, row->part_count, &self->totals);
        count = self->parts;
    }
    row->part_count = count;
    return err;
}

// The row's texts lie in the store, which is about to be written.
static void
keep_row(schema_kb_row_t *about, pack_t *kept)
{
    schema_problems_t problems;
    schema_encode(&SCHEMA_kb_row, about, kept);
    bus_err_t err = schema_decode(&SCHEMA_kb_row, pack_view(kept), about, &problems);
    assert(err == BUS_OK); // it was decoded by the same rows before
}

// All that a command changes. It was checked.
static bus_err_t
change(add_t *self)
{
    store_txn_t *txn = self->apply->txn;
    bool is_new = self->row->part_count == 0;
    bool has_text = has_text_already(self);
    if (!is_new) {
        keep_row(&self->row->about, self->kept);
    }
    bus_err_t err = fit_parts(self);
    bool had_part = self->row->parts[self->index].first > 0;
    if (err == BUS_OK && had_part && !has_text) {
        err = remove_parts(txn, self->row, self->index, self->index + 1, &self->totals);
    }
    if (err == BUS_OK) {
        err = take_about(self);
    }
    if (err == BUS_OK && !has_text) {
        err = put_part(self);
    }
    if (err == BUS_OK) {
        err = core_kb_row_put(txn, self->asked->document_id, self->row);
    }
    self->totals.documents += is_new ? 1 : 0;
    self->action = has_text ? "updated" : had_part ? "replaced" : "added";
    return err == BUS_OK ? core_kb_passage_totals_save(txn, &self->totals) : err;
}

// --- Answers -------------------------------------------------------------------------------------

static void
pack_hash(pack_t *out, const char *key, const uint8_t hash[CORE_KB_HASH_SIZE])
{
    char hex[CORE_KB_HASH_SIZE * 2 + 1];
    id_hex(hash, CORE_KB_HASH_SIZE, hex);
    pack_pair_text(out, key, hex);
}

static void
answer(const add_t *self)
{
    const core_kb_part_t *part = &self->row->parts[self->index];
    pack_t *out = self->apply->answer;
    pack_map(out, 7);
    pack_pair_text(out, "status", "success");
    pack_pair_str(out, "document_id", self->asked->document_id);
    pack_pair_text(out, "action", self->action);
    pack_pair_uint(out, "part", self->index + 1);
    pack_pair_uint(out, "parts", self->parts);
    pack_pair_uint(out, "chunks", part->last - part->first + 1);
    pack_hash(out, "sha256", part->sha256);
}

static bus_err_t
add(add_t *self)
{
    bus_err_t err = check_fields(self);
    if (err == BUS_OK) {
        err = load_row(self->apply, self->asked->document_id, self->row);
    }
    if (err == BUS_OK) {
        err = core_kb_passage_totals_repair(self->apply->txn, &self->totals);
    }
    if (err != BUS_OK) {
        return err;
    }
    sha256_bytes(self->asked->text, self->sha256);
    bool has_text = has_text_already(self);
    bool ends_shorter = self->index + 1 == self->parts && self->row->part_count > self->parts;
    if (has_text && says_the_same(self) && !ends_shorter && self->row->part_count >= self->parts) {
        self->action = "unchanged";
        answer(self);
        return BUS_OK;
    }
    if (!has_text) {
        cut_text(&self->cut, self->asked->text, self->totals.next);
        if (self->cut.count == 0) {
            return refuse_field(self->apply, "text", "must have a word");
        }
        if (self->totals.passages + self->cut.count > CORE_KB_PASSAGES_MAX) {
            return service_refuse(
                self->apply, BUS_QUOTA_EXCEEDED, "the knowledge base is full", VIEW_NONE);
        }
    }
    err = change(self);
    if (err == BUS_OK) {
        answer(self);
    }
    return err;
}

bus_err_t
core_kb_document_add(service_apply_t *self, const void *message)
{
    core_kb_row_t row;
    BUS_AUTO(pack_destroy) pack_t *kept = pack_new();
    add_t command = {.apply = self, .asked = message, .row = &row, .kept = kept};
    bus_err_t err = add(&command);
    cut_clear(&command.cut);
    return err;
}

bus_err_t
core_kb_document_remove(service_apply_t *self, const void *message)
{
    const schema_kb_remove_t *asked = message;
    core_kb_row_t row;
    core_kb_totals_t totals;
    BUS_AUTO(pack_destroy) pack_t *kept = pack_new();
    bus_err_t err = load_row(self, asked->document_id, &row);
    if (err == BUS_OK) {
        err = core_kb_passage_totals_repair(self->txn, &totals);
    }
    if (err != BUS_OK) {
        return err;
    }
    if (row.part_count == 0) { // a damaged one goes, too
        err = store_del(self->txn, CORE_KB_DOCUMENTS, asked->document_id);
        if (err != BUS_OK && err != BUS_NOT_FOUND) {
            return err;
        }
        return service_refuse(self, BUS_NOT_FOUND, "no document has this id", VIEW_NONE);
    }
    keep_row(&row.about, kept);
    uint64_t before = totals.passages;
    err = remove_parts(self->txn, &row, 0, row.part_count, &totals);
    if (err == BUS_OK) {
        err = store_del(self->txn, CORE_KB_DOCUMENTS, asked->document_id);
    }
    totals.documents = less(totals.documents, 1);
    if (err == BUS_OK) {
        err = core_kb_passage_totals_save(self->txn, &totals);
    }
    if (err == BUS_OK) {
        pack_map(self->answer, 4);
        pack_pair_text(self->answer, "status", "success");
        pack_pair_str(self->answer, "document_id", asked->document_id);
        pack_pair_text(self->answer, "action", "removed");
        pack_pair_uint(self->answer, "chunks", before - totals.passages);
    }
    return err;
}
