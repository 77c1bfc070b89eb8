// progress.h - one line that says what long work is at, where standard error is a terminal.
#pragma once
#include "cli.h"

// Shows `<doing> <what>`, in place of what was shown. Nothing where standard error is no terminal.
void cli_progress_show(const char *doing, const char *what);
// Takes it away: before anything else is written.
void cli_progress_clear(void);
