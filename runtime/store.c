// store.c - the LMDB environment, its transactions, and records that are checked on every read.
//
// A value on disk is the caller's bytes and eight more, little-endian: the XXH3 of table, key and
// value. A table of the store's own, `_store`, holds the format's number and a counter.
//
// Space. LMDB takes a new page for every page that it changes, also to delete, and gives freed ones
// out only two commits later, once no reader sees them. So the last tenth of the map is for
// deletes: a put beyond it is refused before LMDB sees it, which leaves the transaction whole. The
// estimate is per transaction: what the file held at its beginning and what was put since; the free
// list is counted only once the file has grown that far. Where LMDB itself runs out, the
// transaction is lost; then one small commit lets the pages that were freed last come of age, so
// that the same work can succeed when it is tried again.
#include "store.h"
#include "store_lmdb.h"
#include <assert.h>
#include <endian.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    NODE_HEAD_SIZE = 16,   // what LMDB adds to a small record, generously
    PAGE_HEAD_SIZE = 16,   // what LMDB adds to a run of pages
    RESERVE_FRACTION = 10, // the last tenth of the map is the reserve
};

struct store_cursor {
    store_txn_t *txn; // NULL once its transaction has ended
    MDB_cursor *lmdb; // NULL with it
    unsigned table;
    store_cursor_t *next; // of the transaction's open ones
};

void
store_destroy(store_t **self_p)
{
    store_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    assert(self->writer == 0);
    if (self->env != NULL) {
        mdb_env_close(self->env);
    }
    if (self->lock_fd >= 0) {
        close(self->lock_fd); // lets go of the flock, and only after LMDB is done
    }
    free(self);
    *self_p = NULL;
}

// --- Transactions -------------------------------------------------------------------------------

bus_err_t
store_begin(store_t *self, store_mode_t mode, store_txn_t **ret_txn)
{
    bool writes = mode != STORE_READ;
    if (writes && self->failed) {
        return BUS_IO;
    }
    unsigned long me = (unsigned long) pthread_self();
    assert(!writes || self->writer != me); // it would wait for itself
    MDB_txn *lmdb = NULL;
    int rc = mdb_txn_begin(self->env, NULL, writes ? 0 : MDB_RDONLY, &lmdb);
    if (rc == MDB_PANIC) {
        self->failed = true;
    }
    if (rc != MDB_SUCCESS) {
        return store_lmdb_err(rc);
    }
    store_txn_t *txn = calloc(1, sizeof(*txn));
    assert(txn != NULL);
    *txn = (store_txn_t){.store = self, .lmdb = lmdb, .mode = mode};
    if (writes) {
        self->writer = me;
        uint64_t limit = self->map_bytes - self->map_bytes / RESERVE_FRACTION;
        txn->room_bytes = (int64_t) limit - (int64_t) store_lmdb_file_bytes(self);
    }
    *ret_txn = txn;
    return BUS_OK;
}

// Ends what is ours of it; LMDB's part is ended already, or by the caller right after.
static void
forget_txn(store_txn_t **txn_p)
{
    store_txn_t *txn = *txn_p;
    if (txn->mode != STORE_READ) {
        txn->store->writer = 0;
    }
    free(txn);
    *txn_p = NULL;
}

// LMDB frees a write transaction's cursors with it, but not a read transaction's.
static void
close_cursors(store_txn_t *txn)
{
    for (store_cursor_t *cursor = txn->cursors; cursor != NULL; cursor = cursor->next) {
        mdb_cursor_close(cursor->lmdb);
        cursor->lmdb = NULL;
        cursor->txn = NULL;
    }
    txn->cursors = NULL;
}

