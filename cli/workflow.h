// workflow.h - the verbs of `bhiv workflow`.
#pragma once
#include "listing.h"
#include "question.h"

extern const cli_command_t cli_workflow_run;
extern const cli_command_t cli_workflow_list;
extern const cli_command_t cli_workflow_show;
extern const cli_command_t cli_workflow_tasks;
extern const cli_command_t cli_workflow_complete;
