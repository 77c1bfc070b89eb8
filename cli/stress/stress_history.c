// stress_history.c - see stress_history.h.
//
// What a queue says comes later in the journal than what it was said for, and what others said
// meanwhile stands between. So each decision is taken at its cause: what was said to the queue is
// kept until a decision names a record at or behind it as its cause.
#include "stress_history.h"

#include "proto/schema.h"
#include "proto/walk.h"
#include "stress_model.h"
#include "stress_run.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { RANKS = 4 };

static const double sla_presets[RANKS] = {300, 1800, 14400, 86400};
static const char *const rank_names[RANKS] = {"critical", "high", "normal", "low"};
enum { RANK_NORMAL = 2 };

typedef cli_stress_model_task_t task_t;
typedef cli_stress_model_worker_t worker_t;

typedef enum { SAID_TASK, SAID_AGAIN, SAID_READY, SAID_GONE, SAID_COMPLETED, SAID_REQUEUE } said_t;

// What was said to the queue, until it is reached.
typedef struct {
    uint64_t seq, handlers, instance, received;
    uint32_t task, worker, attempt;
    uint16_t slots;
    uint8_t said;
} input_t;

struct cli_stress_history {
    cli_stress_model_t model;
    input_t *inputs; // from `input_at` on those that are not reached yet
    size_t input_at, input_count, input_limit;
    double *dispatch_ms;
    size_t dispatch_count, dispatch_limit;
    double depth_us; // sum over tasks of their time in the queue
    cli_stress_findings_t found;
};

static void violate(cli_stress_history_t *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
violate(cli_stress_history_t *self, const char *format, ...)
{
    if (self->found.violations++ == 0) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(
            self->found.first_violation, sizeof self->found.first_violation, format, arguments);
        va_end(arguments);
    }
}

static uint8_t
rank_of(bus_view_t name)
{
    for (unsigned i = 0; i < RANKS; ++i) {
        if (view_is(name, rank_names[i])) {
            return (uint8_t) i;
        }
    }
    return RANK_NORMAL;
}

// --- What was said to the queue ----------------------------------------------------------------

static void
free_slot(cli_stress_history_t *self, const task_t *task)
{
    if (task->state == TASK_RUNNING && task->worker < self->model.worker_count) {
        --self->model.workers[task->worker].running;
    }
}

static void
take_word(cli_stress_history_t *self, task_t *task, const input_t *input)
{
    if (task->state == TASK_WORDED || task->state == TASK_OVER) {
        ++self->found.duplicates;
        return;
    }
    if (task->state == TASK_RUNNING && input->attempt == task->attempt && input->received > 0) {
        self->dispatch_ms = cli_stress_model_grow(self->dispatch_ms,
                                                  self->dispatch_count,
                                                  &self->dispatch_limit,
                                                  sizeof *self->dispatch_ms);
        double waited_us = (double) input->received - (double) task->started_at;
        self->dispatch_ms[self->dispatch_count++] = waited_us / 1e3;
    }
    free_slot(self, task);
    task->state = TASK_WORDED;
}

static void
reach_task(cli_stress_history_t *self, task_t *task, const input_t *input)
{
    if (input->said == SAID_COMPLETED) {
        take_word(self, task, input);
    } else if (input->said == SAID_REQUEUE) {
        task->state = TASK_ASIDE;
        task->due = 0;
        task->attempt = 0;
        task->is_requeued = true;
    } else {
        ++self->found.tasks;
        self->found.first_us = self->found.first_us == 0 ? task->at : self->found.first_us;
        task->state = TASK_WAITING;
        cli_stress_model_push(&self->model, task);
    }
}

static void
reach_worker(worker_t *worker, const input_t *input)
{
    if (input->said == SAID_READY) {
        worker->is_ready = true;
        worker->instance = input->instance;
        worker->handlers = input->handlers;
        worker->slots = input->slots;
    } else if (input->instance == 0 || input->instance == worker->instance) {
        worker->is_ready = false;
    }
}

static void
reach(cli_stress_history_t *self, const input_t *input)
{
    if (input->task < self->model.task_count) {
        reach_task(self, &self->model.tasks[input->task], input);
    } else if (input->worker < self->model.worker_count) {
        reach_worker(&self->model.workers[input->worker], input);
    } else if (input->said == SAID_AGAIN) {
        ++self->found.repeats;
    }
}

static void
reach_up_to(cli_stress_history_t *self, uint64_t seq)
{
    while (self->input_at < self->input_count && self->inputs[self->input_at].seq <= seq) {
        reach(self, &self->inputs[self->input_at]);
        ++self->input_at;
    }
    if (self->input_at == self->input_count) {
        self->input_at = self->input_count = 0;
    }
}

