// kb_index.h - the inverted index: for each term the passages that it stands in, in their order.
//
// One table. Under (term, 0, 0) stand the term's totals; under (term, 0, n) a block of at most
// CORE_KB_INDEX_BLOCK postings, the first of passage n: three to four bytes each, as differences.
// So a new passage of a term with 100,000 postings rewrites one block and the totals, a walk reads
// blocks one behind the other, and one that looks for a passage leaps over those before it. Each
// posting says how long its passage is, so that ranking reads nothing but postings.
//
// Numbers of passages only grow: what is added goes behind everything there is. Totals and blocks
// say the most that a posting in them can be worth (highest frequency, shortest passage), which
// ranking needs to leave out what cannot matter; after a removal a total may promise too much,
// never too little, and its count is exact. A damaged record costs its postings, never the journal.
#pragma once
#include "kb_gather.h"
#include "proto/auto.h"
#include "runtime/store.h"

enum { CORE_KB_INDEX_BLOCK = 128 }; // postings: half a kilobyte, which is what an append rewrites

// Adds all that was gathered. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t core_kb_index_add(store_txn_t *txn,
                                      const core_kb_gather_t *gather,
                                      size_t count);
// Removes the postings of passages [first, last] from every term that was gathered. BUS_FULL,
// BUS_IO.
BUS_CHECK bus_err_t core_kb_index_remove(
    store_txn_t *txn, const core_kb_gather_t *gather, size_t count, uint64_t first, uint64_t last);

// What the index says of a term.
typedef struct {
    uint64_t passages;      // it stands in
    uint64_t tail;          // first passage of its last block
    uint32_t frequency_max; // in one of them, at most
    uint32_t words_min;     // of one of them, at least
} core_kb_term_t;
// BUS_NOT_FOUND, BUS_CORRUPT, BUS_IO.
BUS_CHECK bus_err_t core_kb_index_find(store_txn_t *txn, bus_view_t term, core_kb_term_t *ret_term);

// --- Walking -------------------------------------------------------------------------------------

// A walk over a term's postings.
typedef struct core_kb_walk core_kb_walk_t;
// Opens it, on nothing. BUS_IO.
BUS_CHECK bus_err_t core_kb_index_walk_open(store_txn_t *txn,
                                            bus_view_t term,
                                            core_kb_walk_t **ret_self);
void core_kb_index_walk_destroy(core_kb_walk_t **self_p);
// To the first posting of a passage at or above `passage`, which is not below where it stands.
// BUS_NOT_FOUND behind the last, BUS_IO. Damaged blocks are left out, and counted.
BUS_CHECK bus_err_t core_kb_index_walk_seek(core_kb_walk_t *self,
                                            uint64_t passage,
                                            core_kb_posting_t *ret_posting);
// Postings decoded and blocks read so far: what it cost.
uint64_t core_kb_index_walk_steps(const core_kb_walk_t *self);
uint64_t core_kb_index_walk_damaged(const core_kb_walk_t *self);