// One small commit: pages that the last one freed can be used after it.
static void
age_free_pages(store_t *self)
{
    MDB_txn *txn = NULL;
    if (self->failed || mdb_txn_begin(self->env, NULL, 0, &txn) != MDB_SUCCESS) {
        return;
    }
    uint64_t age = 0;
    MDB_val key = store_lmdb_from_view(VIEW_LITERAL("age"));
    MDB_val value;
    if (mdb_get(txn, self->own_table, &key, &value) == MDB_SUCCESS &&
        value.mv_size == sizeof(age)) {
        memcpy(&age, value.mv_data, sizeof(age));
    }
    age++;
    value = store_lmdb_from_view(view_from(&age, sizeof(age)));
    if (mdb_put(txn, self->own_table, &key, &value, 0) == MDB_SUCCESS) {
        (void) mdb_txn_commit(txn); // it was worth a try; nothing depends on it
    } else {
        mdb_txn_abort(txn);
    }
}

// Whether a commit that failed so left the environment as it was. LMDB finds these out before it
// writes, or while it writes pages that nothing refers to yet and that the next try writes again.
static bool
is_harmless(int rc)
{
    return rc == MDB_SUCCESS || store_lmdb_err(rc) == BUS_FULL;
}

bus_err_t
store_commit(store_txn_t **txn_p)
{
    store_txn_t *txn = *txn_p;
    assert(txn->mode != STORE_READ);
    if (txn->doom != BUS_OK) {
        bus_err_t doom = txn->doom;
        store_rollback(txn_p);
        return doom;
    }
    store_t *self = txn->store;
    close_cursors(txn);
    int rc = mdb_txn_commit(txn->lmdb); // LMDB frees the transaction whatever the outcome
    if (!is_harmless(rc)) {
        self->failed = true;
    }
    forget_txn(txn_p);
    if (rc == MDB_MAP_FULL) {
        age_free_pages(self);
    }
    return store_lmdb_err(rc);
}

void
store_rollback(store_txn_t **txn_p)
{
    store_txn_t *txn = *txn_p;
    if (txn == NULL) {
        return;
    }
    store_t *self = txn->store;
    bool ran_out = txn->doom == BUS_FULL;
    close_cursors(txn);
    mdb_txn_abort(txn->lmdb);
    forget_txn(txn_p);
    if (ran_out) {
        age_free_pages(self);
    }
}

bool
store_is_failed(const store_t *self)
{
    return self->failed;
}

// --- Records ------------------------------------------------------------------------------------

static void
check_key(const store_txn_t *txn, unsigned table, bus_view_t key)
{
    assert(table < txn->store->table_count);
    assert(key.size >= 1 && key.size <= STORE_KEY_SIZE_MAX);
    assert(txn->store->tables[table].keys != STORE_KEYS_UINT64 || key.size == sizeof(uint64_t));
}

// Errors of a call that may write. LMDB gives a transaction up after most of them, and says only
// "bad transaction" from then on: what the first one was is kept.
static bus_err_t
err_from_write(store_txn_t *txn, int rc)
{
    if (rc == MDB_BAD_TXN && txn->doom != BUS_OK) {
        return txn->doom;
    }
    bus_err_t err = store_lmdb_err(rc);
    if (rc != MDB_SUCCESS && rc != MDB_NOTFOUND && rc != MDB_KEYEXIST && txn->doom == BUS_OK) {
        txn->doom = err;
    }
    return err;
}

// Splits a value on disk into the caller's bytes and their checksum, and checks them.
static bus_err_t
open_value(const store_t *self, unsigned table, bus_view_t key, MDB_val stored, bus_view_t *ret)
{
    if (stored.mv_size < STORE_CHECKSUM_SIZE) {
        return BUS_CORRUPT;
    }
    bus_view_t value = view_from(stored.mv_data, stored.mv_size - STORE_CHECKSUM_SIZE);
    uint64_t checksum = 0;
    memcpy(&checksum, value.data + value.size, sizeof(checksum));
    if (le64toh(checksum) != store_lmdb_checksum(self->seeds[table], key, value)) {
        return BUS_CORRUPT;
    }
    *ret = value;
    return BUS_OK;
}

bus_err_t
store_get(store_txn_t *txn, unsigned table, bus_view_t key, bus_view_t *ret_value)
{
    check_key(txn, table, key);
    MDB_val lmdb_key = store_lmdb_from_view(key);
    MDB_val stored;
    int rc = mdb_get(txn->lmdb, txn->store->dbis[table], &lmdb_key, &stored);
    if (rc != MDB_SUCCESS) {
        return err_from_write(txn, rc);
    }
    return open_value(txn->store, table, key, stored, ret_value);
}