static void
keep_input(cli_stress_history_t *self, input_t input)
{
    self->inputs =
        cli_stress_model_grow(self->inputs, self->input_count, &self->input_limit, sizeof input);
    self->inputs[self->input_count++] = input;
}

// --- Records -----------------------------------------------------------------------------------

static const uint32_t NOBODY = UINT32_MAX;

// Decodes; false where the body is not the schema's: the queue refused it, too.
static bool
decode(const schema_t *schema, const client_heard_t *record, void *ret_struct)
{
    schema_problems_t problems;
    return schema_decode(schema, record->body, ret_struct, &problems) == BUS_OK;
}

static void
take_enqueue(cli_stress_history_t *self, const client_heard_t *record)
{
    schema_task_enqueue_t body;
    if (!decode(&SCHEMA_task_enqueue, record, &body)) {
        return;
    }
    char made[CLI_STRESS_MODEL_NAME_SIZE];
    bus_view_t id = body.task_id;
    if (id.data == NULL) {
        snprintf(made, sizeof made, "task_%llu", (unsigned long long) record->header.seq);
        id = view_from_text(made);
    }
    input_t input = {.seq = record->header.seq, .said = SAID_TASK, .worker = NOBODY};
    task_t *task = cli_stress_model_add_task(&self->model, id);
    if (task == NULL) {
        input.said = SAID_AGAIN;
        input.task = NOBODY;
        keep_input(self, input);
        return;
    }
    bus_view_t handler = body.handler.data == NULL ? VIEW_LITERAL("unknown") : body.handler;
    task->seq = record->header.seq;
    task->at = record->header.at;
    task->rank = rank_of(body.priority);
    double sla = body.sla_seconds.has ? body.sla_seconds.value : sla_presets[task->rank];
    task->deadline = task->at + (uint64_t) (sla * 1e6);
    task->handler = cli_stress_model_handler(&self->model, handler);
    input.task = (uint32_t) (task - self->model.tasks);
    keep_input(self, input);
}

// A bit for each handler of the array.
static uint64_t
handler_bits(cli_stress_history_t *self, bus_view_t names)
{
    uint64_t bits = 0;
    walk_t walk = walk_from(names);
    walk_item_t item;
    if (walk_next(&walk, &item) != BUS_OK || item.type != WALK_ARRAY) {
        return 0;
    }
    for (uint32_t left = item.count; left > 0 && walk_next(&walk, &item) == BUS_OK; --left) {
        uint16_t handler = item.type == WALK_STR
                               ? cli_stress_model_handler(&self->model, item.bytes)
                               : CLI_STRESS_MODEL_HANDLERS_MAX;
        bits |= handler < CLI_STRESS_MODEL_HANDLERS_MAX ? (uint64_t) 1 << handler : 0;
    }
    return bits;
}

static void
take_ready(cli_stress_history_t *self, const client_heard_t *record)
{
    schema_task_worker_ready_t body;
    if (decode(&SCHEMA_task_worker_ready, record, &body)) {
        keep_input(self,
                   (input_t){.seq = record->header.seq,
                             .said = SAID_READY,
                             .task = NOBODY,
                             .worker = cli_stress_model_worker(&self->model, body.worker),
                             .instance = body.instance.data == NULL
                                             ? 0
                                             : cli_stress_model_hash(body.instance),
                             .handlers = handler_bits(self, body.handlers),
                             .slots = body.slots.has ? (uint16_t) body.slots.value : 1});
    }
}

static void
take_gone(cli_stress_history_t *self, const client_heard_t *record)
{
    schema_task_worker_gone_t body;
    if (decode(&SCHEMA_task_worker_gone, record, &body)) {
        keep_input(self,
                   (input_t){.seq = record->header.seq,
                             .said = SAID_GONE,
                             .task = NOBODY,
                             .worker = cli_stress_model_worker(&self->model, body.worker),
                             .instance = body.instance.data == NULL
                                             ? 0
                                             : cli_stress_model_hash(body.instance)});
    }
}

static void
take_completed(cli_stress_history_t *self, const client_heard_t *record)
{
    schema_task_completed_t body;
    if (!decode(&SCHEMA_task_completed, record, &body)) {
        return;
    }
    const task_t *task = cli_stress_model_find_task(&self->model, body.task_id);
    bus_view_t value;
    uint64_t received = 0;
    if (walk_find(body.result, "received_us", &value) == BUS_OK &&
        walk_as_uint(value, &received) != BUS_OK) {
        received = 0;
    }
    if (task != NULL) {
        keep_input(self,
                   (input_t){.seq = record->header.seq,
                             .said = SAID_COMPLETED,
                             .task = (uint32_t) (task - self->model.tasks),
                             .worker = NOBODY,
                             .attempt = body.attempt.has ? (uint32_t) body.attempt.value : 0,
                             .received = received});
    }
}

