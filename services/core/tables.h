// tables.h - Core's tables on disk, and the counters among them.
//
// Owner: the service's thread. Nothing of them is cached: what the selector learned is read where
// it is needed, in the reader's transaction.
#pragma once
#include "proto/auto.h"
#include "proto/pack.h"
#include "runtime/store.h"

typedef enum {
    CORE_TOTALS,    // "totals" -> core_totals_t
    CORE_SCORES,    // agent_id -> core_score_t (score.h)
    CORE_TASK_IDS,  // task_id -> seq of its outcome
    CORE_TASKS,     // seq of its outcome -> schema core_task
    CORE_OUTPUTS,   // seq of its outcome -> agent_output, as it was answered
    CORE_WORKFLOWS, // seq of a workflow.execute of ours -> seq of its task's outcome
    // The knowledge base's (kb_*.c).
    CORE_KB_DOCUMENTS, // document_id -> schema kb_row
    CORE_KB_PASSAGES,  // number -> core_kb_passage_t and its text
    CORE_KB_RANGES,    // attribute, its value, last passage -> first passage (kb_passage.h)
    CORE_KB_INDEX,     // term, first passage -> postings (kb_index.h)
    CORE_TABLE_COUNT
} core_table_t;

extern const store_table_t core_tables[CORE_TABLE_COUNT];

typedef struct {
    uint64_t tasks;        // finished
    uint64_t succeeded;    // of them
    uint64_t failed;       // of them
    uint64_t feedbacks;    // verdicts of people
    uint64_t workflows;    // asked for
    uint64_t output_bytes; // in CORE_OUTPUTS
} core_totals_t;

// Zeros from a fresh store. BUS_CORRUPT, BUS_IO.
BUS_CHECK bus_err_t core_tables_load(store_txn_t *txn, core_totals_t *ret_totals);
// BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t core_tables_save(store_txn_t *txn, const core_totals_t *totals);
