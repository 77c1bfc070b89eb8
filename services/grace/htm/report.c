// report.c - what workers say of tasks in hand.
#include "report.h"

#include "crew.h"
#include "dispatch.h"
#include "due.h"
#include "outcome.h"

// What the word is about. BUS_OK: a task that lives. BUS_NOT_FOUND: nothing is to be done; a
// refusal: it is about nothing that was ever handed out.
static bus_err_t
find(service_apply_t *apply, bus_view_t task_id, schema_int_t attempt, htm_task_t *ret_task)
{
    htm_state_t *state = apply->state;
    htm_statistics_t *statistics = &state->totals.statistics;
    bus_err_t err = htm_task_find(apply->txn, task_id, ret_task);
    if (err == BUS_NOT_FOUND || err == BUS_CORRUPT) {
        statistics->strays++;
        statistics->damaged += err == BUS_CORRUPT;
        return service_refuse(apply, BUS_INVALID_REQUEST, "no task has this task_id", VIEW_NONE);
    }
    if (err != BUS_OK) {
        return err;
    }
    if (ret_task->row.attempts == 0 ||
        (attempt.has && (uint64_t) attempt.value > ret_task->row.attempts)) {
        statistics->strays++;
        return service_refuse(apply, BUS_CONFLICT, "it was never handed out so", VIEW_NONE);
    }
    if (htm_task_is_over(ret_task)) {
        statistics->duplicates++;
        return BUS_NOT_FOUND;
    }
    return BUS_OK;
}

static bus_err_t
complete(service_apply_t *apply, htm_task_t *task, const schema_task_completed_t *completed)
{
    bus_err_t err = htm_outcome_leave(apply, task);
    if (completed->worker.size > 0) {
        task->texts[HTM_TASK_WORKER] = completed->worker;
    }
    task->texts[HTM_TASK_REASON] = VIEW_NONE;
    return err == BUS_OK ? htm_outcome_end(apply, task, HTM_IS_COMPLETED, completed->result) : err;
}

bus_err_t
htm_report_completed(service_apply_t *apply, const void *message)
{
    const schema_task_completed_t *completed = message;
    htm_task_t task;
    bus_err_t heard = htm_crew_hear(apply, completed->worker);
    if (heard != BUS_OK) {
        return heard;
    }
    bus_err_t err = find(apply, completed->task_id, completed->attempt, &task);
    if (err == BUS_OK) {
        err = complete(apply, &task, completed);
    }
    return htm_dispatch_finish(apply, err == BUS_NOT_FOUND ? BUS_OK : err);
}

bus_err_t
htm_report_failed(service_apply_t *apply, const void *message)
{
    const schema_task_failed_t *failed = message;
    htm_state_t *state = apply->state;
    htm_task_t task;
    bus_err_t heard = htm_crew_hear(apply, failed->worker);
    if (heard != BUS_OK) {
        return heard;
    }
    bus_err_t err = find(apply, failed->task_id, failed->attempt, &task);
    if (err != BUS_OK) {
        return htm_dispatch_finish(apply, err == BUS_NOT_FOUND ? BUS_OK : err);
    }
    bool is_present =
        task.row.status == HTM_IS_RUNNING &&
        (!failed->attempt.has || (uint64_t) failed->attempt.value == task.row.attempts);
    if (!is_present) {
        state->totals.statistics.duplicates++; // of an attempt that was given up before
        return htm_dispatch_finish(apply, BUS_OK);
    }
    err = htm_outcome_fail(apply, &task, failed->error, !failed->retry.has || failed->retry.value);
    if (err == BUS_OK && !htm_task_is_over(&task)) {
        err = htm_due_save(apply, &task);
    }
    return htm_dispatch_finish(apply, err);
}