// Takes the record's size off what may still be put. BUS_FULL: it would be beyond 90 %.
static bus_err_t
take_room(store_txn_t *txn, bus_view_t key, size_t stored_size)
{
    if (txn->mode == STORE_RESERVE) {
        return BUS_OK;
    }
    size_t page = (size_t) txn->store->page_bytes;
    size_t node = NODE_HEAD_SIZE + key.size;
    size_t cost = node + stored_size;    // half of it too little at worst, where pages were split
    if (node + stored_size > page / 2) { // it gets pages of its own
        cost = node + (stored_size + PAGE_HEAD_SIZE + page - 1) / page * page;
    }
    if (txn->room_bytes < (int64_t) cost && !txn->is_counted) {
        txn->is_counted = true;
        txn->room_bytes += (int64_t) store_lmdb_free_bytes(txn->store);
    }
    if (txn->room_bytes < (int64_t) cost) {
        return BUS_FULL;
    }
    txn->room_bytes -= (int64_t) cost;
    return BUS_OK;
}

static bus_err_t
put(store_txn_t *txn, unsigned table, bus_view_t key, bus_view_t value, unsigned flags)
{
    check_key(txn, table, key);
    assert(txn->mode != STORE_READ);
    size_t stored_size = value.size + STORE_CHECKSUM_SIZE;
    bus_err_t err = take_room(txn, key, stored_size);
    if (err != BUS_OK) {
        return err;
    }
    uint64_t checksum = htole64(store_lmdb_checksum(txn->store->seeds[table], key, value));
    MDB_val lmdb_key = store_lmdb_from_view(key);
    MDB_val stored = {.mv_size = stored_size}; // reserved in place: value and checksum go there
    int rc = mdb_put(txn->lmdb, txn->store->dbis[table], &lmdb_key, &stored, flags | MDB_RESERVE);
    if (rc != MDB_SUCCESS) {
        return err_from_write(txn, rc);
    }
    if (value.size > 0) {
        memcpy(stored.mv_data, value.data, value.size);
    }
    memcpy((char *) stored.mv_data + value.size, &checksum, sizeof(checksum));
    return BUS_OK;
}

bus_err_t
store_put(store_txn_t *txn, unsigned table, bus_view_t key, bus_view_t value)
{
    return put(txn, table, key, value, 0);
}

bus_err_t
store_append(store_txn_t *txn, unsigned table, bus_view_t key, bus_view_t value)
{
    return put(txn, table, key, value, MDB_APPEND);
}

bus_err_t
store_del(store_txn_t *txn, unsigned table, bus_view_t key)
{
    check_key(txn, table, key);
    assert(txn->mode != STORE_READ);
    MDB_val lmdb_key = store_lmdb_from_view(key);
    return err_from_write(txn, mdb_del(txn->lmdb, txn->store->dbis[table], &lmdb_key, NULL));
}

bus_err_t
store_clear(store_txn_t *txn, unsigned table)
{
    assert(table < txn->store->table_count && txn->mode != STORE_READ);
    return err_from_write(txn, mdb_drop(txn->lmdb, txn->store->dbis[table], 0));
}

bus_err_t
store_count(store_txn_t *txn, unsigned table, uint64_t *ret_count)
{
    assert(table < txn->store->table_count);
    MDB_stat stat;
    int rc = mdb_stat(txn->lmdb, txn->store->dbis[table], &stat);
    if (rc != MDB_SUCCESS) {
        return err_from_write(txn, rc);
    }
    *ret_count = stat.ms_entries;
    return BUS_OK;
}

// --- Cursors ------------------------------------------------------------------------------------

