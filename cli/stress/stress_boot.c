// stress_boot.c - `bhiv stress boot`: how fast the whole system starts, and whether what is broken
// on purpose comes back.
//
// A cycle is a fresh folder, all parts, and a question to each: a kernel counts as activated when
// it has answered. What a boot took is from the fork of `bhiv up` to its ready line.
#include "stress_boot.h"

#include "kernel/kernel.h"
#include "runtime/clock.h"
#include "stress_ask.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CYCLES_MAX = 1000, // a day's worth
    HEALTH_MS = 5000,
    ERROR_SIZE = 128
};

static const char KERNEL[] = "kernel-"; // before a kernel's name, as a part

typedef struct {
    uint64_t number;
    char started_at[CLI_STRESS_TIME_SIZE];
    char completed_at[CLI_STRESS_TIME_SIZE];
    double boot_ms;
    bool succeeded;
    char error[ERROR_SIZE];
    size_t part_count;
    cli_stress_part_t parts[CLI_STRESS_PARTS_MAX];
    bus_err_t errors[CLI_STRESS_PARTS_MAX]; // of each part's answer
} cycle_t;

typedef struct {
    const cli_stress_boot_t *options;
    cli_stress_run_t *run;
    cycle_t *cycles; // options->cycles of them
    size_t count;    // that are over
    unsigned restarts;
    cli_stress_failures_t failures;
} boot_t;

static bool
is_kernel(const cli_stress_part_t *part)
{
    return strncmp(part->name, KERNEL, sizeof KERNEL - 1) == 0;
}

// --- Asking ------------------------------------------------------------------------------------

int
cli_stress_boot_health(cli_stress_instance_t *instance,
                       const cli_stress_part_t *parts,
                       size_t count,
                       bus_err_t ret_errors[CLI_STRESS_PARTS_MAX])
{
    cli_stress_question_t questions[CLI_STRESS_PARTS_MAX] = {0};
    size_t places[CLI_STRESS_PARTS_MAX];
    size_t asked = 0;
    for (size_t i = 0; i < count; ++i) {
        const char *name = parts[i].name;
        ret_errors[i] = BUS_OK;
        if (strcmp(name, "broker") != 0 && strcmp(name, "bridge") != 0) {
            places[asked] = i;
            snprintf(questions[asked].topic, sizeof questions[asked].topic, "req.%s.health", name);
            ++asked;
        }
    }
    if (asked == 0) {
        return CLI_DONE;
    }
    int status = cli_stress_ask(instance, questions, asked, HEALTH_MS);
    for (size_t i = 0; i < asked; ++i) {
        ret_errors[places[i]] = questions[i].err;
    }
    cli_stress_ask_clear(questions, asked);
    return status;
}

// --- A cycle -----------------------------------------------------------------------------------

static uint32_t
count_kernels(const cycle_t *cycle)
{
    uint32_t kernels = 0;
    for (size_t i = 0; i < cycle->part_count; ++i) {
        kernels += is_kernel(&cycle->parts[i]) && cycle->errors[i] == BUS_OK;
    }
    return kernels;
}

static void
pack_components(const cycle_t *cycle, pack_t *out)
{
    pack_map(out, (uint32_t) cycle->part_count);
    for (size_t i = 0; i < cycle->part_count; ++i) {
        pack_pair_real(out, cycle->parts[i].name, cycle->parts[i].boot_ms);
    }
}

static void
say_completed(boot_t *self, const cycle_t *cycle)
{
    BUS_AUTO(pack_destroy) pack_t *fields = pack_new();
    if (!cycle->succeeded) {
        pack_map(fields, 2);
        pack_pair_uint(fields, "cycle", cycle->number);
        pack_pair_text(fields, "error", cycle->error);
        cli_stress_run_event(
            self->run, "boot.cycle.failed", "Boot cycle failed", pack_view(fields));
        return;
    }
    pack_map(fields, 4);
    pack_pair_uint(fields, "cycle", cycle->number);
    pack_pair_real(fields, "duration_ms", cycle->boot_ms);
    pack_pair_uint(fields, "kernels", count_kernels(cycle));
    pack_text(fields, "components");
    pack_components(cycle, fields);
    cli_stress_run_event(
        self->run, "boot.cycle.completed", "Boot cycle completed", pack_view(fields));
}

