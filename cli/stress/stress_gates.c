// stress_gates.c - `bhiv stress gates`: whether the newest drills keep within the gates of CI.
//
// Four gates are constants. The fifth is against a stored baseline: what the same figures were when
// the baseline was written, on a machine of the same kind, and how many times as much they may be.
#include "stress.h"
#include "stress_results.h"

#include "proto/view.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef enum { GATE_AT_MOST, GATE_AT_LEAST, GATE_BASELINE } gate_kind_t;

typedef struct {
    const char *name;
    const char *suite;
    const char *key; // of its summary
    const char *unit;
    gate_kind_t kind;
    double limit; // of a baseline's: how much it may differ at least before it counts
} gate_row_t;

static const gate_row_t gates[] = {
    {"boot", "boot", "avg_boot_time", "ms", GATE_AT_MOST, CLI_STRESS_GATE_BOOT_MS},
    {"quality", "ingestion", "avg_quality_score", "", GATE_AT_LEAST, CLI_STRESS_GATE_QUALITY},
    {"trust", "ingestion", "avg_trust_score", "", GATE_AT_LEAST, CLI_STRESS_GATE_TRUST},
    {"sla", "htm", "sla_breaches", "", GATE_AT_MOST, CLI_STRESS_GATE_BREACHES},
    {"boot regression", "boot", "avg_boot_time", "ms", GATE_BASELINE, 20},
    {"dispatch regression", "htm", "avg_dispatch_latency_ms", "ms", GATE_BASELINE, 2},
    {"chunking regression", "ingestion", "avg_chunk_ms", "ms", GATE_BASELINE, 2},
};
enum { GATE_COUNT = sizeof gates / sizeof gates[0] };

typedef enum { STATE_PASSED, STATE_FAILED, STATE_UNKNOWN, STATE_UNCOMPARED } state_t;
static const char *const state_names[] = {[STATE_PASSED] = "passed",
                                          [STATE_FAILED] = "FAILED",
                                          [STATE_UNKNOWN] = "no figure",
                                          [STATE_UNCOMPARED] = "no baseline"};

typedef struct {
    state_t state;
    double value; // NAN: there is none
    double limit; // NAN: there is none
} judged_t;

typedef struct {
    const char *logs;
    const char *baseline;
    uint64_t percent;
    bool write;
    bool markdown;
} flags_t;

#define AT(field) offsetof(flags_t, field)
// clang-format off
static const option_row_t rows[] = {
    {"logs", 0, OPTION_TEXT, "DIR", "logs/stress", AT(logs), 0, 0, "where the drills' results are"},
    {"baseline", 'b', OPTION_TEXT, "FILE", NULL, AT(baseline), 0, 0,
     "the figures that these are held against"},
    {"tolerance", 0, OPTION_COUNT, "PERCENT", "150", AT(percent), 101, 10000,
     "of the baseline, that a figure may be"},
    {"write", 'w', OPTION_FLAG, NULL, NULL, AT(write), 0, 0,
     "stores these figures as the baseline, if no gate failed"},
    {"markdown", 0, OPTION_FLAG, NULL, NULL, AT(markdown), 0, 0, "a table for a pull request"},
};
// clang-format on
#undef AT

static const option_table_t options = {
    .program = "bhiv stress gates",
    .arguments = "",
    .help = "Holds the newest drill of each suite against the gates: boot over 500 ms, quality or "
            "trust under 0.7, any SLA breach, and, with a baseline, what takes much longer than "
            "it did. Exit status 1 where a gate failed, 66 where a drill was never run.\v"
            "  bhiv stress gates --baseline baseline.json --write   # keeps what passed",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
};

// --- Judging -----------------------------------------------------------------------------------

