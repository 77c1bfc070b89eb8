// tables.c - Bucket's tables on disk.
#include "tables.h"

const store_table_t bucket_tables[BUCKET_TABLE_COUNT] = {
    [BUCKET_EVENTS] = {"events", STORE_KEYS_UINT64, true, "seq -> stored event"},
    [BUCKET_INDEX] = {"index", STORE_KEYS_BYTES, true, "kind, value, seq -> nothing"},
    [BUCKET_COUNTS] = {"counts", STORE_KEYS_BYTES, true, "kind, value -> events"},
    [BUCKET_AGENTS] = {"agents", STORE_KEYS_BYTES, true, "agent_id -> context"},
    [BUCKET_REFUSALS] = {"refusals", STORE_KEYS_UINT64, true, "seq -> refused attempt"},
    [BUCKET_TOTALS] = {"totals", STORE_KEYS_BYTES, true, "one record of counters"},
};

#define TOTALS_KEY VIEW_LITERAL("totals")

bus_err_t
bucket_tables_load(store_txn_t *txn, bucket_totals_t *ret_totals)
{
    bus_view_t value;
    bus_err_t err = store_get(txn, BUCKET_TOTALS, TOTALS_KEY, &value);
    if (err == BUS_NOT_FOUND) {
        *ret_totals = (bucket_totals_t){.forwarding = 1};
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
bucket_tables_save(store_txn_t *txn, const bucket_totals_t *totals)
{
    return store_put(txn, BUCKET_TOTALS, TOTALS_KEY, view_from(totals, sizeof *totals));
}
