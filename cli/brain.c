// brain.c - `bhiv brain` with a verb: asks the brain what it sees, decides and learned.
#include "listing.h"
#include "question.h"

static const option_row_t rows[] = {CLI_QUESTION_ROWS("2s")};

// --- status --------------------------------------------------------------------------------------

static const option_table_t status_options = {
    .program = "bhiv brain status",
    .arguments = "",
    .help = "Shows what the brain holds metrics against, which remediations are open, what it saw "
            "last and what it learned.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
};

static int
run_status(int argc, char **argv)
{
    cli_question_flags_t flags = {0};
    option_parse(&status_options, argc, argv, &flags, NULL, NULL);
    const cli_question_t ask = {.flags = &flags,
                                .topic = "req.brain.status",
                                .body = PACK_EMPTY_MAP,
                                .print = cli_question_print};
    return cli_question_ask(&ask);
}

static const cli_command_t status = {
    .name = "status",
    .summary = "baselines, open remediations, scores",
    .group = CLI_GROUP_LOOK,
    .options = &status_options,
    .run = run_status,
};

// --- drifts --------------------------------------------------------------------------------------

typedef struct {
    cli_question_flags_t brain;
    uint64_t limit;
} drifts_flags_t;

enum { LIMIT_MAX = 1000 }; // as in proto/schema/brain.def

// clang-format off
static const option_row_t drifts_rows[] = {
    CLI_QUESTION_ROWS("2s"),
    {"limit", 'n', OPTION_COUNT, "N", "20", offsetof(drifts_flags_t, limit), 1, LIMIT_MAX,
     "most drifts to show"},
};
// clang-format on

static const option_table_t drifts_options = {
    .program = "bhiv brain drifts",
    .arguments = "",
    .help = "Lists metrics that left their baselines, the latest first, and whether something was "
            "done about it.",
    .rows = drifts_rows,
    .row_count = sizeof drifts_rows / sizeof drifts_rows[0],
};

static int
print_drifts(cli_output_t *out, bus_view_t answer)
{
    static const cli_listing_t listing = {
        .list = "drifts",
        .column_count = 8,
        .titles = {"AT", "METRIC", "CURRENT", "BASELINE", "THRESHOLD", "ISSUE", "ACTED", "WHY"},
        .keys =
            {"at", "metric", "current", "baseline", "threshold", "issue_type", "acted", "reason"},
    };
    return cli_listing_print(&listing, out, answer);
}

static int
run_drifts(int argc, char **argv)
{
    drifts_flags_t flags = {.limit = 0};
    option_parse(&drifts_options, argc, argv, &flags, NULL, NULL);
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 1);
    pack_pair_uint(body, "limit", flags.limit);
    const cli_question_t ask = {.flags = &flags.brain,
                                .topic = "req.brain.drifts",
                                .body = pack_view(body),
                                .print = print_drifts};
    return cli_question_ask(&ask);
}

static const cli_command_t drifts = {
    .name = "drifts",
    .summary = "list metrics that left their baselines",
    .group = CLI_GROUP_LOOK,
    .options = &drifts_options,
    .run = run_drifts,
};

// --- why -----------------------------------------------------------------------------------------

static const option_table_t why_options = {
    .program = "bhiv brain why",
    .arguments = "ISSUE",
    .help = "Shows what the brain would do about an issue: the candidates, their scores, the "
            "choice, and the reason in a sentence.\v"
            "  bhiv brain why boot_performance_degradation",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .arguments_min = 1,
    .arguments_max = 1,
};

static int
run_why(int argc, char **argv)
{
    cli_question_flags_t flags = {0};
    const char *words[1] = {NULL};
    unsigned word_count = 0;
    option_parse(&why_options, argc, argv, &flags, words, &word_count);
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 1);
    pack_pair_text(body, "issue_type", words[0]);
    const cli_question_t ask = {.flags = &flags,
                                .topic = "req.brain.why",
                                .body = pack_view(body),
                                .print = cli_question_print};
    return cli_question_ask(&ask);
}

static const cli_command_t why = {
    .name = "why",
    .summary = "what it would do about an issue, and why",
    .group = CLI_GROUP_LOOK,
    .options = &why_options,
    .run = run_why,
};

// --- scores --------------------------------------------------------------------------------------

static const option_table_t scores_options = {
    .program = "bhiv brain scores",
    .arguments = "",
    .help = "Lists how well each kind of task did: .5 success rate + .3 average quality + "
            ".2 / (1 + average minutes).",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
};

static int
print_scores(cli_output_t *out, bus_view_t answer)
{
    static const cli_listing_t listing = {
        .list = "scores",
        .column_count = 4,
        .titles = {"TASK", "SCORE", "SAMPLES", "ADVICE"},
        .keys = {"key", "score", "samples", "advice"},
    };
    return cli_listing_print(&listing, out, answer);
}

static int
run_scores(int argc, char **argv)
{
    cli_question_flags_t flags = {0};
    option_parse(&scores_options, argc, argv, &flags, NULL, NULL);
    const cli_question_t ask = {.flags = &flags,
                                .topic = "req.brain.scores",
                                .body = PACK_EMPTY_MAP,
                                .print = print_scores};
    return cli_question_ask(&ask);
}

static const cli_command_t scores = {
    .name = "scores",
    .summary = "list how well each kind of task did",
    .group = CLI_GROUP_LOOK,
    .options = &scores_options,
    .run = run_scores,
};

const cli_command_t *const cli_brain_verbs[] = {&status, &drifts, &why, &scores, NULL};
