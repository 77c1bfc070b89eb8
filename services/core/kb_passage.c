// kb_passage.c - the passages of the knowledge base, and the runs that they come in.
#include "kb_passage.h"

#include "kb_text.h"
#include "runtime/log.h"
#include "tables.h"

#include <assert.h>
#include <endian.h>

enum { ROW_HEAD_SIZE = offsetof(core_kb_passage_t, text), TEXT_MAX = 4096, OWNER = '*' };

#define TOTALS_KEY VIEW_LITERAL("kb")

// --- Totals --------------------------------------------------------------------------------------

bus_err_t
core_kb_passage_totals(store_txn_t *txn, core_kb_totals_t *ret_totals)
{
    bus_view_t value;
    bus_err_t err = store_get(txn, CORE_TOTALS, TOTALS_KEY, &value);
    if (err == BUS_NOT_FOUND) {
        *ret_totals = (core_kb_totals_t){.next = 1};
        return BUS_OK;
    }
    if (err == BUS_OK && value.size != sizeof *ret_totals) {
        return BUS_CORRUPT;
    }
    if (err == BUS_OK) {
        memcpy(ret_totals, value.data, sizeof *ret_totals);
    }
    return err;
}

// Of a record of CORE_KB_PASSAGES.
static uint64_t
key_number(bus_view_t key)
{
    uint64_t number = 0;
    assert(key.size == sizeof number);
    memcpy(&number, key.data, sizeof number);
    return number;
}

