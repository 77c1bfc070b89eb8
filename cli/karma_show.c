// karma_show.c - `bhiv karma show`: what Karma knows of a user.
#include "karma.h"

static const option_row_t rows[] = {CLI_QUESTION_ROWS("2s")};

static const option_table_t options = {
    .program = "bhiv karma show",
    .arguments = "USER",
    .help = "Shows a user's role, scores, tokens and counted actions, as of the user's last event. "
            "A user that Karma has not met is exit status 66.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .arguments_min = 1,
    .arguments_max = 1,
};

static int
print(cli_output_t *out, bus_view_t profile)
{
    cli_karma_sheet(out, profile);
    return CLI_DONE;
}

static int
run(int argc, char **argv)
{
    cli_question_flags_t flags = {0};
    const char *words[1] = {NULL};
    unsigned word_count = 0;
    option_parse(&options, argc, argv, &flags, words, &word_count);
    int status = cli_karma_user(words[0]);
    if (status != CLI_DONE) {
        return status;
    }
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 1);
    pack_pair_text(body, "user_id", words[0]);
    const cli_question_t ask = {
        .flags = &flags, .topic = "req.karma.profile", .body = pack_view(body), .print = print};
    return cli_question_ask(&ask);
}

const cli_command_t cli_karma_show = {
    .name = "show",
    .summary = "show a user's karma",
    .group = CLI_GROUP_LOOK,
    .options = &options,
    .run = run,
};