// A figure of the suite's newest run; NAN where it has none.
static double
newest_figure(const json_t *by_suite, const gate_row_t *gate)
{
    const json_t *runs = json_object_get(by_suite, gate->suite);
    size_t count = json_array_size(runs);
    const json_t *run = count > 0 ? json_array_get(runs, count - 1) : NULL;
    const json_t *value = json_object_get(json_object_get(run, "summary"), gate->key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static judged_t
judge(const gate_row_t *gate, double value, const json_t *baseline, double tolerance)
{
    judged_t judged = {.state = STATE_UNKNOWN, .value = value, .limit = gate->limit};
    if (gate->kind == GATE_BASELINE) {
        const json_t *before = json_object_get(json_object_get(baseline, gate->suite), gate->key);
        bool is_there = json_is_number(before);
        double allowed = is_there ? json_number_value(before) * tolerance : NAN;
        double least = is_there ? json_number_value(before) + gate->limit : NAN;
        judged.limit = allowed > least ? allowed : least;
    }
    if (isnan(value) || isnan(judged.limit)) {
        judged.state = isnan(value) ? STATE_UNKNOWN : STATE_UNCOMPARED;
        return judged;
    }
    bool is_within = gate->kind == GATE_AT_LEAST ? value >= judged.limit : value <= judged.limit;
    judged.state = is_within ? STATE_PASSED : STATE_FAILED;
    return judged;
}

// --- Telling -----------------------------------------------------------------------------------

static void
format_figure(double value, const char *unit, char ret_text[32])
{
    if (isnan(value)) {
        snprintf(ret_text, 32, "-");
        return;
    }
    snprintf(ret_text, 32, "%.4g%s%s", value, unit[0] == '\0' ? "" : " ", unit);
}

static void
print_row(const gate_row_t *gate, const judged_t *judged, bool is_markdown)
{
    char value[32];
    char limit[32];
    format_figure(judged->value, gate->unit, value);
    format_figure(judged->limit, gate->unit, limit);
    const char *sign = gate->kind == GATE_AT_LEAST ? "at least" : "at most";
    if (is_markdown) {
        printf("| %s | %s | %s %s | %s |\n",
               gate->name,
               value,
               sign,
               limit,
               state_names[judged->state]);
    } else {
        printf("%-20s %-12s %s %-12s %s\n",
               gate->name,
               value,
               sign,
               limit,
               state_names[judged->state]);
    }
}

// --- The baseline ------------------------------------------------------------------------------

// Returns 0; a missing file is an empty baseline.
static int
read_baseline(const char *path, json_t **ret_baseline)
{
    *ret_baseline = NULL;
    if (path == NULL || access(path, F_OK) != 0) {
        return CLI_DONE;
    }
    json_error_t error;
    *ret_baseline = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(*ret_baseline)) {
        return cli_fail(CLI_BAD_DATA, "%s is no baseline: %s", path, error.text);
    }
    return CLI_DONE;
}

static int
write_baseline(const char *path, const json_t *by_suite)
{
    json_t *baseline = json_object();
    for (size_t i = 0; i < GATE_COUNT; ++i) {
        double value = newest_figure(by_suite, &gates[i]);
        if (gates[i].kind != GATE_BASELINE || isnan(value)) {
            continue;
        }
        json_t *figures = json_object_get(baseline, gates[i].suite);
        if (figures == NULL) {
            figures = json_object();
            json_object_set_new(baseline, gates[i].suite, figures);
        }
        json_object_set_new(figures, gates[i].key, json_real(value));
    }
    int status = json_dump_file(baseline, path, JSON_INDENT(2) | JSON_SORT_KEYS);
    json_decref(baseline);
    return status == 0 ? CLI_DONE : cli_fail(CLI_IO, "cannot write %s: %s", path, strerror(errno));
}

// --- The verb ----------------------------------------------------------------------------------

static int
judge_all(const flags_t *flags, const json_t *by_suite, const json_t *baseline)
{
    bool has_failed = false;
    bool is_missing = false;
    if (flags->markdown) {
        printf("| gate | measured | limit | |\n|---|---|---|---|\n");
    }
    for (size_t i = 0; i < GATE_COUNT; ++i) {
        const gate_row_t *gate = &gates[i];
        judged_t judged =
            judge(gate, newest_figure(by_suite, gate), baseline, (double) flags->percent / 100);
        print_row(gate, &judged, flags->markdown);
        has_failed = has_failed || judged.state == STATE_FAILED;
        is_missing = is_missing || isnan(judged.value);
    }
    if (has_failed) {
        return CLI_NEGATIVE;
    }
    return is_missing ? cli_fail(CLI_NOT_FOUND, "not every suite was run: bhiv stress all")
                      : CLI_DONE;
}

static int
run(int argc, char **argv)
{
    flags_t flags = {0};
    option_parse(&options, argc, argv, &flags, NULL, NULL);
    if (flags.write && flags.baseline == NULL) {
        return cli_fail(CLI_USAGE, "--write needs --baseline");
    }
    json_t *baseline = NULL;
    int status = read_baseline(flags.baseline, &baseline);
    json_t *by_suite = json_object();
    size_t skipped = 0;
    for (size_t i = 0; cli_stress_suites[i] != NULL; ++i) {
        json_object_set_new(by_suite,
                            cli_stress_suites[i],
                            cli_stress_results_read(flags.logs, cli_stress_suites[i], &skipped));
    }
    if (status == CLI_DONE) {
        status = judge_all(&flags, by_suite, baseline);
    }
    if (status == CLI_DONE && flags.write) {
        status = write_baseline(flags.baseline, by_suite);
    } else if (flags.write) {
        fprintf(stderr, "bhiv: nothing is written to %s\n", flags.baseline);
    }
    json_decref(by_suite);
    json_decref(baseline);
    return status;
}

const cli_command_t cli_stress_gates = {
    .name = "gates",
    .summary = "hold the newest drills against the gates of CI",
    .group = CLI_GROUP_LOOK,
    .options = &options,
    .run = run,
};
