// event.c - what happened to a task, one row a time, each one msgpack map as it is shown.
#include "event.h"

#include <endian.h>

enum { KEY_SIZE = 12 };

static bus_view_t
key_make(uint8_t key[KEY_SIZE], uint64_t seq, uint32_t number)
{
    uint64_t big_seq = htobe64(seq);
    uint32_t big_number = htobe32(number);
    memcpy(key, &big_seq, sizeof big_seq);
    memcpy(key + sizeof big_seq, &big_number, sizeof big_number);
    return view_from(key, KEY_SIZE);
}

static uint32_t
kept(const htm_task_t *task)
{
    return task->row.events < HTM_EVENT_MAX ? task->row.events : HTM_EVENT_MAX;
}

bus_err_t
htm_event_add(
    store_txn_t *txn, htm_task_t *task, uint64_t at_us, const char *what, bus_view_t detail)
{
    uint32_t number = task->row.events;
    if (task->row.events < UINT32_MAX) {
        task->row.events++;
    }
    if (number >= HTM_EVENT_MAX) {
        return BUS_OK;
    }
    bus_view_t worker = task->texts[HTM_TASK_WORKER];
    BUS_AUTO(pack_destroy) pack_t *event = pack_new();
    pack_map(event, 3U + (worker.size > 0 ? 1U : 0U) + (detail.size > 0 ? 1U : 0U));
    pack_pair_rfc3339(event, "at", at_us);
    pack_pair_text(event, "what", what);
    pack_pair_uint(event, "attempt", task->row.attempts);
    if (worker.size > 0) {
        pack_pair_str(event, "worker", worker);
    }
    if (detail.size > 0) {
        pack_pair_str(event, "detail", detail);
    }
    uint8_t key[KEY_SIZE];
    return store_put(txn, HTM_EVENTS, key_make(key, task->row.seq, number), pack_view(event));
}

bus_err_t
htm_event_remove(store_txn_t *txn, const htm_task_t *task)
{
    bus_err_t err = BUS_OK;
    for (uint32_t i = 0; i < kept(task) && err == BUS_OK; i++) {
        uint8_t key[KEY_SIZE];
        err = htm_tables_drop(txn, HTM_EVENTS, key_make(key, task->row.seq, i));
    }
    return err;
}

bus_err_t
htm_event_pack(store_txn_t *txn, const htm_task_t *task, pack_t *out)
{
    uint32_t count = 0;
    size_t place = pack_array_begin(out);
    for (uint32_t i = 0; i < kept(task); i++) {
        uint8_t key[KEY_SIZE];
        bus_view_t event;
        bus_err_t err = store_get(txn, HTM_EVENTS, key_make(key, task->row.seq, i), &event);
        if (err == BUS_OK) {
            pack_raw(out, event);
            count++;
        } else if (err == BUS_IO) {
            return err;
        }
    }
    pack_count(out, place, count);
    return BUS_OK;
}
