// tables.c - Core's tables on disk.
#include "tables.h"

const store_table_t core_tables[CORE_TABLE_COUNT] = {
    [CORE_TOTALS] = {"totals", STORE_KEYS_BYTES, true, "counters"},
    [CORE_SCORES] = {"scores", STORE_KEYS_BYTES, true, "agent_id -> what it earned"},
    [CORE_TASK_IDS] = {"task_ids", STORE_KEYS_BYTES, true, "task_id -> seq of its outcome"},
    [CORE_TASKS] = {"tasks", STORE_KEYS_UINT64, true, "seq -> what is known of a task"},
    [CORE_OUTPUTS] = {"outputs", STORE_KEYS_UINT64, true, "seq -> what the agent answered"},
    [CORE_WORKFLOWS] = {"workflows", STORE_KEYS_UINT64, true, "seq of the command -> its task's"},
    [CORE_KB_DOCUMENTS] = {"kb_documents", STORE_KEYS_BYTES, true, "document_id -> document"},
    [CORE_KB_PASSAGES] = {"kb_passages", STORE_KEYS_UINT64, true, "number -> a passage's text"},
    [CORE_KB_RANGES] = {"kb_ranges", STORE_KEYS_BYTES, true, "attribute, last -> first passage"},
    [CORE_KB_INDEX] = {"kb_index", STORE_KEYS_BYTES, true, "term, first passage -> postings"},
};

#define TOTALS_KEY VIEW_LITERAL("totals")

bus_err_t
core_tables_load(store_txn_t *txn, core_totals_t *ret_totals)
{
    bus_view_t value;
    bus_err_t err = store_get(txn, CORE_TOTALS, TOTALS_KEY, &value);
    if (err == BUS_NOT_FOUND) {
        *ret_totals = (core_totals_t){0};
        return BUS_OK;
    }
    if (err != BUS_OK) {
        return err;
    }
    if (value.size != sizeof *ret_totals) {
        return BUS_CORRUPT;
    }
    memcpy(ret_totals, value.data, sizeof *ret_totals);
    return BUS_OK;
}

bus_err_t
core_tables_save(store_txn_t *txn, const core_totals_t *totals)
{
    return store_put(txn, CORE_TOTALS, TOTALS_KEY, view_from(totals, sizeof *totals));
}
