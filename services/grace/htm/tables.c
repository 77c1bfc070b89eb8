// tables.c - the queue's tables on disk.
#include "tables.h"

#include <endian.h>

#define TOTALS_KEY VIEW_LITERAL("totals")

const store_table_t htm_tables[HTM_TABLE_COUNT] = {
    [HTM_TOTALS] = {"totals", STORE_KEYS_BYTES, true, "counters and settings"},
    [HTM_TASKS] = {"tasks", STORE_KEYS_UINT64, true, "seq -> task"},
    [HTM_IDS] = {"ids", STORE_KEYS_BYTES, true, "task_id -> seq"},
    [HTM_CONTEXTS] = {"contexts", STORE_KEYS_UINT64, true, "seq -> what its worker is handed"},
    [HTM_RESULTS] = {"results", STORE_KEYS_UINT64, true, "seq -> what came of it"},
    [HTM_ORDER] = {"order", STORE_KEYS_BYTES, true, "handler, rank, deadline, seq: who is next"},
    [HTM_DELAYED] = {"delayed", STORE_KEYS_BYTES, true, "when, seq: who is not to start yet"},
    [HTM_HELD] = {"held", STORE_KEYS_UINT64, true, "seq: who waits for governance"},
    [HTM_RUNNING] = {"running", STORE_KEYS_BYTES, true, "worker, seq: who has what"},
    [HTM_DUE] = {"due", STORE_KEYS_BYTES, true, "when, seq: what is to be looked at next"},
    [HTM_OVER] = {"over", STORE_KEYS_BYTES, true, "status, number -> seq, as they ended"},
    [HTM_EVENTS] = {"events", STORE_KEYS_BYTES, true, "seq, number -> what happened to a task"},
    [HTM_WORKERS] = {"workers", STORE_KEYS_BYTES, true, "name -> worker"},
};

bus_err_t
htm_tables_load(store_txn_t *txn, htm_totals_t *ret_totals)
{
    bus_view_t value;
    bus_err_t err = store_get(txn, HTM_TOTALS, TOTALS_KEY, &value);
    if (err == BUS_NOT_FOUND) {
        *ret_totals = (htm_totals_t){
            .settings = {.lease_us = 30000000,
                         .backoff_us = 1000000,
                         .losses_max = 5,
                         .escalate = 50},
        };
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
htm_tables_save(store_txn_t *txn, const htm_totals_t *totals)
{
    return store_put(txn, HTM_TOTALS, TOTALS_KEY, view_from(totals, sizeof *totals));
}

bus_view_t
htm_tables_time_key(uint8_t key[HTM_TABLES_TIME_KEY], uint64_t at_us, uint64_t seq)
{
    uint64_t big_at = htobe64(at_us);
    uint64_t big_seq = htobe64(seq);
    memcpy(key, &big_at, sizeof big_at);
    memcpy(key + sizeof big_at, &big_seq, sizeof big_seq);
    return view_from(key, HTM_TABLES_TIME_KEY);
}

bus_err_t
htm_tables_drop(store_txn_t *txn, htm_table_t table, bus_view_t key)
{
    bus_err_t err = store_del(txn, table, key);
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

// --- Words ---------------------------------------------------------------------------------------

static const char *const statuses[HTM_STATUS_COUNT] = {
    [HTM_IS_HELD] = "held",
    [HTM_IS_WAITING] = "waiting",
    [HTM_IS_RUNNING] = "running",
    [HTM_IS_COMPLETED] = "completed",
    [HTM_IS_DEAD] = "dead",
    [HTM_IS_CANCELLED] = "cancelled",
};

static const char *const priorities[HTM_RANK_COUNT] = {
    [HTM_CRITICAL] = "critical",
    [HTM_HIGH] = "high",
    [HTM_NORMAL] = "normal",
    [HTM_LOW] = "low",
};

const char *
htm_tables_status(htm_status_t status)
{
    return statuses[status];
}

htm_status_t
htm_tables_find_status(bus_view_t text)
{
    for (unsigned i = 0; i < HTM_STATUS_COUNT; i++) {
        if (view_is(text, statuses[i])) {
            return (htm_status_t) i;
        }
    }
    return HTM_STATUS_COUNT;
}

const char *
htm_tables_priority(htm_rank_t rank)
{
    return priorities[rank];
}

htm_rank_t
htm_tables_find_priority(bus_view_t text)
{
    for (unsigned i = 0; i < HTM_RANK_COUNT; i++) {
        if (view_is(text, priorities[i])) {
            return (htm_rank_t) i;
        }
    }
    return HTM_NORMAL;
}
