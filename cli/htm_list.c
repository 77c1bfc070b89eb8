// htm_list.c - `bhiv htm list`: tasks; `bhiv htm dead`: those that are given up.
#include "htm.h"

typedef struct {
    cli_question_flags_t htm;
    const char *status;
    const char *handler;
    const char *requeue;
    uint64_t limit;
} flags_t;

enum { LIMIT_MAX = 1000 }; // as in proto/schema/htm.def

// clang-format off
#define LIST_ROWS \
    CLI_QUESTION_ROWS("2s"), \
    {"handler", 0, OPTION_TEXT, "HANDLER", NULL, offsetof(flags_t, handler), 0, 0, \
     "only this handler's"}, \
    {"limit", 'n', OPTION_COUNT, "N", "20", offsetof(flags_t, limit), 1, LIMIT_MAX, \
     "most tasks to show"}

static const option_row_t rows[] = {
    LIST_ROWS,
    {"status", 's', OPTION_TEXT, "STATUS", NULL, offsetof(flags_t, status), 0, 0,
     "held, waiting, running, completed, dead or cancelled; default: all that is not over"},
};

static const option_row_t dead_rows[] = {
    LIST_ROWS,
    {"requeue", 0, OPTION_TEXT, "TASK", NULL, offsetof(flags_t, requeue), 0, 0,
     "puts this one back into the queue"},
};
// clang-format on

static const option_table_t options = {
    .program = "bhiv htm list",
    .arguments = "",
    .help = "Lists tasks: those that wait in the order in which they would start, others the "
            "latest first.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
};

static const option_table_t dead_options = {
    .program = "bhiv htm dead",
    .arguments = "",
    .help = "Lists dead letters, the latest first: tasks that failed too often, or were lost with "
            "their workers too often. With --requeue puts one back, its losses and failures "
            "counted anew.\v"
            "  bhiv htm dead --requeue task_17",
    .rows = dead_rows,
    .row_count = sizeof dead_rows / sizeof dead_rows[0],
};

static int
print(cli_output_t *out, bus_view_t answer)
{
    static const cli_listing_t listing = {
        .list = "tasks",
        .column_count = 8,
        .titles = {"TASK", "STATUS", "PRIORITY", "HANDLER", "TYPE", "TRIES", "DEADLINE", "WORKER"},
        .keys = {"task_id",
                 "status",
                 "priority",
                 "handler",
                 "task_type",
                 "attempts",
                 "deadline",
                 "worker"},
    };
    return cli_listing_print(&listing, out, answer);
}

static int
print_dead(cli_output_t *out, bus_view_t answer)
{
    static const cli_listing_t listing = {
        .list = "tasks",
        .column_count = 6,
        .titles = {"TASK", "HANDLER", "TYPE", "TRIES", "FINISHED", "REASON"},
        .keys = {"task_id", "handler", "task_type", "attempts", "finished_at", "reason"},
    };
    return cli_listing_print(&listing, out, answer);
}

static int
ask_for(const flags_t *flags, const char *status, int (*show)(cli_output_t *, bus_view_t))
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 3);
    pack_pair_str(body, "status", view_from_text(status));
    pack_pair_str(body, "handler", view_from_text(flags->handler));
    pack_pair_uint(body, "limit", flags->limit);
    const cli_question_t ask = {
        .flags = &flags->htm, .topic = "req.htm.tasks", .body = pack_view(body), .print = show};
    return cli_question_ask(&ask);
}

static int
run(int argc, char **argv)
{
    flags_t flags = {0};
    option_parse(&options, argc, argv, &flags, NULL, NULL);
    return ask_for(&flags, flags.status, print);
}

static int
run_dead(int argc, char **argv)
{
    flags_t flags = {0};
    option_parse(&dead_options, argc, argv, &flags, NULL, NULL);
    if (flags.requeue != NULL) {
        return cli_htm_ask_task(&flags.htm, "task.requeue", flags.requeue);
    }
    return ask_for(&flags, "dead", print_dead);
}

const cli_command_t cli_htm_list = {
    .name = "list",
    .summary = "list tasks",
    .group = CLI_GROUP_LOOK,
    .options = &options,
    .run = run,
};

const cli_command_t cli_htm_dead = {
    .name = "dead",
    .summary = "list dead letters, or put one back",
    .group = CLI_GROUP_LOOK,
    .options = &dead_options,
    .run = run_dead,
};
