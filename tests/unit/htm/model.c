// model.c - what the queue should do. See model.h.
#include "model.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const priorities[] = {"critical", "high", "normal", "low"};

static void
say(model_t *self, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size =
        vsnprintf(self->lines + self->size, sizeof self->lines - self->size, format, arguments);
    va_end(arguments);
    assert(size > 0 && self->size + (unsigned) size < sizeof self->lines);
    self->size += (unsigned) size;
}

static unsigned
index_of(const model_t *self, const model_task_t *task)
{
    return (unsigned) (task - self->tasks);
}

// --- Who starts ----------------------------------------------------------------------------------

static unsigned
busy(const model_t *self, unsigned worker)
{
    unsigned count = 0;
    for (unsigned i = 0; i < self->count; i++) {
        count += self->tasks[i].status == RUNNING && self->tasks[i].worker == worker;
    }
    return count;
}

static unsigned
left(const model_t *self, unsigned worker)
{
    const model_worker_t *of = &self->workers[worker];
    unsigned used = busy(self, worker);
    if (!of->is_there) {
        return 0;
    }
    if (of->is_silent) {
        return used == 0;
    }
    return used < of->slots ? of->slots - used : 0;
}

static int
choose_worker(const model_t *self, unsigned handler)
{
    int best = -1;
    for (unsigned i = 0; i < MODEL_WORKERS; i++) {
        if (!self->workers[i].serves[handler] || left(self, i) == 0) {
            continue;
        }
        if (best < 0 || (self->workers[best].is_silent && !self->workers[i].is_silent) ||
            (self->workers[best].is_silent == self->workers[i].is_silent &&
             left(self, i) > left(self, (unsigned) best))) {
            best = (int) i;
        }
    }
    return best;
}

static bool
is_allowed(const model_t *self, const model_task_t *task)
{
    if (task->rank <= 1) {
        return true;
    }
    unsigned slots = 0, used = 0;
    for (unsigned i = 0; i < MODEL_WORKERS; i++) {
        if (self->workers[i].is_there && self->workers[i].serves[task->handler]) {
            slots += self->workers[i].slots;
        }
    }
    for (unsigned i = 0; i < self->count; i++) {
        const model_task_t *other = &self->tasks[i];
        used += other->status == RUNNING && other->handler == task->handler && other->rank > 1;
    }
    unsigned reserve = self->is_strained && self->reserve < 75 ? 75 : self->reserve;
    return reserve == 0 || used < slots - slots * reserve / 100;
}

static bool
is_before(const model_task_t *a, const model_task_t *b)
{
    if (a->rank != b->rank) {
        return a->rank < b->rank;
    }
    uint64_t a_ends = a->queued + a->sla, b_ends = b->queued + b->sla;
    return a_ends != b_ends ? a_ends < b_ends : a->seq < b->seq;
}

static bool
starts_one(model_t *self, uint64_t at)
{
    model_task_t *best = NULL;
    for (unsigned i = 0; i < self->count; i++) {
        model_task_t *task = &self->tasks[i];
        if (task->status == WAITING && !task->delayed && (best == NULL || is_before(task, best)) &&
            is_allowed(self, task) && choose_worker(self, task->handler) >= 0) {
            best = task;
        }
    }
    if (best == NULL) {
        return false;
    }
    unsigned overtook = 0;
    for (unsigned i = 0; i < self->count; i++) {
        const model_task_t *other = &self->tasks[i];
        overtook += other->status == WAITING && !other->delayed &&
                    other->handler == best->handler && other->rank > best->rank &&
                    other->seq < best->seq;
    }
    best->worker = (unsigned) choose_worker(self, best->handler);
    best->status = RUNNING;
    best->attempts++;
    best->leased = at + best->lease;
    say(self,
        "started t%u w%u %u %u\n",
        index_of(self, best),
        best->worker,
        best->attempts,
        overtook);
    return true;
}

static void
finish(model_t *self, uint64_t at)
{
    while (starts_one(self, at)) {
    }
}

// --- What happens to a task ----------------------------------------------------------------------

static void
end(model_t *self, uint64_t at, model_task_t *task, model_status_t status)
{
    static const char *const words[] = {"", "", "", "completed", "dead", "cancelled"};
    task->status = status;
    task->delayed = false;
    say(self,
        "done t%u %s %u %s\n",
        index_of(self, task),
        words[status],
        task->attempts,
        status == COMPLETED && at <= task->queued + task->sla ? "true" : "false");
}

static void
wait(model_task_t *task, uint64_t at, uint64_t delay)
{
    task->status = WAITING;
    task->delayed = delay > 0;
    task->ready = at + delay;
}

static void
lose(model_t *self, uint64_t at, model_task_t *task, const char *reason)
{
    task->losses++;
    if (task->losses >= self->losses_max) {
        end(self, at, task, DEAD);
        return;
    }
    say(self, "retry t%u %u %s 0.0\n", index_of(self, task), task->attempts, reason);
    wait(task, at, 0);
}

static void
hear(model_t *self, uint64_t at, unsigned worker)
{
    if (self->workers[worker].is_there) {
        self->workers[worker].heard = at;
        self->workers[worker].is_silent = false;
    }
}

// --- Records -------------------------------------------------------------------------------------

static void
begin(model_t *self)
{
    self->size = 0;
    self->lines[0] = '\0';
}

