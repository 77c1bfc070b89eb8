// fault.c - `bhiv stress faults`: faults that are really injected into a private system, one
// scenario after the other, each with what should happen and how soon.
//
// A scenario that this machine cannot do is skipped, which is not passed, and says why. The record
// is as that of the other drills: see stress_run.h.
#include "fault.h"
#include "output.h"
#include "progress.h"
#include "stress.h"

#include "runtime/clock.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    WITHIN_MAX_MS = CLI_FAULT_TOTAL_MS,
    NAMES_SIZE = 512, // of all scenarios, for a person
    ANSWER_MS = 5000  // the contract's: an answer, whatever else is going on
};

typedef struct {
    cli_stress_flags_t stress;
    const char *scenario;
    bool list;
    uint64_t within_ms;
    const char *unit;
} flags_t;

// clang-format off
static const option_row_t rows[] = {
    CLI_STRESS_ROWS(flags_t, stress),
    {"scenario", 's', OPTION_TEXT, "NAMES", NULL, offsetof(flags_t, scenario), 0, 0,
     "these alone: kill_process,fill_disk"},
    {"list", 'l', OPTION_FLAG, NULL, NULL, offsetof(flags_t, list), 0, 0,
     "only says which there are"},
    {"within", 0, OPTION_MS, "TIME", NULL, offsetof(flags_t, within_ms), 1, WITHIN_MAX_MS,
     "how soon it has to happen, instead of each scenario's own limit"},
    {"unit", 0, OPTION_TEXT, "FILE", "scripts/bhiv.service", offsetof(flags_t, unit), 0, 0,
     "the systemd unit that scenario systemd tries"},
};
// clang-format on

static const option_table_t options = {
    .program = "bhiv stress faults",
    .arguments = "",
    .help =
        "Injects faults into private systems, measures what happens and holds it against what "
        "should. Exit status 1 where something did not happen, or not in time. What this machine "
        "cannot do (no root, no namespaces, no systemd) is skipped, and says so.\v"
        "  bhiv stress faults --list\n"
        "  bhiv stress faults --scenario kill_process,cut_network",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
};

const cli_fault_scenario_t cli_fault_scenarios[] = {
    {"kill_process",
     "SIGKILL of each part in turn, under acknowledged events",
     "each is back, nothing acknowledged is lost or doubled",
     5000,
     cli_fault_kill_process},
    {"pause_process",
     "SIGSTOP of a service, SIGCONT when it was missed",
     "$bus.peer.down is said, events flow on, and it answers again",
     CLI_FAULT_NOTICE_MS,
     cli_fault_pause_process},
    {"signals",
     "HUP, INT, TERM, QUIT, USR1, USR2, PIPE, ABRT, SEGV, KILL, each to a service",
     "HUP and PIPE change nothing; after each of the others it is started again",
     5000,
     cli_fault_signals},
    {"flood_topic",
     "200,000 live and 200,000 journaled messages, with a subscriber that reads none of them",
     "others' acknowledged events stay quick, the broker's memory bounded",
     ANSWER_MS,
     cli_fault_flood_topic},
    {"spam_refused",
     "20,000 messages that no peer may send: forged acks, other inboxes, the bus's own topics",
     "all refused and counted, others' acknowledged events stay quick",
     ANSWER_MS,
     cli_fault_spam_refused},
    {"corrupt_page",
     "a byte flipped in a value of a stopped service's store, and in a copy of the journal",
     "`bhiv check` names the store, no wrong byte is served, the store is rebuilt",
     10000,
     cli_fault_corrupt_page},
    {"fill_disk",
     "the file system of journal and stores is full",
     "JOURNAL_FULL to whoever publishes, everybody lives, and works when there is space",
     5000,
     cli_fault_fill_disk},
    {"flip_config",
     "settings flipped to what cannot be",
     "the part refuses with status 78 and says which; set right it starts, with all its data",
     5000,
     cli_fault_flip_config},
    {"cut_network",
     "the cable between the broker's network and a service's pulled out for 3 s",
     "nothing acknowledged is lost, the service catches up",
     10000,
     cli_fault_cut_network},
    {"skew_clock",
     "the wall clock stepped by hours and years while events flow",
     "order and the journal's time stay, answers come, nothing is lost",
     5000,
     cli_fault_skew_clock},
    {"block_heartbeats",
     "a relay between a peer and the broker holds everything back",
     "the peer is declared gone, and comes back with all that it missed",
     CLI_FAULT_NOTICE_MS,
     cli_fault_block_heartbeats},
    {"multi_fault",
     "at once: the broker, Bucket and the bridge killed, Karma stopped, a flood",
     "all are back, nothing acknowledged is lost or doubled",
     10000,
     cli_fault_multi},
    {"cpu_stress",
     "four busy processes a processor",
     "events are acknowledged and questions answered all the same",
     ANSWER_MS,
     cli_fault_cpu_stress},
    {"memory_stress",
     "a service that gets no more memory, beside a process that takes all it may",
     "it lives or is back, nothing acknowledged is lost or doubled",
     5000,
     cli_fault_memory_stress},
    {"systemd",
     "SIGKILL of bhiv up under the shipped systemd unit",
     "systemd starts it again, and it stops when told",
     15000,
     cli_fault_systemd},
};
const size_t cli_fault_scenario_count = sizeof cli_fault_scenarios / sizeof cli_fault_scenarios[0];

