// core.c - Core as tables of what it applies and answers, and its life.
//
// Read next: task.c (a task from question to answer), selector.c (who gets it), history.c (what is
// learned of it).
#include "core.h"

#include "ask.h"
#include "core_self.h"
#include "history.h"
#include "kb_document.h"
#include "kb_search.h"
#include "proto/schema.h"
#include "runtime/id.h"
#include "runtime/log.h"
#include "runtime/option.h"
#include "runtime/setting.h"
#include "show.h"

#include <assert.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const service_apply_row_t applies[] = {
    // Its own facts among everybody's: they look at the source, and at the body, themselves.
    {.prefix = "core.event.rl_outcome",
     .apply = core_history_outcome,
     .meaning = "an agent did well: learned from"},
    {.prefix = "core.event.agent_result",
     .apply = core_history_result,
     .meaning = "what it answered: kept"},
    {.prefix = "core.event.task_error",
     .apply = core_history_error,
     .meaning = "a task failed: learned from, kept"},
    {.prefix = "workflow.execute",
     .apply = core_history_workflow,
     .meaning = "a workflow that a task asked for"},
    {.prefix = "core.event.workflow_execution",
     .apply = core_history_execution,
     .meaning = "what came of it"},
    {.prefix = "workflow.finished", .apply = core_history_finished, .meaning = "what came of it"},
    {.prefix = "core.feedback",
     .schema = &SCHEMA_core_feedback,
     .replies = true,
     .apply = core_history_feedback,
     .meaning = "a person's verdict"},
    {.prefix = "kb.document",
     .schema = &SCHEMA_kb_document,
     .replies = true,
     .apply = core_kb_document_add,
     .meaning = "a document, or a part of one"},
    {.prefix = "kb.remove",
     .schema = &SCHEMA_kb_remove,
     .replies = true,
     .apply = core_kb_document_remove,
     .meaning = "a document goes"},
};

static const service_query_row_t queries[] = {
    {"handle_task", &SCHEMA_handle_task, core_ask_task, "lets an agent answer"},
    {"handle_multi_task", &SCHEMA_handle_multi_task, core_multi_ask, "many inputs at once"},
    {"query_kb", &SCHEMA_query_kb, core_ask_kb, "asks the knowledge base"},
    {"task", &SCHEMA_core_task_query, core_ask_show, "what became of a task"},
    {"agents", NULL, core_show_agents, "who can be asked"},
    {"config", NULL, core_show_config, "what it was started with, but secrets"},
    {"rl_stats", NULL, core_show_rl, "what the selector learned"},
    {"documents", &SCHEMA_kb_documents_query, core_kb_document_list, "lists documents"},
    {"kb_search", &SCHEMA_kb_search, core_kb_search_query, "passages that fit a question"},
};

// --- From the environment ------------------------------------------------------------------------

static bool
is_on(const char *name, bool preset)
{
    const char *text = setting_text(name);
    uint64_t value = preset ? 1 : 0;
    if (text != NULL && option_value(OPTION_FLAG, text, &value) != BUS_OK) {
        log_warning("flag_unreadable", "variable=%s taken=%d", name, (int) preset);
        value = preset ? 1 : 0;
    }
    return value != 0;
}

static bus_err_t
seed(core_state_t *self)
{
    const char *text = setting_text("BHIV_CORE_SEED");
    self->is_seeded = text != NULL;
    if (!self->is_seeded) {
        id_random(&self->random.state, sizeof self->random.state);
        return BUS_OK;
    }
    if (option_value(OPTION_COUNT, text, &self->random.state) != BUS_OK) {
        return setting_refuse("BHIV_CORE_SEED", "want_a_number");
    }
    return BUS_OK;
}

// --- Life ----------------------------------------------------------------------------------------

static void
close_state(void **state_p)
{
    core_state_t *self = *state_p;
    if (self == NULL) {
        return;
    }
    core_registry_destroy(&self->registry);
    pack_destroy(&self->scratch);
    free(self);
    *state_p = NULL;
}

static bus_err_t
open_state(BUS_UNUSED const service_options_t *options,
           BUS_UNUSED store_txn_t *txn,
           void **ret_state)
{
    core_state_t *self = calloc(1, sizeof *self);
    assert(self);
    self->scratch = pack_new();
    self->runs_workflows = is_on("ENABLE_WORKFLOW_EXECUTION", true);
    bus_err_t err = seed(self);
    if (err == BUS_OK) {
        err = core_registry_new(&self->registry);
    }
    *ret_state = self;
    if (err != BUS_OK) {
        close_state(ret_state);
    }
    return err;
}

static void
on_look(void *arg, uint64_t asked_us)
{
    core_task_look(arg, asked_us);
}

static bus_err_t
start(service_t *service, void *state)
{
    core_state_t *self = state;
    self->service = service;
    self->transfers = transfer_pool_new(service_loop(service));
    if (self->transfers == NULL) {
        return BUS_IO;
    }
    return core_presence_new(service, self->registry, on_look, self, &self->presence);
}

static void
stop(void *state)
{
    core_state_t *self = state;
    core_task_clear(self);
    core_multi_clear(self);
    core_presence_destroy(&self->presence);
    transfer_pool_destroy(&self->transfers);
}

static void
pack_config(BUS_UNUSED const service_options_t *options, pack_t *out)
{
    pack_map(out, 1);
    pack_pair_bool(out, "workflow", is_on("ENABLE_WORKFLOW_EXECUTION", true));
}

static unsigned
health(void *state, store_txn_t *txn, pack_t *out)
{
    return core_show_health(state, txn, out) + core_kb_document_health(txn, out);
}

const service_definition_t core_definition = {
    .name = "core",
    .source = "bhiv_core",
    .rules_version = 1,
    .tables = core_tables,
    .table_count = CORE_TABLE_COUNT,
    .applies = applies,
    .apply_count = COUNT(applies),
    .queries = queries,
    .query_count = COUNT(queries),
    .open = open_state,
    .close = close_state,
    .config = pack_config,
    .start = start,
    .stop = stop,
    .health = health,
};
