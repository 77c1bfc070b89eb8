// sla.c - escalations (under half of the SLA left: high; under a fifth: critical), the warning at
// 80 %, the breach at 100 %. Each is said once in a task's life.
#include "sla.h"

#include "event.h"
#include "say.h"

enum {
    CRITICAL_LEFT = 20, // percent of the SLA left below which a waiting task is critical
    WARNED_AT = 80,     // percent of it used up
    PERCENT = 100,
};

// When this share of the SLA is used up.
static uint64_t
used_at(const htm_task_t *task, uint64_t percent)
{
    return task->row.queued_us + task->row.sla_us / PERCENT * percent +
           task->row.sla_us % PERCENT * percent / PERCENT;
}

// When less than this share of it is left.
static uint64_t
below_at(const htm_task_t *task, uint64_t percent)
{
    return used_at(task, PERCENT - percent) + 1;
}

static bool
can_rise(const htm_task_t *task, htm_rank_t to)
{
    return task->row.status == HTM_IS_WAITING && task->row.rank > to;
}

uint64_t
htm_sla_next(const htm_task_t *task, const htm_settings_t *settings)
{
    uint64_t next = UINT64_MAX;
    if ((task->row.said & HTM_TASK_BREACHED) == 0) {
        next = htm_task_deadline(task);
    }
    if ((task->row.said & HTM_TASK_WARNED) == 0) {
        next = used_at(task, WARNED_AT);
    }
    if (can_rise(task, HTM_CRITICAL)) {
        uint64_t at = below_at(task, CRITICAL_LEFT);
        next = at < next ? at : next;
    }
    if (can_rise(task, HTM_HIGH)) {
        uint64_t at = below_at(task, settings->escalate);
        next = at < next ? at : next;
    }
    return next;
}

static bus_err_t
rise(service_apply_t *apply, htm_task_t *task, htm_rank_t to)
{
    htm_state_t *state = apply->state;
    htm_rank_t from = (htm_rank_t) task->row.rank;
    bus_err_t err = BUS_OK;
    if (!task->row.is_delayed) {
        err = htm_queue_remove(state->queue, apply->txn, task);
    }
    task->row.rank = (uint8_t) to;
    if (err == BUS_OK && !task->row.is_delayed) {
        err = htm_queue_push(state->queue, apply->txn, task);
    }
    state->totals.waiting[from]--;
    state->totals.waiting[to]++;
    state->totals.statistics.escalations++;
    if (err == BUS_OK) {
        bus_view_t priority = view_from_text(htm_tables_priority(to));
        err = htm_event_add(apply->txn, task, apply->header->at, "escalated", priority);
    }
    return err == BUS_OK ? htm_say_escalated(apply, task, from) : err;
}

static bus_err_t
look_up(service_apply_t *apply, htm_task_t *task)
{
    const htm_state_t *state = apply->state;
    uint64_t at = apply->header->at;
    if (can_rise(task, HTM_CRITICAL) && at >= below_at(task, CRITICAL_LEFT)) {
        return rise(apply, task, HTM_CRITICAL);
    }
    if (can_rise(task, HTM_HIGH) && at >= below_at(task, state->totals.settings.escalate)) {
        return rise(apply, task, HTM_HIGH);
    }
    return BUS_OK;
}

bus_err_t
htm_sla_look(service_apply_t *apply, htm_task_t *task)
{
    htm_state_t *state = apply->state;
    uint64_t at = apply->header->at;
    bus_err_t err = look_up(apply, task);
    if (err == BUS_OK && (task->row.said & HTM_TASK_WARNED) == 0 &&
        at >= used_at(task, WARNED_AT)) {
        task->row.said |= HTM_TASK_WARNED;
        state->totals.statistics.warnings++;
        err = htm_say_sla(apply, task, "task.sla.warning");
    }
    if (err == BUS_OK && (task->row.said & HTM_TASK_BREACHED) == 0 &&
        at >= htm_task_deadline(task)) {
        task->row.said |= HTM_TASK_BREACHED;
        state->totals.statistics.breaches++;
        err = htm_say_sla(apply, task, "task.sla.breached");
    }
    return err;
}