bus_err_t
store_cursor_open(store_txn_t *txn, unsigned table, store_cursor_t **ret_self)
{
    assert(table < txn->store->table_count);
    MDB_cursor *lmdb = NULL;
    int rc = mdb_cursor_open(txn->lmdb, txn->store->dbis[table], &lmdb);
    if (rc != MDB_SUCCESS) {
        return err_from_write(txn, rc);
    }
    store_cursor_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    *self = (store_cursor_t){.txn = txn, .lmdb = lmdb, .table = table, .next = txn->cursors};
    txn->cursors = self;
    *ret_self = self;
    return BUS_OK;
}

void
store_cursor_destroy(store_cursor_t **self_p)
{
    store_cursor_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    if (self->txn != NULL) {
        store_cursor_t **link = &self->txn->cursors;
        while (*link != self) {
            link = &(*link)->next;
        }
        *link = self->next;
        mdb_cursor_close(self->lmdb);
    }
    free(self);
    *self_p = NULL;
}

static bus_err_t
move(
    store_cursor_t *self, MDB_cursor_op op, MDB_val key, bus_view_t *ret_key, bus_view_t *ret_value)
{
    assert(self->txn != NULL);
    MDB_val stored;
    int rc = mdb_cursor_get(self->lmdb, &key, &stored, op);
    if (rc != MDB_SUCCESS) {
        // Damage of a page ends the walk; BUS_CORRUPT would promise that it goes on behind it.
        bus_err_t err = err_from_write(self->txn, rc);
        return err == BUS_CORRUPT ? BUS_IO : err;
    }
    *ret_key = view_from(key.mv_data, key.mv_size);
    return open_value(self->txn->store, self->table, *ret_key, stored, ret_value);
}

bus_err_t
store_first(store_cursor_t *self, bus_view_t *ret_key, bus_view_t *ret_value)
{
    return move(self, MDB_FIRST, (MDB_val){0}, ret_key, ret_value);
}

bus_err_t
store_last(store_cursor_t *self, bus_view_t *ret_key, bus_view_t *ret_value)
{
    return move(self, MDB_LAST, (MDB_val){0}, ret_key, ret_value);
}

bus_err_t
store_next(store_cursor_t *self, bus_view_t *ret_key, bus_view_t *ret_value)
{
    return move(self, MDB_NEXT, (MDB_val){0}, ret_key, ret_value);
}

bus_err_t
store_prev(store_cursor_t *self, bus_view_t *ret_key, bus_view_t *ret_value)
{
    return move(self, MDB_PREV, (MDB_val){0}, ret_key, ret_value);
}

bus_err_t
store_seek(store_cursor_t *self, bus_view_t key, bus_view_t *ret_key, bus_view_t *ret_value)
{
    assert(self->txn != NULL);
    check_key(self->txn, self->table, key);
    return move(self, MDB_SET_RANGE, store_lmdb_from_view(key), ret_key, ret_value);
}

// --- The store as a whole -----------------------------------------------------------------------

void
store_info(store_t *self, store_info_t *ret_info)
{
    MDB_envinfo info;
    int rc = mdb_env_info(self->env, &info);
    assert(rc == MDB_SUCCESS);
    *ret_info = (store_info_t){.map_bytes = self->map_bytes,
                               .used_bytes = store_lmdb_file_bytes(self),
                               .readers = info.me_numreaders};
}

void
store_room(const store_txn_t *txn, uint64_t *ret_map_bytes, uint64_t *ret_held_bytes)
{
    uint64_t file_bytes = store_lmdb_file_bytes(txn->store);
    uint64_t free_bytes = store_lmdb_free_bytes(txn->store);
    *ret_map_bytes = txn->store->map_bytes;
    *ret_held_bytes = file_bytes > free_bytes ? file_bytes - free_bytes : 0;
}

int
store_reap_readers(store_t *self)
{
    int dead = 0;
    (void) mdb_reader_check(self->env, &dead); // it fails only where the lock is broken: none then
    return dead;
}

bus_err_t
store_sync(store_t *self)
{
    int rc = mdb_env_sync(self->env, 1);
    if (rc != MDB_SUCCESS) {
        self->failed = true;
    }
    return store_lmdb_err(rc);
}
