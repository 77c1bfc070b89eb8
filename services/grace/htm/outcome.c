// outcome.c - how a task goes from one state to another. See outcome.h.
#include "outcome.h"

#include "due.h"
#include "event.h"
#include "lease.h"
#include "over.h"
#include "say.h"

#include <assert.h>

enum {
    BACKOFF_DOUBLINGS_MAX = 6, // 2^6 is over BACKOFF_FACTOR_MAX
    BACKOFF_FACTOR_MAX = 60,
};

// --- Waiting -------------------------------------------------------------------------------------

bus_err_t
htm_outcome_wait(service_apply_t *apply, htm_task_t *task, uint64_t delay_us)
{
    htm_state_t *state = apply->state;
    task->row.status = HTM_IS_WAITING;
    task->row.ready_us = apply->header->at + delay_us;
    task->row.is_delayed = delay_us > 0;
    state->totals.waiting[task->row.rank]++;
    if (delay_us == 0) {
        return htm_queue_push(state->queue, apply->txn, task);
    }
    uint8_t key[HTM_TABLES_TIME_KEY];
    return store_put(apply->txn,
                     HTM_DELAYED,
                     htm_tables_time_key(key, task->row.ready_us, task->row.seq),
                     view_from("", 0));
}

bus_err_t
htm_outcome_wake(service_apply_t *apply, htm_task_t *task)
{
    htm_state_t *state = apply->state;
    uint8_t key[HTM_TABLES_TIME_KEY];
    bus_err_t err = htm_tables_drop(
        apply->txn, HTM_DELAYED, htm_tables_time_key(key, task->row.ready_us, task->row.seq));
    task->row.is_delayed = 0;
    return err == BUS_OK ? htm_queue_push(state->queue, apply->txn, task) : err;
}

bus_err_t
htm_outcome_withdraw(service_apply_t *apply, htm_task_t *task)
{
    htm_state_t *state = apply->state;
    if (task->row.status == HTM_IS_HELD) {
        state->totals.held--;
        return htm_tables_drop(apply->txn, HTM_HELD, STORE_U64(task->row.seq));
    }
    assert(task->row.status == HTM_IS_WAITING);
    state->totals.waiting[task->row.rank]--;
    if (task->row.is_delayed) {
        uint8_t key[HTM_TABLES_TIME_KEY];
        task->row.is_delayed = 0;
        return htm_tables_drop(
            apply->txn, HTM_DELAYED, htm_tables_time_key(key, task->row.ready_us, task->row.seq));
    }
    return htm_queue_remove(state->queue, apply->txn, task);
}

// --- Running -------------------------------------------------------------------------------------

bus_err_t
htm_outcome_start(service_apply_t *apply, htm_task_t *task, htm_worker_t *worker)
{
    htm_state_t *state = apply->state;
    bus_err_t err = htm_outcome_withdraw(apply, task);
    if (err != BUS_OK) {
        return err;
    }
    task->row.status = HTM_IS_RUNNING;
    task->row.attempts++;
    task->row.started_us = apply->header->at;
    task->row.leased_us = apply->header->at + task->row.lease_us;
    task->texts[HTM_TASK_WORKER] = worker->name;
    worker->busy++;
    htm_queue_require(state->queue, task->texts[HTM_TASK_HANDLER])->running[task->row.rank]++;
    state->totals.running++;
    return htm_lease_add(apply->txn, worker->name, task->row.seq);
}

// A slot of it may be free.
static bus_err_t
free_slot(service_apply_t *apply, htm_worker_t *worker)
{
    htm_state_t *state = apply->state;
    bool was_full = htm_worker_free(worker) == 0;
    worker->busy -= worker->busy > 0 ? 1 : 0;
    if (was_full) {
        worker->free_us = apply->header->at;
    }
    for (uint32_t i = 0; i < worker->handler_count; i++) {
        htm_queue_look_at(state->queue, worker->handlers[i]);
    }
    return htm_worker_save(apply->txn, worker);
}

bus_err_t
htm_outcome_release(service_apply_t *apply, htm_task_t *task)
{
    htm_state_t *state = apply->state;
    assert(task->row.status == HTM_IS_RUNNING);
    bus_view_t name = task->texts[HTM_TASK_WORKER];
    bus_err_t err = htm_lease_remove(apply->txn, name, task->row.seq);
    state->totals.running--;
    htm_handler_t *handler = htm_queue_find(state->queue, task->texts[HTM_TASK_HANDLER]);
    if (handler != NULL && handler->running[task->row.rank] > 0) {
        handler->running[task->row.rank]--;
        htm_queue_look_at(state->queue, handler);
    }
    htm_worker_t *worker = htm_worker_find(state->workers, name);
    return err == BUS_OK && worker != NULL ? free_slot(apply, worker) : err;
}

// A worker that let a lease end, and was not heard since it began, is tried last from here on.
static void
note_silence(service_apply_t *apply, const htm_task_t *task)
{
    const htm_state_t *state = apply->state;
    htm_worker_t *worker = htm_worker_find(state->workers, task->texts[HTM_TASK_WORKER]);
    if (worker != NULL && worker->heard_us + task->row.lease_us <= task->row.leased_us) {
        worker->is_silent = true; // saved as its slot is freed
    }
}

