// tables.c - the brain's tables on disk.
#include "tables.h"

#include "runtime/log.h"

const store_table_t brain_tables[BRAIN_TABLE_COUNT] = {
    [BRAIN_METRICS] = {"metrics", STORE_KEYS_BYTES, true, "metric -> values seen, detector"},
    [BRAIN_ISSUES] = {"issues", STORE_KEYS_BYTES, true, "intent, issue -> what was done, when"},
    [BRAIN_TRACES] = {"traces", STORE_KEYS_BYTES, true, "trace_id -> remediations in a row"},
    [BRAIN_ORDER] = {"order", STORE_KEYS_UINT64, true, "number -> trace_id"},
    [BRAIN_SCORES] = {"scores", STORE_KEYS_BYTES, true, "<handler>_<task_type> -> counts"},
    [BRAIN_OUTCOMES] = {"outcomes", STORE_KEYS_BYTES, true, "issue_type, action -> counts"},
    [BRAIN_DRIFTS] = {"drifts", STORE_KEYS_UINT64, true, "number -> brain_drift"},
    [BRAIN_SINGLES] = {"singles", STORE_KEYS_BYTES, true, "name -> one record"},
};

bus_err_t
brain_tables_get(store_txn_t *txn, brain_table_t table, bus_view_t key, void *ret, size_t size)
{
    bus_view_t value;
    bus_err_t err = store_get(txn, table, key, &value);
    memset(ret, 0, size);
    if (err == BUS_OK && value.size == size) {
        memcpy(ret, value.data, size);
    } else if (err == BUS_OK || err == BUS_CORRUPT) {
        log_error("record_damaged", "table=%s", brain_tables[table].name);
    }
    return store_forgive(err);
}

bus_err_t
brain_tables_last(store_txn_t *txn, brain_table_t table, uint64_t *ret_number)
{
    *ret_number = 0;
    bus_err_t err = store_highest(txn, table, ret_number);
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

bus_err_t
brain_tables_fits(
    store_txn_t *txn, brain_table_t table, bus_view_t key, uint64_t count_max, bool *ret_fits)
{
    uint64_t count = 0;
    bus_view_t value;
    bus_err_t err = store_count(txn, table, &count);
    *ret_fits = count < count_max;
    if (err == BUS_OK && !*ret_fits) {
        err = store_get(txn, table, key, &value);
        *ret_fits = err == BUS_OK || err == BUS_CORRUPT;
        err = store_forgive(err);
    }
    return err;
}
