// memory.c - the kernel memory: remembers what was done, and what came of it.
//
// A reducer that makes episodes of intents, task.started and task.done (memory_episode.c), asked by
// req.kernel-memory.recall, or by a task of handler `memory`, task type `recall`, whose context is
// what would be asked.
#include "kernel.h"
#include "memory_recall.h"
#include "worker.h"

#include <assert.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NAME "kernel-memory"

enum {
    SLOTS = 16,                  // a recall ends at once: more only wait here
    RESULT_SIZE_MAX = 48 * 1024, // bytes of episodes in a task's result, of 64 KiB
};

typedef struct {
    service_t *service;      // NULL before it starts
    kernel_worker_t *worker; // takes tasks
} memory_t;

// --- The worker ----------------------------------------------------------------------------------

static void
run(void *arg, kernel_worker_job_t *job)
{
    memory_t *self = arg;
    schema_memory_recall_t asked;
    schema_problems_t problems;
    BUS_AUTO(store_rollback) store_txn_t *txn = NULL;
    BUS_AUTO(pack_destroy) pack_t *result = pack_new();
    if (!view_is(job->task_type, "recall")) {
        kernel_worker_fail(self->worker, &job, "the kernel memory knows recall alone", false);
        return;
    }
    if (schema_decode(&SCHEMA_memory_recall, job->context, &asked, &problems) != BUS_OK) {
        kernel_worker_fail(self->worker, &job, "its context is no recall", false);
        return;
    }
    bus_err_t err = service_begin_read(self->service, &txn);
    if (err == BUS_OK) {
        pack_map(result, 2);
        pack_pair_text(result, "status", "completed");
        pack_text(result, "recall");
        err = kernel_memory_recall_pack(txn, &asked, RESULT_SIZE_MAX, result);
    }
    if (err != BUS_OK) {
        kernel_worker_fail(self->worker, &job, error_meaning(err), true);
        return;
    }
    kernel_worker_complete(self->worker, &job, pack_view(result));
}

// --- Life ----------------------------------------------------------------------------------------

static bus_err_t
open_state(const service_options_t *options BUS_UNUSED,
           store_txn_t *txn BUS_UNUSED,
           void **ret_state)
{
    memory_t *self = calloc(1, sizeof *self);
    assert(self);
    *ret_state = self;
    return BUS_OK;
}

static void
close_state(void **state_p)
{
    free(*state_p);
    *state_p = NULL;
}

static bus_err_t
start(service_t *service, void *state)
{
    static const char *const handlers[] = {"memory"};
    memory_t *self = state;
    const kernel_worker_options_t options = {
        .name = NAME,
        .handlers = handlers,
        .handler_count = COUNT(handlers),
        .slots = SLOTS,
        .fn = run,
        .arg = self,
    };
    self->service = service;
    self->worker = kernel_worker_new(service_loop(service), service_client(service), &options);
    return BUS_OK;
}

static void
stop(void *state)
{
    memory_t *self = state;
    kernel_worker_destroy(&self->worker);
}

static unsigned
pack_health(void *state BUS_UNUSED, store_txn_t *txn, pack_t *out)
{
    uint64_t episodes = 0;
    if (store_count(txn, KERNEL_MEMORY_EPISODES, &episodes) != BUS_OK) {
        return 0;
    }
    pack_pair_uint(out, "episodes", episodes);
    return 1;
}

static const service_apply_row_t applies[] = {
    {.prefix = "layer3.intent.task",
     .schema = &SCHEMA_intent_task,
     .apply = kernel_memory_episode_asked,
     .meaning = "an intent: begins an episode"},
    {.prefix = "task.started",
     .schema = &SCHEMA_task_started,
     .apply = kernel_memory_episode_started,
     .meaning = "a worker has it"},
    {.prefix = "task.done",
     .schema = &SCHEMA_task_done,
     .apply = kernel_memory_episode_done,
     .meaning = "what came of it"},
};

static const service_query_row_t queries[] = {
    {"recall",
     &SCHEMA_memory_recall,
     kernel_memory_recall,
     "what was done before about something like this, the most telling first"},
};

const service_definition_t kernel_memory_definition = {
    .name = NAME,
    .source = NAME,
    .rules_version = 1,
    .tables = kernel_memory_tables,
    .table_count = KERNEL_MEMORY_TABLE_COUNT,
    .applies = applies,
    .apply_count = COUNT(applies),
    .queries = queries,
    .query_count = COUNT(queries),
    .open = open_state,
    .close = close_state,
    .start = start,
    .stop = stop,
    .health = pack_health,
};
