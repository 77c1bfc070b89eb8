// htm.c - the task queue as tables of what it applies and answers, and its life.
//
// Read next: outcome.c (how a task goes from one state to another), dispatch.c (who gets what),
// queue.c (the order), due.c (time), live.c (what is seen and journaled).
#include "htm.h"

#include "command.h"
#include "config.h"
#include "crew.h"
#include "due.h"
#include "enqueue.h"
#include "intent.h"
#include "live.h"
#include "measure.h"
#include "query.h"
#include "report.h"
#include "runtime/log.h"

#include <assert.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const service_apply_row_t applies[] = {
    {.prefix = "task.enqueue",
     .schema = &SCHEMA_task_enqueue,
     .replies = true,
     .apply = htm_enqueue_apply,
     .meaning = "puts a task into the queue"},
    {.prefix = "layer3.intent.task",
     .schema = &SCHEMA_intent_task,
     .replies = true,
     .apply = htm_intent_apply,
     .meaning = "an intent becomes a task"},
    {.prefix = "task.cancel",
     .schema = &SCHEMA_task_cancel,
     .replies = true,
     .apply = htm_command_cancel,
     .meaning = "takes a task out of it"},
    {.prefix = "task.requeue",
     .schema = &SCHEMA_task_requeue,
     .replies = true,
     .apply = htm_command_requeue,
     .meaning = "a dead letter lives again"},
    {.prefix = "task.order",
     .schema = &SCHEMA_task_order,
     .replies = true,
     .apply = htm_command_order,
     .meaning = "how tasks are put in order"},
    {.prefix = "task.worker.ready",
     .schema = &SCHEMA_task_worker_ready,
     .apply = htm_crew_ready,
     .meaning = "a worker takes tasks"},
    {.prefix = "task.worker.gone",
     .schema = &SCHEMA_task_worker_gone,
     .apply = htm_crew_gone,
     .meaning = "a worker takes no more"},
    // A repeat of these two changes nothing, so their ids need not be kept: a third of the work.
    {.prefix = "task.renew",
     .schema = &SCHEMA_task_renew,
     .apply = htm_crew_renew,
     .meaning = "a lease begins anew",
     .read = true},
    {.prefix = "task.completed",
     .schema = &SCHEMA_task_completed,
     .apply = htm_report_completed,
     .meaning = "a worker did a task",
     .read = true},
    {.prefix = "task.failed",
     .schema = &SCHEMA_task_failed,
     .apply = htm_report_failed,
     .meaning = "a worker could not"},
    {.prefix = "task.started", // its own: how long it took until that was in the journal
     .schema = &SCHEMA_task_started,
     .apply = htm_measure_started,
     .meaning = "a task was given to a worker: measured",
     .read = true},
    {.prefix = "task.clock",
     .schema = &SCHEMA_task_clock,
     .apply = htm_due_clock,
     .meaning = "time went by"},
    {.prefix = "task.pressure",
     .schema = &SCHEMA_task_pressure,
     .apply = htm_command_pressure,
     .meaning = "the machine is strained, or no longer"},
    {.prefix = "task.config",
     .schema = &SCHEMA_htm_config,
     .apply = htm_config_apply,
     .meaning = "what it was started with"},
    {.prefix = "governance.gate",
     .schema = &SCHEMA_governance_gate,
     .apply = htm_intent_gate,
     .meaning = "whether intents wait for a verdict"},
    {.prefix = "governance.verdict",
     .schema = &SCHEMA_governance_verdict,
     .apply = htm_intent_verdict,
     .meaning = "whether an intent may run"},
};

static const service_query_row_t queries[] = {
    {"status", NULL, htm_query_status, "how full the queue is, and what it did"},
    {"tasks", &SCHEMA_htm_tasks_query, htm_query_tasks, "lists tasks"},
    {"task", &SCHEMA_htm_task_query, htm_query_task, "one task, and what happened to it"},
    {"workers", NULL, htm_query_workers, "who takes tasks"},
};

static void
close_state(void **state_p)
{
    htm_state_t *state = *state_p;
    if (state != NULL) {
        htm_worker_registry_destroy(&state->workers);
        htm_queue_destroy(&state->queue);
        htm_measure_destroy(&state->measure);
        pack_destroy(&state->said);
        free(state);
        *state_p = NULL;
    }
}

// Makes of the tables what is kept in memory.
static bus_err_t
load(htm_state_t *state, store_txn_t *txn)
{
    htm_worker_registry_clear(state->workers);
    htm_queue_clear(state->queue);
    bus_err_t err = htm_tables_load(txn, &state->totals);
    if (err == BUS_OK) {
        err = htm_queue_load(state->queue, txn);
    }
    if (err == BUS_OK) {
        err = htm_worker_load(state->workers, state->queue, txn);
    }
    htm_queue_look_at_all(state->queue);
    return err;
}

static bus_err_t
open_state(const service_options_t *options BUS_UNUSED, store_txn_t *txn, void **ret_state)
{
    htm_config_t config;
    bus_err_t err = htm_config_read(&config);
    if (err != BUS_OK) {
        return err;
    }
    htm_state_t *state = calloc(1, sizeof *state);
    assert(state);
    state->queue = htm_queue_new();
    state->workers = htm_worker_registry_new();
    state->measure = htm_measure_new();
    state->said = pack_new();
    err = load(state, txn);
    *ret_state = state;
    if (err != BUS_OK) {
        close_state(ret_state);
    }
    return err;
}

static void
undone(void *state, store_txn_t *txn)
{
    bus_err_t err = load(state, txn);
    if (err != BUS_OK) {
        log_error("state_unreadable", "error=%s", error_text(err));
    }
}

static bus_err_t
start(service_t *service, void *arg)
{
    htm_state_t *state = arg;
    return htm_live_new(service, state, &state->live);
}

static void
stop(void *arg)
{
    htm_state_t *state = arg;
    htm_live_destroy(&state->live);
}

static void
act(service_query_t *query)
{
    const htm_state_t *state = query->state;
    if (state->live != NULL) {
        htm_live_act(state->live, query);
    }
}

static void
tick(service_query_t *query)
{
    const htm_state_t *state = query->state;
    if (state->live != NULL) {
        htm_live_tick(state->live, query);
    }
}

const service_definition_t htm_definition = {
    .name = "htm",
    .source = "htm",
    .rules_version = 1,
    .tables = htm_tables,
    .table_count = HTM_TABLE_COUNT,
    .applies = applies,
    .apply_count = COUNT(applies),
    .queries = queries,
    .query_count = COUNT(queries),
    .open = open_state,
    .close = close_state,
    .undone = undone,
    .tick = tick,
    .prompt = true,
    .config_topic = "task.config",
    .config = htm_config_pack,
    .start = start,
    .stop = stop,
    .act = act,
    .health = htm_query_health,
};