static int
boot_once(boot_t *self, cycle_t *cycle)
{
    const cli_stress_instance_options_t options = {.conf = cli_stress_run_conf(self->run)};
    BUS_AUTO(cli_stress_instance_destroy) cli_stress_instance_t *instance = NULL;
    int status = cli_stress_instance_start(&options, &instance);
    if (status != CLI_DONE) {
        snprintf(cycle->error, ERROR_SIZE, "the system did not start (status %d)", status);
        return status == CLI_INTERRUPTED ? status : CLI_DONE;
    }
    cycle->boot_ms = cli_stress_instance_ready_ms(instance);
    cycle->part_count = cli_stress_instance_parts(instance, cycle->parts);
    status = cli_stress_boot_health(instance, cycle->parts, cycle->part_count, cycle->errors);
    cycle->succeeded = status == CLI_DONE;
    if (!cycle->succeeded) {
        snprintf(cycle->error, ERROR_SIZE, "the bus did not answer (status %d)", status);
        cli_stress_run_keep(self->run, cli_stress_instance_log(instance));
    }
    self->restarts += cli_stress_instance_restarts(instance, NULL);
    return status == CLI_INTERRUPTED ? status : CLI_DONE;
}

static int
run_cycle(boot_t *self, cycle_t *cycle)
{
    BUS_AUTO(pack_destroy) pack_t *fields = pack_new();
    pack_map(fields, 1);
    pack_pair_uint(fields, "cycle", cycle->number);
    cli_stress_run_event(self->run, "boot.cycle.started", "Boot cycle started", pack_view(fields));
    cli_stress_run_now(cycle->started_at);
    int status = boot_once(self, cycle);
    cli_stress_run_now(cycle->completed_at);
    say_completed(self, cycle);
    return status;
}

// --- The summary -------------------------------------------------------------------------------

static bool
has_part(const cycle_t *cycle, const char *kernel)
{
    for (size_t i = 0; i < cycle->part_count; ++i) {
        const cli_stress_part_t *part = &cycle->parts[i];
        if (is_kernel(part) && strcmp(part->name + sizeof KERNEL - 1, kernel) == 0) {
            return true;
        }
    }
    return false;
}

static void
add_anomaly(pack_t *out, uint32_t *count, const char *kernel, const char *error)
{
    pack_map(out, 2);
    pack_pair_text(out, "kernel", kernel);
    pack_pair_text(out, "error", error);
    ++*count;
}

// What was not as it should be: it did not start, is not there, does not answer.
static void
pack_anomalies(const cycle_t *cycle, pack_t *out)
{
    uint32_t count = 0;
    size_t place = pack_array_begin(out);
    if (!cycle->succeeded) {
        add_anomaly(out, &count, "system", cycle->error);
    }
    for (size_t i = 0; i < cycle->part_count; ++i) {
        if (cycle->errors[i] != BUS_OK) {
            add_anomaly(out, &count, cycle->parts[i].name, error_text(cycle->errors[i]));
        }
    }
    for (size_t i = 0; i < KERNEL_COUNT && cycle->part_count > 0; ++i) {
        if (!has_part(cycle, kernel_rows[i].name)) {
            add_anomaly(out, &count, kernel_rows[i].name, "NOT_STARTED");
        }
    }
    pack_count(out, place, count);
}

