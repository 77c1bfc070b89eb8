// store_check.c - reading everything there is, to find what no longer matches its checksum.
#include "store.h"
#include "store_lmdb.h"

static bus_err_t
check_table(store_txn_t *txn, unsigned table, store_check_t *result)
{
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    uint64_t count = 0;
    uint64_t found = 0;
    uint64_t bad = 0;
    bus_err_t err = store_count(txn, table, &count);
    if (err == BUS_OK) {
        err = store_cursor_open(txn, table, &cursor);
    }
    if (err != BUS_OK) {
        return err;
    }
    bus_view_t key;
    bus_view_t value;
    for (err = store_first(cursor, &key, &value); err == BUS_OK || err == BUS_CORRUPT;
         err = store_next(cursor, &key, &value)) {
        found++;
        bad += err == BUS_CORRUPT;
    }
    if (err != BUS_NOT_FOUND) {
        return err;
    }
    bad += count > found ? count - found : 0; // a page that was cut out of its tree
    if (bad > 0 && result->bad_table == NULL) {
        result->bad_table = txn->store->tables[table].name;
    }
    result->records += found;
    result->bad += bad;
    return BUS_OK;
}

bus_err_t
store_check(store_txn_t *txn, store_check_t *ret_check)
{
    store_check_t result = {0};
    for (unsigned table = 0; table < txn->store->table_count; table++) {
        bus_err_t err = check_table(txn, table, &result);
        if (err != BUS_OK) {
            return err;
        }
    }
    *ret_check = result;
    return result.bad == 0 ? BUS_OK : BUS_CORRUPT;
}
