// threats.h - the ten threats, and how often each was met.
#pragma once
#include "tables.h"

enum { BUCKET_THREATS_COUNT = 10 };

typedef struct {
    unsigned number;
    const char *id; // "T7_CROSS_PRODUCT_CONTAMINATION"
    const char *name;
    const char *severity; // MEDIUM, HIGH, CRITICAL
    const char *also;     // another id that means it; NULL: none
} bucket_threats_row_t;

extern const bucket_threats_row_t bucket_threats_rows[BUCKET_THREATS_COUNT];

// The row of a threat, 1 to BUCKET_THREATS_COUNT (asserted).
const bucket_threats_row_t *bucket_threats_row(unsigned threat);

// What was met of a threat.
typedef struct {
    uint64_t blocked; // times
    uint64_t last;    // microseconds; 0: never
} bucket_threats_count_t;

// Counts one more at the journal's time `at`. BUS_FULL, BUS_IO, BUS_CORRUPT.
BUS_CHECK bus_err_t bucket_threats_add(store_txn_t *txn, unsigned threat, uint64_t at);
// BUS_IO, BUS_CORRUPT.
BUS_CHECK bus_err_t bucket_threats_get(store_txn_t *txn,
                                       unsigned threat,
                                       bucket_threats_count_t *ret_count);
