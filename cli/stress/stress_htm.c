// stress_htm.c - `bhiv stress htm`: tasks of random priorities and handlers through the queue, by
// workers that are processes of their own and may be killed; every figure is measured, and the
// whole recorded history is held against a model (stress_history.h).
//
// sub_agents_spawned is the number of worker processes that were started, those in place of killed
// ones included; preemptions is the number of starts that overtook an earlier task of a lower
// priority: what runs is never interrupted.
#include "stress.h"
#include "stress_history.h"
#include "stress_instance.h"
#include "stress_load.h"
#include "stress_worker.h"

#include <stdio.h>

enum { TASKS_MAX = 10000000, KILLS_MAX = 10000, SLOTS_MAX = 1024, ERROR_SIZE = 320 };

typedef struct {
    const cli_stress_htm_t *options;
    cli_stress_run_t *run;
    cli_stress_loaded_t loaded;
    cli_stress_findings_t found;
} htm_t;

static double
per_second(uint64_t count, uint64_t from_us, uint64_t to_us)
{
    return to_us > from_us ? (double) count * 1e6 / (double) (to_us - from_us) : 0;
}

static double
compliance(const htm_t *self)
{
    return self->found.tasks == 0 ? 1 : (double) self->found.sla_met / (double) self->found.tasks;
}

// Tasks that were not done in time: also what was said of those that are over by now.
static uint64_t
breaches(const htm_t *self)
{
    uint64_t late = self->found.tasks - self->found.sla_met;
    return self->found.sla_breaches > late ? self->found.sla_breaches : late;
}

static void
pack_summary(const htm_t *self, pack_t *out)
{
    const cli_stress_findings_t *found = &self->found;
    const cli_stress_loaded_t *loaded = &self->loaded;
    size_t place = pack_map_begin(out);
    pack_pair_uint(out, "total_tasks", found->tasks);
    pack_pair_uint(out, "completed", found->completed);
    pack_pair_uint(out, "failed", found->dead + found->cancelled);
    pack_pair_uint(out, "sla_breaches", breaches(self));
    pack_pair_real(out, "sla_compliance_rate", compliance(self));
    pack_pair_uint(out, "preemptions", found->overtakes);
    pack_pair_uint(out, "sub_agents_spawned", loaded->spawned);
    pack_pair_real(out, "avg_dispatch_latency_ms", found->mean_dispatch_ms);
    pack_pair_real(out, "p50_dispatch_latency_ms", found->p50_dispatch_ms);
    pack_pair_real(out, "p99_dispatch_latency_ms", found->p99_dispatch_ms);
    pack_pair_real(out, "avg_queue_depth", loaded->mean_depth);
    pack_pair_uint(out, "max_queue_depth", loaded->max_depth);
    pack_pair_real(out,
                   "tasks_per_second",
                   per_second(found->completed, found->first_start_us, found->last_us));
    pack_pair_real(out,
                   "end_to_end_tasks_per_second",
                   per_second(found->completed, found->first_us, found->last_us));
    pack_pair_real(out, "enqueue_seconds", loaded->enqueue_seconds);
    pack_pair_uint(out, "starts", found->starts);
    pack_pair_uint(out, "retries", found->retries);
    pack_pair_uint(out, "retries_worker_gone", found->gone);
    pack_pair_uint(out, "retries_lease_lapsed", found->lapsed);
    pack_pair_uint(out, "workers_killed", loaded->killed);
    pack_pair_uint(out, "workers_used", found->used);
    pack_pair_uint(out, "escalations", found->escalations);
    pack_pair_uint(out, "sla_warnings", found->sla_warnings);
    pack_pair_uint(out, "duplicates_sent", loaded->duplicates_sent);
    pack_pair_uint(out, "duplicates_ignored", loaded->duplicates_ignored);
    pack_pair_uint(out, "refused", loaded->refused);
    pack_pair_uint(out, "order_violations", found->violations);
    pack_count(out, place, 27);
}

// Which gate was not kept; "": none.
static void
judge(const htm_t *self, char ret_why[ERROR_SIZE])
{
    const cli_stress_findings_t *found = &self->found;
    const cli_stress_loaded_t *loaded = &self->loaded;
    ret_why[0] = '\0';
    if (found->violations > 0) {
        snprintf(ret_why,
                 ERROR_SIZE,
                 "the history breaks the rules %llu times, first: %s",
                 (unsigned long long) found->violations,
                 found->first_violation);
    } else if (found->tasks != self->options->tasks || loaded->refused > 0) {
        snprintf(ret_why,
                 ERROR_SIZE,
                 "%llu of %llu tasks came into the queue",
                 (unsigned long long) found->tasks,
                 (unsigned long long) self->options->tasks);
    } else if (loaded->duplicates_ignored != loaded->duplicates_sent) {
        snprintf(ret_why,
                 ERROR_SIZE,
                 "%llu of %llu duplicates were ignored",
                 (unsigned long long) loaded->duplicates_ignored,
                 (unsigned long long) loaded->duplicates_sent);
    } else if (breaches(self) > self->options->max_breaches) {
        snprintf(ret_why,
                 ERROR_SIZE,
                 "%llu SLA breaches, over %llu",
                 (unsigned long long) breaches(self),
                 (unsigned long long) self->options->max_breaches);
    }
}

