// store_ends.c - the lowest and the highest key of a table whose keys are numbers.
#include "store.h"

#include <assert.h>

typedef bus_err_t(move_fn)(store_cursor_t *self, bus_view_t *ret_key, bus_view_t *ret_value);

static bus_err_t
find_end(store_txn_t *txn, unsigned table, move_fn *move, uint64_t *ret_key)
{
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_view_t key = VIEW_NONE;
    bus_view_t value = VIEW_NONE;
    bus_err_t err = store_cursor_open(txn, table, &cursor);
    if (err == BUS_OK) {
        err = move(cursor, &key, &value);
    }
    if (err != BUS_OK && err != BUS_CORRUPT) {
        return err;
    }
    assert(key.size == sizeof *ret_key); // the table is of STORE_KEYS_UINT64
    memcpy(ret_key, key.data, sizeof *ret_key);
    return BUS_OK;
}

bus_err_t
store_lowest(store_txn_t *txn, unsigned table, uint64_t *ret_key)
{
    return find_end(txn, table, store_first, ret_key);
}

bus_err_t
store_highest(store_txn_t *txn, unsigned table, uint64_t *ret_key)
{
    return find_end(txn, table, store_last, ret_key);
}
