// tables.h - the executor's tables on disk, and what the process keeps in memory.
//
// Owner: the service's thread. Nothing in memory is a cache of a table, so an undone batch leaves
// nothing to mend.
#pragma once
#include "runtime/service.h"

typedef enum {
    WORKFLOW_EXECUTIONS, // seq of the command -> workflow_execution of proto/schema/workflow.def
    WORKFLOW_PAYLOADS,   // seq -> its payload, as it came; for good: a repeat is compared with it
    WORKFLOW_KEYS,       // size of trace_id, trace_id, execution_id -> seq
    WORKFLOW_OPEN,       // 'q' or 's', action, seq big-endian -> of 's' the boot that acts
    WORKFLOW_REPEATS,    // seq, seq of a repeat, both big-endian -> nothing: who waits for it too
    WORKFLOW_INDEX,      // kind, size of value, value, seq big-endian -> nothing (index.h)
    WORKFLOW_TASKS,      // seq of the command that made it -> workflow_task
    WORKFLOW_METRICS,    // "action status" -> workflow_metric_t (metric.h)
    WORKFLOW_CONFIG,     // "config" -> workflow_config, as it was journaled
    WORKFLOW_TABLE_COUNT
} workflow_table_t;

extern const store_table_t workflow_tables[WORKFLOW_TABLE_COUNT];

typedef struct workflow_act workflow_act_t;

typedef struct {
    workflow_act_t *act; // what this process does in the world; NULL before it starts
    pack_t *record;      // an execution or task as it was read: its views survive writes
    pack_t *written;     // the record that is being written
    pack_t *result;      // an execution's
    pack_t *said;        // what is said in consequence
} workflow_state_t;
