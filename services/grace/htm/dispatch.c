// dispatch.c - who gets what. See dispatch.h.
//
// Only handlers of which something changed are looked at: a task came, a slot became free, the
// rules changed. Among them the first task in order starts first, so that a worker that serves
// several handlers takes them in order.
#include "dispatch.h"

#include "due.h"
#include "outcome.h"
#include "runtime/log.h"
#include "say.h"

enum {
    PERCENT = 100,
    // Of a handler's slots, kept from normal and low tasks on a strained machine. Not all: a
    // machine that is busy with nothing but them would never get done.
    STRAINED_RESERVE = 75
};

// Whether the reserve leaves a slot of this handler to a normal or low task. It leaves one always.
static bool
is_within_reserve(const htm_handler_t *handler, const htm_settings_t *settings)
{
    uint64_t reserve = settings->reserve;
    if (settings->is_strained && reserve < STRAINED_RESERVE) {
        reserve = STRAINED_RESERVE;
    }
    if (reserve == 0) {
        return true;
    }
    uint64_t slots = 0;
    for (uint32_t i = 0; i < handler->worker_count; i++) {
        slots += handler->workers[i]->slots;
    }
    uint64_t used = (uint64_t) handler->running[HTM_NORMAL] + handler->running[HTM_LOW];
    return used < slots - slots * reserve / PERCENT;
}

static bool
may_start(const htm_state_t *state, const htm_handler_t *handler, const htm_place_t *place)
{
    const htm_settings_t *settings = &state->totals.settings;
    return place->rank <= HTM_HIGH || is_within_reserve(handler, settings);
}

// The first of a handler's tasks that can start, and with whom.
typedef struct {
    htm_handler_t *handler;
    htm_worker_t *worker;
    htm_place_t place;
} candidate_t;

// BUS_NOT_FOUND where there is none, BUS_IO.
static bus_err_t
find_of(service_apply_t *apply, htm_handler_t *handler, candidate_t *ret_found)
{
    *ret_found = (candidate_t){.handler = handler, .worker = htm_worker_choose(handler)};
    if (ret_found->worker == NULL) {
        return BUS_NOT_FOUND;
    }
    bus_err_t err = htm_queue_first(apply->txn, handler, &ret_found->place);
    return err == BUS_OK && !may_start(apply->state, handler, &ret_found->place) ? BUS_NOT_FOUND
                                                                                 : err;
}

// The first of all. Handlers of which none can start are looked at no more.
static bus_err_t
find(service_apply_t *apply, candidate_t *ret_best)
{
    const htm_state_t *state = apply->state;
    *ret_best = (candidate_t){.handler = NULL};
    for (htm_handler_t *handler = htm_queue_todo(state->queue), *next; handler != NULL;
         handler = next) {
        next = handler->todo;
        candidate_t found;
        bus_err_t err = find_of(apply, handler, &found);
        if (err == BUS_NOT_FOUND) {
            htm_queue_looked_at(state->queue, handler);
        } else if (err != BUS_OK) {
            return err;
        } else if (ret_best->handler == NULL ||
                   htm_queue_is_before(&found.place, &ret_best->place)) {
            *ret_best = found;
        }
    }
    return ret_best->handler == NULL ? BUS_NOT_FOUND : BUS_OK;
}

static uint64_t
later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

// Its context cannot be read: nobody can do it.
static bus_err_t
give_up(service_apply_t *apply, htm_task_t *task)
{
    htm_state_t *state = apply->state;
    state->totals.statistics.damaged++;
    bus_err_t err = htm_outcome_leave(apply, task);
    task->texts[HTM_TASK_REASON] = VIEW_LITERAL("its context is damaged");
    return err == BUS_OK ? htm_outcome_end(apply, task, HTM_IS_DEAD, VIEW_NONE) : err;
}

static bus_err_t
start(service_apply_t *apply, htm_task_t *task, const candidate_t *with)
{
    htm_state_t *state = apply->state;
    uint64_t since_us = later(task->row.ready_us, with->worker->free_us);
    uint64_t at = apply->header->at;
    htm_say_start_t said = {
        .task = task,
        .overtook = htm_queue_overtaken(with->handler, with->place.rank, with->place.seq),
        .dispatch_us = at > since_us ? at - since_us : 0,
    };
    bus_err_t err = htm_outcome_start(apply, task, with->worker);
    if (err == BUS_OK) {
        state->totals.statistics.overtakes += said.overtook > 0;
        err = htm_due_save(apply, task);
    }
    if (err == BUS_OK) {
        err = htm_task_context(apply->txn, task->row.seq, &said.context);
    }
    if (err == BUS_CORRUPT) {
        return give_up(apply, task);
    }
    return err == BUS_OK ? htm_say_started(apply, &said) : err;
}

static bus_err_t
start_first(service_apply_t *apply, const candidate_t *first, uint64_t *reterr_bytes)
{
    htm_state_t *state = apply->state;
    htm_task_t task;
    bus_err_t err = htm_task_load(apply->txn, first->place.seq, &task);
    if (err == BUS_OK && task.row.status == HTM_IS_WAITING && task.row.rank == first->place.rank) {
        *reterr_bytes += task.row.context_size;
        return start(apply, &task, first);
    }
    if (err != BUS_OK && err != BUS_CORRUPT && err != BUS_NOT_FOUND) {
        return err;
    }
    log_error("task_unreadable", "seq=%llu", (unsigned long long) first->place.seq);
    state->totals.statistics.damaged++;
    state->totals.waiting[first->place.rank]--;
    return htm_queue_drop(apply->txn, first->handler, &first->place);
}

bus_err_t
htm_dispatch_run(service_apply_t *apply)
{
    bus_err_t err = BUS_OK;
    uint64_t bytes = 0;
    for (unsigned i = 0; i < HTM_DISPATCH_MAX && bytes < HTM_DISPATCH_BYTES_MAX && err == BUS_OK;
         i++) {
        candidate_t best;
        err = find(apply, &best);
        if (err == BUS_OK) {
            err = start_first(apply, &best, &bytes);
        }
    }
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

static bool
is_of_store(bus_err_t err)
{
    return err == BUS_FULL || err == BUS_IO || err == BUS_CORRUPT;
}

bus_err_t
htm_dispatch_finish(service_apply_t *apply, bus_err_t err)
{
    htm_state_t *state = apply->state;
    if (is_of_store(err)) {
        return err;
    }
    state->first_us = state->first_us == 0 ? apply->header->at : state->first_us;
    bus_err_t failed = htm_dispatch_run(apply);
    if (failed == BUS_OK) {
        failed = htm_tables_save(apply->txn, &state->totals);
    }
    return failed == BUS_OK ? err : failed;
}

bool
htm_dispatch_is_pending(const htm_state_t *state)
{
    return htm_queue_todo(state->queue) != NULL;
}
