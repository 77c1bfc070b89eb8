// stress_run.h - one run of a drill: its name, its log, its summary, and who is told of it.
//
// Below --logs (default ./logs/stress) each suite has a folder with two files a run:
// <id>.jsonl, a line an event, and <id>_summary.json; ingestion has <id>.json alone. <id> is
// <prefix>_stress_YYYYmmdd_HHMMSS, UTC. Times are RFC 3339 with microseconds. Main thread.
#pragma once
#include "cli.h"
#include "connect.h"
#include "proto/pack.h"

// What every suite's verb takes; embedded in its options.
typedef struct {
    cli_place_t place;  // whose drill.conf is taken, and who is told
    const char *logs;   // folder of the logs
    const char *report; // where the dashboard goes
    const char *trace;  // of what is published; NULL: none
    const char *format; // of the summary on stdout
    pack_t *collected;  // not NULL: takes `<suite>: {…}` of each, for one JSON value of all
} cli_stress_flags_t;

// The rows of a cli_stress_flags_t that is `field` of the options struct `type`.
// clang-format off
#define CLI_STRESS_ROWS(type, field) \
    CLI_PLACE_ROWS(type, field.place), \
    {"logs", 0, OPTION_TEXT, "DIR", "logs/stress", offsetof(type, field.logs), 0, 0, \
     "where logs and summaries go"}, \
    {"report", 0, OPTION_TEXT, "FILE", NULL, offsetof(type, field.report), 0, 0, \
     "the dashboard; default reports/stress_dashboard.html, or in the DIR of --logs"}, \
    {"trace", 0, OPTION_TEXT, "TRACE", NULL, offsetof(type, field.trace), 0, 0, \
     "trace id of the stress.<suite>.completed that is published"}, \
    {"format", 'F', OPTION_TEXT, "FORMAT", "auto", offsetof(type, field.format), 0, 0, \
     "of the summary: line, json or pretty; auto is line on a terminal, json when piped"}
// clang-format on

enum { CLI_STRESS_ID_SIZE = 64 };

typedef struct cli_stress_run cli_stress_run_t;

// `suite`: boot, ingestion, htm, faults: the folder, and the topic. `prefix`: of the id. Makes the
// folder and opens the log (unless the suite has none); says stress.run.started nowhere yet.
// Returns 0, or says why not and returns the exit status.
BUS_CHECK int cli_stress_run_open(const cli_stress_flags_t *flags,
                                  const char *suite,
                                  const char *prefix,
                                  bool has_log,
                                  cli_stress_run_t **ret_self);
void cli_stress_run_destroy(cli_stress_run_t **self_p);

const char *cli_stress_run_id(const cli_stress_run_t *self);
const char *cli_stress_run_started_at(const cli_stress_run_t *self);
// The drill.conf of the system that the drill is about: for the instance's options.
const char *cli_stress_run_conf(const cli_stress_run_t *self);

// A line of the log: {test_id, timestamp, event_type, message, …`fields`}. `fields`: one whole map,
// or absent.
void cli_stress_run_event(cli_stress_run_t *self,
                          const char *event_type,
                          const char *message,
                          bus_view_t fields);

// Copies the log of an instance beside ours, as <id>.log: where something failed in it.
void cli_stress_run_keep(const cli_stress_run_t *self, const char *path);

typedef struct {
    bus_view_t document; // the pairs of the summary file besides test_id, started_at, summary,
                         // passed, completed_at: one whole map
    bus_view_t summary;  // one whole map
    bool passed;         // whether the gates were kept
    const char *failed;  // which gate was not, for a person; NULL: none
} cli_stress_outcome_t;

// Says stress.run.completed, writes the summary whole or not at all, publishes
// stress.<suite>.completed to the bus of the flags' place where one answers (else says so), makes
// the dashboard anew and prints the summary. Returns CLI_DONE, CLI_NEGATIVE where a gate was not
// kept, CLI_IO where the files could not be written, CLI_INTERRUPTED.
BUS_CHECK int cli_stress_run_finish(cli_stress_run_t *self, const cli_stress_outcome_t *outcome);

// Shows how far it is, where stderr is a terminal: `boot [#####.....] 3/6 what`.
void
cli_stress_run_progress(const cli_stress_run_t *self, uint64_t done, uint64_t of, const char *what);

// --- Figures -----------------------------------------------------------------------------------

// Sorts them. 0 where there are none. `share`: 0.5 is the median.
double cli_stress_run_percentile(double *samples, size_t count, double share);
double cli_stress_run_mean(const double *samples, size_t count);
// The time now, as the logs have it.
enum { CLI_STRESS_TIME_SIZE = 32 };
void cli_stress_run_now(char ret_text[CLI_STRESS_TIME_SIZE]);
