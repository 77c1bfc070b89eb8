// journal_append.c - one block, one transaction: deciding by pseq, placing, keeping the acks.
//
// Two ways in. The first takes every item in the block's order in one ordinary transaction. Where
// that fails because the map is full, the second keeps consumers' acks from the reserve, since it
// is the acks that let the journal be trimmed; trimming is a transaction of its own in any case.
#include "journal_inner.h"
#include "journal_trim.h"
#include "record.h"
#include <assert.h>

typedef struct {
    journal_t *journal;
    store_txn_t *txn;  // NULL until an item needs it
    store_mode_t mode; // how it is begun
    void *block;
    size_t size;
    uint64_t at;      // of all records of this commit
    bool has_records; // the state changed
    bool has_writes;  // something changed
} append_t;

static bus_err_t
require_txn(append_t *self)
{
    return self->txn != NULL ? BUS_OK : store_begin(self->journal->store, self->mode, &self->txn);
}

// Stores the item's record as the new head.
static bus_err_t
put_record(append_t *self, batch_item_t *item, record_trailer_t trailer)
{
    journal_state_t *state = &self->journal->state;
    assert(item->family < JOURNAL_FAMILIES_MAX);
    uint64_t seq = state->head + 1;
    char *record = (char *) item + item->record.offset;
    header_place((uint8_t *) item + item->header.offset + item->header.size,
                 seq,
                 self->at,
                 state->prev[item->family]);
    // The batch left room for the trailer behind each record.
    memcpy(record + item->record.size, &trailer, sizeof(trailer));
    size_t size = item->record.size + sizeof(trailer);
    bus_err_t err = store_append(self->txn, TABLE_LOG, STORE_U64(seq), view_from(record, size));
    if (err == BUS_OK) {
        err = journal_trace_note(&self->journal->traces, self->txn, seq, item->trace);
    }
    if (err != BUS_OK) {
        return err;
    }
    state->head = seq;
    state->at = self->at;
    state->prev[item->family] = seq;
    state->bytes += size;
    item->seq = seq;
    item->at = self->at;
    self->has_records = true;
    return BUS_OK;
}

// Fills in what the original of a duplicate was answered with.
static bus_err_t
answer_duplicate(append_t *self, batch_item_t *item, stream_t *stream)
{
    uint64_t seq;
    bus_err_t err =
        stream_map_origin(self->journal->streams, stream, self->txn, TABLE_LOG, item->pseq, &seq);
    if (err == BUS_BUSY) {
        item->err = BUS_BUSY;
        return BUS_OK;
    }
    if (err != BUS_OK) {
        return err;
    }
    item->duplicate = true;
    bus_view_t value = VIEW_NONE;
    err = seq == 0 ? BUS_NOT_FOUND : store_get(self->txn, TABLE_LOG, STORE_U64(seq), &value);
    if (err == BUS_NOT_FOUND || err == BUS_CORRUPT) {
        return BUS_OK; // too far back, trimmed or unreadable: seq and at stay 0
    }
    if (err != BUS_OK) {
        return err;
    }
    record_trailer_t trailer;
    record_trailer(value, &trailer);
    item->seq = seq;
    item->at = record_at(value);
    if (item->kind == BATCH_GROUP) {
        item->first = seq - trailer.span + 1;
        item->count = trailer.span;
    }
    return BUS_OK;
}

// Decides by pseq: *ret_stream is set where the item is to be journaled and has a stream. Otherwise
// its result is filled in and *ret_taken is false.
static bus_err_t
decide(append_t *self, batch_item_t *item, bool *ret_taken, stream_t **ret_stream)
{
    *ret_taken = true;
    *ret_stream = NULL;
    if (item->pseq == 0) {
        return BUS_OK;
    }
    stream_map_t *streams = self->journal->streams;
    bus_view_t source = batch_piece(item, item->source);
    bus_view_t pstream = batch_piece(item, item->pstream);
    stream_t *stream = stream_map_find(streams, source, pstream);
    uint64_t last = stream == NULL ? 0 : stream->state.pseq;
    if (item->pseq <= last) {
        *ret_taken = false;
        return answer_duplicate(self, item, stream);
    }
    if (item->pseq > last + 1) {
        *ret_taken = false;
        item->err = BUS_PSEQ_GAP;
        item->expected = last + 1;
        return BUS_OK;
    }
    if (stream == NULL) {
        bus_err_t err = stream_map_add(streams, self->txn, source, pstream, self->at, &stream);
        if (err == BUS_BUSY) {
            *ret_taken = false;
            item->err = BUS_BUSY;
            return BUS_OK;
        }
        if (err != BUS_OK) {
            return err;
        }
    }
    *ret_stream = stream;
    return BUS_OK;
}

