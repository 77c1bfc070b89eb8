// stress_results.h - the results of drills, as they lie in a folder.
#pragma once
#include "cli.h"
#include <jansson.h>

enum {
    CLI_STRESS_RESULTS_RUNS_MAX = 500,     // of a suite, the newest
    CLI_STRESS_RESULTS_FILE_MAX = 8 << 20, // bytes of one result; a larger file is skipped
    CLI_STRESS_RESULTS_ARRAY_MAX = 256     // longer lists in a result (samples) are left out
};

// Their names, which are their folders' too; ends with NULL.
extern const char *const cli_stress_suites[];

// A suite's results, oldest first: <logs_dir>/{boot,htm,faults}/*_summary.json and
// <logs_dir>/ingestion/*.json. An array of objects with test_id, started_at and summary, for the
// caller to let go; empty where there is no such folder. Files that are no results are added to
// *skipped.
json_t *cli_stress_results_read(const char *logs_dir, const char *suite, size_t *skipped);
