// tables.h - the brain's tables on disk, and what the process keeps in memory.
//
// Owner: the service's thread. Records are structs of 64-bit numbers and zero-padded texts, written
// as they lie: equal states are equal bytes. Nothing in memory is a cache of a table, so an undone
// batch leaves nothing to mend.
#pragma once
#include "proto/text.h"
#include "runtime/service.h"

typedef enum {
    BRAIN_METRICS,  // metric -> what was observed of it, and its detector (drift.h)
    BRAIN_ISSUES,   // intent, or intent and issue_type -> what was done about it (issue.h)
    BRAIN_TRACES,   // trace_id -> remediations in a row on it (story.h)
    BRAIN_ORDER,    // number -> trace_id: the oldest goes first
    BRAIN_SCORES,   // <handler>_<task_type> -> counts (score.h)
    BRAIN_OUTCOMES, // issue_type, NUL, action -> counts
    BRAIN_DRIFTS,   // number -> brain_drift with at and trace_id, the last BRAIN_DRIFTS_MAX
    BRAIN_SINGLES,  // "config", "queue", "documents" -> one record each
    BRAIN_TABLE_COUNT
} brain_table_t;

extern const store_table_t brain_tables[BRAIN_TABLE_COUNT];

typedef struct brain_live brain_live_t;

typedef struct {
    brain_live_t *live; // what is heard outside the journal; NULL before it starts
    pack_t *said;       // the body of what is said
    pack_t *details;    // a map within it
    text_t *why;        // words within it
} brain_state_t;

// The record of `key`, of `size` bytes; all zero where there is none, or where it is damaged (that
// is logged: a brain that stands still over a count would be worse). BUS_IO.
BUS_CHECK bus_err_t
brain_tables_get(store_txn_t *txn, brain_table_t table, bus_view_t key, void *ret, size_t size);
// The highest key of a table whose keys are numbers; 0 where it is empty. BUS_IO.
BUS_CHECK bus_err_t brain_tables_last(store_txn_t *txn, brain_table_t table, uint64_t *ret_number);
// Whether another record of a new key fits a table of at most `count_max`, or `key` is there.
// BUS_IO.
BUS_CHECK bus_err_t brain_tables_fits(
    store_txn_t *txn, brain_table_t table, bus_view_t key, uint64_t count_max, bool *ret_fits);
