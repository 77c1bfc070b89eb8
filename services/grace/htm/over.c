// over.c - tasks that are over. See over.h.
#include "over.h"

#include "runtime/log.h"

#include <endian.h>

enum { KEY_SIZE = 9 };

static bus_view_t
key_make(uint8_t key[KEY_SIZE], htm_status_t status, uint64_t number)
{
    uint64_t big = htobe64(number);
    key[0] = (uint8_t) status;
    memcpy(key + 1, &big, sizeof big);
    return view_from(key, KEY_SIZE);
}

static bool
is_of(bus_view_t key, htm_status_t status)
{
    return key.size == KEY_SIZE && (uint8_t) key.data[0] == status;
}

// The oldest row of a status: its key, and its seq, 0 where that is damaged.
static bus_err_t
oldest(store_txn_t *txn, htm_status_t status, uint8_t ret_key[KEY_SIZE], uint64_t *ret_seq)
{
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_view_t key = VIEW_NONE;
    bus_view_t value = VIEW_NONE;
    bus_err_t err = store_cursor_open(txn, HTM_OVER, &cursor);
    if (err == BUS_OK) {
        err = store_seek(cursor, key_make(ret_key, status, 0), &key, &value);
    }
    if (err != BUS_OK && err != BUS_CORRUPT) {
        return err;
    }
    if (!is_of(key, status)) {
        return BUS_NOT_FOUND;
    }
    memcpy(ret_key, key.data, KEY_SIZE);
    *ret_seq = 0;
    if (err == BUS_OK && value.size == sizeof *ret_seq) {
        memcpy(ret_seq, value.data, sizeof *ret_seq);
    }
    return BUS_OK;
}

static bus_err_t
remove_oldest(service_apply_t *apply, htm_status_t status)
{
    htm_state_t *state = apply->state;
    uint8_t key[KEY_SIZE];
    uint64_t seq;
    bus_err_t err = oldest(apply->txn, status, key, &seq);
    if (err != BUS_OK) {
        return err;
    }
    htm_task_t task;
    err = htm_task_load(apply->txn, seq, &task);
    if (err == BUS_OK && htm_task_is_over(&task)) {
        state->totals.bytes -= task.row.context_size + task.row.result_size;
        err = htm_task_remove(apply->txn, &task);
    } else if (err != BUS_IO) {
        state->totals.statistics.damaged++;
        log_error("over_unreadable", "seq=%llu", (unsigned long long) seq);
        err = BUS_OK;
    }
    state->totals.over[status] -= state->totals.over[status] > 0 ? 1 : 0;
    return err == BUS_OK ? htm_tables_drop(apply->txn, HTM_OVER, view_from(key, KEY_SIZE)) : err;
}

bus_err_t
htm_over_add(service_apply_t *apply, htm_task_t *task)
{
    htm_state_t *state = apply->state;
    htm_status_t status = (htm_status_t) task->row.status;
    uint8_t key[KEY_SIZE];
    task->row.over_number = ++state->totals.over_last;
    bus_err_t err = store_put(apply->txn,
                              HTM_OVER,
                              key_make(key, status, task->row.over_number),
                              STORE_U64(task->row.seq));
    if (err == BUS_OK && ++state->totals.over[status] > HTM_OVER_MAX) {
        err = remove_oldest(apply, status);
    }
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

bus_err_t
htm_over_take(service_apply_t *apply, const htm_task_t *task)
{
    htm_state_t *state = apply->state;
    uint8_t key[KEY_SIZE];
    htm_status_t status = (htm_status_t) task->row.status;
    state->totals.over[status] -= state->totals.over[status] > 0 ? 1 : 0;
    return htm_tables_drop(apply->txn, HTM_OVER, key_make(key, status, task->row.over_number));
}

bus_err_t
htm_over_make_room(service_apply_t *apply, uint64_t bytes, bool *ret_fits)
{
    static const htm_status_t order[] = {HTM_IS_COMPLETED, HTM_IS_CANCELLED, HTM_IS_DEAD};
    const htm_state_t *state = apply->state;
    unsigned place = 0;
    for (unsigned i = 0; i < HTM_OVER_REMOVED_MAX && place < 3; i++) {
        if (state->totals.bytes + bytes <= HTM_OVER_BYTES_MAX) {
            break;
        }
        bus_err_t err = remove_oldest(apply, order[place]);
        if (err == BUS_NOT_FOUND) {
            place++;
        } else if (err != BUS_OK) {
            return err;
        }
    }
    *ret_fits = state->totals.bytes + bytes <= HTM_OVER_BYTES_MAX;
    return BUS_OK;
}

bus_err_t
htm_over_walk(store_txn_t *txn, htm_status_t status, htm_over_fn *fn, void *arg)
{
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    uint8_t start[KEY_SIZE];
    bus_view_t key = VIEW_NONE;
    bus_view_t value = VIEW_NONE;
    bus_err_t err = store_cursor_open(txn, HTM_OVER, &cursor);
    if (err == BUS_OK) {
        err = store_seek(cursor, key_make(start, status, UINT64_MAX), &key, &value);
        err = err == BUS_NOT_FOUND                  ? store_last(cursor, &key, &value)
              : err == BUS_OK || err == BUS_CORRUPT ? store_prev(cursor, &key, &value)
                                                    : err;
    }
    while ((err == BUS_OK || err == BUS_CORRUPT) && is_of(key, status)) {
        uint64_t seq;
        if (err == BUS_OK && value.size == sizeof seq) {
            memcpy(&seq, value.data, sizeof seq);
            if (!fn(arg, seq)) {
                return BUS_OK;
            }
        }
        err = store_prev(cursor, &key, &value);
    }
    return err == BUS_NOT_FOUND || err == BUS_OK || err == BUS_CORRUPT ? BUS_OK : err;
}
