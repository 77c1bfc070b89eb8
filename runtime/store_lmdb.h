// store_lmdb.h - what the store's own files share: its structs, LMDB's errors, the space that is
// free.
//
// Private to runtime/store*.c; everyone else includes store.h. Threads as there.
#pragma once
#include "store.h"
#include <lmdb.h>
#include <stdatomic.h>

#define STORE_LMDB_DATA_FILE "data.mdb"
#define STORE_LMDB_INDEX_FILE "lock.mdb"  // LMDB's own, of its readers
#define STORE_LMDB_LOCK_FILE "store.lock" // ours, held by flock; LMDB's own is lock.mdb

struct store {
    MDB_env *env;
    int lock_fd; // holds the flock; -1: not yet
    size_t table_count;
    MDB_dbi own_table;                      // the store's record of itself: its format, and its age
    uint64_t map_bytes;                     // the map's size
    uint64_t page_bytes;                    // of one page of the map
    store_table_t tables[STORE_TABLES_MAX]; // names and meanings are the owner's
    MDB_dbi dbis[STORE_TABLES_MAX];
    uint64_t seeds[STORE_TABLES_MAX]; // of each table's checksums: the hash of its name
    _Atomic bool failed;              // a commit failed halfway: close and open again
    _Atomic unsigned long writer;     // the thread in a write transaction, or 0
};

struct store_txn {
    store_t *store;
    MDB_txn *lmdb;
    store_mode_t mode;
    bus_err_t doom;          // what made LMDB give the transaction up; BUS_OK: nothing yet
    bool is_counted;         // the free list is part of room_bytes
    int64_t room_bytes;      // what may still be put, until 90 % of the map are used
    store_cursor_t *cursors; // that are open on it
};

// The one place where LMDB's codes, and errno's, become ours.
bus_err_t store_lmdb_err(int rc);

// Bytes of pages that the free list holds and no reader pins. Takes as long as the list is: asked
// only where the file has grown to nine tenths of the map.
uint64_t store_lmdb_free_bytes(store_t *self);
// Bytes of the file that the last commit uses or has freed.
uint64_t store_lmdb_file_bytes(const store_t *self);

// XXH3 over the table (as its seed), the key and the value.
uint64_t store_lmdb_checksum(uint64_t seed, bus_view_t key, bus_view_t value);

static inline MDB_val
store_lmdb_from_view(bus_view_t view)
{
    return (MDB_val){.mv_size = view.size, .mv_data = (void *) (uintptr_t) view.data};
}

// Makes the folder (0700) where it is missing, durably. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t store_lmdb_make_folder(const char *path);
// Flushes the names in a folder: a new file is durable only after it. BUS_IO.
BUS_CHECK bus_err_t store_lmdb_sync_folder(const char *path);
