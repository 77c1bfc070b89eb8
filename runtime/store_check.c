// store_check.c - reading everything there is, to find what no longer matches its checksum.
//
// Each record is come to twice: by walking, and by its key from the root. A damaged branch page may
// mislead only the second, or make the walk see one leaf twice and another never: so the keys must
// rise, too. Damage of LMDB's own pages ends the reading, and is damage all the
// same: the map is memory, so nothing else can go wrong here.
#include "store.h"
#include "store_lmdb.h"

// Whether the key, looked for from the root, leads to this value.
static bool
is_found(store_txn_t *txn, unsigned table, bus_view_t key, bus_view_t value)
{
    MDB_val lmdb_key = store_lmdb_from_view(key);
    MDB_val found;
    return mdb_get(txn->lmdb, txn->store->dbis[table], &lmdb_key, &found) == MDB_SUCCESS &&
           found.mv_data == value.data;
}

// Whether the key stands above the one before it, if there is one.
static bool
is_above(store_txn_t *txn, unsigned table, bus_view_t key, bus_view_t before)
{
    MDB_val a = store_lmdb_from_view(before);
    MDB_val b = store_lmdb_from_view(key);
    return before.data == NULL || mdb_cmp(txn->lmdb, txn->store->dbis[table], &a, &b) < 0;
}

// Counts the table's records and its bad ones. False where its pages could not be read to the end:
// LMDB then gives the transaction up, and with it the tables behind.
static bool
check_table(store_txn_t *txn, unsigned table, store_check_t *result)
{
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    uint64_t count = 0;
    uint64_t found = 0;
    uint64_t bad = 0;
    bus_view_t before = VIEW_NONE;
    bus_view_t key = VIEW_NONE;
    bus_view_t value = VIEW_NONE;
    bus_err_t err = store_count(txn, table, &count);
    if (err == BUS_OK) {
        err = store_cursor_open(txn, table, &cursor);
    }
    if (err == BUS_OK) {
        err = store_first(cursor, &key, &value);
    }
    while (cursor != NULL && (err == BUS_OK || err == BUS_CORRUPT)) {
        found++;
        bad += err == BUS_CORRUPT || !is_above(txn, table, key, before) ||
               !is_found(txn, table, key, value);
        before = key;
        err = store_next(cursor, &key, &value);
    }
    bool is_read = err == BUS_NOT_FOUND;
    bad += count > found ? count - found : !is_read; // a page that was cut out of its tree
    if (bad > 0 && result->bad_table == NULL) {
        result->bad_table = txn->store->tables[table].name;
    }
    result->records += found;
    result->bad += bad;
    return is_read;
}

bus_err_t
store_check(store_txn_t *txn, store_check_t *ret_check)
{
    store_check_t result = {0};
    bool is_read = true;
    for (unsigned table = 0; table < txn->store->table_count && is_read; table++) {
        is_read = check_table(txn, table, &result);
    }
    *ret_check = result;
    return result.bad == 0 ? BUS_OK : BUS_CORRUPT;
}
