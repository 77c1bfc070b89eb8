// audit_check.h - checking the audit log against itself and against what it speaks of.
//
// For each leaf: its entry's record, its hash, every node of the tree that it completes (so that
// all leaves together cover all nodes), the row that leads from its audit_id to it; and where it
// says that an artifact or an event was written, the bytes of that. A record that the store reports
// damaged is named, and the walk goes on. Needs nothing but an open store, whose tables begin with
// bucket_tables: it serves a running Bucket as well as a store that is looked into from outside.
#pragma once
#include "audit.h"

enum { BUCKET_AUDIT_PROBLEM_SIZE = 128 }; // of a problem's text, with its NUL

typedef struct {
    uint64_t leaf_index;
    char audit_id[BUCKET_AUDIT_ID_SIZE]; // "" where the entry cannot be read
    char problem[BUCKET_AUDIT_PROBLEM_SIZE];
} bucket_audit_problem_t;

typedef void(bucket_audit_problem_fn)(void *arg, const bucket_audit_problem_t *problem);

typedef struct {
    uint64_t from;         // first leaf
    uint64_t count;        // leaves; those behind the end of the tree are none
    uint64_t bytes_max;    // ends behind the leaf that passes this much read; 0: no limit
    uint64_t problems_max; // or this many problems; 0: no limit
} bucket_audit_range_t;

// Calls `fn` for each problem found; a leaf can have several. *ret_next is the leaf to go on with,
// the tree's size or more at the end. Returns BUS_OK whatever was found; BUS_IO, BUS_CORRUPT where
// the store itself cannot be read.
BUS_CHECK bus_err_t bucket_audit_check(store_txn_t *txn,
                                       const bucket_audit_range_t *range,
                                       bucket_audit_problem_fn *fn,
                                       void *arg,
                                       uint64_t *ret_next);
