// stress_all.c - `bhiv stress all`: boots, documents and tasks, one after the other.
#include "output.h"
#include "stress.h"

typedef struct {
    cli_stress_flags_t stress;
    cli_stress_boot_t boot;
    cli_stress_ingestion_t ingestion;
    cli_stress_htm_t htm;
} flags_t;

#define AT(field) offsetof(flags_t, field)
// clang-format off
static const option_row_t rows[] = {
    CLI_STRESS_ROWS(flags_t, stress),
    {"cycles", 0, OPTION_COUNT, "N", "5", AT(boot.cycles), 1, 1000, "of boot"},
    {"docs", 0, OPTION_COUNT, "N", "10", AT(ingestion.docs), 1, 1000, "of ingestion"},
    {"tasks", 0, OPTION_COUNT, "N", "100", AT(htm.tasks), 1, 10000000, "of htm"},
    {"seed", 0, OPTION_COUNT, "N", "1", AT(htm.seed), 0, 0, "of documents and tasks"},
    {"max-boot", 0, OPTION_MS, "TIME", "500ms", AT(boot.max_boot_ms), 1, 3600000,
     "gate: the average boot may take so long"},
    {"min-score", 0, OPTION_COUNT, "PERCENT", "70", AT(ingestion.min_score), 0, 100,
     "gate: average trust and average quality, at least"},
    {"max-breaches", 0, OPTION_COUNT, "N", "0", AT(htm.max_breaches), 0, 0,
     "gate: so many tasks may be late"},
};
// clang-format on
#undef AT

static const option_table_t options = {
    .program = "bhiv stress all",
    .arguments = "",
    .help = "Runs the boot, ingestion and HTM drills, one after the other, each in instances of "
            "its own. Every one is run, also after one that failed.\v"
            "Exit status 1 where a gate of any was not kept.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
};

// A worse one stays: what could not be run over what failed over what passed.
static int
worse(int a, int b)
{
    return a == CLI_DONE || (a == CLI_NEGATIVE && b != CLI_DONE) ? b : a;
}

// One suite after another; how many gave a result is what `collected` has of them.
static int
run_suites(const flags_t *flags, uint32_t *ret_results)
{
    int status = CLI_DONE;
    for (int suite = 0; suite < 3; ++suite) {
        size_t before = pack_view(flags->stress.collected).size;
        int one = suite == 0   ? cli_stress_boot_run(&flags->stress, &flags->boot)
                  : suite == 1 ? cli_stress_ingestion_run(&flags->stress, &flags->ingestion)
                               : cli_stress_htm_run(&flags->stress, &flags->htm);
        if (one == CLI_INTERRUPTED) {
            return one;
        }
        *ret_results += pack_view(flags->stress.collected).size > before;
        status = worse(status, one);
    }
    return status;
}

static int
run(int argc, char **argv)
{
    flags_t flags = {.htm = {.workers = 8, .slots = 16}};
    option_parse(&options, argc, argv, &flags, NULL, NULL);
    cli_output_t out;
    int status = cli_output_init(&out, flags.stress.format);
    if (status != CLI_DONE) {
        return status;
    }
    BUS_AUTO(pack_destroy) pack_t *collected = pack_new();
    flags.ingestion.seed = flags.htm.seed;
    flags.stress.collected = collected;
    uint32_t results = 0;
    status = run_suites(&flags, &results);
    if (out.format != CLI_FORMAT_LINE && status != CLI_INTERRUPTED) {
        BUS_AUTO(pack_destroy) pack_t *all = pack_new();
        pack_map(all, results + 1);
        pack_raw(all, pack_view(collected));
        pack_pair_bool(all, "passed", status == CLI_DONE);
        cli_output_value(&out, pack_view(all));
        status = cli_output_flush(&out) ? status : CLI_IO;
    }
    cli_output_clear(&out);
    return status;
}

const cli_command_t cli_stress_all = {
    .name = "all",
    .summary = "boots, documents and tasks",
    .group = CLI_GROUP_KEEP,
    .options = &options,
    .run = run,
};