static const char *const status_names[] = {
    [CLI_FAULT_PASSED] = "passed", [CLI_FAULT_FAILED] = "failed", [CLI_FAULT_SKIPPED] = "skipped"};

// --- What a scenario says ------------------------------------------------------------------------

void
cli_fault_inject(cli_fault_t *self, const char *format, ...)
{
    char text[CLI_FAULT_WORDS_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    BUS_AUTO(pack_destroy) pack_t *fields = pack_new();
    pack_map(fields, 1);
    pack_pair_text(fields, "scenario", self->scenario->name);
    cli_stress_run_event(self->run, "fault.injected", text, pack_view(fields));
}

// Counts a check and writes its line. `took_ms` below 0: none.
static bool
judge(cli_fault_t *self, bool holds, double took_ms, const char *text)
{
    cli_fault_result_t *result = self->result;
    result->checks++;
    if (!holds) {
        result->misses++;
        if (result->status != CLI_FAULT_FAILED) {
            snprintf(result->reason, sizeof result->reason, "%s", text);
        }
        result->status = CLI_FAULT_FAILED;
    }
    BUS_AUTO(pack_destroy) pack_t *fields = pack_new();
    pack_map(fields, took_ms < 0 ? 2 : 4);
    pack_pair_text(fields, "scenario", self->scenario->name);
    pack_pair_bool(fields, "holds", holds);
    if (took_ms >= 0) {
        pack_pair_real(fields, "took_ms", took_ms);
        pack_pair_uint(fields, "within_ms", self->within_ms);
    }
    cli_stress_run_event(self->run, "fault.check", text, pack_view(fields));
    return holds;
}

bool
cli_fault_expect(cli_fault_t *self, bool holds, const char *format, ...)
{
    char text[CLI_FAULT_WORDS_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return judge(self, holds, -1, text);
}

bool
cli_fault_expect_soon(cli_fault_t *self, double took_ms, const char *format, ...)
{
    char what[CLI_FAULT_WORDS_SIZE / 2];
    char text[CLI_FAULT_WORDS_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    snprintf(text, sizeof text, "%s: %.1f ms, at most %u", what, took_ms, self->within_ms);
    if (took_ms > self->result->took_ms) {
        self->result->took_ms = took_ms;
    }
    return judge(self, took_ms <= self->within_ms, took_ms, text);
}

void
cli_fault_skip(cli_fault_t *self, const char *format, ...)
{
    if (self->result->status == CLI_FAULT_FAILED) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(self->result->reason, sizeof self->result->reason, format, arguments);
    va_end(arguments);
    self->result->status = CLI_FAULT_SKIPPED;
}

void
cli_fault_figure(cli_fault_t *self, const char *name, double value)
{
    cli_fault_result_t *result = self->result;
    for (size_t i = 0; i < result->figure_count; ++i) {
        if (strcmp(result->figures[i].name, name) == 0) {
            double *kept = &result->figures[i].value;
            *kept = value > *kept ? value : *kept;
            return;
        }
    }
    assert(result->figure_count < CLI_FAULT_FIGURES_MAX);
    cli_fault_figure_t *figure = &result->figures[result->figure_count++];
    snprintf(figure->name, sizeof figure->name, "%s", name);
    figure->value = value;
}

// --- What came of them ---------------------------------------------------------------------------

typedef struct {
    size_t total, passed, failed, skipped;
    unsigned checks, misses, restarts;
    double slowest_ms;
} totals_t;

static void
pack_result(pack_t *out,
            const cli_fault_scenario_t *scenario,
            unsigned within_ms,
            const cli_fault_result_t *result)
{
    pack_map(out, 11);
    pack_pair_text(out, "scenario", scenario->name);
    pack_pair_text(out, "status", status_names[result->status]);
    pack_pair_text(out, "done", scenario->done);
    pack_pair_text(out, "expected", scenario->expected);
    pack_pair_uint(out, "within_ms", within_ms);
    pack_pair_real(out, "took_ms", result->took_ms);
    pack_pair_text(out, "reason", result->reason);
    pack_pair_uint(out, "checks", result->checks);
    pack_pair_uint(out, "misses", result->misses);
    pack_pair_uint(out, "restarts", result->restarts);
    pack_text(out, "figures");
    pack_map(out, (uint32_t) result->figure_count);
    for (size_t i = 0; i < result->figure_count; ++i) {
        pack_pair_real(out, result->figures[i].name, result->figures[i].value);
    }
}

static void
count_result(totals_t *totals, const cli_fault_result_t *result)
{
    totals->total++;
    totals->passed += result->status == CLI_FAULT_PASSED;
    totals->failed += result->status == CLI_FAULT_FAILED;
    totals->skipped += result->status == CLI_FAULT_SKIPPED;
    totals->checks += result->checks;
    totals->misses += result->misses;
    totals->restarts += result->restarts;
    totals->slowest_ms =
        result->took_ms > totals->slowest_ms ? result->took_ms : totals->slowest_ms;
}

static void
pack_totals(pack_t *out, const totals_t *totals)
{
    pack_map(out, 8);
    pack_pair_uint(out, "total_scenarios", totals->total);
    pack_pair_uint(out, "passed", totals->passed);
    pack_pair_uint(out, "failed", totals->failed);
    pack_pair_uint(out, "skipped", totals->skipped);
    pack_pair_uint(out, "checks", totals->checks);
    pack_pair_uint(out, "checks_failed", totals->misses);
    pack_pair_uint(out, "watchdog_triggers", totals->restarts);
    pack_pair_real(out, "slowest_ms", totals->slowest_ms);
}

// One line for a person. On stderr: what is piped is the summary.
static void
say_result(const cli_fault_scenario_t *scenario,
           unsigned within_ms,
           const cli_fault_result_t *result)
{
    fprintf(stderr, "%-7s  %-16s", status_names[result->status], scenario->name);
    if (result->status == CLI_FAULT_PASSED) {
        fprintf(stderr,
                "  %.0f of %u ms, %u checks: %s\n",
                result->took_ms,
                within_ms,
                result->checks,
                scenario->expected);
    } else {
        fprintf(stderr, "  %s\n", result->reason);
    }
}

// --- The verb ------------------------------------------------------------------------------------

static bool
is_chosen(const flags_t *flags, const char *name)
{
    if (flags->scenario == NULL) {
        return true;
    }
    size_t size = strlen(name);
    for (const char *at = flags->scenario; *at != '\0'; at += *at == ',') {
        size_t word = strcspn(at, ",");
        if (word == size && strncmp(at, name, size) == 0) {
            return true;
        }
        at += word;
    }
    return false;
}

// Returns 0, or says which of the names is none.
static int
check_names(const flags_t *flags)
{
    char names[NAMES_SIZE] = "";
    size_t size = 0;
    for (size_t i = 0; i < cli_fault_scenario_count; ++i) {
        const char *comma = i == 0 ? "" : ", ";
        size += (size_t) snprintf(
            names + size, sizeof names - size, "%s%s", comma, cli_fault_scenarios[i].name);
        assert(size < sizeof names);
    }
    for (const char *at = flags->scenario; at != NULL && *at != '\0'; at += *at == ',') {
        size_t word = strcspn(at, ",");
        bool found = word == 0;
        for (size_t i = 0; i < cli_fault_scenario_count && !found; ++i) {
            const char *name = cli_fault_scenarios[i].name;
            found = strlen(name) == word && strncmp(name, at, word) == 0;
        }
        if (!found) {
            return cli_fail(CLI_USAGE, "no scenario `%.*s`; there are %s", (int) word, at, names);
        }
        at += word;
    }
    return CLI_DONE;
}

static int
list_scenarios(const flags_t *flags)
{
    cli_output_t out;
    int status = cli_output_init(&out, flags->stress.format);
    if (status != CLI_DONE) {
        return status;
    }
    BUS_AUTO(pack_destroy) pack_t *row = pack_new();
    for (size_t i = 0; i < cli_fault_scenario_count; ++i) {
        const cli_fault_scenario_t *scenario = &cli_fault_scenarios[i];
        if (!is_chosen(flags, scenario->name)) {
            continue;
        }
        if (out.format == CLI_FORMAT_LINE) {
            text_add_format(out.text,
                            "%s\n    %s\n    -> %s, within %u ms\n",
                            scenario->name,
                            scenario->done,
                            scenario->expected,
                            scenario->within_ms);
            cli_output_text(&out);
            continue;
        }
        pack_clear(row);
        pack_map(row, 4);
        pack_pair_text(row, "scenario", scenario->name);
        pack_pair_text(row, "done", scenario->done);
        pack_pair_text(row, "expected", scenario->expected);
        pack_pair_uint(row, "within_ms", scenario->within_ms);
        cli_output_value(&out, pack_view(row));
    }
    status = cli_output_flush(&out) ? CLI_DONE : CLI_IO;
    cli_output_clear(&out);
    return status;
}

static size_t
count_chosen(const flags_t *flags)
{
    size_t count = 0;
    for (size_t i = 0; i < cli_fault_scenario_count; ++i) {
        count += is_chosen(flags, cli_fault_scenarios[i].name);
    }
    return count;
}

// Runs what is chosen. Its results go to `document`, a map of one pair, and into *totals.
static int
run_all(const flags_t *flags, cli_stress_run_t *run, pack_t *document, totals_t *totals)
{
    size_t count = count_chosen(flags);
    BUS_AUTO(pack_destroy) pack_t *fields = pack_new();
    pack_map(fields, 1);
    pack_pair_uint(fields, "scenarios", count);
    cli_stress_run_event(run, "stress.run.started", "faults", pack_view(fields));
    pack_map(document, 1);
    pack_text(document, "scenarios");
    pack_array(document, (uint32_t) count);
    const cli_fault_run_t how = {
        .run = run, .within_ms = (unsigned) flags->within_ms, .unit = flags->unit};
    for (size_t i = 0; i < cli_fault_scenario_count; ++i) {
        const cli_fault_scenario_t *scenario = &cli_fault_scenarios[i];
        if (!is_chosen(flags, scenario->name)) {
            continue;
        }
        unsigned within_ms = how.within_ms != 0 ? how.within_ms : scenario->within_ms;
        cli_stress_run_progress(run, totals->total, count, scenario->name);
        cli_fault_result_t result;
        int status = cli_fault_run(&how, scenario, &result);
        if (status != CLI_DONE) {
            return status;
        }
        count_result(totals, &result);
        size_t place = pack_view(document).size;
        pack_result(document, scenario, within_ms, &result);
        bus_view_t whole = pack_view(document);
        bus_view_t row = view_from(whole.data + place, whole.size - place);
        cli_stress_run_event(run, "fault.scenario.completed", status_names[result.status], row);
        cli_progress_clear();
        say_result(scenario, within_ms, &result);
    }
    return CLI_DONE;
}

static int
run(int argc, char **argv)
{
    flags_t flags = {0};
    option_parse(&options, argc, argv, &flags, NULL, NULL);
    int status = check_names(&flags);
    if (status != CLI_DONE) {
        return status;
    }
    if (flags.list) {
        return list_scenarios(&flags);
    }
    BUS_AUTO(cli_stress_run_destroy) cli_stress_run_t *run = NULL;
    status = cli_stress_run_open(&flags.stress, "faults", "faults", true, &run);
    if (status != CLI_DONE) {
        return status;
    }
    totals_t totals = {0};
    BUS_AUTO(pack_destroy) pack_t *document = pack_new();
    BUS_AUTO(pack_destroy) pack_t *summary = pack_new();
    status = run_all(&flags, run, document, &totals);
    if (status != CLI_DONE) {
        return status;
    }
    pack_totals(summary, &totals);
    char failed[64];
    snprintf(failed, sizeof failed, "%zu of %zu scenarios failed", totals.failed, totals.total);
    const cli_stress_outcome_t outcome = {
        .document = pack_view(document),
        .summary = pack_view(summary),
        .passed = totals.failed == 0,
        .failed = totals.failed == 0 ? NULL : failed,
    };
    return cli_stress_run_finish(run, &outcome);
}

const cli_command_t cli_stress_faults = {
    .name = "faults",
    .summary = "faults that are really injected, and what came of them",
    .group = CLI_GROUP_RUN,
    .options = &options,
    .run = run,
};
