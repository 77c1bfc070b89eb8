// kb_list.c - the documents of the knowledge base, listed.
#include "kb_document.h"
#include "proto/rfc3339.h"
#include "runtime/log.h"
#include "tables.h"

#include <stdio.h>

static void
pack_pair_time(pack_t *out, const char *key, int64_t at)
{
    char text[RFC3339_SIZE];
    rfc3339_format((uint64_t) at, text);
    pack_pair_text(out, key, text);
}

static void
pack_pair_maybe(pack_t *out, const char *key, schema_real_t real)
{
    if (real.has) {
        pack_pair_real(out, key, real.value);
    } else {
        pack_pair_nil(out, key);
    }
}

static void
pack_pair_hash(pack_t *out, const core_kb_row_t *row)
{
    char hex[2 * CORE_KB_HASH_SIZE + 1];
    for (size_t i = 0; i < CORE_KB_HASH_SIZE; i++) {
        (void) snprintf(hex + 2 * i, 3, "%02x", row->parts[0].sha256[i]);
    }
    if (row->part_count == 1) {
        pack_pair_text(out, "sha256", hex);
    } else {
        pack_pair_nil(out, "sha256"); // each part has its own
    }
}

static void
pack_row(pack_t *out, bus_view_t document_id, const core_kb_row_t *row)
{
    uint64_t bytes;
    uint64_t passages;
    uint64_t words = 0;
    uint32_t missing = 0;
    core_kb_row_before(row, row->part_count, &bytes, &passages);
    for (uint32_t i = 0; i < row->part_count; i++) {
        words += row->parts[i].words;
        missing += row->parts[i].first == 0 ? 1 : 0;
    }
    pack_map(out, 17);
    pack_pair_str(out, "document_id", document_id);
    pack_pair_str(out, "title", core_kb_row_title(row, document_id));
    pack_pair_str(out, "book", row->about.book);
    pack_pair_str(out, "type", row->about.type);
    pack_pair_str(out, "version", row->about.version);
    pack_pair_str(out, "source", row->about.source);
    pack_pair_maybe(out, "quality_score", row->about.quality_score);
    pack_pair_maybe(out, "trust_score", row->about.trust_score);
    pack_pair_uint(out, "parts", row->part_count);
    pack_pair_uint(out, "parts_missing", missing);
    pack_pair_uint(out, "chunks", passages);
    pack_pair_uint(out, "words", words);
    pack_pair_uint(out, "bytes", bytes);
    pack_pair_hash(out, row);
    pack_pair_time(out, "added_at", row->about.added_at.value);
    pack_pair_time(out, "updated_at", row->about.updated_at.value);
    pack_pair_int(out, "seq", row->about.seq.value);
}

static void
pack_totals(pack_t *out, const core_kb_totals_t *totals)
{
    pack_map(out, 4);
    pack_pair_uint(out, "documents", totals->documents);
    pack_pair_uint(out, "chunks", totals->passages);
    pack_pair_uint(out, "words", totals->words);
    pack_pair_uint(out, "bytes", totals->bytes);
}

// A page being made.
typedef struct {
    pack_t *rows; // an array, open
    size_t place;
    uint32_t count;
    uint32_t damaged;
    bus_view_t last; // id that was looked at
    bool has_more;
} page_t;

static void
take_row(page_t *self, bus_err_t err, bus_view_t key, bus_view_t stored)
{
    core_kb_row_t row;
    self->last = key;
    if (err == BUS_OK && core_kb_row_decode(stored, &row) == BUS_OK) {
        pack_row(self->rows, key, &row);
        self->count++;
    } else {
        self->damaged++;
    }
}

static bus_err_t
walk_rows(page_t *self, store_txn_t *txn, bus_view_t after, uint32_t limit)
{
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_err_t err = store_cursor_open(txn, CORE_KB_DOCUMENTS, &cursor);
    bus_view_t key = VIEW_NONE;
    bus_view_t stored = VIEW_NONE;
    if (err == BUS_OK) {
        err = after.size > 0 ? store_seek(cursor, after, &key, &stored)
                             : store_first(cursor, &key, &stored);
    }
    if ((err == BUS_OK || err == BUS_CORRUPT) && after.size > 0 && view_equal(key, after)) {
        err = store_next(cursor, &key, &stored);
    }
    for (; err == BUS_OK || err == BUS_CORRUPT; err = store_next(cursor, &key, &stored)) {
        if (self->count + self->damaged == limit) {
            self->has_more = true;
            return BUS_OK;
        }
        take_row(self, err, key, stored);
    }
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

static bus_err_t
find_rows(page_t *self, store_txn_t *txn, const schema_kb_documents_query_t *asked)
{
    if (asked->document_id.size == 0) {
        int64_t limit = asked->limit.has ? asked->limit.value : CORE_KB_DOCUMENTS_PAGE;
        return walk_rows(self, txn, asked->after, (uint32_t) limit);
    }
    bus_view_t stored = VIEW_NONE;
    bus_err_t err = store_get(txn, CORE_KB_DOCUMENTS, asked->document_id, &stored);
    if (err == BUS_OK || err == BUS_CORRUPT) {
        take_row(self, err, asked->document_id, stored);
        return BUS_OK;
    }
    return err;
}

bus_err_t
core_kb_document_list(service_query_t *self, const void *message)
{
    const schema_kb_documents_query_t *asked = message;
    BUS_AUTO(pack_destroy) pack_t *rows = pack_new();
    page_t page = {.rows = rows, .place = pack_array_begin(rows)};
    core_kb_totals_t totals = {.next = 0};
    bus_err_t err = core_kb_passage_totals(self->txn, &totals);
    if (err == BUS_OK || err == BUS_CORRUPT) {
        err = find_rows(&page, self->txn, asked);
    }
    if (err == BUS_NOT_FOUND) {
        return service_query_refuse(self, err, "no document has this id", VIEW_NONE);
    }
    if (err != BUS_OK) {
        return err;
    }
    pack_count(rows, page.place, page.count);
    if (page.damaged > 0) {
        log_error("kb_documents_damaged", "count=%u", page.damaged);
    }
    pack_map(self->answer, 5);
    pack_pair_raw(self->answer, "documents", pack_view(rows));
    pack_pair_uint(self->answer, "count", page.count);
    pack_pair_str(self->answer, "next", page.has_more ? page.last : VIEW_NONE);
    pack_pair_uint(self->answer, "damaged", page.damaged);
    pack_text(self->answer, "totals");
    pack_totals(self->answer, &totals);
    return BUS_OK;
}

unsigned
core_kb_document_health(store_txn_t *txn, pack_t *out)
{
    core_kb_totals_t totals;
    if (core_kb_passage_totals(txn, &totals) != BUS_OK) {
        return 0;
    }
    pack_text(out, "knowledge_base");
    pack_totals(out, &totals);
    return 1;
}
