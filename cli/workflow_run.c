// workflow_run.c - `bhiv workflow run`: acts, and says what came of it.
#include "body.h"
#include "workflow.h"

#include "proto/limits.h"
#include "proto/walk.h"
#include "runtime/id.h"

#include <string.h>

typedef struct {
    cli_question_flags_t workflow;
    const char *trace;
    const char *execution;
    const char *user;
} flags_t;

// clang-format off
static const option_row_t rows[] = {
    CLI_QUESTION_ROWS("30s"),
    {"trace", 0, OPTION_TEXT, "ID", NULL, offsetof(flags_t, trace), 0, 0,
     "trace_id: the same again acts no second time; default: a new one"},
    {"execution", 'x', OPTION_TEXT, "ID", NULL, offsetof(flags_t, execution), 0, 0,
     "execution_id, where a trace has several"},
    {"user", 'u', OPTION_TEXT, "USER", NULL, offsetof(flags_t, user), 0, 0,
     "whose karma it moves"},
};
// clang-format on

static const option_table_t options = {
    .program = "bhiv workflow run",
    .arguments = "ACTION [JSON|-]",
    .help = "Has the Workflow Executor act, waits for what came of it and prints that. ACTION is "
            "task, email, whatsapp or ai; JSON is the payload. Exit status 1 where it failed.\v"
            "  bhiv workflow run task '{\"title\":\"Review code\"}'\n"
            "  bhiv workflow run email \\\n"
            "    '{\"recipient\":\"ann@example.org\",\"subject\":\"Hello\",\"body\":\"…\"}'",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .arguments_min = 1,
    .arguments_max = 2,
};

static int
print(cli_output_t *out, bus_view_t answer)
{
    bus_view_t value;
    bus_view_t status = VIEW_NONE;
    cli_output_value(out, answer);
    if (walk_find(answer, "status", &value) != BUS_OK || walk_as_str(value, &status) != BUS_OK ||
        !view_is(status, "success")) {
        return CLI_NEGATIVE;
    }
    return CLI_DONE;
}

// What the flags say of a payload wins over what stands in it.
static bool
is_said(const flags_t *flags, bus_view_t key)
{
    return view_is(key, "action_type") || (flags->user != NULL && view_is(key, "user_id")) ||
           (flags->execution != NULL && view_is(key, "execution_id"));
}

static void
pack_payload(const flags_t *flags, const char *action, bus_view_t given, pack_t *out)
{
    size_t place = pack_map_begin(out);
    uint32_t count = 1;
    walk_pairs_t pairs = walk_pairs(given);
    bus_view_t key, value;
    pack_pair_text(out, "action_type", action);
    while (walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
        if (!is_said(flags, key)) {
            pack_str(out, key);
            pack_raw(out, value);
            ++count;
        }
    }
    if (flags->user != NULL) {
        pack_pair_text(out, "user_id", flags->user);
        ++count;
    }
    if (flags->execution != NULL) {
        pack_pair_text(out, "execution_id", flags->execution);
        ++count;
    }
    pack_count(out, place, count);
}

static void
pack_command(const flags_t *flags, const char *action, bus_view_t given, pack_t *out)
{
    pack_map(out, 3);
    pack_pair_text(out, "trace_id", flags->trace);
    pack_pair_text(out, "decision", "workflow");
    pack_text(out, "data");
    pack_map(out, 2);
    pack_pair_text(out, "workflow_type", "workflow");
    pack_text(out, "payload");
    pack_payload(flags, action, given, out);
}

static int
run(int argc, char **argv)
{
    flags_t flags = {0};
    const char *words[2] = {NULL, NULL};
    unsigned word_count = 0;
    option_parse(&options, argc, argv, &flags, words, &word_count);
    char made[ID_TEXT_SIZE];
    if (flags.trace == NULL) {
        id_make(made);
        flags.trace = made;
    }
    if (strlen(flags.trace) > NAME_SIZE_MAX || flags.trace[0] == '\0') {
        return cli_fail(CLI_BAD_DATA, "--trace is 1 to %d bytes", NAME_SIZE_MAX);
    }
    BUS_AUTO(pack_destroy) pack_t *payload = pack_new();
    int status = cli_body_argument(words[1], payload);
    if (status != CLI_DONE) {
        return status;
    }
    walk_pairs_t pairs = walk_pairs(pack_view(payload));
    if (!pairs.is_whole) {
        return cli_fail(CLI_BAD_DATA, "the payload is no JSON object");
    }
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_command(&flags, words[0], pack_view(payload), body);
    const cli_question_t ask = {.flags = &flags.workflow,
                                .topic = "workflow.execute",
                                .body = pack_view(body),
                                .trace_id = view_from_text(flags.trace),
                                .print = print};
    return cli_question_ask(&ask);
}

const cli_command_t cli_workflow_run = {
    .name = "run",
    .summary = "act in the world, once",
    .group = CLI_GROUP_TALK,
    .options = &options,
    .run = run,
};
