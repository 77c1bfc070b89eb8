// journal_trace.h - finding the records of a trace without reading the journal. For journal*.c
// alone.
//
// The table TABLE_TRACES holds, for each whole block of JOURNAL_TRACE_SPAN seqs, one hash of the
// trace_id of each: 4 bytes a record, so a million records are looked through in a millisecond or
// two. A block is written in the transaction of its last record; the records behind the last whole
// block are looked at one by one. It only says where to look: whoever searches compares the record
// itself, so a hash that two traces share costs a look, and a block that is missing or damaged some
// hundreds. So is one that a restart fell into: what was journaled before is RECORD_TRACE_UNKNOWN.
//
// Pure data but for the store; the caller's thread and transaction. docs/adr/0013 says why.
#pragma once
#include "proto/auto.h"
#include "proto/error.h"
#include "record.h"
#include "runtime/store.h"

enum { JOURNAL_TRACE_SPAN = 500 }; // two blocks fill a page of 4 KiB

typedef struct {
    uint32_t hashes[JOURNAL_TRACE_SPAN]; // of seq, at seq % JOURNAL_TRACE_SPAN
} journal_trace_block_t;

// Knows nothing: at open, and after anything failed.
void journal_trace_clear(journal_trace_block_t *self);
// `seq`, the next one, was appended in `txn`. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t journal_trace_note(journal_trace_block_t *self,
                                       store_txn_t *txn,
                                       uint64_t seq,
                                       uint32_t hash);
// `seq`, the first one, was removed in `txn`. BUS_IO.
BUS_CHECK bus_err_t journal_trace_trim(store_txn_t *txn, uint64_t seq);

// --- The reader's side --------------------------------------------------------------------------

// A search through one snapshot.
typedef struct {
    store_txn_t *txn;
    uint32_t hash;               // wanted
    uint64_t first;              // of the block at hand; UINT64_MAX: none yet
    bool is_known;               // it was in the table; else each of its records is to be looked at
    journal_trace_block_t block; // where it is known
} journal_trace_search_t;

void journal_trace_search(journal_trace_search_t *self, store_txn_t *txn, bus_view_t trace_id);
// The first seq in from..head that may be of the trace, or head + 1; where *steps_p blocks were
// read before, the seq that it came to. *steps_p goes down by each. BUS_IO.
BUS_CHECK bus_err_t journal_trace_next(journal_trace_search_t *self,
                                       uint64_t from,
                                       uint64_t head,
                                       uint32_t *steps_p,
                                       uint64_t *ret_seq);
