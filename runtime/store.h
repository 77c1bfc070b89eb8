// store.h - records on disk, in named tables, written in transactions: LMDB with checksums.
//
// One environment, one process: a second open of the same folder is refused (flock). Every record
// carries an XXH3 checksum over its table, key and value, checked on every read: a flipped byte is
// BUS_CORRUPT, never a wrong value (LMDB 0.9.24 has none). Writes are refused with BUS_FULL once 90
// % of the map is used, so that what frees space (store_del, and writes in a transaction begun with
// STORE_RESERVE) still works.
//
// Threads: a transaction belongs to the thread that began it; one write transaction at a time, any
// number of read transactions. Nothing here is on disk until store_commit returns BUS_OK, and
// everything is gone after store_rollback.
// Durability: STORE_SYNC flushes data and meta page (the journal); STORE_REPLAYED skips the flush
// of the meta page: a power cut can take the last commit but never consistency (services replay
// it).
#pragma once
#include "proto/auto.h"
#include "proto/error.h"
#include "proto/view.h"
#include <stdbool.h>
#include <stdint.h>

enum {
    STORE_KEY_SIZE_MAX = 511, // LMDB's own limit
    STORE_TABLES_MAX = 64,    // named tables of one store
    STORE_CHECKSUM_SIZE = 8,  // behind every value
};

typedef struct store store_t;
typedef struct store_txn store_txn_t;

typedef enum { STORE_KEYS_BYTES, STORE_KEYS_UINT64 } store_keys_t;

// A table is a row of the store's owner; its position is its handle.
typedef struct {
    const char *name;
    store_keys_t keys; // UINT64: native integers, ordered as numbers; use view_from (&key, 8)
    bool state;        // part of the state hash
    const char *meaning;
} store_table_t;

typedef enum { STORE_SYNC, STORE_REPLAYED } store_durability_t;

typedef struct {
    const char *path; // folder, made (0700) where it is missing; its parent must exist; local disk
    const store_table_t *tables;
    size_t table_count;
    uint64_t size_max; // bytes of the map: the most that it may ever hold; 0: 64 GiB
    store_durability_t durability;
} store_options_t;

// BUS_CONFLICT where another process (or this one) has it open, BUS_CORRUPT, BUS_FULL or BUS_IO.
BUS_CHECK bus_err_t store_open(const store_options_t *options, store_t **ret_self);
void store_destroy(store_t **self_p);
// Removes the store in this folder, and the folder, which must hold nothing else. BUS_NOT_FOUND
// where there is none, BUS_CONFLICT where it is open, BUS_IO.
BUS_CHECK bus_err_t store_remove(const char *path);

typedef enum {
    STORE_READ,
    STORE_WRITE,
    STORE_RESERVE // a write transaction that may use the last 10 %
} store_mode_t;

// BUS_BUSY where all 512 reader slots are taken; BUS_IO for a write in a store that failed.
BUS_CHECK bus_err_t store_begin(store_t *self, store_mode_t mode, store_txn_t **ret_txn);
// Makes it durable; the transaction is gone even when it fails. After a failure the store is to be
// closed and opened again (LMDB's own advice after a failed fsync): store_is_failed says so.
BUS_CHECK bus_err_t store_commit(store_txn_t **txn_p);
// Forgets it; ends a read. NULL is fine. Fits BUS_AUTO.
void store_rollback(store_txn_t **txn_p);
bool store_is_failed(const store_t *self);

// *ret_value points into the store and dies with the transaction (in a write transaction: with the
// next write). BUS_NOT_FOUND, BUS_CORRUPT, BUS_IO.
BUS_CHECK bus_err_t store_get(store_txn_t *txn,
                              unsigned table,
                              bus_view_t key,
                              bus_view_t *ret_value);
// Puts or replaces. BUS_FULL, BUS_IO. After a BUS_FULL at 90 % the transaction is whole and may be
// committed; where LMDB itself ran out it is lost, and its commit says so. `value` must not be what
// store_get returned in this transaction: copy it before. `key` 1 to STORE_KEY_SIZE_MAX bytes:
// asserted, so hash or refuse longer ones before.
BUS_CHECK bus_err_t store_put(store_txn_t *txn, unsigned table, bus_view_t key, bus_view_t value);
// The same for a key above all keys there are: many times as fast. BUS_CONFLICT where it is not.
BUS_CHECK bus_err_t store_append(store_txn_t *txn,
                                 unsigned table,
                                 bus_view_t key,
                                 bus_view_t value);
// BUS_NOT_FOUND where there is none.
BUS_CHECK bus_err_t store_del(store_txn_t *txn, unsigned table, bus_view_t key);
// Removes every record of the table.
BUS_CHECK bus_err_t store_clear(store_txn_t *txn, unsigned table);
// How many records the table holds: constant time.
BUS_CHECK bus_err_t store_count(store_txn_t *txn, unsigned table, uint64_t *ret_count);