static void
take_requeue(cli_stress_history_t *self, const client_heard_t *record)
{
    schema_task_requeue_t body;
    const task_t *task = decode(&SCHEMA_task_requeue, record, &body)
                             ? cli_stress_model_find_task(&self->model, body.task_id)
                             : NULL;
    if (task != NULL) {
        keep_input(self,
                   (input_t){.seq = record->header.seq,
                             .said = SAID_REQUEUE,
                             .task = (uint32_t) (task - self->model.tasks),
                             .worker = NOBODY});
    }
}

// --- What the queue said -----------------------------------------------------------------------

// Whether its worker may have it.
static void
check_worker(cli_stress_history_t *self, const task_t *task, worker_t *worker)
{
    uint64_t bit =
        task->handler < CLI_STRESS_MODEL_HANDLERS_MAX ? (uint64_t) 1 << task->handler : 0;
    if (!worker->is_ready) {
        violate(self, "%s was started by %s, which was not there", task->id, worker->name);
    } else if (bit != 0 && (worker->handlers & bit) == 0) {
        violate(self, "%s was started by %s, which does not serve it", task->id, worker->name);
    } else if (worker->running >= worker->slots) {
        violate(self, "%s was started by %s, which had no free slot", task->id, worker->name);
    }
}

static void
check_order(cli_stress_history_t *self, const task_t *task, uint64_t at)
{
    if (task->handler >= CLI_STRESS_MODEL_HANDLERS_MAX || task->is_requeued) {
        return;
    }
    const task_t *best = cli_stress_model_best(&self->model, task->handler);
    if (task->state == TASK_ASIDE && at < task->due) {
        violate(self, "%s was started before its retry's delay was over", task->id);
    } else if (best != NULL && best != task && cli_stress_model_is_before(best, task)) {
        violate(self, "%s was started before %s, whose turn it was", task->id, best->id);
    }
}

static void
take_started(cli_stress_history_t *self, const client_heard_t *record)
{
    schema_task_started_t body;
    task_t *task = decode(&SCHEMA_task_started, record, &body)
                       ? cli_stress_model_find_task(&self->model, body.task_id)
                       : NULL;
    if (task == NULL) {
        violate(self, "a task was started that nobody put in");
        return;
    }
    uint64_t at = (uint64_t) body.at.value;
    if (task->state == TASK_WAITING || task->state == TASK_ASIDE) {
        check_order(self, task, at);
    } else {
        violate(self, "%s was started while it did not wait", task->id);
        free_slot(self, task);
    }
    if ((uint32_t) body.attempt.value != task->attempt + 1) {
        violate(self, "%s was started as attempt %d", task->id, (int) body.attempt.value);
    }
    task->worker = cli_stress_model_worker(&self->model, body.worker);
    if (task->worker < CLI_STRESS_MODEL_WORKERS_MAX) {
        worker_t *worker = &self->model.workers[task->worker];
        check_worker(self, task, worker);
        ++worker->running;
        worker->was_used = true;
    }
    task->state = TASK_RUNNING;
    task->attempt = (uint32_t) body.attempt.value;
    task->started_at = at;
    self->found.first_start_us = self->found.first_start_us == 0 ? at : self->found.first_start_us;
    ++self->found.starts;
    self->found.overtakes += body.overtook.value > 0;
}

static void
take_retry(cli_stress_history_t *self, const client_heard_t *record)
{
    schema_task_retry_t body;
    task_t *task = decode(&SCHEMA_task_retry, record, &body)
                       ? cli_stress_model_find_task(&self->model, body.task_id)
                       : NULL;
    if (task == NULL || task->state != TASK_RUNNING) {
        violate(self, "%s: a retry of what did not run", task == NULL ? "?" : task->id);
        return;
    }
    ++self->found.retries;
    self->found.gone += view_is(body.reason, "gone");
    self->found.lapsed += view_is(body.reason, "lapsed");
    free_slot(self, task);
    task->state = body.delay_seconds.value > 0 ? TASK_ASIDE : TASK_WAITING;
    // It was decided after it was started: not sooner than this, which is all that is checked.
    task->due = task->started_at + (uint64_t) (body.delay_seconds.value * 1e6);
    if (task->state == TASK_WAITING) {
        cli_stress_model_push(&self->model, task);
    }
}

