// workflow_tasks.c - `bhiv workflow tasks`: the tasks that were made.
#include "workflow.h"

typedef struct {
    cli_question_flags_t workflow;
    const char *status;
    const char *user;
    uint64_t limit;
} flags_t;

enum { LIMIT_MAX = 1000 }; // as in proto/schema/workflow.def

// clang-format off
static const option_row_t rows[] = {
    CLI_QUESTION_ROWS("2s"),
    {"status", 's', OPTION_TEXT, "STATUS", NULL, offsetof(flags_t, status), 0, 0,
     "CREATED or COMPLETED"},
    {"user", 'u', OPTION_TEXT, "USER", NULL, offsetof(flags_t, user), 0, 0,
     "only this user's"},
    {"limit", 'n', OPTION_COUNT, "N", "20", offsetof(flags_t, limit), 1, LIMIT_MAX,
     "most tasks to show"},
};
// clang-format on

static const option_table_t options = {
    .program = "bhiv workflow tasks",
    .arguments = "",
    .help = "Lists tasks, the latest first.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
};

static int
print(cli_output_t *out, bus_view_t answer)
{
    static const cli_listing_t listing = {
        .list = "tasks",
        .column_count = 5,
        .titles = {"TASK", "STATUS", "USER", "CREATED", "TITLE"},
        .keys = {"task_id", "task_status", "user_id", "created_at", "title"},
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
    pack_pair_str(body, "status", view_from_text(flags.status));
    pack_pair_str(body, "user_id", view_from_text(flags.user));
    pack_pair_uint(body, "limit", flags.limit);
    const cli_question_t ask = {.flags = &flags.workflow,
                                .topic = "req.workflow.tasks",
                                .body = pack_view(body),
                                .print = print};
    return cli_question_ask(&ask);
}

const cli_command_t cli_workflow_tasks = {
    .name = "tasks",
    .summary = "list tasks",
    .group = CLI_GROUP_LOOK,
    .options = &options,
    .run = run,
};
