// workflow.h - what the verbs of `bhiv workflow` share: one message to the Workflow Executor, and
// tables of what it lists.
#pragma once
#include "connect.h"
#include "output.h"

extern const cli_command_t cli_workflow_run;
extern const cli_command_t cli_workflow_list;
extern const cli_command_t cli_workflow_show;
extern const cli_command_t cli_workflow_tasks;
extern const cli_command_t cli_workflow_complete;

// Flags that each of them has; first in a verb's own.
typedef struct {
    cli_place_t place;
    uint64_t timeout_ms;
    const char *format;
} cli_workflow_flags_t;

// clang-format off
#define CLI_WORKFLOW_ROWS(timeout) \
    CLI_PLACE_ROWS(cli_workflow_flags_t, place), \
    CLI_TIMEOUT_ROW(cli_workflow_flags_t, timeout_ms, timeout), \
    CLI_FORMAT_ROW(cli_workflow_flags_t, format)
// clang-format on

typedef struct {
    const cli_workflow_flags_t *flags;
    const char *topic;   // req.workflow.<operation>, or a command
    bus_view_t body;     // whole msgpack
    bus_view_t trace_id; // optional
    // Prints what was answered in the format of `out`, and returns the exit status.
    int (*print)(cli_output_t *out, bus_view_t answer);
} cli_workflow_ask_t;

// Asks, has the answer printed, and returns the exit status; an error is said on stderr.
BUS_CHECK int cli_workflow_ask(const cli_workflow_ask_t *ask);

enum { CLI_WORKFLOW_COLUMNS_MAX = 6 };
typedef struct {
    const char *list; // the answer's key of the array
    size_t column_count;
    const char *titles[CLI_WORKFLOW_COLUMNS_MAX];
    const char *keys[CLI_WORKFLOW_COLUMNS_MAX];
} cli_workflow_table_t;

// Prints the maps of a list: as a table, or a JSON value each. Returns the exit status.
BUS_CHECK int
cli_workflow_print(cli_output_t *out, bus_view_t answer, const cli_workflow_table_t *table);
