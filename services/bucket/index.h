// index.h - finding what is kept by an attribute of it: events, artifacts, audit entries, packets.
//
// One table holds a row (kind, size, value, number) for each attribute of each record, so that a
// walk over one value is in the order of the numbers: journal seqs, or leaf indexes for the audit
// log. Another counts the rows of the kinds with few values.
#pragma once
#include "tables.h"

typedef enum {
    BUCKET_INDEX_AGENT = 'a',
    BUCKET_INDEX_REQUESTER = 'r',
    BUCKET_INDEX_TYPE = 't',
    BUCKET_INDEX_TRACE = 'x',          // not counted: as many values as requests
    BUCKET_INDEX_PRODUCT = 'p',        // artifacts of a product
    BUCKET_INDEX_TAG = 'g',            // artifacts: one byte for the product, then the tag
    BUCKET_INDEX_AUDIT_PRODUCT = 'P',  // not counted, as the two below: numbers are leaf indexes
    BUCKET_INDEX_AUDIT_TYPE = 'E',     // event_type
    BUCKET_INDEX_AUDIT_SEVERITY = 'S', // but INFO, which nearly all are
    BUCKET_INDEX_PERSON = 'u',         // packets of a user
    BUCKET_INDEX_SYSTEM = 's'          // packets of a system_type
} bucket_index_kind_t;

enum { BUCKET_INDEX_VALUE_MAX = 255 }; // bytes; its size is one byte of the key

// Adds one row. `value` of 1 to BUCKET_INDEX_VALUE_MAX bytes (asserted). BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t bucket_index_add(store_txn_t *txn,
                                     bucket_index_kind_t kind,
                                     bus_view_t value,
                                     uint64_t seq);

// Removes one row. BUS_NOT_FOUND, BUS_IO.
BUS_CHECK bus_err_t bucket_index_remove(store_txn_t *txn,
                                        bucket_index_kind_t kind,
                                        bus_view_t value,
                                        uint64_t seq);

// How many records have this value. 0 for kinds that are not counted.
BUS_CHECK bus_err_t bucket_index_count(store_txn_t *txn,
                                       bucket_index_kind_t kind,
                                       bus_view_t value,
                                       uint64_t *ret_count);

// Calls `fn` for every value of a counted kind until it returns false.
typedef bool(bucket_index_value_fn)(void *arg, bus_view_t value, uint64_t count);
BUS_CHECK bus_err_t bucket_index_values(store_txn_t *txn,
                                        bucket_index_kind_t kind,
                                        bucket_index_value_fn *fn,
                                        void *arg);

// Walking the seqs of one value, or of all events (kind 0), upwards or downwards.
typedef struct bucket_index_walk bucket_index_walk_t;

typedef struct {
    bucket_index_kind_t kind; // 0: all events
    bus_view_t value;
    uint64_t from; // first seq wanted; downwards: the last one, 0 for the newest
    bool down;
} bucket_index_range_t;

BUS_CHECK bus_err_t bucket_index_walk_open(store_txn_t *txn,
                                           const bucket_index_range_t *range,
                                           bucket_index_walk_t **ret_self);
void bucket_index_walk_destroy(bucket_index_walk_t **self_p);
// BUS_NOT_FOUND at the end.
BUS_CHECK bus_err_t bucket_index_walk_next(bucket_index_walk_t *self, uint64_t *ret_seq);
// Upwards only: the next step goes onto the first row at or above `seq`, wherever the walk was.
void bucket_index_walk_seek(bucket_index_walk_t *self, uint64_t seq);
