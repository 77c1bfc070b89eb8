// workflow_show.c - `bhiv workflow show`: what became of a trace's executions.
#include "workflow.h"

static const option_row_t rows[] = {CLI_QUESTION_ROWS("2s")};

static const option_table_t options = {
    .program = "bhiv workflow show",
    .arguments = "TRACE",
    .help = "Shows the executions of a trace, the latest first, with payloads and results. A trace "
            "that has none is exit status 66.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .arguments_min = 1,
    .arguments_max = 1,
};

static int
run(int argc, char **argv)
{
    cli_question_flags_t flags = {0};
    const char *words[1] = {NULL};
    unsigned word_count = 0;
    option_parse(&options, argc, argv, &flags, words, &word_count);
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 1);
    pack_pair_text(body, "trace_id", words[0]);
    const cli_question_t ask = {.flags = &flags,
                                .topic = "req.workflow.status",
                                .body = pack_view(body),
                                .print = cli_question_print};
    return cli_question_ask(&ask);
}

const cli_command_t cli_workflow_show = {
    .name = "show",
    .summary = "show a trace's executions",
    .group = CLI_GROUP_LOOK,
    .options = &options,
    .run = run,
};
