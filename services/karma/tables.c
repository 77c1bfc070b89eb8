// tables.c - Karma's tables on disk, and the one switch in its configuration.
#include "tables.h"

const store_table_t karma_tables[KARMA_TABLE_COUNT] = {
    [KARMA_USERS] = {"users", STORE_KEYS_BYTES, true, "user_id -> ledger"},
    [KARMA_EVENTS] = {"events", STORE_KEYS_BYTES, true, "user_id, seq -> what the user did"},
    [KARMA_QTABLE] = {"qtable", STORE_KEYS_BYTES, true, "one record: the Q-table"},
    [KARMA_CONFIG] = {"config", STORE_KEYS_BYTES, true, "the journaled configuration in force"},
};

#define TEST_HELPERS_KEY VIEW_LITERAL("test_helpers")

bus_err_t
karma_tables_test_helpers(store_txn_t *txn, bool *ret_enabled)
{
    bus_view_t value;
    bus_err_t err = store_get(txn, KARMA_CONFIG, TEST_HELPERS_KEY, &value);
    if (err == BUS_NOT_FOUND) {
        *ret_enabled = false;
        return BUS_OK;
    }
    if (err == BUS_OK) {
        *ret_enabled = view_is(value, "1");
    }
    return err;
}

bus_err_t
karma_tables_set_test_helpers(store_txn_t *txn, bool enabled)
{
    return store_put(
        txn, KARMA_CONFIG, TEST_HELPERS_KEY, enabled ? VIEW_LITERAL("1") : VIEW_LITERAL("0"));
}
