// workflow.h - what the verbs of `bhiv workflow` share: tables of what it lists.
#pragma once
#include "question.h"

extern const cli_command_t cli_workflow_run;
extern const cli_command_t cli_workflow_list;
extern const cli_command_t cli_workflow_show;
extern const cli_command_t cli_workflow_tasks;
extern const cli_command_t cli_workflow_complete;

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
