// workflow.c - the Workflow Executor as tables of what it applies and answers.
#include "workflow.h"

#include "act.h"
#include "execute.h"
#include "proto/schema.h"
#include "query.h"
#include "task.h"

#include <assert.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const service_apply_row_t applies[] = {
    {
        .prefix = "workflow.execute",
        .schema = &SCHEMA_workflow_execute,
        .replies = true,
        .apply = workflow_execute,
        .meaning = "acts in the world",
    },
    {
        .prefix = "workflow.started",
        .schema = &SCHEMA_workflow_started,
        .apply = workflow_execute_started,
        .meaning = "a process is about to act",
    },
    {
        .prefix = "workflow.finished",
        .schema = &SCHEMA_workflow_finished,
        .apply = workflow_execute_finished,
        .meaning = "what came of it",
    },
    {
        .prefix = "workflow.task.complete",
        .schema = &SCHEMA_workflow_task_complete,
        .replies = true,
        .apply = workflow_task_complete,
        .meaning = "a task is done",
    },
    {
        .prefix = "workflow.config",
        .schema = &SCHEMA_workflow_config,
        .apply = workflow_config_apply,
        .meaning = "what the executor was started with",
    },
};

static const service_query_row_t queries[] = {
    {"executions",
     &SCHEMA_workflow_executions_query,
     workflow_query_executions,
     "executions, the latest first"},
    {"status", &SCHEMA_workflow_trace_query, workflow_query_status, "a trace's executions"},
    {"stats", NULL, workflow_query_stats, "executions, counted and timed"},
    {"tasks", &SCHEMA_workflow_tasks_query, workflow_task_query_list, "tasks, the latest first"},
    {"task", &SCHEMA_workflow_task_query, workflow_task_query_one, "one task"},
};

static void
close_state(void **state_p)
{
    workflow_state_t *state = *state_p;
    if (state != NULL) {
        pack_destroy(&state->record);
        pack_destroy(&state->written);
        pack_destroy(&state->result);
        pack_destroy(&state->said);
        free(state);
        *state_p = NULL;
    }
}

static bus_err_t
open_state(const service_options_t *options BUS_UNUSED,
           store_txn_t *txn BUS_UNUSED,
           void **ret_state)
{
    workflow_servers_t servers;
    bus_err_t err = workflow_config_read(&servers);
    if (err != BUS_OK) {
        return err;
    }
    workflow_state_t *state = calloc(1, sizeof *state);
    assert(state);
    state->record = pack_new();
    state->written = pack_new();
    state->result = pack_new();
    state->said = pack_new();
    *ret_state = state;
    return BUS_OK;
}

static bus_err_t
start(service_t *service, void *arg)
{
    workflow_state_t *state = arg;
    workflow_servers_t servers;
    bus_err_t err = workflow_config_read(&servers);
    if (err == BUS_OK) {
        state->act = workflow_act_new(service, &servers);
    }
    return err;
}

static void
stop(void *arg)
{
    workflow_state_t *state = arg;
    workflow_act_destroy(&state->act);
}

static bool
drain(void *arg)
{
    const workflow_state_t *state = arg;
    return workflow_act_drain(state->act);
}

// Both what was committed and what is due bring it to look at what is open.
static void
look(service_query_t *query)
{
    const workflow_state_t *state = query->state;
    if (state->act != NULL) {
        workflow_act_look(state->act, query);
    }
}

static unsigned
pack_health(void *state BUS_UNUSED, store_txn_t *txn, pack_t *out)
{
    size_t before = pack_view(out).size;
    if (workflow_query_pack_counts(txn, out) != BUS_OK) {
        pack_truncate(out, before);
        return 0;
    }
    return 1;
}

const service_definition_t workflow_definition = {
    .name = "workflow",
    .source = "workflow_executor",
    .rules_version = 1,
    .tables = workflow_tables,
    .table_count = WORKFLOW_TABLE_COUNT,
    .applies = applies,
    .apply_count = COUNT(applies),
    .queries = queries,
    .query_count = COUNT(queries),
    .open = open_state,
    .close = close_state,
    .tick = look,
    .config = workflow_config_pack,
    .start = start,
    .stop = stop,
    .act = look,
    .drain = drain,
    .health = pack_health,
};
