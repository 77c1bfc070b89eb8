// karma_replay.c - `bhiv karma replay`: a user's karma made once more from what Karma keeps.
#include "karma.h"

#include "proto/rfc3339.h"
#include "proto/walk.h"

typedef struct {
    cli_question_flags_t karma;
    const char *until;
} flags_t;

// clang-format off
static const option_row_t rows[] = {
    CLI_QUESTION_ROWS("2s"),
    {"until", 'u', OPTION_TEXT, "TIME", NULL, offsetof(flags_t, until), 0, 0,
     "RFC 3339: only what happened up to then; default: all"},
};
// clang-format on

static const option_table_t options = {
    .program = "bhiv karma replay",
    .arguments = "USER",
    .help = "Has Karma apply a user's kept events to a fresh state and compare it with the one "
            "that it holds: exit status 1 where they differ. With --until it shows the state as "
            "it was then, which is not compared.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .arguments_min = 1,
    .arguments_max = 1,
};

static int
print(cli_output_t *out, bus_view_t answer)
{
    bus_view_t value;
    bool matches = true; // where nothing was compared
    cli_karma_sheet(out, answer);
    if (walk_find(answer, "matches", &value) == BUS_OK && walk_as_bool(value, &matches) != BUS_OK) {
        matches = true;
    }
    return matches ? CLI_DONE : CLI_NEGATIVE;
}

static int
run(int argc, char **argv)
{
    flags_t flags = {0};
    const char *words[1] = {NULL};
    unsigned word_count = 0;
    uint64_t until_us = 0;
    option_parse(&options, argc, argv, &flags, words, &word_count);
    bool has_until = flags.until != NULL;
    if (has_until && rfc3339_parse(view_from_text(flags.until), &until_us) != BUS_OK) {
        return cli_fail(CLI_USAGE, "--until: `%s` is no RFC 3339 time", flags.until);
    }
    int status = cli_karma_user(words[0]);
    if (status != CLI_DONE) {
        return status;
    }
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, has_until ? 2 : 1);
    pack_pair_text(body, "user_id", words[0]);
    if (has_until) {
        pack_pair_text(body, "until", flags.until);
    }
    const cli_question_t ask = {.flags = &flags.karma,
                                .topic = "req.karma.replay",
                                .body = pack_view(body),
                                .print = print};
    return cli_question_ask(&ask);
}

const cli_command_t cli_karma_replay = {
    .name = "replay",
    .summary = "make a user's karma anew and compare",
    .group = CLI_GROUP_LOOK,
    .options = &options,
    .run = run,
};