// The stream goes on to the item's pseq, with `record` as its (last) record.
static void
advance(append_t *self, stream_t *stream, const batch_item_t *item, const batch_item_t *record)
{
    const stream_state_t state = {
        .pseq = item->pseq,
        .seq = record->seq,
        .at = self->at,
        .cause_seq = record->cause_seq,
        .cause_n = record->cause_n,
    };
    stream_map_advance(self->journal->streams, stream, &state);
}

static bus_err_t
append_record(append_t *self, batch_item_t *item)
{
    bool is_taken;
    stream_t *stream;
    bus_err_t err = decide(self, item, &is_taken, &stream);
    if (err != BUS_OK || !is_taken) {
        return err;
    }
    record_trailer_t trailer = {.span = 1};
    if (stream != NULL) {
        trailer.stream_prev = stream->state.seq;
    }
    err = put_record(self, item, trailer);
    if (err == BUS_OK && stream != NULL) {
        advance(self, stream, item, item);
    }
    return err;
}

// *item_p: the group; then its last record.
static bus_err_t
append_group(append_t *self, batch_item_t **item_p)
{
    batch_item_t *group = *item_p;
    const uint32_t count = group->count;
    assert(count > 0);
    bool is_taken;
    stream_t *stream;
    bus_err_t err = decide(self, group, &is_taken, &stream);
    for (uint32_t i = 1; i <= count && err == BUS_OK; i++) {
        *item_p = batch_next(self->block, self->size, *item_p);
        assert(*item_p != NULL && (*item_p)->grouped && (*item_p)->kind == BATCH_RECORD);
        if (!is_taken) {
            (*item_p)->err = group->err;
            (*item_p)->duplicate = group->duplicate;
            continue;
        }
        record_trailer_t trailer = {.span = 0};
        if (i == count) {
            trailer.span = count;
            trailer.stream_prev = stream == NULL ? 0 : stream->state.seq;
        }
        err = put_record(self, *item_p, trailer);
    }
    if (err == BUS_OK && is_taken) {
        group->seq = (*item_p)->seq;
        group->at = self->at;
        group->first = group->seq - count + 1;
        if (stream != NULL) {
            advance(self, stream, group, *item_p);
        }
    }
    return err;
}

static void
answer_hello(append_t *self, batch_item_t *item)
{
    stream_t *stream = stream_map_find(
        self->journal->streams, batch_piece(item, item->source), batch_piece(item, item->pstream));
    if (stream != NULL) {
        item->count = 1;
        item->expected = stream->state.pseq;
        item->cause_seq = stream->state.cause_seq;
        item->cause_n = stream->state.cause_n;
    }
}

static bus_err_t
keep_consumer(append_t *self, batch_item_t *item)
{
    bus_view_t name = batch_piece(item, item->source);
    bus_view_t known;
    bus_err_t err = store_get(self->txn, TABLE_CONSUMERS, name, &known);
    if (err == BUS_NOT_FOUND) {
        uint64_t count;
        err = store_count(self->txn, TABLE_CONSUMERS, &count);
        if (err == BUS_OK && count >= CONSUMERS_MAX) {
            item->err = BUS_BUSY;
            return BUS_OK;
        }
    } else if (err == BUS_OK && known.size == sizeof(item->seq) &&
               memcmp(known.data, &item->seq, sizeof(item->seq)) == 0) {
        return BUS_OK; // says what it said before: not worth a flush
    }
    if (err != BUS_OK) {
        return err;
    }
    self->has_writes = true;
    bus_view_t ack = view_from(&item->seq, sizeof(item->seq));
    return store_put(self->txn, TABLE_CONSUMERS, name, ack);
}

static bus_err_t
forget_consumer(append_t *self, const batch_item_t *item)
{
    bus_err_t err = store_del(self->txn, TABLE_CONSUMERS, batch_piece(item, item->source));
    if (err == BUS_NOT_FOUND) {
        return BUS_OK;
    }
    self->has_writes = true;
    return err;
}