static int
finish(htm_t *self)
{
    BUS_AUTO(pack_destroy) pack_t *document = pack_new();
    BUS_AUTO(pack_destroy) pack_t *summary = pack_new();
    const cli_stress_htm_t *options = self->options;
    char why[ERROR_SIZE];
    judge(self, why);
    pack_summary(self, summary);
    pack_map(document, 8);
    pack_pair_uint(document, "rate", options->rate);
    pack_pair_uint(document, "tasks", options->tasks);
    pack_pair_uint(document, "workers", options->workers);
    pack_pair_uint(document, "slots", options->slots);
    pack_pair_uint(document, "work_ms", options->work_ms);
    pack_pair_uint(document, "kills", options->kills);
    pack_pair_uint(document, "seed", options->seed);
    pack_pair_text(document, "first_violation", self->found.first_violation);
    const cli_stress_outcome_t outcome = {.document = pack_view(document),
                                          .summary = pack_view(summary),
                                          .passed = why[0] == '\0',
                                          .failed = why};
    return cli_stress_run_finish(self->run, &outcome);
}

static int
drill(htm_t *self)
{
    BUS_AUTO(pack_destroy) pack_t *fields = pack_new();
    pack_map(fields, 2);
    pack_pair_uint(fields, "tasks", self->options->tasks);
    pack_pair_uint(fields, "workers", self->options->workers);
    cli_stress_run_event(self->run, "stress.run.started", "HTM stress started", pack_view(fields));
    cli_stress_run_progress(self->run, 0, self->options->tasks, "starting the queue");
    const cli_stress_instance_options_t options = {.only = "broker,htm",
                                                   .conf = cli_stress_run_conf(self->run)};
    BUS_AUTO(cli_stress_instance_destroy) cli_stress_instance_t *instance = NULL;
    int status = cli_stress_instance_start(&options, &instance);
    if (status != CLI_DONE) {
        return status;
    }
    const cli_stress_load_t load = {.run = self->run, .instance = instance, .htm = self->options};
    status = cli_stress_load_run(&load, &self->loaded);
    if (status == CLI_INTERRUPTED || (status != CLI_DONE && status != CLI_TIMED_OUT)) {
        return status;
    }
    cli_stress_run_progress(
        self->run, self->options->tasks, self->options->tasks, "checking the history");
    const cli_place_t place = {.ingress = cli_stress_instance_ingress(instance),
                               .egress = cli_stress_instance_egress(instance)};
    status = cli_stress_history_read(&place, &self->found);
    if (status != CLI_INTERRUPTED && (status != CLI_DONE || self->found.violations > 0)) {
        cli_stress_run_keep(self->run, cli_stress_instance_log(instance));
    }
    cli_stress_instance_destroy(&instance);
    return status == CLI_DONE ? finish(self) : status;
}

int
cli_stress_htm_run(const cli_stress_flags_t *flags, const cli_stress_htm_t *htm)
{
    BUS_AUTO(cli_stress_run_destroy) cli_stress_run_t *run = NULL;
    int status = cli_stress_run_open(flags, "htm", "htm", true, &run);
    if (status != CLI_DONE) {
        return status;
    }
    htm_t self = {.options = htm, .run = run};
    return drill(&self);
}

// --- The verb ----------------------------------------------------------------------------------

typedef struct {
    cli_stress_flags_t stress;
    cli_stress_htm_t htm;
} flags_t;

#define AT(field) offsetof(flags_t, htm.field)
// clang-format off
static const option_row_t rows[] = {
    CLI_STRESS_ROWS(flags_t, stress),
    {"tasks", 'n', OPTION_COUNT, "N", "100", AT(tasks), 1, TASKS_MAX, "how many"},
    {"workers", 'w', OPTION_COUNT, "N", "8", AT(workers), 1, CLI_STRESS_WORKERS_MAX,
     "worker processes"},
    {"slots", 0, OPTION_COUNT, "N", "16", AT(slots), 1, SLOTS_MAX, "tasks at once, of each worker"},
    {"work", 0, OPTION_MS, "TIME", "0", AT(work_ms), 0, 3600000, "that a task takes"},
    {"kill", 'k', OPTION_COUNT, "N", "0", AT(kills), 0, KILLS_MAX,
     "kills so many workers while they work, and starts others"},
    {"rate", 'r', OPTION_COUNT, "N", "0", AT(rate), 0, 1000000,
     "tasks a second; 0: as fast as they are taken"},
    {"seed", 0, OPTION_COUNT, "N", "1", AT(seed), 0, 0, "of priorities, handlers and kills"},
    {"sla", 0, OPTION_MS, "TIME", "0", AT(sla_ms), 0, 86400000,
     "of every task; 0: as its priority has it"},
    {"max-breaches", 0, OPTION_COUNT, "N", "0", AT(max_breaches), 0, 0,
     "gate: so many tasks may be late"},
};
// clang-format on
#undef AT

static const option_table_t options = {
    .program = "bhiv stress htm",
    .arguments = "",
    .help =
        "Puts tasks of random priorities and handlers into the queue of a private instance, has "
        "them done by worker processes, looks at the queue every second, sends duplicates, and "
        "checks the whole recorded history: order, slots, each task over once.\v"
        "Exit status 1 where a rule was broken, a duplicate counted, or a task was late.\n\n"
        "  bhiv stress htm --tasks 100\n"
        "  bhiv stress htm --tasks 100000 --workers 8 --kill 50",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
};

static int
run_verb(int argc, char **argv)
{
    flags_t flags = {.htm = {0}};
    option_parse(&options, argc, argv, &flags, NULL, NULL);
    return cli_stress_htm_run(&flags.stress, &flags.htm);
}

const cli_command_t cli_stress_htm = {
    .name = "htm",
    .summary = "tasks through the queue, by workers that may be killed",
    .group = CLI_GROUP_KEEP,
    .options = &options,
    .run = run_verb,
};
