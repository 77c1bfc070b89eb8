// tables.c - Karma's tables on disk, and the one switch in its configuration.
#include "tables.h"

const store_table_t karma_tables[KARMA_TABLE_COUNT] = {
    [KARMA_USERS] = {"users", STORE_KEYS_BYTES, true, "user_id -> ledger"},
    [KARMA_EVENTS] = {"events", STORE_KEYS_UINT64, true, "seq -> what a user did"},
    [KARMA_QTABLE] = {"qtable", STORE_KEYS_BYTES, true, "one record: the Q-table"},
    [KARMA_CONFIG] = {"config", STORE_KEYS_BYTES, true, "the journaled configuration in force"},
    [KARMA_PLANS] = {"plans", STORE_KEYS_BYTES, true, "user_id, number -> plan of atonement"},
    [KARMA_PROOFS] = {"proofs", STORE_KEYS_BYTES, true, "user_id, plan, number -> proof"},
    [KARMA_HOURS] = {"hours", STORE_KEYS_UINT64, true, "hour -> sums"},
    [KARMA_WEEKS] = {"weeks", STORE_KEYS_UINT64, true, "week -> sums"},
    [KARMA_RANKS] = {"ranks", STORE_KEYS_BYTES, true, "ranking, value, user_id"},
    [KARMA_AGENTS] = {"agents", STORE_KEYS_BYTES, true, "agent_id -> how it did"},
    [KARMA_TOTALS] = {"totals", STORE_KEYS_BYTES, true, "counts over all users"},
};

#define TEST_HELPERS_KEY VIEW_LITERAL("test_helpers")

bus_err_t
karma_tables_test_helpers(store_txn_t *txn, bool *ret_enabled)
{
    bus_view_t value;
    bus_err_t err = store_get(txn, KARMA_CONFIG, TEST_HELPERS_KEY, &value);
    if (err == BUS_NOT_FOUND || err == BUS_CORRUPT) { // damaged: the safe side
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
