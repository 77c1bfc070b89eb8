// kb_passage.h - the passages of the knowledge base: their text, whose they are, and which of them
// an attribute of their documents selects.
//
// A part of a document is a run of passages with numbers one behind the other. A row of
// CORE_KB_RANGES stands for a run: under ('*', last) whose it is; under (attribute, folded value,
// last) that it has this value. So the run of a passage, or the next passage with some value, is
// one seek.
#pragma once
#include "proto/auto.h"
#include "runtime/store.h"

enum {
    CORE_KB_PASSAGE_VALUE_MAX = 128, // bytes of an attribute's folded value
    CORE_KB_PASSAGES_MAX = 4000000,  // of all documents: a gigabyte and a half of text
};

// What there is, as it is stored in CORE_TOTALS.
typedef struct {
    uint64_t documents;
    uint64_t passages;
    uint64_t words; // of them
    uint64_t bytes; // of the parts' texts
    uint64_t next;  // number of the next passage; 0: none was ever given, which is 1
} core_kb_totals_t;
// Zeros from a fresh store. BUS_CORRUPT, BUS_IO.
BUS_CHECK bus_err_t core_kb_passage_totals(store_txn_t *txn, core_kb_totals_t *ret_totals);
// For a change: a damaged record is made anew from what there is.
BUS_CHECK bus_err_t core_kb_passage_totals_repair(store_txn_t *txn, core_kb_totals_t *ret_totals);
BUS_CHECK bus_err_t core_kb_passage_totals_save(store_txn_t *txn, const core_kb_totals_t *totals);

// --- Passages ------------------------------------------------------------------------------------

typedef struct {
    uint64_t offset; // bytes of the part's text before it
    uint32_t number; // within its part, from 0
    uint32_t words;
    uint32_t overlap; // bytes at its beginning that the one before ends with
    uint32_t unused;  // 0
    bus_view_t text;  // behind the rest, as it is stored
} core_kb_passage_t;
// The view lives as long as the transaction, or until its next write. BUS_NOT_FOUND, BUS_CORRUPT,
// BUS_IO.
BUS_CHECK bus_err_t core_kb_passage_get(store_txn_t *txn,
                                        uint64_t passage,
                                        core_kb_passage_t *ret_passage);
// A new one, behind all others. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t core_kb_passage_append(store_txn_t *txn,
                                           uint64_t passage,
                                           const core_kb_passage_t *row);

// --- Runs ----------------------------------------------------------------------------------------

// The passages [first, last] of a part.
typedef struct {
    uint64_t first;
    uint64_t last;
} core_kb_run_t;

typedef enum { CORE_KB_BOOK = 'b', CORE_KB_TYPE = 't', CORE_KB_VERSION = 'v' } core_kb_attribute_t;

// The owner of a run: of any passage in it. Put, find, remove. BUS_NOT_FOUND, BUS_CORRUPT,
// BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t core_kb_passage_own(store_txn_t *txn,
                                        core_kb_run_t run,
                                        bus_view_t document_id,
                                        uint32_t part);
typedef struct {
    core_kb_run_t run;
    uint32_t part;          // from 1
    bus_view_t document_id; // lives as long as the transaction
} core_kb_owner_t;
BUS_CHECK bus_err_t core_kb_passage_owner(store_txn_t *txn,
                                          uint64_t passage,
                                          core_kb_owner_t *ret_owner);
BUS_CHECK bus_err_t core_kb_passage_disown(store_txn_t *txn, core_kb_run_t run);

// An attribute of a run's document, folded here; an empty value is none. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t core_kb_passage_mark(store_txn_t *txn,
                                         core_kb_run_t run,
                                         core_kb_attribute_t attribute,
                                         bus_view_t value);
BUS_CHECK bus_err_t core_kb_passage_unmark(store_txn_t *txn,
                                           core_kb_run_t run,
                                           core_kb_attribute_t attribute,
                                           bus_view_t value);
// The first run with this value (folded already) that ends at or above `passage`. BUS_NOT_FOUND,
// BUS_IO; damaged rows are left out.
BUS_CHECK bus_err_t core_kb_passage_marked(store_cursor_t *cursor,
                                           core_kb_attribute_t attribute,
                                           bus_view_t folded,
                                           uint64_t passage,
                                           core_kb_run_t *ret_run);
