// workflow_complete.c - `bhiv workflow complete`: a task is done.
#include "workflow.h"

typedef struct {
    cli_question_flags_t workflow;
    const char *note;
} flags_t;

// clang-format off
static const option_row_t rows[] = {
    CLI_QUESTION_ROWS("5s"),
    {"note", 0, OPTION_TEXT, "TEXT", NULL, offsetof(flags_t, note), 0, 0,
     "what came of it"},
};
// clang-format on

static const option_table_t options = {
    .program = "bhiv workflow complete",
    .arguments = "TASK",
    .help = "Marks a task as completed, and prints it. One that is stays as it was; one that there "
            "is not is exit status 66.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .arguments_min = 1,
    .arguments_max = 1,
};

static int
run(int argc, char **argv)
{
    flags_t flags = {0};
    const char *words[1] = {NULL};
    unsigned word_count = 0;
    option_parse(&options, argc, argv, &flags, words, &word_count);
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 2);
    pack_pair_text(body, "task_id", words[0]);
    pack_pair_str(body, "note", view_from_text(flags.note));
    const cli_question_t ask = {.flags = &flags.workflow,
                                .topic = "workflow.task.complete",
                                .body = pack_view(body),
                                .print = cli_question_print};
    return cli_question_ask(&ask);
}

const cli_command_t cli_workflow_complete = {
    .name = "complete",
    .summary = "mark a task as done",
    .group = CLI_GROUP_TALK,
    .options = &options,
    .run = run,
};
