// tables.h - Bucket's tables on disk, and what the service keeps in memory of them.
//
// Owner: the service's thread. The totals are a cache of one record; they are written through in
// the transaction that changes them and read again when a batch was undone.
#pragma once
#include "proto/auto.h"
#include "runtime/store.h"

typedef enum {
    BUCKET_EVENTS,   // seq -> the stored event, flat msgpack as it is answered
    BUCKET_INDEX,    // kind, size, value, seq big-endian -> nothing
    BUCKET_COUNTS,   // kind, value -> how many events
    BUCKET_AGENTS,   // agent_id -> {count, last, types}
    BUCKET_REFUSALS, // seq -> {at, source, requester_id, operation, error_code, details}
    BUCKET_TOTALS,   // "totals" -> the record below
    BUCKET_TABLE_COUNT
} bucket_table_t;

extern const store_table_t bucket_tables[BUCKET_TABLE_COUNT];

typedef struct {
    uint64_t events;     // stored
    uint64_t agents;     // with a context
    uint64_t refused;    // refusals recorded
    uint64_t forwarded;  // said to Karma
    uint64_t skipped;    // stored while the forwarding was off
    uint64_t direct;     // told to Karma by their tellers
    uint64_t failed;     // could not be said: too large
    uint64_t forwarding; // 1: on
} bucket_totals_t;

typedef struct {
    bucket_totals_t totals;
} bucket_state_t;

// Reads the totals; those of a fresh store have the forwarding on. BUS_CORRUPT, BUS_IO.
BUS_CHECK bus_err_t bucket_tables_load(store_txn_t *txn, bucket_totals_t *ret_totals);
// Writes them. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t bucket_tables_save(store_txn_t *txn, const bucket_totals_t *totals);
