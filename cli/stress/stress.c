// stress.c - `bhiv stress`: drills of the whole system, in private instances of it.
#include "stress.h"

static const cli_command_t *const verbs[] = {
    &cli_stress_boot,
    &cli_stress_ingestion,
    &cli_stress_htm,
    &cli_stress_all,
    &cli_stress_faults,
    &cli_stress_report,
    &cli_stress_gates,
    NULL,
};

// clang-format off
static const option_row_t rows[] = {
    {"dir", 'd', OPTION_TEXT, "DIR", NULL, offsetof(cli_place_t, dir), 0, 0,
     "the system's folder; default ~/.local/state/bhiv"},
};
// clang-format on

static const option_table_t options = {
    .program = "bhiv stress",
    .arguments = "VERB",
    .help = "Drills: each starts private instances of the whole system in folders of their own, "
            "loads or breaks them, and leaves a log and a summary in ./logs/stress. The running "
            "system is not touched; it is told of the result (stress.<suite>.completed).\v"
            "  bhiv stress boot            how fast it starts, and whether it comes back\n"
            "  bhiv stress ingestion       documents through the librarian\n"
            "  bhiv stress htm             tasks through the queue\n"
            "  bhiv stress all             these three\n"
            "  bhiv stress faults          faults of all kinds, and what heals them\n"
            "  bhiv stress report          the dashboard, from all logs\n"
            "  bhiv stress gates           whether the newest drills kept within the gates\n\n"
            "Exit status 1 where a gate was not kept.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
};

static int
run(int argc, char **argv)
{
    cli_place_t place = {.dir = NULL};
    option_parse(&options, argc, argv, &place, NULL, NULL);
    return cli_fail(
        CLI_USAGE,
        "stress: boot, ingestion, htm, all, faults, report or gates? see bhiv stress --help");
}

const cli_command_t cli_stress = {
    .name = "stress",
    .summary = "drill the whole system: boots, documents, tasks, faults",
    .group = CLI_GROUP_KEEP,
    .options = &options,
    .run = run,
    .verbs = verbs,
};
