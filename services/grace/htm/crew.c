// crew.c - workers come and go, and what they had goes to others.
#include "crew.h"

#include "dispatch.h"
#include "due.h"
#include "enqueue.h"
#include "lease.h"
#include "outcome.h"
#include "proto/walk.h"
#include "runtime/log.h"

// --- Gone ----------------------------------------------------------------------------------------

// A row of HTM_RUNNING without a task that runs.
static bus_err_t
drop_lease(service_apply_t *apply, htm_worker_t *worker, uint64_t seq)
{
    htm_state_t *state = apply->state;
    log_error("lease_unreadable", "seq=%llu", (unsigned long long) seq);
    state->totals.statistics.damaged++;
    state->totals.running -= state->totals.running > 0 ? 1 : 0;
    worker->busy -= worker->busy > 0 ? 1 : 0;
    return htm_lease_remove(apply->txn, worker->name, seq);
}

// What the worker had waits again.
static bus_err_t
lose_all(service_apply_t *apply, htm_worker_t *worker)
{
    uint64_t seq = 0;
    bus_err_t err;
    while ((err = htm_lease_next_of(apply->txn, worker->name, seq, &seq)) == BUS_OK) {
        htm_task_t task;
        err = htm_task_load(apply->txn, seq, &task);
        if (err == BUS_OK && task.row.status == HTM_IS_RUNNING) {
            err = htm_outcome_lose(apply, &task, HTM_OUTCOME_GONE);
            if (err == BUS_OK && !htm_task_is_over(&task)) {
                err = htm_due_save(apply, &task);
            }
        } else if (err == BUS_OK || err == BUS_NOT_FOUND || err == BUS_CORRUPT) {
            err = drop_lease(apply, worker, seq);
        }
        if (err != BUS_OK) {
            return err;
        }
    }
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

static bool
is_other(bus_view_t known, bus_view_t said)
{
    return known.size > 0 && said.size > 0 && !view_equal(known, said);
}

bus_err_t
htm_crew_gone(service_apply_t *apply, const void *message)
{
    const schema_task_worker_gone_t *gone = message;
    htm_state_t *state = apply->state;
    htm_worker_t *worker = htm_worker_find(state->workers, gone->worker);
    bus_err_t err = BUS_OK;
    if (worker != NULL && !is_other(worker->instance, gone->instance)) {
        err = lose_all(apply, worker);
        if (err == BUS_OK) {
            err = htm_worker_remove(state->workers, state->queue, apply->txn, &worker);
        }
    }
    return htm_dispatch_finish(apply, err);
}

// --- Ready ---------------------------------------------------------------------------------------

// The handlers that it names. BUS_VALIDATION_FAILED where they are none.
static bus_err_t
read_handlers(bus_view_t list, htm_worker_word_t *word)
{
    walk_t walk = walk_from(list);
    walk_item_t head;
    if (walk_next(&walk, &head) != BUS_OK || head.type != WALK_ARRAY || head.count == 0 ||
        head.count > HTM_WORKER_HANDLERS_MAX) {
        return BUS_VALIDATION_FAILED;
    }
    for (uint32_t i = 0, count = head.count; i < count; i++) {
        if (walk_next(&walk, &head) != BUS_OK || head.type != WALK_STR ||
            head.bytes.size > HTM_TASK_NAME_MAX || !htm_enqueue_is_token(head.bytes)) {
            return BUS_VALIDATION_FAILED;
        }
        word->handlers[word->handler_count++] = head.bytes;
    }
    return BUS_OK;
}

static bus_err_t
check_room(service_apply_t *apply, const htm_worker_word_t *word, const htm_worker_t *known)
{
    const htm_state_t *state = apply->state;
    uint32_t slots = htm_worker_slots(state->workers) - (known != NULL ? known->slots : 0);
    // Who says fewer slots than it has tasks keeps these: they count as well.
    uint64_t busy = known != NULL ? known->busy : 0;
    uint64_t running = state->totals.running > busy ? state->totals.running - busy : 0;
    uint32_t handlers = htm_queue_handlers(state->queue);
    for (uint32_t i = 0; i < word->handler_count; i++) {
        handlers += htm_queue_find(state->queue, word->handlers[i]) == NULL ? 1 : 0;
    }
    if ((known == NULL && htm_worker_count(state->workers) >= HTM_WORKERS_MAX) ||
        slots + word->slots > HTM_WORKER_SLOTS_ALL ||
        running + word->slots > HTM_WORKER_SLOTS_ALL) {
        return service_refuse(apply, BUS_BUSY, "there are too many workers", VIEW_NONE);
    }
    if (handlers > HTM_QUEUE_HANDLERS_MAX) {
        return service_refuse(apply, BUS_BUSY, "there are too many handlers", VIEW_NONE);
    }
    return BUS_OK;
}

bus_err_t
htm_crew_ready(service_apply_t *apply, const void *message)
{
    const schema_task_worker_ready_t *ready = message;
    htm_state_t *state = apply->state;
    htm_worker_word_t word = {
        .name = ready->worker,
        .instance = ready->instance,
        .slots = ready->slots.has ? (uint32_t) ready->slots.value : 1,
        .seq = apply->header->seq,
        .at_us = apply->header->at,
    };
    if (!htm_enqueue_is_token(ready->worker) || read_handlers(ready->handlers, &word) != BUS_OK) {
        return service_refuse(apply,
                              BUS_VALIDATION_FAILED,
                              "worker: one token of A-Z a-z 0-9 _ -; handlers: 1 to 32 of them",
                              VIEW_NONE);
    }
    htm_worker_t *known = htm_worker_find(state->workers, ready->worker);
    bus_err_t err = check_room(apply, &word, known);
    if (err != BUS_OK) {
        return err;
    }
    if (known != NULL && is_other(known->instance, word.instance)) {
        err = lose_all(apply, known); // another process: what the one before it had is lost
    }
    bool is_again = known != NULL && !is_other(known->instance, word.instance);
    if (err == BUS_OK) {
        err = htm_worker_put(state->workers, state->queue, apply->txn, &word);
    }
    if (err == BUS_OK && is_again && known->busy > 0) {
        known->is_recalled = true; // it was deaf for a while: live messages may have missed it
        state->recalls++;
    }
    return htm_dispatch_finish(apply, err);
}

// --- Words ---------------------------------------------------------------------------------------

bus_err_t
htm_crew_hear(service_apply_t *apply, bus_view_t name)
{
    const htm_state_t *state = apply->state;
    htm_worker_t *worker = name.size == 0 ? NULL : htm_worker_find(state->workers, name);
    if (worker == NULL) {
        return BUS_OK;
    }
    if (worker->is_silent) {
        for (uint32_t i = 0; i < worker->handler_count; i++) {
            htm_queue_look_at(state->queue, worker->handlers[i]);
        }
    }
    htm_worker_hear(worker, apply->header->at);
    return htm_worker_save(apply->txn, worker);
}

bus_err_t
htm_crew_renew(service_apply_t *apply, const void *message)
{
    const schema_task_renew_t *renew = message;
    htm_task_t task;
    bus_err_t err = htm_task_find(apply->txn, renew->task_id, &task);
    if (err != BUS_OK && err != BUS_NOT_FOUND && err != BUS_CORRUPT) {
        return err;
    }
    bool is_its = err == BUS_OK && task.row.status == HTM_IS_RUNNING &&
                  task.row.attempts == (uint64_t) renew->attempt.value &&
                  view_equal(task.texts[HTM_TASK_WORKER], renew->worker);
    err = htm_crew_hear(apply, renew->worker);
    if (err == BUS_OK && is_its) {
        task.row.leased_us = apply->header->at + task.row.lease_us;
        err = htm_due_save(apply, &task);
    }
    return htm_dispatch_finish(apply, err);
}
