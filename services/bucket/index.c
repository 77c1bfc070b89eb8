// index.c - finding what is kept by an attribute of it.
#include "index.h"

#include "runtime/log.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>

enum { KEY_SIZE_MAX = 2 + BUCKET_INDEX_VALUE_MAX + 8 };

typedef struct {
    uint8_t bytes[KEY_SIZE_MAX];
    size_t size; // bytes in use
} index_key_t;

struct bucket_index_walk {
    store_cursor_t *cursor; // over the index, or over the events
    index_key_t prefix;     // kind, size, value: without a seq; empty for all events
    index_key_t start;      // where the first step goes
    bool down;
    bool started;
};

static void
key_make(index_key_t *ret_key, bucket_index_kind_t kind, bus_view_t value)
{
    assert(value.size > 0 && value.size <= BUCKET_INDEX_VALUE_MAX);
    ret_key->bytes[0] = (uint8_t) kind;
    ret_key->bytes[1] = (uint8_t) value.size;
    memcpy(ret_key->bytes + 2, value.data, value.size);
    ret_key->size = 2 + value.size;
}

static void
key_add_seq(index_key_t *key, uint64_t seq)
{
    uint64_t big = htobe64(seq);
    memcpy(key->bytes + key->size, &big, sizeof big);
    key->size += sizeof big;
}

static bus_view_t
key_view(const index_key_t *key)
{
    return view_from(key->bytes, key->size);
}

bus_err_t
bucket_index_count(store_txn_t *txn,
                   bucket_index_kind_t kind,
                   bus_view_t value,
                   uint64_t *ret_count)
{
    index_key_t key;
    key_make(&key, kind, value);
    bus_view_t stored;
    bus_err_t err = store_get(txn, BUCKET_COUNTS, key_view(&key), &stored);
    if (err == BUS_NOT_FOUND) {
        *ret_count = 0;
        return BUS_OK;
    }
    if (err == BUS_OK && stored.size != sizeof *ret_count) {
        return BUS_CORRUPT;
    }
    if (err == BUS_OK) {
        memcpy(ret_count, stored.data, sizeof *ret_count);
    }
    return err;
}

static bool
is_counted(bucket_index_kind_t kind)
{
    switch (kind) {
    case BUCKET_INDEX_AGENT:
    case BUCKET_INDEX_REQUESTER:
    case BUCKET_INDEX_TYPE:
    case BUCKET_INDEX_PRODUCT:
    case BUCKET_INDEX_TAG:
    case BUCKET_INDEX_PERSON:
    case BUCKET_INDEX_SYSTEM:
        return true;
    case BUCKET_INDEX_TRACE:
    case BUCKET_INDEX_AUDIT_PRODUCT:
    case BUCKET_INDEX_AUDIT_TYPE:
    case BUCKET_INDEX_AUDIT_SEVERITY:
        return false;
    }
    return false;
}

// How many rows there are, by the rows themselves.
static bus_err_t
count_rows(store_txn_t *txn, const index_key_t *prefix, uint64_t *ret_count)
{
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_err_t err = store_cursor_open(txn, BUCKET_INDEX, &cursor);
    index_key_t first = *prefix;
    key_add_seq(&first, 0);
    bus_view_t key = VIEW_NONE;
    bus_view_t value;
    uint64_t count = 0;
    if (err == BUS_OK) {
        err = store_seek(cursor, key_view(&first), &key, &value);
    }
    while ((err == BUS_OK || err == BUS_CORRUPT) && view_starts(key, key_view(prefix)) &&
           key.size == first.size) {
        count++;
        err = store_next(cursor, &key, &value);
    }
    *ret_count = count;
    return err == BUS_IO ? err : BUS_OK;
}

// One row more (which is yet to be put), or less (which is deleted). A count of nothing is removed.
// One that is damaged is made anew, so that it does not stop the journal.
static bus_err_t
count_by(store_txn_t *txn, bucket_index_kind_t kind, bus_view_t value, int64_t change)
{
    if (!is_counted(kind)) {
        return BUS_OK;
    }
    index_key_t key;
    key_make(&key, kind, value);
    uint64_t count = 0;
    bus_err_t err = bucket_index_count(txn, kind, value, &count);
    if (err == BUS_CORRUPT) {
        log_error("index_count_damaged", "kind=%c", (char) kind);
        err = count_rows(txn, &key, &count);
        change = change > 0 ? change : 0;
    }
    if (err != BUS_OK) {
        return err;
    }
    count += (uint64_t) change;
    return count == 0
               ? store_del(txn, BUCKET_COUNTS, key_view(&key))
               : store_put(txn, BUCKET_COUNTS, key_view(&key), view_from(&count, sizeof count));
}