void
model_enqueue(model_t *self, uint64_t at, const model_task_t *task, uint64_t delay)
{
    begin(self);
    assert(self->count < MODEL_TASKS_MAX);
    self->tasks[self->count] = *task;
    wait(&self->tasks[self->count++], at, delay);
    finish(self, at);
}

static void
lose_all(model_t *self, uint64_t at, unsigned worker)
{
    for (unsigned i = 0; i < self->count; i++) {
        if (self->tasks[i].status == RUNNING && self->tasks[i].worker == worker) {
            lose(self, at, &self->tasks[i], "gone");
        }
    }
}

void
model_ready(
    model_t *self, uint64_t at, unsigned worker, const bool *serves, unsigned slots, bool is_new)
{
    begin(self);
    model_worker_t *of = &self->workers[worker];
    if (of->is_there && is_new) {
        lose_all(self, at, worker);
    }
    *of = (model_worker_t){.is_there = true, .slots = slots, .heard = at};
    memcpy(of->serves, serves, sizeof of->serves);
    finish(self, at);
}

void
model_gone(model_t *self, uint64_t at, unsigned worker)
{
    begin(self);
    if (self->workers[worker].is_there) {
        lose_all(self, at, worker);
        self->workers[worker] = (model_worker_t){.is_there = false};
    }
    finish(self, at);
}

void
model_completed(model_t *self, uint64_t at, unsigned task, unsigned attempt, unsigned worker)
{
    begin(self);
    model_task_t *of = &self->tasks[task];
    hear(self, at, worker);
    if (of->status <= RUNNING && of->attempts > 0 && attempt <= of->attempts) {
        end(self, at, of, COMPLETED);
    }
    finish(self, at);
}

void
model_failed(
    model_t *self, uint64_t at, unsigned task, unsigned attempt, unsigned worker, bool retry)
{
    begin(self);
    model_task_t *of = &self->tasks[task];
    hear(self, at, worker);
    if (of->status == RUNNING && attempt == of->attempts) {
        of->failures++;
        if (!retry || of->failures > of->max_retries) {
            end(self, at, of, DEAD);
        } else {
            uint64_t factor = 1;
            for (unsigned i = 1; i < of->failures && factor < 60; i++) {
                factor *= 2;
            }
            uint64_t delay = self->backoff * (factor < 60 ? factor : 60);
            say(self, "retry t%u %u failed %.1f\n", task, of->attempts, (double) delay / 1e6);
            wait(of, at, delay);
        }
    }
    finish(self, at);
}

void
model_renew(model_t *self, uint64_t at, unsigned task, unsigned attempt, unsigned worker)
{
    begin(self);
    model_task_t *of = &self->tasks[task];
    hear(self, at, worker);
    if (of->status == RUNNING && of->attempts == attempt && of->worker == worker) {
        of->leased = at + of->lease;
    }
    finish(self, at);
}

void
model_cancel(model_t *self, uint64_t at, unsigned task)
{
    begin(self);
    if (self->tasks[task].status <= RUNNING) {
        end(self, at, &self->tasks[task], CANCELLED);
    }
    finish(self, at);
}

void
model_requeue(model_t *self, uint64_t at, unsigned task)
{
    begin(self);
    model_task_t *of = &self->tasks[task];
    if (of->status == DEAD) {
        of->failures = of->losses = 0;
        of->warned = of->breached = false;
        of->queued = at;
        of->rank = of->asked_rank;
        wait(of, at, 0);
    }
    finish(self, at);
}

void
model_rules(model_t *self, uint64_t at, bool is_strained, unsigned reserve)
{
    begin(self);
    self->is_strained = is_strained;
    self->reserve = reserve;
    finish(self, at);
}

static void
look(model_t *self, uint64_t at, model_task_t *task)
{
    static const char *const words[] = {"held", "waiting", "running"};
    unsigned number = index_of(self, task);
    if (task->status == RUNNING && task->leased <= at) {
        model_worker_t *worker = &self->workers[task->worker];
        worker->is_silent =
            worker->is_there && (worker->is_silent || worker->heard + task->lease <= task->leased);
        lose(self, at, task, "lapsed");
    }
    if (task->status > RUNNING) {
        return;
    }
    task->delayed = task->delayed && task->ready > at;
    uint64_t used = at - task->queued;
    unsigned before = task->rank;
    if (task->status == WAITING && used * 10 > task->sla * 8) {
        task->rank = 0;
    } else if (task->status == WAITING && used * 2 > task->sla && task->rank > 1) {
        task->rank = 1;
    }
    if (task->rank != before) {
        say(self, "escalated t%u %s %s\n", number, priorities[before], priorities[task->rank]);
    }
    if (!task->warned && used * 10 >= task->sla * 8) {
        task->warned = true;
        say(self, "sla.warning t%u %s\n", number, words[task->status]);
    }
    if (!task->breached && used >= task->sla) {
        task->breached = true;
        say(self, "sla.breached t%u %s\n", number, words[task->status]);
    }
}

void
model_clock(model_t *self, uint64_t at)
{
    begin(self);
    for (unsigned i = 0; i < self->count; i++) {
        if (self->tasks[i].status == WAITING || self->tasks[i].status == RUNNING) {
            look(self, at, &self->tasks[i]);
        }
    }
    finish(self, at);
}
