// store_open.c - a folder becomes a store: its lock, its environment, its tables.
//
// The lock is taken before LMDB touches anything: one process that opens an environment twice loses
// LMDB's own locks, and two in different pid namespaces do not see each other's.
#include "store.h"
#include "store_lmdb.h"
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>

enum {
    READERS_MAX = 512, // read transactions at once, over all processes
    FORMAT = 1,        // of what stands in a value
};

static const uint64_t SIZE_DEFAULT = 64ULL << 30; // 64 GiB of addresses; the file is as big as used

// flock belongs to the open file: a second open is refused in this process too, and the kernel lets
// go of it when the process ends, however it ends.
static bus_err_t
lock_folder(store_t *self, const char *path)
{
    char file[PATH_MAX];
    if ((size_t) snprintf(file, sizeof(file), "%s/" STORE_LMDB_LOCK_FILE, path) >= sizeof(file)) {
        return BUS_IO;
    }
    self->lock_fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (self->lock_fd < 0) {
        return store_lmdb_err(errno);
    }
    if (flock(self->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        return store_lmdb_err(errno); // EWOULDBLOCK: BUS_CONFLICT
    }
    return BUS_OK;
}

static bus_err_t
open_env(store_t *self, const store_options_t *options)
{
    unsigned flags = MDB_NOTLS | (options->durability == STORE_REPLAYED ? MDB_NOMETASYNC : 0);
    int rc = mdb_env_create(&self->env);
    if (rc == MDB_SUCCESS) {
        rc = mdb_env_set_mapsize(self->env, self->map_bytes);
    }
    if (rc == MDB_SUCCESS) {
        rc = mdb_env_set_maxdbs(self->env, STORE_TABLES_MAX + 1);
    }
    if (rc == MDB_SUCCESS) {
        rc = mdb_env_set_maxreaders(self->env, READERS_MAX);
    }
    if (rc == MDB_SUCCESS) {
        rc = mdb_env_open(self->env, options->path, flags, 0600);
    }
    MDB_stat stat;
    if (rc == MDB_SUCCESS) {
        rc = mdb_env_stat(self->env, &stat);
    }
    MDB_envinfo info;
    if (rc == MDB_SUCCESS) {
        rc = mdb_env_info(self->env, &info);
    }
    if (rc == MDB_SUCCESS) {
        assert(mdb_env_get_maxkeysize(self->env) >= STORE_KEY_SIZE_MAX);
        self->page_bytes = stat.ms_psize;
        self->map_bytes = info.me_mapsize; // LMDB keeps a map that was larger and is used
    }
    return store_lmdb_err(rc);
}

static bus_err_t
open_table(MDB_txn *txn, const char *name, unsigned flags, MDB_dbi *ret_dbi)
{
    unsigned found = 0;
    int rc = mdb_dbi_open(txn, name, flags | MDB_CREATE, ret_dbi);
    if (rc == MDB_SUCCESS) {
        rc = mdb_dbi_flags(txn, *ret_dbi, &found);
    }
    if (rc == MDB_SUCCESS && (found & MDB_INTEGERKEY) != flags) {
        rc = MDB_INCOMPATIBLE;
    }
    return store_lmdb_err(rc);
}

static bus_err_t
check_format(store_t *self, MDB_txn *txn)
{
    uint32_t format = htole32(FORMAT);
    MDB_val key = store_lmdb_from_view(VIEW_LITERAL("format"));
    MDB_val value = store_lmdb_from_view(view_from(&format, sizeof(format)));
    int rc = mdb_put(txn, self->own_table, &key, &value, MDB_NOOVERWRITE);
    if (rc == MDB_KEYEXIST) { // then `value` is what stands there
        bus_view_t found = view_from(value.mv_data, value.mv_size);
        return view_equal(found, view_from(&format, sizeof(format))) ? BUS_OK : BUS_CORRUPT;
    }
    return store_lmdb_err(rc);
}

static bus_err_t
open_tables(store_t *self)
{
    MDB_txn *txn = NULL;
    bus_err_t err = store_lmdb_err(mdb_txn_begin(self->env, NULL, 0, &txn));
    if (err != BUS_OK) {
        return err;
    }
    err = open_table(txn, "_store", 0, &self->own_table);
    if (err == BUS_OK) {
        err = check_format(self, txn);
    }
    for (size_t i = 0; i < self->table_count && err == BUS_OK; i++) {
        unsigned flags = self->tables[i].keys == STORE_KEYS_UINT64 ? MDB_INTEGERKEY : 0;
        bus_view_t name = view_from_text(self->tables[i].name);
        self->seeds[i] = store_lmdb_checksum(FORMAT, name, VIEW_NONE);
        err = open_table(txn, name.data, flags, &self->dbis[i]);
    }
    if (err != BUS_OK) {
        mdb_txn_abort(txn);
        return err;
    }
    return store_lmdb_err(mdb_txn_commit(txn));
}

bus_err_t
store_open(const store_options_t *options, store_t **ret_self)
{
    assert(options->table_count <= STORE_TABLES_MAX);
    store_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    self->lock_fd = -1;
    self->map_bytes = options->size_max != 0 ? options->size_max : SIZE_DEFAULT;
    self->table_count = options->table_count;
    for (size_t i = 0; i < options->table_count; i++) {
        self->tables[i] = options->tables[i];
    }
    bus_err_t err = store_lmdb_make_folder(options->path);
    if (err == BUS_OK) {
        err = lock_folder(self, options->path);
    }
    if (err == BUS_OK) {
        err = open_env(self, options);
    }
    if (err == BUS_OK) {
        (void) store_reap_readers(self);
        err = open_tables(self);
    }
    if (err == BUS_OK) {
        err = store_lmdb_sync_folder(options->path);
    }
    if (err != BUS_OK) {
        store_destroy(&self);
        return err;
    }
    *ret_self = self;
    return BUS_OK;
}
