// lease.c - who has what: the rows of HTM_RUNNING, whose keys say all.
#include "lease.h"

#include <assert.h>
#include <endian.h>

enum { KEY_SIZE_MAX = 1 + HTM_TASK_NAME_MAX + 8 };

static bus_view_t
key_make(uint8_t key[KEY_SIZE_MAX], bus_view_t worker, uint64_t seq)
{
    assert(worker.size <= HTM_TASK_NAME_MAX);
    uint64_t big = htobe64(seq);
    key[0] = (uint8_t) worker.size;
    if (worker.size > 0) {
        memcpy(key + 1, worker.data, worker.size);
    }
    memcpy(key + 1 + worker.size, &big, sizeof big);
    return view_from(key, 1 + worker.size + sizeof big);
}

bus_err_t
htm_lease_add(store_txn_t *txn, bus_view_t worker, uint64_t seq)
{
    uint8_t key[KEY_SIZE_MAX];
    return store_put(txn, HTM_RUNNING, key_make(key, worker, seq), view_from("", 0));
}

bus_err_t
htm_lease_remove(store_txn_t *txn, bus_view_t worker, uint64_t seq)
{
    uint8_t key[KEY_SIZE_MAX];
    return htm_tables_drop(txn, HTM_RUNNING, key_make(key, worker, seq));
}

bus_err_t
htm_lease_next(store_txn_t *txn, htm_lease_t *reterr_lease)
{
    uint8_t start[KEY_SIZE_MAX];
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_view_t key = VIEW_NONE;
    bus_view_t value = VIEW_NONE;
    bus_view_t behind = key_make(
        start, view_from(reterr_lease->worker, reterr_lease->worker_size), reterr_lease->seq + 1);
    bus_err_t err = store_cursor_open(txn, HTM_RUNNING, &cursor);
    if (err == BUS_OK) {
        err = store_seek(cursor, behind, &key, &value);
    }
    while (err == BUS_OK || err == BUS_CORRUPT) {
        size_t size = key.size > 0 ? (uint8_t) key.data[0] : 0;
        if (size <= HTM_TASK_NAME_MAX && key.size == 1 + size + sizeof(uint64_t)) {
            uint64_t big;
            memcpy(reterr_lease->worker, key.data + 1, size);
            memcpy(&big, key.data + 1 + size, sizeof big);
            reterr_lease->worker_size = size;
            reterr_lease->seq = be64toh(big);
            return BUS_OK; // there is nothing in it but its key
        }
        err = store_next(cursor, &key, &value);
    }
    return err;
}

bus_err_t
htm_lease_next_of(store_txn_t *txn, bus_view_t worker, uint64_t seq, uint64_t *ret_seq)
{
    htm_lease_t lease = {.worker_size = worker.size, .seq = seq};
    assert(worker.size > 0 && worker.size <= sizeof lease.worker);
    memcpy(lease.worker, worker.data, worker.size);
    bus_err_t err = htm_lease_next(txn, &lease);
    if (err == BUS_OK && !view_equal(view_from(lease.worker, lease.worker_size), worker)) {
        return BUS_NOT_FOUND;
    }
    *ret_seq = lease.seq;
    return err;
}