// Integers as keys that sort: for tables of STORE_KEYS_UINT64.
#define STORE_U64(value) view_from(&(uint64_t){(value)}, sizeof(uint64_t))

// Walking a table in key order.
typedef struct store_cursor store_cursor_t;
BUS_CHECK bus_err_t store_cursor_open(store_txn_t *txn, unsigned table, store_cursor_t **ret_self);
void store_cursor_destroy(store_cursor_t **self_p);
// Each moves and reads; views as with store_get. BUS_NOT_FOUND at the end; after BUS_CORRUPT the
// cursor stands on the bad record (*ret_key is set) and next goes on behind it. BUS_IO ends the
// walk (a damaged page of LMDB's own, too). It may outlive its transaction, but then only be
// destroyed.
BUS_CHECK bus_err_t store_first(store_cursor_t *self, bus_view_t *ret_key, bus_view_t *ret_value);
BUS_CHECK bus_err_t store_last(store_cursor_t *self, bus_view_t *ret_key, bus_view_t *ret_value);
BUS_CHECK bus_err_t store_next(store_cursor_t *self, bus_view_t *ret_key, bus_view_t *ret_value);
BUS_CHECK bus_err_t store_prev(store_cursor_t *self, bus_view_t *ret_key, bus_view_t *ret_value);
// The first record at or above `key`.
BUS_CHECK bus_err_t store_seek(store_cursor_t *self,
                               bus_view_t key,
                               bus_view_t *ret_key,
                               bus_view_t *ret_value);

// The lowest and the highest key of a table of STORE_KEYS_UINT64; a damaged record has its key all
// the same. BUS_NOT_FOUND where there is none; BUS_IO.
BUS_CHECK bus_err_t store_lowest(store_txn_t *txn, unsigned table, uint64_t *ret_key);
BUS_CHECK bus_err_t store_highest(store_txn_t *txn, unsigned table, uint64_t *ret_key);

// For those to whom a damaged record is as good as none, and none is no failure: BUS_OK for
// BUS_NOT_FOUND and BUS_CORRUPT, else `err`.
static inline bus_err_t
store_forgive(bus_err_t err)
{
    return err == BUS_NOT_FOUND || err == BUS_CORRUPT ? BUS_OK : err;
}

typedef struct {
    uint64_t map_bytes;  // the map's size
    uint64_t used_bytes; // pages in use, as the file grows
    uint64_t readers;    // slots taken
} store_info_t;
void store_info(store_t *self, store_info_t *ret_info);
// How full it is, as seen from a transaction: the map's size, and what of it holds something.
// Unlike used_bytes this goes down where records are removed. Walks LMDB's free list: not for every
// record.
void store_room(const store_txn_t *txn, uint64_t *ret_map_bytes, uint64_t *ret_held_bytes);

// Clears reader slots of dead processes; call every ten seconds. Returns how many.
int store_reap_readers(store_t *self);
// Flushes what STORE_REPLAYED left to the kernel.
BUS_CHECK bus_err_t store_sync(store_t *self);

enum { STORE_HASH_SIZE = 65 }; // 64 hex digits and the NUL
// SHA-256 over the name, keys and values of every table with `state`, in key order.
BUS_CHECK bus_err_t store_state_hash(store_txn_t *txn, char ret_hex[STORE_HASH_SIZE]);

typedef struct {
    uint64_t records;      // read
    uint64_t bad;          // of them, and those that a damaged tree lost
    const char *bad_table; // the first with a bad one, as in the options; NULL: none
} store_check_t;
// Reads every record of every table; takes as long as the disk does. BUS_CORRUPT where one is bad:
// *ret_check says how many and where.
BUS_CHECK bus_err_t store_check(store_txn_t *txn, store_check_t *ret_check);

// Copies the store in `from` (which another process may have open and be writing) into the empty or
// missing folder `to`, compacted. A consistent snapshot; blocks as long as the disk takes. Not for
// the process that has `from` open: it would lose LMDB's locks. BUS_NOT_FOUND where there is no
// store, BUS_CONFLICT where `to` is not empty, BUS_FULL, BUS_CORRUPT, BUS_IO.
BUS_CHECK bus_err_t store_copy(const char *from, const char *to);

// The tables of a store whose owner is not asked: rows to open it with. The names lie within, so it
// must not be copied.
typedef struct {
    store_table_t rows[STORE_TABLES_MAX];
    char names[STORE_TABLES_MAX][STORE_KEY_SIZE_MAX + 1];
    size_t count;
} store_tables_t;
// Reads them; another process may have the store open, but not this one (see store_copy).
// BUS_CORRUPT where it is no store or a damaged one, BUS_CONFLICT, BUS_IO.
BUS_CHECK bus_err_t store_tables_read(const char *path, store_tables_t *ret_tables);
// The table's place in rows; `count` where it is not there.
unsigned store_tables_find(const store_tables_t *self, const char *name);