bus_err_t
bucket_index_add(store_txn_t *txn, bucket_index_kind_t kind, bus_view_t value, uint64_t seq)
{
    index_key_t key;
    key_make(&key, kind, value);
    key_add_seq(&key, seq);
    bus_err_t err = count_by(txn, kind, value, 1);
    return err == BUS_OK ? store_put(txn, BUCKET_INDEX, key_view(&key), view_from("", 0)) : err;
}

bus_err_t
bucket_index_remove(store_txn_t *txn, bucket_index_kind_t kind, bus_view_t value, uint64_t seq)
{
    index_key_t key;
    key_make(&key, kind, value);
    key_add_seq(&key, seq);
    bus_err_t err = store_del(txn, BUCKET_INDEX, key_view(&key));
    return err == BUS_OK ? count_by(txn, kind, value, -1) : err;
}

bus_err_t
bucket_index_values(store_txn_t *txn,
                    bucket_index_kind_t kind,
                    bucket_index_value_fn *fn,
                    void *arg)
{
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_err_t err = store_cursor_open(txn, BUCKET_COUNTS, &cursor);
    if (err != BUS_OK) {
        return err;
    }
    uint8_t first = (uint8_t) kind;
    bus_view_t key;
    bus_view_t value;
    err = store_seek(cursor, view_from(&first, 1), &key, &value);
    while (err == BUS_OK && key.size > 2 && (uint8_t) key.data[0] == first) {
        uint64_t count = 0;
        if (value.size != sizeof count) {
            return BUS_CORRUPT;
        }
        memcpy(&count, value.data, sizeof count);
        if (!fn(arg, view_from(key.data + 2, key.size - 2), count)) {
            return BUS_OK;
        }
        err = store_next(cursor, &key, &value);
    }
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

bus_err_t
bucket_index_walk_open(store_txn_t *txn,
                       const bucket_index_range_t *range,
                       bucket_index_walk_t **ret_self)
{
    bucket_index_walk_t *self = calloc(1, sizeof *self);
    assert(self);
    self->down = range->down;
    uint64_t from = range->down && range->from == 0 ? UINT64_MAX : range->from;
    if (range->kind == 0) {
        memcpy(self->start.bytes, &from, sizeof from); // a native integer key
        self->start.size = sizeof from;
    } else {
        key_make(&self->prefix, range->kind, range->value);
        self->start = self->prefix;
        key_add_seq(&self->start, from);
    }
    unsigned table = range->kind == 0 ? BUCKET_EVENTS : BUCKET_INDEX;
    bus_err_t err = store_cursor_open(txn, table, &self->cursor);
    if (err != BUS_OK) {
        bucket_index_walk_destroy(&self);
        return err;
    }
    *ret_self = self;
    return BUS_OK;
}

void
bucket_index_walk_destroy(bucket_index_walk_t **self_p)
{
    assert(self_p);
    bucket_index_walk_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    store_cursor_destroy(&self->cursor);
    free(self);
    *self_p = NULL;
}

// The first step: onto the start, or downwards onto the last row at or below it.
static bus_err_t
step_first(bucket_index_walk_t *self, bus_view_t *ret_key, bus_view_t *ret_value)
{
    bus_view_t start = key_view(&self->start);
    bus_err_t err = store_seek(self->cursor, start, ret_key, ret_value);
    if (!self->down) {
        return err;
    }
    if (err == BUS_NOT_FOUND) {
        return store_last(self->cursor, ret_key, ret_value);
    }
    if (err == BUS_OK && !view_equal(*ret_key, start)) {
        return store_prev(self->cursor, ret_key, ret_value);
    }
    return err;
}

bus_err_t
bucket_index_walk_next(bucket_index_walk_t *self, uint64_t *ret_seq)
{
    bus_view_t key;
    bus_view_t value;
    bus_err_t err;
    if (!self->started) {
        self->started = true;
        err = step_first(self, &key, &value);
    } else if (self->down) {
        err = store_prev(self->cursor, &key, &value);
    } else {
        err = store_next(self->cursor, &key, &value);
    }
    if (err != BUS_OK) {
        return err;
    }
    if (self->prefix.size == 0) {
        memcpy(ret_seq, key.data, sizeof *ret_seq);
        return BUS_OK;
    }
    if (!view_starts(key, key_view(&self->prefix)) ||
        key.size != self->prefix.size + sizeof *ret_seq) {
        return BUS_NOT_FOUND;
    }
    uint64_t big;
    memcpy(&big, key.data + self->prefix.size, sizeof big);
    *ret_seq = be64toh(big);
    return BUS_OK;
}

void
bucket_index_walk_seek(bucket_index_walk_t *self, uint64_t seq)
{
    assert(!self->down && self->prefix.size > 0);
    self->start = self->prefix;
    key_add_seq(&self->start, seq);
    self->started = false;
}
