// stress_report.h - the dashboard: one page of all drills whose results lie in a folder.
#pragma once
#include "cli.h"

// Where the page goes: `given`, else reports/stress_dashboard.html, or `logs_dir` where that is not
// the usual one.
void cli_stress_report_path(const char *logs_dir, const char *given, char ret_path[CLI_PATH_SIZE]);

// Reads the results in `logs_dir` (stress_results.h), and writes the page to `html_path` (its
// folder is made; whole or not at all). Files that are no results are counted on the page. Returns
// 0, or says what is wrong and returns the exit status.
BUS_CHECK int cli_stress_report_write(const char *logs_dir, const char *html_path);
