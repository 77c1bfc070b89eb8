// index.h - finding executions and tasks by an attribute: rows of (kind, value, seq).
#pragma once
#include "tables.h"

typedef enum {
    WORKFLOW_INDEX_TRACE = 'x',       // executions of a trace
    WORKFLOW_INDEX_STATUS = 's',      // executions of a status
    WORKFLOW_INDEX_TASK = 't',        // all tasks: the value is one word
    WORKFLOW_INDEX_TASK_STATUS = 'S', // tasks of a status
    WORKFLOW_INDEX_TASK_USER = 'u'    // tasks of a user
} workflow_index_kind_t;

enum { WORKFLOW_INDEX_VALUE_MAX = 255 }; // bytes: its size is one byte of the key

// `value` of 1 to WORKFLOW_INDEX_VALUE_MAX bytes (asserted). BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t workflow_index_add(store_txn_t *txn,
                                       workflow_index_kind_t kind,
                                       bus_view_t value,
                                       uint64_t seq);
// Nothing where there is no such row. BUS_IO.
BUS_CHECK bus_err_t workflow_index_remove(store_txn_t *txn,
                                          workflow_index_kind_t kind,
                                          bus_view_t value,
                                          uint64_t seq);

// Calls `fn` with the seqs of one value, the latest first, until it returns false. BUS_IO.
typedef bool(workflow_index_fn)(void *arg, uint64_t seq);
BUS_CHECK bus_err_t workflow_index_walk(store_txn_t *txn,
                                        workflow_index_kind_t kind,
                                        bus_view_t value,
                                        workflow_index_fn *fn,
                                        void *arg);
