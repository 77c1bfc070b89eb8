// index.c - finding executions and tasks by an attribute of theirs.
#include "index.h"

#include <assert.h>
#include <endian.h>

enum { KEY_SIZE_MAX = 2 + WORKFLOW_INDEX_VALUE_MAX + 8 };

typedef struct {
    uint8_t bytes[KEY_SIZE_MAX];
    size_t size; // bytes in use
} index_key_t;

static bus_view_t
key_make(index_key_t *ret_key, workflow_index_kind_t kind, bus_view_t value, uint64_t seq)
{
    assert(value.size > 0 && value.size <= WORKFLOW_INDEX_VALUE_MAX);
    uint64_t big = htobe64(seq);
    ret_key->bytes[0] = (uint8_t) kind;
    ret_key->bytes[1] = (uint8_t) value.size;
    memcpy(ret_key->bytes + 2, value.data, value.size);
    memcpy(ret_key->bytes + 2 + value.size, &big, sizeof big);
    ret_key->size = 2 + value.size + sizeof big;
    return view_from(ret_key->bytes, ret_key->size);
}

bus_err_t
workflow_index_add(store_txn_t *txn, workflow_index_kind_t kind, bus_view_t value, uint64_t seq)
{
    index_key_t key;
    return store_put(txn, WORKFLOW_INDEX, key_make(&key, kind, value, seq), view_from("", 0));
}

bus_err_t
workflow_index_remove(store_txn_t *txn, workflow_index_kind_t kind, bus_view_t value, uint64_t seq)
{
    index_key_t key;
    bus_err_t err = store_del(txn, WORKFLOW_INDEX, key_make(&key, kind, value, seq));
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

// Onto the last row at or below `start`.
static bus_err_t
seek_down(store_cursor_t *cursor, bus_view_t start, bus_view_t *ret_key)
{
    bus_view_t value;
    bus_err_t err = store_seek(cursor, start, ret_key, &value);
    if (err == BUS_NOT_FOUND) {
        return store_last(cursor, ret_key, &value);
    }
    if (err == BUS_OK && !view_equal(*ret_key, start)) {
        return store_prev(cursor, ret_key, &value);
    }
    return err;
}

bus_err_t
workflow_index_walk(store_txn_t *txn,
                    workflow_index_kind_t kind,
                    bus_view_t value,
                    workflow_index_fn *fn,
                    void *arg)
{
    index_key_t start;
    bus_view_t wanted = key_make(&start, kind, value, UINT64_MAX);
    bus_view_t prefix = view_from(start.bytes, start.size - sizeof(uint64_t));
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_err_t err = store_cursor_open(txn, WORKFLOW_INDEX, &cursor);
    bus_view_t key = VIEW_NONE;
    bus_view_t nothing = VIEW_NONE;
    if (err == BUS_OK) {
        err = seek_down(cursor, wanted, &key);
    }
    while ((err == BUS_OK || err == BUS_CORRUPT) && view_starts(key, prefix) &&
           key.size == start.size) {
        uint64_t big;
        memcpy(&big, key.data + prefix.size, sizeof big);
        if (!fn(arg, be64toh(big))) {
            return BUS_OK;
        }
        err = store_prev(cursor, &key, &nothing);
    }
    return store_forgive(err);
}
