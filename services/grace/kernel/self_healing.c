// self_healing.c - the kernel self_healing as tables of what it applies and answers: a worker for
// the handlers self_healing, hunter and stress_runner. Its playbooks are in heal_*.c.
#include "heal_conf.h"
#include "heal_run.h"
#include "kernel.h"
#include "proto/schema.h"
#include "runtime/log.h"
#include "watch.h"

#include <assert.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NAME "kernel-self_healing"

static const store_table_t tables[KERNEL_HEAL_TABLE_COUNT] = {
    [KERNEL_HEAL_STARTED] = {"started", STORE_KEYS_BYTES, true, "task_id -> healing_started"},
    [KERNEL_HEAL_ORDER] = {"order", STORE_KEYS_UINT64, true, "seq -> task_id"},
    [KERNEL_HEAL_KEPT] = {"drills", STORE_KEYS_BYTES, true, "suite -> healing_drill"},
};

// --- The journal ---------------------------------------------------------------------------------

// Lets the oldest go.
static bus_err_t
make_room(store_txn_t *txn)
{
    uint64_t count = 0;
    bus_err_t err = store_count(txn, KERNEL_HEAL_ORDER, &count);
    if (err != BUS_OK || count < KERNEL_HEAL_STARTED_MAX) {
        return err;
    }
    uint64_t seq;
    bus_view_t value;
    char task_id[STORE_KEY_SIZE_MAX];
    size_t size = 0;
    err = store_lowest(txn, KERNEL_HEAL_ORDER, &seq);
    if (err != BUS_OK) {
        return err == BUS_NOT_FOUND ? BUS_OK : err;
    }
    err = store_get(txn, KERNEL_HEAL_ORDER, STORE_U64(seq), &value);
    if (err == BUS_OK && value.size <= sizeof task_id) {
        size = value.size;
        memcpy(task_id, value.data, size); // the view dies with the next write
    } else if (err == BUS_IO) {
        return err; // a damaged one goes too; its task's row stays
    }
    err = store_del(txn, KERNEL_HEAL_ORDER, STORE_U64(seq));
    if (err == BUS_OK && size > 0) {
        err = store_del(txn, KERNEL_HEAL_STARTED, view_from(task_id, size));
    }
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

static bus_err_t
apply_started(service_apply_t *apply, const void *message)
{
    const schema_healing_started_t *started = message;
    bus_view_t kept;
    bus_err_t err = store_get(apply->txn, KERNEL_HEAL_STARTED, started->task_id, &kept);
    if (err != BUS_NOT_FOUND) {
        return err == BUS_CORRUPT ? BUS_OK : err; // the first word stands
    }
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    schema_encode(&SCHEMA_healing_started, started, out);
    err = make_room(apply->txn);
    if (err == BUS_OK) {
        err = store_put(apply->txn, KERNEL_HEAL_STARTED, started->task_id, pack_view(out));
    }
    if (err == BUS_OK) {
        err = store_put(
            apply->txn, KERNEL_HEAL_ORDER, STORE_U64(apply->header->seq), started->task_id);
    }
    return err;
}

static bool
is_suite(bus_view_t name)
{
    static const char *const suites[] = {"boot", "ingestion", "htm", "faults"};
    for (size_t i = 0; i < COUNT(suites); ++i) {
        if (view_is(name, suites[i])) {
            return true;
        }
    }
    return false;
}

static bus_err_t
apply_drill(service_apply_t *apply, const void *message)
{
    const schema_stress_completed_t *drill = message;
    if (!is_suite(drill->suite)) {
        return BUS_OK;
    }
    bus_view_t value;
    schema_real_t boot = {.has = false};
    boot.has = walk_find(drill->summary, "avg_boot_time", &value) == BUS_OK &&
               walk_as_real(value, &boot.value) == BUS_OK;
    const schema_healing_drill_t kept = {
        .test_id = drill->test_id,
        .seq = {.has = true, .value = (int64_t) apply->header->seq},
        .passed = drill->passed,
        .avg_boot_time = boot,
        .conf_sha256 = drill->conf_sha256,
    };
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    schema_encode(&SCHEMA_healing_drill, &kept, out);
    return store_put(apply->txn, KERNEL_HEAL_KEPT, drill->suite, pack_view(out));
}

static const service_apply_row_t applies[] = {
    {.prefix = "healing.started",
     .schema = &SCHEMA_healing_started,
     .apply = apply_started,
     .meaning = "a playbook is about to do what must not be done twice"},
    {.prefix = "stress.",
     .schema = &SCHEMA_stress_completed,
     .apply = apply_drill,
     .meaning = "a drill is over"},
};

// --- Tasks ---------------------------------------------------------------------------------------

static const struct {
    const char *task_type;
    kernel_heal_step_fn *fn;
    const char *meaning;
} playbooks[] = {
    {"run_diagnostics",
     kernel_heal_diagnose,
     "asks every part how it is; of slow boots finds the cause and mends it where it can"},
    {"investigate_anomalies", kernel_heal_diagnose, "the same, as an intent names it"},
    {"restart_peer", kernel_heal_restart, "has the supervisor start a part again"},
    {"reprocess_low_quality", kernel_heal_reprocess, "has the librarian mend documents"},
    {"optimize_htm_scheduling", kernel_heal_schedule, "sets the queue's order by what it shows"},
    {"run_stress_drill", kernel_heal_drill, "runs a drill against a private instance"},
};

static void
on_job(void *arg, kernel_worker_job_t *job)
{
    kernel_heal_t *self = arg;
    for (size_t i = 0; i < COUNT(playbooks); ++i) {
        if (view_is(job->task_type, playbooks[i].task_type)) {
            kernel_heal_run_begin(self, job, playbooks[i].task_type, playbooks[i].fn);
            return;
        }
    }
    kernel_worker_fail(self->worker, &job, "self_healing has no playbook of this name", false);
}

// --- Life ----------------------------------------------------------------------------------------

static bus_err_t
open_state(const service_options_t *options, store_txn_t *txn BUS_UNUSED, void **ret_state)
{
    kernel_heal_t *self = calloc(1, sizeof *self);
    assert(self);
    self->dir = options->dir;
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
    static const char *const handlers[] = {"self_healing", "hunter", "stress_runner"};
    kernel_heal_t *self = state;
    self->service = service;
    self->loop = service_loop(service);
    self->client = service_client(service);
    self->children = kernel_heal_children_new(self->loop);
    const kernel_worker_options_t options = {.name = NAME,
                                             .handlers = handlers,
                                             .handler_count = COUNT(handlers),
                                             .slots = KERNEL_HEAL_SLOTS,
                                             .fn = on_job,
                                             .arg = self};
    self->worker = kernel_worker_new(self->loop, self->client, &options);
    return BUS_OK;
}

static void
stop(void *state)
{
    kernel_heal_t *self = state;
    while (self->runs != NULL) {
        kernel_heal_run_t *run = self->runs;
        kernel_heal_run_destroy(&run);
    }
    kernel_worker_destroy(&self->worker);
    kernel_heal_children_destroy(&self->children);
}

static bool
drain(void *state)
{
    kernel_heal_t *self = state;
    return kernel_heal_children_drain(self->children);
}

// The settings of a good boot drill are worth going back to.
static void
keep_good_conf(kernel_heal_t *self, store_txn_t *txn)
{
    bus_view_t kept;
    schema_healing_drill_t drill;
    schema_problems_t problems;
    if (store_get(txn, KERNEL_HEAL_KEPT, VIEW_LITERAL("boot"), &kept) != BUS_OK ||
        schema_decode(&SCHEMA_healing_drill, kept, &drill, &problems) != BUS_OK ||
        (uint64_t) drill.seq.value == self->looked) {
        return;
    }
    self->looked = (uint64_t) drill.seq.value;
    bool is_good = drill.passed.value && drill.avg_boot_time.has &&
                   drill.avg_boot_time.value <= KERNEL_HEAL_BOOT_MS_MAX &&
                   drill.conf_sha256.data != NULL;
    bus_err_t err = is_good ? kernel_heal_conf_keep(self->dir, drill.conf_sha256) : BUS_OK;
    if (err != BUS_OK) {
        log_warning("drill_conf_not_kept", "error=%s", error_text(err));
    }
}

static void
act(service_query_t *query)
{
    kernel_heal_t *self = query->state;
    keep_good_conf(self, query->txn);
    kernel_heal_run_t *next = NULL;
    for (kernel_heal_run_t *run = self->runs; run != NULL; run = next) {
        next = run->next; // it may end; others do not
        kernel_heal_run_look(run, query->txn);
    }
}

// --- Questions -----------------------------------------------------------------------------------

static void
pack_run(const kernel_heal_run_t *run, pack_t *out)
{
    pack_map(out, 4);
    pack_pair_str(out, "task_id", run->job->task_id);
    pack_pair_text(out, "playbook", run->playbook);
    pack_pair_uint(out, "attempt", run->job->attempt);
    pack_pair_uint(out, "findings", run->finding_count);
}

static void
pack_drills(store_txn_t *txn, pack_t *out)
{
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_view_t key, value;
    pack_text(out, "drills");
    size_t place = pack_map_begin(out);
    uint32_t count = 0;
    bus_err_t err = store_cursor_open(txn, KERNEL_HEAL_KEPT, &cursor);
    err = err == BUS_OK ? store_first(cursor, &key, &value) : err;
    for (; err == BUS_OK || err == BUS_CORRUPT; err = store_next(cursor, &key, &value)) {
        schema_healing_drill_t drill;
        schema_problems_t problems;
        if (err == BUS_OK &&
            schema_decode(&SCHEMA_healing_drill, value, &drill, &problems) == BUS_OK) {
            pack_str(out, key);
            pack_raw(out, value);
            ++count;
        }
    }
    pack_count(out, place, count);
}

static bus_err_t
report(service_query_t *query, const void *message BUS_UNUSED)
{
    const kernel_heal_t *self = query->state;
    pack_t *out = query->answer;
    pack_map(out, 5);
    pack_pair_uint(out, "done", self->done);
    pack_pair_uint(out, "resolved", self->resolved);
    pack_text(out, "running");
    size_t place = pack_array_begin(out);
    uint32_t count = 0;
    for (const kernel_heal_run_t *run = self->runs; run != NULL; run = run->next) {
        pack_run(run, out);
        ++count;
    }
    pack_count(out, place, count);
    pack_text(out, "playbooks");
    pack_map(out, (uint32_t) COUNT(playbooks));
    for (size_t i = 0; i < COUNT(playbooks); ++i) {
        pack_pair_text(out, playbooks[i].task_type, playbooks[i].meaning);
    }
    pack_drills(query->txn, out);
    return BUS_OK;
}

static const service_query_row_t queries[] = {
    {"report", NULL, report, "its playbooks, what runs, and the latest drill of each suite"},
};

static unsigned
pack_health(void *state, store_txn_t *txn BUS_UNUSED, pack_t *out)
{
    const kernel_heal_t *self = state;
    pack_pair_uint(out, "playbooks_done", self->done);
    pack_pair_uint(
        out, "playbooks_running", self->worker == NULL ? 0 : kernel_worker_open(self->worker));
    return 2;
}

const service_definition_t kernel_self_healing_definition = {
    .name = NAME,
    .source = NAME,
    .rules_version = 1,
    .tables = tables,
    .table_count = KERNEL_HEAL_TABLE_COUNT,
    .applies = applies,
    .apply_count = COUNT(applies),
    .queries = queries,
    .query_count = COUNT(queries),
    .open = open_state,
    .close = close_state,
    .start = start,
    .stop = stop,
    .act = act,
    .drain = drain,
    .health = pack_health,
};
