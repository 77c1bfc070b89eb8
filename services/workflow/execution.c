// execution.c - an execution as it is kept.
#include "execution.h"

#include "index.h"

#include <assert.h>
#include <endian.h>

enum {
    KEY_PART_MAX = 128, // bytes of trace_id and of execution_id
    OPEN_KEY_SIZE = 2 + sizeof(uint64_t),
};

// --- The record ----------------------------------------------------------------------------------

bus_err_t
workflow_execution_load(store_txn_t *txn,
                        uint64_t seq,
                        pack_t *copy,
                        workflow_execution_t *ret_execution)
{
    bus_view_t value;
    bus_err_t err = store_get(txn, WORKFLOW_EXECUTIONS, STORE_U64(seq), &value);
    if (err != BUS_OK) {
        return err;
    }
    schema_problems_t problems = {.count = 0};
    pack_clear(copy);
    pack_raw(copy, value);
    err = schema_decode(&SCHEMA_workflow_execution, pack_view(copy), ret_execution, &problems);
    return err == BUS_OK ? BUS_OK : BUS_CORRUPT;
}

bus_err_t
workflow_execution_save(store_txn_t *txn, const workflow_execution_t *execution, pack_t *written)
{
    pack_clear(written);
    schema_encode(&SCHEMA_workflow_execution, execution, written);
    return store_put(
        txn, WORKFLOW_EXECUTIONS, STORE_U64((uint64_t) execution->seq.value), pack_view(written));
}

void
workflow_execution_answer(const workflow_execution_t *execution, pack_t *out)
{
    pack_map(out, 3);
    pack_pair_str(out, "trace_id", execution->trace_id);
    pack_pair_str(out, "status", execution->status);
    pack_pair_raw(out, "execution_result", execution->execution_result);
}

// --- The key -------------------------------------------------------------------------------------

typedef struct {
    uint8_t bytes[1 + 2 * KEY_PART_MAX];
    size_t size;
} execution_key_t;

static bus_view_t
make_key(bus_view_t trace_id, bus_view_t execution_id, execution_key_t *ret_key)
{
    assert(trace_id.size > 0 && trace_id.size <= KEY_PART_MAX && execution_id.size <= KEY_PART_MAX);
    ret_key->bytes[0] = (uint8_t) trace_id.size;
    memcpy(ret_key->bytes + 1, trace_id.data, trace_id.size);
    ret_key->size = 1 + trace_id.size;
    if (execution_id.size > 0) {
        memcpy(ret_key->bytes + ret_key->size, execution_id.data, execution_id.size);
        ret_key->size += execution_id.size;
    }
    return view_from(ret_key->bytes, ret_key->size);
}

bus_err_t
workflow_execution_find(store_txn_t *txn,
                        bus_view_t trace_id,
                        bus_view_t execution_id,
                        uint64_t *ret_seq)
{
    execution_key_t key;
    bus_view_t value;
    bus_err_t err = store_get(txn, WORKFLOW_KEYS, make_key(trace_id, execution_id, &key), &value);
    if (err == BUS_OK && value.size != sizeof *ret_seq) {
        return BUS_CORRUPT;
    }
    if (err == BUS_OK) {
        memcpy(ret_seq, value.data, sizeof *ret_seq);
    }
    return err;
}

bus_err_t
workflow_execution_put_key(store_txn_t *txn,
                           bus_view_t trace_id,
                           bus_view_t execution_id,
                           uint64_t seq)
{
    execution_key_t key;
    return store_put(
        txn, WORKFLOW_KEYS, make_key(trace_id, execution_id, &key), view_from(&seq, sizeof seq));
}

// --- Open ones -----------------------------------------------------------------------------------

static bus_view_t
make_open_key(workflow_open_t where,
              workflow_action_t action,
              uint64_t seq,
              uint8_t key[OPEN_KEY_SIZE])
{
    uint64_t big = htobe64(seq);
    key[0] = (uint8_t) where;
    key[1] = (uint8_t) action;
    memcpy(key + 2, &big, sizeof big);
    return view_from(key, OPEN_KEY_SIZE);
}

bus_err_t
workflow_execution_open(store_txn_t *txn,
                        workflow_open_t where,
                        workflow_action_t action,
                        uint64_t seq,
                        bus_view_t boot)
{
    uint8_t key[OPEN_KEY_SIZE];
    return store_put(txn,
                     WORKFLOW_OPEN,
                     make_open_key(where, action, seq, key),
                     boot.data == NULL ? view_from("", 0) : boot);
}

bus_err_t
workflow_execution_close(store_txn_t *txn,
                         workflow_open_t where,
                         workflow_action_t action,
                         uint64_t seq)
{
    uint8_t key[OPEN_KEY_SIZE];
    bus_err_t err = store_del(txn, WORKFLOW_OPEN, make_open_key(where, action, seq, key));
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

bool
workflow_execution_is_open(store_txn_t *txn,
                           workflow_open_t where,
                           workflow_action_t action,
                           uint64_t seq)
{
    uint8_t key[OPEN_KEY_SIZE];
    bus_view_t boot;
    return store_get(txn, WORKFLOW_OPEN, make_open_key(where, action, seq, key), &boot) == BUS_OK;
}

bus_err_t
workflow_execution_walk_open(store_txn_t *txn,
                             const workflow_execution_range_t *range,
                             workflow_execution_open_fn *fn,
                             void *arg)
{
    uint8_t start[OPEN_KEY_SIZE];
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_view_t wanted = make_open_key(range->where, range->action, range->from, start);
    bus_view_t key = VIEW_NONE;
    bus_view_t boot = VIEW_NONE;
    bus_err_t err = store_cursor_open(txn, WORKFLOW_OPEN, &cursor);
    if (err == BUS_OK) {
        err = store_seek(cursor, wanted, &key, &boot);
    }
    while ((err == BUS_OK || err == BUS_CORRUPT) && key.size == OPEN_KEY_SIZE &&
           memcmp(key.data, start, 2) == 0) {
        uint64_t big;
        memcpy(&big, key.data + 2, sizeof big);
        // A damaged row names no boot of ours: what it stands for is not run again.
        if (!fn(arg, range->action, be64toh(big), err == BUS_OK ? boot : VIEW_NONE)) {
            return BUS_OK;
        }
        err = store_next(cursor, &key, &boot);
    }
    return store_forgive(err);
}
