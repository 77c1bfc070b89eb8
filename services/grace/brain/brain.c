// brain.c - the brain as tables of what it applies and answers.
#include "brain.h"

#include "config.h"
#include "drill.h"
#include "learn.h"
#include "live.h"
#include "observe.h"
#include "query.h"

#include <assert.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const service_apply_row_t applies[] = {
    {
        .prefix = "stress.", // without a schema: see observe.h
        .apply = brain_observe_drill,
        .meaning = "a drill is over: its figures are held against what is expected",
    },
    {
        .prefix = "task.done",
        .schema = &SCHEMA_task_done,
        .apply = brain_learn_apply,
        .meaning = "a task is over: what it taught",
    },
    {
        .prefix = "task.sla.",
        .schema = &SCHEMA_task_sla,
        .apply = brain_observe_sla,
        .meaning = "a task broke its SLA",
    },
    {
        .prefix = "hunter.anomaly.detected",
        .schema = &SCHEMA_hunter_anomaly,
        .apply = brain_observe_anomalies,
        .meaning = "something is not as it should be",
    },
    {
        .prefix = "brain.observation",
        .schema = &SCHEMA_brain_observation,
        .apply = brain_observe_live,
        .meaning = "telemetry, or a full queue",
    },
    {
        .prefix = "brain.clock",
        .schema = &SCHEMA_brain_clock,
        .apply = brain_drill_apply,
        .meaning = "time went by: is a drill due?",
    },
    {
        .prefix = "brain.config",
        .schema = &SCHEMA_brain_config,
        .apply = brain_config_apply,
        .meaning = "what the brain was started with",
    },
};

static const service_query_row_t queries[] = {
    {"status",
     NULL,
     brain_query_status,
     "what it holds against what, what is open, what it learned"},
    {"drifts", &SCHEMA_brain_history_query, brain_query_drifts, "drifts, the latest first"},
    {"why", &SCHEMA_brain_why_query, brain_query_why, "what it would do about an issue, and why"},
    {"scores", NULL, brain_query_scores, "how well each kind of task did"},
};

static void
close_state(void **state_p)
{
    brain_state_t *state = *state_p;
    if (state != NULL) {
        pack_destroy(&state->said);
        pack_destroy(&state->details);
        text_destroy(&state->why);
        free(state);
        *state_p = NULL;
    }
}

static bus_err_t
open_state(const service_options_t *options BUS_UNUSED,
           store_txn_t *txn BUS_UNUSED,
           void **ret_state)
{
    bus_err_t err = brain_config_check();
    if (err != BUS_OK) {
        return err;
    }
    brain_state_t *state = calloc(1, sizeof *state);
    assert(state);
    state->said = pack_new();
    state->details = pack_new();
    state->why = text_new();
    *ret_state = state;
    return BUS_OK;
}

static bus_err_t
start(service_t *service, void *arg)
{
    brain_state_t *state = arg;
    state->live = brain_live_new(service);
    return BUS_OK;
}

static void
stop(void *arg)
{
    brain_state_t *state = arg;
    brain_live_destroy(&state->live);
}

static void
tick(service_query_t *query)
{
    const brain_state_t *state = query->state;
    if (state->live != NULL) {
        brain_live_tick(state->live, query);
    }
}

const service_definition_t brain_definition = {
    .name = "brain",
    .source = "brain",
    .rules_version = 1,
    .tables = brain_tables,
    .table_count = BRAIN_TABLE_COUNT,
    .applies = applies,
    .apply_count = COUNT(applies),
    .queries = queries,
    .query_count = COUNT(queries),
    .open = open_state,
    .close = close_state,
    .tick = tick,
    .config = brain_config_pack,
    .start = start,
    .stop = stop,
};
