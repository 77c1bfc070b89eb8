// workflow.c - see workflow.h. The verbs are in workflow_run.c, workflow_list.c, workflow_show.c,
// workflow_tasks.c, workflow_complete.c.
#include "workflow.h"

const cli_command_t *const cli_workflow_verbs[] = {&cli_workflow_run,
                                                   &cli_workflow_list,
                                                   &cli_workflow_show,
                                                   &cli_workflow_tasks,
                                                   &cli_workflow_complete,
                                                   NULL};