static bus_err_t
retry(service_apply_t *apply,
      htm_task_t *task,
      const char *reason,
      bus_view_t error,
      uint64_t delay_us)
{
    htm_state_t *state = apply->state;
    state->totals.statistics.retries++;
    bus_err_t err = htm_event_add(apply->txn, task, apply->header->at, reason, error);
    if (err == BUS_OK) {
        err = htm_say_retry(apply, task, reason, error, delay_us);
    }
    return err == BUS_OK ? htm_outcome_wait(apply, task, delay_us) : err;
}

bus_err_t
htm_outcome_lose(service_apply_t *apply, htm_task_t *task, htm_outcome_loss_t loss)
{
    htm_state_t *state = apply->state;
    bool is_lapsed = loss == HTM_OUTCOME_LAPSED;
    if (is_lapsed) {
        state->totals.statistics.lapsed++;
        note_silence(apply, task);
    } else {
        state->totals.statistics.gone++;
    }
    bus_err_t err = htm_outcome_release(apply, task);
    task->row.losses++;
    if (err != BUS_OK || task->row.losses < state->totals.settings.losses_max) {
        return err == BUS_OK ? retry(apply, task, is_lapsed ? "lapsed" : "gone", VIEW_NONE, 0)
                             : err;
    }
    task->texts[HTM_TASK_REASON] =
        is_lapsed ? VIEW_LITERAL("its lease ended once too often without a word of its worker")
                  : VIEW_LITERAL("its worker went away once too often");
    return htm_outcome_end(apply, task, HTM_IS_DEAD, VIEW_NONE);
}

static uint64_t
backoff_us(const htm_task_t *task, const htm_settings_t *settings)
{
    uint32_t doublings = task->row.failures - 1;
    uint64_t factor = doublings >= BACKOFF_DOUBLINGS_MAX ? BACKOFF_FACTOR_MAX : 1ULL << doublings;
    return settings->backoff_us * factor;
}

bus_err_t
htm_outcome_fail(service_apply_t *apply, htm_task_t *task, bus_view_t error, bool may_retry)
{
    const htm_state_t *state = apply->state;
    bus_err_t err = htm_outcome_release(apply, task);
    task->row.failures++;
    if (err != BUS_OK) {
        return err;
    }
    if (may_retry && task->row.failures <= task->row.max_retries) {
        return retry(apply, task, "failed", error, backoff_us(task, &state->totals.settings));
    }
    task->texts[HTM_TASK_REASON] = error;
    return htm_outcome_end(apply, task, HTM_IS_DEAD, VIEW_NONE);
}

// --- The end -------------------------------------------------------------------------------------

bus_err_t
htm_outcome_leave(service_apply_t *apply, htm_task_t *task)
{
    return task->row.status == HTM_IS_RUNNING ? htm_outcome_release(apply, task)
                                              : htm_outcome_withdraw(apply, task);
}

static bus_err_t
keep_result(service_apply_t *apply, htm_task_t *task, bus_view_t result)
{
    htm_state_t *state = apply->state;
    if (result.size == 0) {
        return BUS_OK;
    }
    task->row.result_size = (uint32_t) result.size;
    state->totals.bytes += result.size;
    return store_put(apply->txn, HTM_RESULTS, STORE_U64(task->row.seq), result);
}

bus_err_t
htm_outcome_end(service_apply_t *apply, htm_task_t *task, htm_status_t status, bus_view_t result)
{
    htm_state_t *state = apply->state;
    htm_statistics_t *statistics = &state->totals.statistics;
    task->row.status = (uint8_t) status;
    task->row.finished_us = apply->header->at;
    statistics->completed += status == HTM_IS_COMPLETED;
    statistics->failed += status == HTM_IS_DEAD;
    statistics->cancelled += status == HTM_IS_CANCELLED;
    bus_err_t err = keep_result(apply, task, result);
    if (err == BUS_OK) {
        err = htm_over_add(apply, task);
    }
    if (err == BUS_OK) {
        err = htm_due_save(apply, task);
    }
    return err == BUS_OK ? htm_say_done(apply, task, result) : err;
}

// --- Leases begin anew ---------------------------------------------------------------------------

bus_err_t
htm_outcome_renew_all(service_apply_t *apply)
{
    htm_lease_t lease = {.worker_size = 0};
    bus_err_t err;
    while ((err = htm_lease_next(apply->txn, &lease)) == BUS_OK) {
        htm_task_t task;
        err = htm_task_load(apply->txn, lease.seq, &task);
        if (err == BUS_OK && task.row.status == HTM_IS_RUNNING) {
            task.row.leased_us = apply->header->at + task.row.lease_us;
            err = htm_due_save(apply, &task);
        }
        if (err == BUS_IO || err == BUS_FULL) {
            return err;
        }
    }
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}
