// librarian_list.c - what the librarian made of documents, listed.
#include "librarian_record.h"

enum {
    PAGE = 100,         // documents where no limit is named
    LOOKED_MAX = 20000, // rows that are read for one answer: some ten milliseconds
};

void
kernel_librarian_record_pack(bus_view_t document_id,
                             const schema_librarian_document_t *row,
                             pack_t *out)
{
    bool is_mended = row->before.has;
    pack_map(out, is_mended ? 14 : 13);
    pack_pair_str(out, "document_id", document_id);
    pack_pair_str(out, "title", row->title);
    pack_pair_str(out, "source", row->source);
    pack_pair_str(out, "status", row->status);
    pack_pair_str(out, "reason", row->reason);
    pack_pair_str(out, "sha256", row->sha256);
    pack_pair_int(out, "words", row->words.value);
    pack_pair_int(out, "sections", row->sections.value);
    pack_pair_int(out, "chunks", row->chunks.value);
    pack_pair_real(out, "quality_score", row->quality_score.value);
    pack_pair_real(out, "trust_score", row->trust_score.value);
    pack_pair_bool(out, "low", row->low.value > 0);
    pack_pair_rfc3339(out, "at", (uint64_t) row->at.value);
    if (is_mended) {
        pack_pair_real(out, "quality_before", row->before.value);
    }
}

static bool
is_asked_for(const schema_librarian_documents_query_t *asked,
             const schema_librarian_document_t *row)
{
    return (asked->status.data == NULL || view_equal(asked->status, row->status)) &&
           (!asked->low.has || asked->low.value == (row->low.value > 0));
}

static bus_err_t
pack_rows(service_query_t *self,
          const schema_librarian_documents_query_t *asked,
          uint32_t *ret_count,
          bus_view_t *ret_next)
{
    uint32_t limit = asked->limit.has ? (uint32_t) asked->limit.value : PAGE;
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_view_t key = VIEW_NONE;
    bus_view_t value;
    bus_view_t last = VIEW_NONE;
    bus_err_t err = store_cursor_open(self->txn, KERNEL_LIBRARIAN_DOCUMENTS, &cursor);
    if (err == BUS_OK) {
        err = asked->after.data != NULL ? store_seek(cursor, asked->after, &key, &value)
                                        : store_first(cursor, &key, &value);
    }
    for (uint32_t looked = 0; err == BUS_OK || err == BUS_CORRUPT;
         err = store_next(cursor, &key, &value)) {
        schema_librarian_document_t row;
        schema_problems_t problems;
        if (*ret_count == limit || looked++ == LOOKED_MAX) {
            *ret_next = last;
            return BUS_OK;
        }
        last = key;
        if (err == BUS_CORRUPT || (asked->after.data != NULL && view_equal(key, asked->after)) ||
            schema_decode(&SCHEMA_librarian_document, value, &row, &problems) != BUS_OK ||
            !is_asked_for(asked, &row)) {
            continue;
        }
        kernel_librarian_record_pack(key, &row, self->answer);
        ++*ret_count;
    }
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

static void
pack_totals(const kernel_librarian_totals_t *totals, pack_t *out)
{
    pack_text(out, "totals");
    pack_map(out, 6);
    pack_pair_uint(out, "accepted", totals->accepted);
    pack_pair_uint(out, "rejected", totals->rejected);
    pack_pair_uint(out, "joined", totals->joined);
    pack_pair_uint(out, "mended", totals->mended);
    pack_pair_uint(out, "low_bytes", totals->low_bytes);
    if (totals->accepted > 0) {
        pack_pair_real(
            out, "average_quality", (double) totals->quality / 1000 / (double) totals->accepted);
    } else {
        pack_pair_nil(out, "average_quality");
    }
}

bus_err_t
kernel_librarian_record_list(service_query_t *self, const void *message)
{
    const schema_librarian_documents_query_t *asked = message;
    kernel_librarian_totals_t totals;
    uint32_t count = 0;
    bus_view_t next = VIEW_NONE;
    bus_err_t err = kernel_librarian_record_totals(self->txn, &totals);
    if (err != BUS_OK) {
        return err;
    }
    bool is_one = asked->document_id.data != NULL;
    schema_librarian_document_t row;
    err = is_one ? kernel_librarian_record_get(self->txn, asked->document_id, &row) : BUS_OK;
    if (err == BUS_NOT_FOUND) {
        return service_query_refuse(self, err, "no document has this id", VIEW_NONE);
    }
    if (err != BUS_OK) {
        return err;
    }
    pack_map(self->answer, 4);
    pack_text(self->answer, "documents");
    size_t place = pack_array_begin(self->answer);
    if (is_one) {
        kernel_librarian_record_pack(asked->document_id, &row, self->answer);
        count = 1;
    } else {
        err = pack_rows(self, asked, &count, &next);
    }
    pack_count(self->answer, place, count);
    pack_pair_uint(self->answer, "count", count);
    pack_pair_str(self->answer, "next", next);
    pack_totals(&totals, self->answer);
    return err;
}