// *item_p: the item; then the last one that was taken with it.
static bus_err_t
append_item(append_t *self, batch_item_t **item_p)
{
    batch_item_t *item = *item_p;
    const batch_kind_t kind = (batch_kind_t) item->kind;
    if (kind != BATCH_HELLO && kind != BATCH_TRIM) {
        bus_err_t err = require_txn(self);
        if (err != BUS_OK) {
            return err;
        }
    }
    switch (kind) {
    case BATCH_RECORD:
        return append_record(self, item);
    case BATCH_GROUP:
        return append_group(self, item_p);
    case BATCH_HELLO:
        answer_hello(self, item);
        return BUS_OK;
    case BATCH_CONSUMER:
        return keep_consumer(self, item);
    case BATCH_FORGET:
        return forget_consumer(self, item);
    case BATCH_TRIM:
        return BUS_OK;
    }
    return BUS_OK;
}

static bus_err_t
finish(append_t *self)
{
    journal_t *journal = self->journal;
    bus_err_t err = BUS_OK;
    if (self->has_records) {
        err = stream_map_flush(journal->streams, self->txn, self->at);
        if (err == BUS_OK) {
            err = journal_inner_put_state(journal, self->txn);
        }
    }
    if (err == BUS_OK && (self->has_records || self->has_writes)) {
        err = journal_inner_commit(journal, &self->txn);
    }
    return err;
}

static bool
is_consumers_matter(const batch_item_t *item)
{
    return item->kind == BATCH_CONSUMER || item->kind == BATCH_FORGET;
}

// All items but trims, or only what consumers say, in one transaction.
static bus_err_t
append_items(append_t *self, bool only_consumers)
{
    stream_map_begin(self->journal->streams);
    bus_err_t err = BUS_OK;
    batch_item_t *item = batch_first(self->block, self->size);
    while (item != NULL && err == BUS_OK) {
        if (!only_consumers || is_consumers_matter(item)) {
            err = append_item(self, &item);
        }
        item = batch_next(self->block, self->size, item);
    }
    if (err == BUS_OK) {
        err = finish(self);
    }
    store_rollback(&self->txn);
    return err;
}

// Nothing of the block is journaled, and every item says why.
static void
fail_items(append_t *self, bus_err_t err)
{
    batch_item_t *item = batch_first(self->block, self->size);
    for (; item != NULL; item = batch_next(self->block, self->size, item)) {
        item->err = err == BUS_FULL ? BUS_JOURNAL_FULL : BUS_IO;
        item->duplicate = false;
        item->at = 0;
        item->first = 0;
        item->expected = 0;
        item->count = item->kind == BATCH_GROUP ? item->count : 0;
        if (item->kind == BATCH_RECORD || item->kind == BATCH_GROUP) {
            item->seq = 0;
        }
    }
}

// The map is full: what consumers say is kept all the same.
static void
keep_consumers(append_t *self)
{
    batch_item_t *item = batch_first(self->block, self->size);
    bool has_any = false;
    for (; item != NULL; item = batch_next(self->block, self->size, item)) {
        if (is_consumers_matter(item)) {
            item->err = BUS_OK;
            has_any = true;
        }
    }
    if (!has_any) {
        return;
    }
    append_t again = {.journal = self->journal,
                      .mode = STORE_RESERVE,
                      .block = self->block,
                      .size = self->size,
                      .at = self->at};
    bus_err_t err = append_items(&again, true);
    for (item = batch_first(self->block, self->size); item != NULL && err != BUS_OK;
         item = batch_next(self->block, self->size, item)) {
        if (is_consumers_matter(item)) {
            item->err = err == BUS_FULL ? BUS_JOURNAL_FULL : BUS_IO;
        }
    }
}

static void
trim_items(append_t *self)
{
    batch_item_t *item = batch_first(self->block, self->size);
    for (; item != NULL; item = batch_next(self->block, self->size, item)) {
        if (item->kind == BATCH_TRIM) {
            item->err = BUS_OK;
            journal_trim(self->journal, item);
        }
    }
}

void
journal_append(journal_t *self, void *block, size_t size)
{
    append_t append = {.journal = self, .mode = STORE_WRITE, .block = block, .size = size};
    bus_err_t err = journal_inner_ready(self);
    if (err != BUS_OK) {
        fail_items(&append, BUS_IO);
        return;
    }
    append.at = journal_inner_now(self);
    err = append_items(&append, false);
    if (err != BUS_OK) {
        fail_items(&append, err);
        self->is_stale = store_is_failed(self->store) || journal_inner_load(self) != BUS_OK;
    }
    if (journal_inner_ready(self) != BUS_OK) {
        return; // tried again by the next append
    }
    if (err == BUS_FULL) {
        keep_consumers(&append);
    }
    trim_items(&append);
}