static void
take_escalated(cli_stress_history_t *self, const client_heard_t *record)
{
    schema_task_escalated_t body;
    task_t *task = decode(&SCHEMA_task_escalated, record, &body)
                       ? cli_stress_model_find_task(&self->model, body.task_id)
                       : NULL;
    if (task == NULL) {
        return;
    }
    ++self->found.escalations;
    uint8_t to = rank_of(body.to);
    if (to >= task->rank) {
        violate(self, "%s was escalated, and not up", task->id);
    }
    task->rank = to;
    if (task->state == TASK_WAITING) {
        cli_stress_model_push(&self->model, task);
    }
}

static void
take_done(cli_stress_history_t *self, const client_heard_t *record)
{
    schema_task_done_t body;
    task_t *task = decode(&SCHEMA_task_done, record, &body)
                       ? cli_stress_model_find_task(&self->model, body.task_id)
                       : NULL;
    if (task == NULL || task->state == TASK_OVER) {
        violate(self, "%s was over a second time", task == NULL ? "?" : task->id);
        return;
    }
    bool is_completed = view_is(body.status, "completed");
    bool is_dead = view_is(body.status, "dead");
    if (is_completed != (task->state == TASK_WORDED)) {
        violate(self,
                is_completed ? "%s was over without a worker's word"
                             : "%s was completed, and counts as failed",
                task->id);
    } else if (is_dead && body.reason.size == 0) {
        violate(self, "%s is a dead letter without a reason", task->id);
    }
    free_slot(self, task);
    task->state = TASK_OVER;
    self->found.completed += is_completed;
    self->found.dead += is_dead;
    self->found.cancelled += !is_completed && !is_dead;
    self->found.sla_met += body.sla_met.value;
    self->found.last_us = record->header.at;
    self->depth_us += (double) record->header.at - (double) task->at;
}

static void
count_sla(cli_stress_history_t *self, const client_heard_t *record)
{
    self->found.sla_warnings += view_is(record->topic, "task.sla.warning");
    self->found.sla_breaches += view_is(record->topic, "task.sla.breached");
}

// --- Each record -------------------------------------------------------------------------------

typedef struct {
    const char *topic;
    void (*take)(cli_stress_history_t *self, const client_heard_t *record);
    bool is_decision; // the queue's, to be taken at its cause
} row_t;

static const row_t rows[] = {
    {"task.enqueue", take_enqueue, false},
    {"task.worker.ready", take_ready, false},
    {"task.worker.gone", take_gone, false},
    {"task.completed", take_completed, false},
    {"task.requeue", take_requeue, false},
    {"task.started", take_started, true},
    {"task.retry", take_retry, true},
    {"task.escalated", take_escalated, true},
    {"task.done", take_done, true},
    {"task.sla.warning", count_sla, true},
    {"task.sla.breached", count_sla, true},
};

cli_stress_history_t *
cli_stress_history_new(void)
{
    cli_stress_history_t *self = calloc(1, sizeof *self);
    assert(self);
    cli_stress_model_init(&self->model);
    return self;
}

void
cli_stress_history_destroy(cli_stress_history_t **self_p)
{
    cli_stress_history_t *self = *self_p;
    if (self != NULL) {
        cli_stress_model_clear(&self->model);
        free(self->inputs);
        free(self->dispatch_ms);
        free(self);
        *self_p = NULL;
    }
}

void
cli_stress_history_take(cli_stress_history_t *self, const client_heard_t *record)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; ++i) {
        if (view_is(record->topic, rows[i].topic)) {
            if (rows[i].is_decision) {
                uint64_t cause = record->header.cause_seq;
                reach_up_to(self, cause == 0 ? record->header.seq : cause);
            }
            rows[i].take(self, record);
            return;
        }
    }
}

void
cli_stress_history_end(cli_stress_history_t *self, cli_stress_findings_t *ret_findings)
{
    reach_up_to(self, UINT64_MAX);
    cli_stress_findings_t *found = &self->found;
    for (size_t i = 0; i < self->model.task_count; ++i) {
        const task_t *task = &self->model.tasks[i];
        if (task->state != TASK_OVER) {
            ++found->left;
            violate(self, "%s was never over", task->id);
        }
    }
    for (size_t i = 0; i < self->model.worker_count; ++i) {
        ++found->workers;
        found->used += self->model.workers[i].was_used;
    }
    double *samples = self->dispatch_ms;
    found->mean_dispatch_ms = cli_stress_run_mean(samples, self->dispatch_count);
    found->p50_dispatch_ms = cli_stress_run_percentile(samples, self->dispatch_count, 0.5);
    found->p99_dispatch_ms = cli_stress_run_percentile(samples, self->dispatch_count, 0.99);
    double span_us = (double) found->last_us - (double) found->first_us;
    found->mean_queue_depth = span_us > 0 ? self->depth_us / span_us : 0;
    *ret_findings = *found;
}
