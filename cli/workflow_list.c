// workflow_list.c - `bhiv workflow list`: what was executed.
#include "workflow.h"

typedef struct {
    cli_question_flags_t workflow;
    const char *trace;
    const char *status;
    uint64_t limit;
} flags_t;

enum { LIMIT_MAX = 1000 }; // as in proto/schema/workflow.def

// clang-format off
static const option_row_t rows[] = {
    CLI_QUESTION_ROWS("2s"),
    {"trace", 0, OPTION_TEXT, "ID", NULL, offsetof(flags_t, trace), 0, 0,
     "only executions of this trace"},
    {"status", 's', OPTION_TEXT, "STATUS", NULL, offsetof(flags_t, status), 0, 0,
     "queued, started, success or failed"},
    {"limit", 'n', OPTION_COUNT, "N", "20", offsetof(flags_t, limit), 1, LIMIT_MAX,
     "most executions to show"},
};
// clang-format on

static const option_table_t options = {
    .program = "bhiv workflow list",
    .arguments = "",
    .help = "Lists executions, the latest first.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
};

static int
print(cli_output_t *out, bus_view_t answer)
{
    static const cli_listing_t listing = {
        .list = "executions",
        .column_count = 6,
        .titles = {"SEQ", "TRACE", "ACTION", "STATUS", "REQUESTED", "ERROR"},
        .keys = {"seq",
                 "trace_id",
                 "action_type",
                 "status",
                 "requested_at",
                 "execution_result.error_code"},
    };
    return cli_listing_print(&listing, out, answer);
}

static int
run(int argc, char **argv)
{
    flags_t flags = {0};
    option_parse(&options, argc, argv, &flags, NULL, NULL);
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 3);
    pack_pair_str(body, "trace_id", view_from_text(flags.trace));
    pack_pair_str(body, "status", view_from_text(flags.status));
    pack_pair_uint(body, "limit", flags.limit);
    const cli_question_t ask = {.flags = &flags.workflow,
                                .topic = "req.workflow.executions",
                                .body = pack_view(body),
                                .print = print};
    return cli_question_ask(&ask);
}

const cli_command_t cli_workflow_list = {
    .name = "list",
    .summary = "list executions",
    .group = CLI_GROUP_LOOK,
    .options = &options,
    .run = run,
};