bus_err_t
core_kb_passage_totals_repair(store_txn_t *txn, core_kb_totals_t *ret_totals)
{
    bus_err_t err = core_kb_passage_totals(txn, ret_totals);
    if (err != BUS_CORRUPT) {
        return err;
    }
    log_error("kb_totals_damaged", "counted=anew");
    core_kb_totals_t totals = {.next = 1};
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    err = store_count(txn, CORE_KB_DOCUMENTS, &totals.documents);
    if (err == BUS_OK) {
        err = store_cursor_open(txn, CORE_KB_PASSAGES, &cursor);
    }
    bus_view_t key = VIEW_NONE;
    bus_view_t value;
    if (err == BUS_OK) {
        err = store_first(cursor, &key, &value);
    }
    while (err == BUS_OK || err == BUS_CORRUPT) {
        core_kb_passage_t row;
        if (err == BUS_OK && value.size >= ROW_HEAD_SIZE) {
            memcpy(&row, value.data, ROW_HEAD_SIZE);
            totals.words += row.words;
            totals.bytes += value.size - ROW_HEAD_SIZE - row.overlap;
        }
        totals.passages++;
        totals.next = key_number(key) + 1;
        err = store_next(cursor, &key, &value);
    }
    *ret_totals = totals;
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

bus_err_t
core_kb_passage_totals_save(store_txn_t *txn, const core_kb_totals_t *totals)
{
    return store_put(txn, CORE_TOTALS, TOTALS_KEY, view_from(totals, sizeof *totals));
}

// --- Passages ------------------------------------------------------------------------------------

bus_err_t
core_kb_passage_get(store_txn_t *txn, uint64_t passage, core_kb_passage_t *ret_passage)
{
    bus_view_t value;
    bus_err_t err = store_get(txn, CORE_KB_PASSAGES, STORE_U64(passage), &value);
    if (err == BUS_OK && value.size < ROW_HEAD_SIZE) {
        return BUS_CORRUPT;
    }
    if (err == BUS_OK) {
        memcpy(ret_passage, value.data, ROW_HEAD_SIZE);
        ret_passage->text = view_from(value.data + ROW_HEAD_SIZE, value.size - ROW_HEAD_SIZE);
        err = ret_passage->overlap <= ret_passage->text.size ? BUS_OK : BUS_CORRUPT;
    }
    return err;
}

bus_err_t
core_kb_passage_append(store_txn_t *txn, uint64_t passage, const core_kb_passage_t *row)
{
    char bytes[ROW_HEAD_SIZE + TEXT_MAX];
    assert(row->text.size <= TEXT_MAX); // 400 characters
    memcpy(bytes, row, ROW_HEAD_SIZE);
    memcpy(bytes + ROW_HEAD_SIZE, row->text.data, row->text.size);
    bus_view_t value = view_from(bytes, ROW_HEAD_SIZE + row->text.size);
    return store_put(txn, CORE_KB_PASSAGES, STORE_U64(passage), value);
}

// --- Runs ----------------------------------------------------------------------------------------

typedef struct {
    uint8_t bytes[1 + CORE_KB_PASSAGE_VALUE_MAX + 1 + 8];
    size_t size;
} range_key_t;

// What stands before the passage in a key; no folded value has a NUL.
static bus_view_t
key_prefix(range_key_t *self, int kind, bus_view_t folded)
{
    assert(folded.size <= CORE_KB_PASSAGE_VALUE_MAX);
    self->bytes[0] = (uint8_t) kind;
    if (folded.size > 0) {
        memcpy(self->bytes + 1, folded.data, folded.size);
    }
    self->bytes[1 + folded.size] = 0;
    self->size = folded.size + 2;
    return view_from(self->bytes, self->size);
}

static bus_view_t
key_make(range_key_t *self, int kind, bus_view_t folded, uint64_t last)
{
    (void) key_prefix(self, kind, folded);
    uint64_t big = htobe64(last);
    memcpy(self->bytes + self->size, &big, sizeof big);
    self->size += sizeof big;
    return view_from(self->bytes, self->size);
}

static uint64_t
key_last(bus_view_t key)
{
    uint64_t big;
    memcpy(&big, key.data + key.size - sizeof big, sizeof big);
    return be64toh(big);
}

// The first row of this kind and value that ends at or above `passage`. As store_seek.
static bus_err_t
seek(store_cursor_t *cursor,
     int kind,
     bus_view_t folded,
     uint64_t passage,
     core_kb_run_t *ret_run,
     bus_view_t *ret_value)
{
    range_key_t wanted;
    range_key_t prefix;
    bus_view_t key = VIEW_NONE;
    bus_view_t start = key_prefix(&prefix, kind, folded);
    bus_err_t err = store_seek(cursor, key_make(&wanted, kind, folded, passage), &key, ret_value);
    while (err == BUS_CORRUPT || (err == BUS_OK && ret_value->size < sizeof ret_run->first)) {
        err = store_next(cursor, &key, ret_value);
    }
    if (err != BUS_OK) {
        return err;
    }
    if (!view_starts(key, start) || key.size != start.size + sizeof(uint64_t)) {
        return BUS_NOT_FOUND;
    }
    memcpy(&ret_run->first, ret_value->data, sizeof ret_run->first);
    ret_run->last = key_last(key);
    return BUS_OK;
}

// An owner's row: first passage and part, then the document's id.
typedef struct {
    uint64_t first;
    uint32_t part;
    uint32_t unused; // 0
} owner_row_t;

enum { OWNER_SIZE_MAX = sizeof(owner_row_t) + 128 };

bus_err_t
core_kb_passage_own(store_txn_t *txn, core_kb_run_t run, bus_view_t document_id, uint32_t part)
{
    char bytes[OWNER_SIZE_MAX];
    owner_row_t row = {.first = run.first, .part = part};
    assert(document_id.size <= sizeof bytes - sizeof row);
    memcpy(bytes, &row, sizeof row);
    memcpy(bytes + sizeof row, document_id.data, document_id.size);
    range_key_t key;
    return store_put(txn,
                     CORE_KB_RANGES,
                     key_make(&key, OWNER, VIEW_NONE, run.last),
                     view_from(bytes, sizeof row + document_id.size));
}

bus_err_t
core_kb_passage_owner(store_txn_t *txn, uint64_t passage, core_kb_owner_t *ret_owner)
{
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_view_t value;
    bus_err_t err = store_cursor_open(txn, CORE_KB_RANGES, &cursor);
    if (err == BUS_OK) {
        err = seek(cursor, OWNER, VIEW_NONE, passage, &ret_owner->run, &value);
    }
    if (err != BUS_OK) {
        return err;
    }
    owner_row_t row;
    if (value.size <= sizeof row) {
        return BUS_CORRUPT;
    }
    memcpy(&row, value.data, sizeof row);
    ret_owner->part = row.part;
    ret_owner->document_id = view_from(value.data + sizeof row, value.size - sizeof row);
    return row.first <= passage ? BUS_OK : BUS_NOT_FOUND;
}

static bus_err_t
remove_row(store_txn_t *txn, int kind, bus_view_t folded, core_kb_run_t run)
{
    range_key_t key;
    bus_err_t err = store_del(txn, CORE_KB_RANGES, key_make(&key, kind, folded, run.last));
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

bus_err_t
core_kb_passage_disown(store_txn_t *txn, core_kb_run_t run)
{
    return remove_row(txn, OWNER, VIEW_NONE, run);
}

bus_err_t
core_kb_passage_mark(store_txn_t *txn,
                     core_kb_run_t run,
                     core_kb_attribute_t attribute,
                     bus_view_t value)
{
    char folded[CORE_KB_PASSAGE_VALUE_MAX];
    size_t size = core_kb_text_fold(value, folded, sizeof folded);
    if (size == 0) {
        return BUS_OK;
    }
    range_key_t key;
    return store_put(txn,
                     CORE_KB_RANGES,
                     key_make(&key, (int) attribute, view_from(folded, size), run.last),
                     view_from(&run.first, sizeof run.first));
}

bus_err_t
core_kb_passage_unmark(store_txn_t *txn,
                       core_kb_run_t run,
                       core_kb_attribute_t attribute,
                       bus_view_t value)
{
    char folded[CORE_KB_PASSAGE_VALUE_MAX];
    size_t size = core_kb_text_fold(value, folded, sizeof folded);
    return size == 0 ? BUS_OK : remove_row(txn, (int) attribute, view_from(folded, size), run);
}

bus_err_t
core_kb_passage_marked(store_cursor_t *cursor,
                       core_kb_attribute_t attribute,
                       bus_view_t folded,
                       uint64_t passage,
                       core_kb_run_t *ret_run)
{
    bus_view_t value;
    return seek(cursor, (int) attribute, folded, passage, ret_run, &value);
}
