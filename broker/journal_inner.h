// journal_inner.h - the inside of the journal, for journal*.c alone.
//
// `state`, `streams` and the clock belong to the thread that appends. `store` is replaced by that
// thread alone, under `store_lock`; the reader holds the lock for reading while it has a
// transaction. The atomics are for any thread: each is right by itself, together they may be of two
// commits.
#pragma once
#include "journal.h"
#include "journal_trace.h"
#include "runtime/store.h"
#include "stream.h"
#include <pthread.h>
#include <stdatomic.h>

typedef enum {
    TABLE_LOG,
    TABLE_STATE,
    TABLE_STREAMS,
    TABLE_CONSUMERS,
    TABLE_TRACES,
    TABLE_COUNT
} journal_table_t;

enum {
    JOURNAL_FAMILIES_MAX = 64, // first tokens of journaled topics: the catalogue has 14
};

// The one record of the table `state`: written in each commit that appends or trims.
typedef struct {
    uint32_t format; // 1
    uint32_t zero;
    char epoch[40]; // a text; its NUL is within
    uint64_t head;
    uint64_t at; // of the head
    uint64_t first;
    uint64_t bytes;                      // of the records that are kept
    uint64_t prev[JOURNAL_FAMILIES_MAX]; // last seq of each family; 0: none
} journal_state_t;

struct journal {
    store_t *store; // NULL where it could not be opened again after a failure
    pthread_rwlock_t store_lock;
    char *path;                     // owned
    char epoch[JOURNAL_EPOCH_SIZE]; // the state's, which any thread may read: never changes
    uint64_t size_max;
    uint64_t retention_bytes;
    uint64_t retention_us;
    journal_state_t state; // as of the last commit; while one is made, ahead of it
    stream_map_t *streams;
    journal_trace_block_t traces; // of the records since the last whole block of them
    uint64_t anchor_at;           // the journal's clock when it was opened
    uint64_t anchor_boot;         // the boot clock at that moment
    bool clock_jumped;
    bool is_stale; // memory is not what the store holds: to be read again before use
    _Atomic uint64_t info_first;
    _Atomic uint64_t info_head;
    _Atomic uint64_t info_at;
    _Atomic uint64_t info_bytes;
};

// The journal's clock: microseconds, never going back.
uint64_t journal_inner_now(const journal_t *self);
// Reads state and streams as they lie in the store: at open, and after anything failed.
BUS_CHECK bus_err_t journal_inner_load(journal_t *self);
// Writes the state into the transaction.
BUS_CHECK bus_err_t journal_inner_put_state(journal_t *self, store_txn_t *txn);
// Commits and lets others see it.
BUS_CHECK bus_err_t journal_inner_commit(journal_t *self, store_txn_t **txn_p);
// Reads the state of the transaction's snapshot.
BUS_CHECK bus_err_t journal_inner_get_state(store_txn_t *txn, journal_state_t *ret_state);
// Whether there is a store to write to and memory agrees with it: where anything failed before, it
// is closed, opened and read again first.
BUS_CHECK bus_err_t journal_inner_ready(journal_t *self);