static void
pack_cycle(const cycle_t *cycle, pack_t *out)
{
    pack_map(out, 8);
    pack_pair_uint(out, "cycle", cycle->number);
    pack_pair_text(out, "started_at", cycle->started_at);
    pack_pair_real(out, "boot_duration_ms", cycle->boot_ms);
    pack_text(out, "kernels_activated");
    pack_array(out, count_kernels(cycle));
    for (size_t i = 0; i < cycle->part_count; ++i) {
        if (is_kernel(&cycle->parts[i]) && cycle->errors[i] == BUS_OK) {
            pack_text(out, cycle->parts[i].name + sizeof KERNEL - 1);
        }
    }
    pack_text(out, "anomalies");
    pack_anomalies(cycle, out);
    pack_text(out, "components");
    pack_components(cycle, out);
    pack_pair_text(out, "status", cycle->succeeded ? "success" : "failed");
    pack_pair_text(out, "completed_at", cycle->completed_at);
}

static void
pack_document(const boot_t *self, pack_t *out)
{
    pack_map(out, 3);
    pack_pair_uint(out, "cycles", self->options->cycles);
    pack_text(out, "boot_results");
    pack_array(out, (uint32_t) self->count);
    for (size_t i = 0; i < self->count; ++i) {
        pack_cycle(&self->cycles[i], out);
    }
    pack_text(out, "failure_tests");
    pack_array(out, self->failures.count);
    pack_raw(out, pack_view(self->failures.tests));
}

// The mean of each part over the boots that have it.
static void
pack_means(const boot_t *self, pack_t *out)
{
    const cycle_t *last = NULL;
    for (size_t i = 0; i < self->count; ++i) {
        last = self->cycles[i].succeeded ? &self->cycles[i] : last;
    }
    pack_map(out, last == NULL ? 0 : (uint32_t) last->part_count);
    for (size_t k = 0; last != NULL && k < last->part_count; ++k) {
        double sum = 0;
        size_t count = 0;
        for (size_t i = 0; i < self->count * CLI_STRESS_PARTS_MAX; ++i) {
            const cycle_t *cycle = &self->cycles[i / CLI_STRESS_PARTS_MAX];
            size_t at = i % CLI_STRESS_PARTS_MAX;
            if (at < cycle->part_count && strcmp(cycle->parts[at].name, last->parts[k].name) == 0) {
                sum += cycle->parts[at].boot_ms;
                ++count;
            }
        }
        pack_pair_real(out, last->parts[k].name, sum / (double) count);
    }
}

static size_t
pack_summary(const boot_t *self, double *boots, pack_t *out, double *ret_mean)
{
    size_t good = 0;
    for (size_t i = 0; i < self->count; ++i) {
        if (self->cycles[i].succeeded) {
            boots[good++] = self->cycles[i].boot_ms;
        }
    }
    *ret_mean = cli_stress_run_mean(boots, good);
    pack_map(out, 11);
    pack_pair_uint(out, "total_boots", self->count);
    pack_pair_uint(out, "successful_boots", good);
    pack_pair_uint(out, "failed_boots", self->count - good);
    pack_pair_real(out, "avg_boot_time", *ret_mean);
    pack_pair_real(out, "p50_boot_time", cli_stress_run_percentile(boots, good, 0.5));
    pack_pair_real(out, "max_boot_time", cli_stress_run_percentile(boots, good, 1));
    pack_pair_uint(out, "watchdog_triggers", self->restarts + self->failures.watchdog_triggers);
    pack_pair_uint(out, "self_heal_activations", self->failures.self_heal_activations);
    pack_pair_uint(out, "failure_tests", self->failures.count);
    pack_pair_uint(out, "failed_failure_tests", self->failures.failed);
    pack_text(out, "components");
    pack_means(self, out);
    return good;
}

static int
finish(boot_t *self)
{
    BUS_AUTO(pack_destroy) pack_t *document = pack_new();
    BUS_AUTO(pack_destroy) pack_t *summary = pack_new();
    double *boots = calloc(self->count + 1, sizeof *boots);
    assert(boots);
    double mean = 0;
    pack_document(self, document);
    size_t good = pack_summary(self, boots, summary, &mean);
    free(boots);
    char why[ERROR_SIZE] = "";
    if (good < self->count) {
        snprintf(why, sizeof why, "%zu of %zu boots failed", self->count - good, self->count);
    } else if (mean > (double) self->options->max_boot_ms) {
        snprintf(why,
                 sizeof why,
                 "a boot takes %.0f ms, over %llu",
                 mean,
                 (unsigned long long) self->options->max_boot_ms);
    } else if (self->failures.failed > 0) {
        snprintf(why, sizeof why, "%u of the failure tests failed", self->failures.failed);
    }
    const cli_stress_outcome_t outcome = {.document = pack_view(document),
                                          .summary = pack_view(summary),
                                          .passed = why[0] == '\0',
                                          .failed = why};
    return cli_stress_run_finish(self->run, &outcome);
}

