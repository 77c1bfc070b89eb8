// stress_report.h - the dashboard: one page of all drills whose results lie in a folder.
#pragma once
#include "cli.h"

// Reads the results in `logs_dir` (stress_results.h), and writes the page to `html_path` (its
// folder is made; whole or not at all). Files that are no results are counted on the page. Returns
// 0, or says what is wrong and returns the exit status.
BUS_CHECK int cli_stress_report_write(const char *logs_dir, const char *html_path);
