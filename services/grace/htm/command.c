// command.c - what is asked of the queue beside enqueueing.
#include "command.h"

#include "dispatch.h"
#include "due.h"
#include "enqueue.h"
#include "event.h"
#include "outcome.h"
#include "over.h"

enum {
    ATTEMPTS_MAX = 1000,     // of all lives, as the schemas say
    ATTEMPTS_OF_A_LIFE = 121 // 20 retries, 100 losses, and the first
};

static bus_err_t
find(service_apply_t *apply, bus_view_t task_id, htm_task_t *ret_task)
{
    bus_err_t err = htm_task_find(apply->txn, task_id, ret_task);
    if (err == BUS_CORRUPT) {
        htm_state_t *state = apply->state;
        state->totals.statistics.damaged++;
    }
    return err == BUS_NOT_FOUND || err == BUS_CORRUPT
               ? service_refuse(apply, BUS_NOT_FOUND, "no task has this task_id", VIEW_NONE)
               : err;
}

static void
pack_answer(const htm_task_t *task, pack_t *out)
{
    pack_map(out, 2);
    pack_pair_str(out, "task_id", task->texts[HTM_TASK_ID]);
    pack_pair_text(out, "status", htm_tables_status((htm_status_t) task->row.status));
}

bus_err_t
htm_command_cancel(service_apply_t *apply, const void *message)
{
    const schema_task_cancel_t *cancel = message;
    htm_task_t task;
    bus_err_t err = find(apply, cancel->task_id, &task);
    if (err == BUS_OK && htm_task_is_over(&task)) {
        err = service_refuse(apply, BUS_CONFLICT, "the task is over", VIEW_NONE);
    }
    if (err != BUS_OK) {
        return htm_dispatch_finish(apply, err);
    }
    err = htm_outcome_leave(apply, &task);
    task.texts[HTM_TASK_REASON] =
        cancel->reason.size > 0 ? cancel->reason : VIEW_LITERAL("cancelled");
    if (err == BUS_OK) {
        err = htm_outcome_end(apply, &task, HTM_IS_CANCELLED, VIEW_NONE);
    }
    pack_answer(&task, apply->answer);
    return htm_dispatch_finish(apply, err);
}

// --- Dead letters --------------------------------------------------------------------------------

// It begins anew, but for the numbers of its attempts: workers know those that they did.
static bus_err_t
revive(service_apply_t *apply, htm_task_t *task)
{
    htm_state_t *state = apply->state;
    bus_err_t err = htm_over_take(apply, task);
    htm_task_row_t *row = &task->row;
    row->queued_us = apply->header->at;
    row->finished_us = 0;
    row->over_number = 0;
    row->failures = 0;
    row->losses = 0;
    row->said = 0;
    row->lives++;
    row->rank = (uint8_t) row->asked_rank;
    bus_view_t reason = task->texts[HTM_TASK_REASON];
    if (err == BUS_OK) {
        err = htm_event_add(apply->txn, task, apply->header->at, "requeued", reason);
    }
    task->texts[HTM_TASK_REASON] = VIEW_NONE;
    state->totals.statistics.queued++;
    if (err == BUS_OK) {
        err = htm_outcome_wait(apply, task, 0);
    }
    return err == BUS_OK ? htm_due_save(apply, task) : err;
}

bus_err_t
htm_command_requeue(service_apply_t *apply, const void *message)
{
    const schema_task_requeue_t *requeue = message;
    htm_task_t task;
    bus_err_t err = find(apply, requeue->task_id, &task);
    if (err == BUS_OK && task.row.status != HTM_IS_DEAD) {
        err = service_refuse(apply, BUS_CONFLICT, "the task is no dead letter", VIEW_NONE);
    } else if (err == BUS_OK && task.row.attempts > ATTEMPTS_MAX - ATTEMPTS_OF_A_LIFE) {
        err = service_refuse(apply, BUS_CONFLICT, "it was tried too often", VIEW_NONE);
    }
    if (err == BUS_OK) {
        err = htm_enqueue_check_room(apply);
    }
    if (err == BUS_OK) {
        err = revive(apply, &task);
        pack_answer(&task, apply->answer);
    }
    return htm_dispatch_finish(apply, err);
}

// --- Rules ---------------------------------------------------------------------------------------

bus_err_t
htm_command_pressure(service_apply_t *apply, const void *message)
{
    const schema_task_pressure_t *pressure = message;
    htm_state_t *state = apply->state;
    if (!view_is(apply->header->source, "htm")) {
        return service_refuse(apply, BUS_UNAUTHORIZED_ACCESS, "HTM alone says so", VIEW_NONE);
    }
    state->totals.settings.is_strained = pressure->strained.value;
    if (!pressure->strained.value) {
        htm_queue_look_at_all(state->queue);
    }
    return htm_dispatch_finish(apply, BUS_OK);
}

bus_err_t
htm_command_order(service_apply_t *apply, const void *message)
{
    const schema_task_order_t *order = message;
    htm_state_t *state = apply->state;
    htm_settings_t *settings = &state->totals.settings;
    if (order->reserve.has) {
        settings->reserve = (uint32_t) order->reserve.value;
    }
    if (order->escalate_percent.has) {
        settings->escalate = (uint32_t) order->escalate_percent.value;
    }
    htm_queue_look_at_all(state->queue);
    pack_map(apply->answer, 2);
    pack_pair_uint(apply->answer, "reserve", settings->reserve);
    pack_pair_uint(apply->answer, "escalate_percent", settings->escalate);
    return htm_dispatch_finish(apply, BUS_OK);
}
