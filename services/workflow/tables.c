// tables.c - the executor's tables on disk.
#include "tables.h"

const store_table_t workflow_tables[WORKFLOW_TABLE_COUNT] = {
    [WORKFLOW_EXECUTIONS] = {"executions", STORE_KEYS_UINT64, true, "seq -> execution"},
    [WORKFLOW_PAYLOADS] = {"payloads", STORE_KEYS_UINT64, true, "seq -> payload"},
    [WORKFLOW_KEYS] = {"keys", STORE_KEYS_BYTES, true, "trace_id, execution_id -> seq"},
    [WORKFLOW_OPEN] = {"open", STORE_KEYS_BYTES, true, "queued or started, action, seq -> boot"},
    [WORKFLOW_REPEATS] = {"repeats", STORE_KEYS_BYTES, true, "seq, seq of a repeat -> nothing"},
    [WORKFLOW_INDEX] = {"index", STORE_KEYS_BYTES, true, "kind, value, seq -> nothing"},
    [WORKFLOW_TASKS] = {"tasks", STORE_KEYS_UINT64, true, "seq -> task"},
    [WORKFLOW_METRICS] = {"metrics", STORE_KEYS_BYTES, true, "action, status -> counts, times"},
    [WORKFLOW_CONFIG] = {"config", STORE_KEYS_BYTES, true, "the configuration in force"},
};
