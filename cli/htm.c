// htm.c - `bhiv htm` with a verb: asks the task queue. See htm.h; the verbs are in htm_list.c,
// htm_enqueue.c, htm_dead.c; those that need little code are here.
#include "htm.h"

const cli_command_t *const cli_htm_verbs[] = {&cli_htm_status,
                                              &cli_htm_list,
                                              &cli_htm_show,
                                              &cli_htm_enqueue,
                                              &cli_htm_cancel,
                                              &cli_htm_dead,
                                              &cli_htm_workers,
                                              NULL};

int
cli_htm_ask_task(const cli_question_flags_t *flags, const char *topic, const char *task_id)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 1);
    pack_pair_text(body, "task_id", task_id);
    const cli_question_t ask = {
        .flags = flags, .topic = topic, .body = pack_view(body), .print = cli_question_print};
    return cli_question_ask(&ask);
}

// --- status and workers --------------------------------------------------------------------------

static const option_row_t rows[] = {CLI_QUESTION_ROWS("2s")};

static const option_table_t status_options = {
    .program = "bhiv htm status",
    .arguments = "",
    .help = "Shows how full the task queue is, what it did, who works, and how fast it hands out.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
};

static int
run_status(int argc, char **argv)
{
    cli_question_flags_t flags = {0};
    option_parse(&status_options, argc, argv, &flags, NULL, NULL);
    const cli_question_t ask = {.flags = &flags,
                                .topic = "req.htm.status",
                                .body = PACK_EMPTY_MAP,
                                .print = cli_question_print};
    return cli_question_ask(&ask);
}

const cli_command_t cli_htm_status = {
    .name = "status",
    .summary = "how full the queue is, how fast, how well",
    .group = CLI_GROUP_LOOK,
    .options = &status_options,
    .run = run_status,
};

static const option_table_t workers_options = {
    .program = "bhiv htm workers",
    .arguments = "",
    .help = "Lists who takes tasks: what they can do, and how much they have in hand.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
};

static int
print_workers(cli_output_t *out, bus_view_t answer)
{
    static const cli_listing_t listing = {
        .list = "workers",
        .column_count = 5,
        .titles = {"WORKER", "SLOTS", "BUSY", "HEARD", "HANDLERS"},
        .keys = {"worker", "slots", "busy", "heard_at", "handlers"},
    };
    return cli_listing_print(&listing, out, answer);
}

static int
run_workers(int argc, char **argv)
{
    cli_question_flags_t flags = {0};
    option_parse(&workers_options, argc, argv, &flags, NULL, NULL);
    const cli_question_t ask = {.flags = &flags,
                                .topic = "req.htm.workers",
                                .body = PACK_EMPTY_MAP,
                                .print = print_workers};
    return cli_question_ask(&ask);
}

const cli_command_t cli_htm_workers = {
    .name = "workers",
    .summary = "list who takes tasks",
    .group = CLI_GROUP_LOOK,
    .options = &workers_options,
    .run = run_workers,
};

// --- show and cancel -----------------------------------------------------------------------------

static const option_table_t show_options = {
    .program = "bhiv htm show",
    .arguments = "TASK",
    .help = "Shows a task, with its context and result. One that there is not is exit status 66.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .arguments_min = 1,
    .arguments_max = 1,
};

static int
run_show(int argc, char **argv)
{
    cli_question_flags_t flags = {0};
    const char *words[1] = {NULL};
    unsigned word_count = 0;
    option_parse(&show_options, argc, argv, &flags, words, &word_count);
    return cli_htm_ask_task(&flags, "req.htm.task", words[0]);
}

const cli_command_t cli_htm_show = {
    .name = "show",
    .summary = "show a task",
    .group = CLI_GROUP_LOOK,
    .options = &show_options,
    .run = run_show,
};

typedef struct {
    cli_question_flags_t htm;
    const char *reason;
} cancel_flags_t;

// clang-format off
static const option_row_t cancel_rows[] = {
    CLI_QUESTION_ROWS("5s"),
    {"reason", 'r', OPTION_TEXT, "TEXT", NULL, offsetof(cancel_flags_t, reason), 0, 0,
     "why, for whoever reads it"},
};
// clang-format on

static const option_table_t cancel_options = {
    .program = "bhiv htm cancel",
    .arguments = "TASK",
    .help = "Takes a task out of the queue. One that runs is not interrupted: its result is "
            "ignored. One that there is not is exit status 66.",
    .rows = cancel_rows,
    .row_count = sizeof cancel_rows / sizeof cancel_rows[0],
    .arguments_min = 1,
    .arguments_max = 1,
};

static int
run_cancel(int argc, char **argv)
{
    cancel_flags_t flags = {.reason = NULL};
    const char *words[1] = {NULL};
    unsigned word_count = 0;
    option_parse(&cancel_options, argc, argv, &flags, words, &word_count);
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 2);
    pack_pair_text(body, "task_id", words[0]);
    pack_pair_str(body, "reason", view_from_text(flags.reason));
    const cli_question_t ask = {.flags = &flags.htm,
                                .topic = "task.cancel",
                                .body = pack_view(body),
                                .print = cli_question_print};
    return cli_question_ask(&ask);
}

const cli_command_t cli_htm_cancel = {
    .name = "cancel",
    .summary = "take a task out of the queue",
    .group = CLI_GROUP_TALK,
    .options = &cancel_options,
    .run = run_cancel,
};