// --- The drill ---------------------------------------------------------------------------------

static int
run_all(boot_t *self)
{
    const uint64_t cycles = self->options->cycles;
    uint64_t steps = cycles + (self->options->no_failures ? 0 : 1);
    BUS_AUTO(pack_destroy) pack_t *fields = pack_new();
    pack_map(fields, 1);
    pack_pair_uint(fields, "cycles", cycles);
    cli_stress_run_event(self->run, "stress.run.started", "Boot stress started", pack_view(fields));
    int status = CLI_DONE;
    while (status == CLI_DONE && self->count < cycles) {
        cli_stress_run_progress(self->run, self->count, steps, "starting the whole system");
        cycle_t *cycle = &self->cycles[self->count++];
        cycle->number = self->count;
        status = run_cycle(self, cycle);
    }
    if (status == CLI_DONE && !self->options->no_failures) {
        cli_stress_run_progress(self->run, cycles, steps, "breaking things");
        status = cli_stress_boot_failures(self->run, &self->failures);
    }
    return status == CLI_DONE ? finish(self) : status;
}

int
cli_stress_boot_run(const cli_stress_flags_t *flags, const cli_stress_boot_t *options)
{
    boot_t self = {.options = options};
    BUS_AUTO(cli_stress_run_destroy) cli_stress_run_t *run = NULL;
    int status = cli_stress_run_open(flags, "boot", "boot", true, &run);
    if (status != CLI_DONE) {
        return status;
    }
    self.run = run;
    self.cycles = calloc(options->cycles, sizeof *self.cycles);
    assert(self.cycles);
    self.failures.tests = pack_new();
    status = run_all(&self);
    pack_destroy(&self.failures.tests);
    free(self.cycles);
    return status;
}

// --- The verb ----------------------------------------------------------------------------------

typedef struct {
    cli_stress_flags_t stress;
    cli_stress_boot_t boot;
} flags_t;

// clang-format off
static const option_row_t rows[] = {
    CLI_STRESS_ROWS(flags_t, stress),
    {"cycles", 'n', OPTION_COUNT, "N", "5", offsetof(flags_t, boot.cycles), 1, CYCLES_MAX,
     "how often the whole system is started"},
    {"max-boot", 0, OPTION_MS, "TIME", "500ms", offsetof(flags_t, boot.max_boot_ms), 1, 3600000,
     "gate: the average boot may take so long"},
    {"no-failures", 0, OPTION_FLAG, NULL, NULL, offsetof(flags_t, boot.no_failures), 0, 0,
     "the boots alone: nothing is killed or spoiled after them"},
};
// clang-format on

static const option_table_t options = {
    .program = "bhiv stress boot",
    .arguments = "",
    .help =
        "Starts the whole system in a fresh private folder, again and again, and measures how long "
        "it and each part take; then kills a kernel and a service, and spoils a setting, and sees "
        "whether they come back.\v"
        "Exit status 1 where a boot failed, the average is over --max-boot, or what was broken did "
        "not come back. Within another drill the failure tests are left out.\n\n"
        "  bhiv stress boot --cycles 5",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
};

static int
run_verb(int argc, char **argv)
{
    flags_t flags = {.boot = {0}};
    option_parse(&options, argc, argv, &flags, NULL, NULL);
    return cli_stress_boot_run(&flags.stress, &flags.boot);
}

const cli_command_t cli_stress_boot = {
    .name = "boot",
    .summary = "how fast the whole system starts, and whether it comes back",
    .group = CLI_GROUP_KEEP,
    .options = &options,
    .run = run_verb,
};
