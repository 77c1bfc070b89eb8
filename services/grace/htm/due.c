// due.c - time: one row a task in HTM_DUE, for the next moment at which something is due of it.
#include "due.h"

#include "dispatch.h"
#include "outcome.h"
#include "proto/schema.h"
#include "runtime/log.h"
#include "sla.h"

#include <endian.h>

// --- Planning ------------------------------------------------------------------------------------

// 0: nothing is due of it any more.
static uint64_t
next_look(const htm_task_t *task, const htm_settings_t *settings)
{
    uint64_t own = UINT64_MAX;
    switch ((htm_status_t) task->row.status) {
    case HTM_IS_WAITING:
        own = task->row.is_delayed ? task->row.ready_us : UINT64_MAX;
        break;
    case HTM_IS_RUNNING:
        own = task->row.leased_us;
        break;
    case HTM_IS_HELD:
    case HTM_IS_COMPLETED:
    case HTM_IS_DEAD:
    case HTM_IS_CANCELLED:
    case HTM_STATUS_COUNT:
        return 0;
    }
    uint64_t sla = htm_sla_next(task, settings);
    uint64_t next = own < sla ? own : sla;
    return next == UINT64_MAX ? 0 : next;
}

bus_err_t
htm_due_save(service_apply_t *apply, htm_task_t *task)
{
    const htm_state_t *state = apply->state;
    uint64_t next = next_look(task, &state->totals.settings);
    uint8_t key[HTM_TABLES_TIME_KEY];
    bus_err_t err = BUS_OK;
    if (next != task->row.due_us) {
        if (task->row.due_us != 0) {
            err = htm_tables_drop(
                apply->txn, HTM_DUE, htm_tables_time_key(key, task->row.due_us, task->row.seq));
        }
        if (err == BUS_OK && next != 0) {
            err = store_put(apply->txn,
                            HTM_DUE,
                            htm_tables_time_key(key, next, task->row.seq),
                            view_from("", 0));
        }
        task->row.due_us = next;
    }
    return err == BUS_OK ? htm_task_save(apply->txn, task) : err;
}

// --- Looking -------------------------------------------------------------------------------------

// The first row. Its key says all, so a damaged one serves as well.
static bus_err_t
first(store_txn_t *txn, uint64_t *ret_at_us, uint64_t *ret_seq)
{
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_view_t key = VIEW_NONE;
    bus_view_t value = VIEW_NONE;
    bus_err_t err = store_cursor_open(txn, HTM_DUE, &cursor);
    if (err == BUS_OK) {
        err = store_first(cursor, &key, &value);
    }
    while ((err == BUS_OK || err == BUS_CORRUPT) && key.size != HTM_TABLES_TIME_KEY) {
        err = store_next(cursor, &key, &value);
    }
    if (err != BUS_OK && err != BUS_CORRUPT) {
        return err;
    }
    uint64_t big_at, big_seq;
    memcpy(&big_at, key.data, sizeof big_at);
    memcpy(&big_seq, key.data + sizeof big_at, sizeof big_seq);
    *ret_at_us = be64toh(big_at);
    *ret_seq = be64toh(big_seq);
    return BUS_OK;
}

bus_err_t
htm_due_first(store_txn_t *txn, uint64_t *ret_at_us)
{
    uint64_t seq;
    return first(txn, ret_at_us, &seq);
}

// Does what is due of one task.
static bus_err_t
look(service_apply_t *apply, htm_task_t *task)
{
    uint64_t at = apply->header->at;
    bus_err_t err = BUS_OK;
    if (task->row.status == HTM_IS_RUNNING && task->row.leased_us <= at) {
        err = htm_outcome_lose(apply, task, HTM_OUTCOME_LAPSED);
    } else if (task->row.is_delayed && task->row.ready_us <= at) {
        err = htm_outcome_wake(apply, task);
    }
    if (err == BUS_OK && !htm_task_is_over(task)) {
        err = htm_sla_look(apply, task);
    }
    return err == BUS_OK ? htm_due_save(apply, task) : err;
}

static bus_err_t
look_at(service_apply_t *apply, uint64_t due_us, uint64_t seq)
{
    htm_state_t *state = apply->state;
    htm_task_t task;
    bus_err_t err = htm_task_load(apply->txn, seq, &task);
    if (err == BUS_OK && task.row.due_us == due_us) {
        return look(apply, &task);
    }
    if (err == BUS_IO || err == BUS_FULL) {
        return err;
    }
    log_error("due_unreadable", "seq=%llu error=%s", (unsigned long long) seq, error_text(err));
    state->totals.statistics.damaged++;
    uint8_t key[HTM_TABLES_TIME_KEY];
    return htm_tables_drop(apply->txn, HTM_DUE, htm_tables_time_key(key, due_us, seq));
}

bus_err_t
htm_due_clock(service_apply_t *apply, const void *message)
{
    const schema_task_clock_t *clock = message;
    uint64_t at = apply->header->at;
    bus_err_t err = BUS_OK;
    bool is_resumed = clock->resumed.has && clock->resumed.value;
    if (is_resumed && !view_is(apply->header->source, "htm")) {
        return service_refuse(apply, BUS_UNAUTHORIZED_ACCESS, "HTM alone says so", VIEW_NONE);
    }
    if (is_resumed) {
        htm_state_t *state = apply->state;
        state->resumes++;
        state->resumed_us = at;
        err = htm_outcome_renew_all(apply);
    }
    for (unsigned i = 0; i < HTM_DUE_MAX && err == BUS_OK; i++) {
        uint64_t due_us, seq;
        err = first(apply->txn, &due_us, &seq);
        if (err == BUS_OK && due_us > at) {
            break;
        }
        if (err == BUS_OK) {
            err = look_at(apply, due_us, seq);
        }
    }
    return htm_dispatch_finish(apply, err == BUS_NOT_FOUND ? BUS_OK : err);
}
