// kb_row.h - a document as it is kept: what is said about it, and which passages its parts have.
#pragma once
#include "kb_passage.h"
#include "proto/pack.h"
#include "proto/schema.h"

enum {
    CORE_KB_DOCUMENT_ID_MAX = 128,   // bytes
    CORE_KB_DOCUMENT_PARTS_MAX = 64, // of 192 to 256 KiB, as the CLI cuts them: a book of 12 MiB,
                                     // which one command still removes in about a second
    CORE_KB_HASH_SIZE = 32           // SHA-256
};

// A part; first 0: it has not come.
typedef struct {
    uint8_t sha256[CORE_KB_HASH_SIZE]; // of its text
    uint64_t first;                    // passages
    uint64_t last;
    uint64_t words;
    uint64_t bytes;
} core_kb_part_t;

typedef struct {
    schema_kb_row_t about; // views into `bytes`, or the store
    core_kb_part_t parts[CORE_KB_DOCUMENT_PARTS_MAX];
    uint32_t part_count; // as many as there should be; 0: no such document
} core_kb_row_t;

// Its views live as long as the transaction, or until its next write. BUS_NOT_FOUND, BUS_CORRUPT,
// BUS_IO.
BUS_CHECK bus_err_t core_kb_row_get(store_txn_t *txn,
                                    bus_view_t document_id,
                                    core_kb_row_t *ret_row);
// The same from a stored value. BUS_CORRUPT.
BUS_CHECK bus_err_t core_kb_row_decode(bus_view_t stored, core_kb_row_t *ret_row);
// BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t core_kb_row_put(store_txn_t *txn,
                                    bus_view_t document_id,
                                    const core_kb_row_t *row);

// The run of the part at `index` (from 0), which has come.
core_kb_run_t core_kb_row_run(const core_kb_row_t *self, uint32_t index);
// Bytes and passages of the parts before it: where its text begins in the document's.
void core_kb_row_before(const core_kb_row_t *self,
                        uint32_t index,
                        uint64_t *ret_bytes,
                        uint64_t *ret_passages);
// What is to be shown as its title: the title, or the id.
bus_view_t core_kb_row_title(const core_kb_row_t *self, bus_view_t document_id);
