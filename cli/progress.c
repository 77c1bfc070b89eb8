// progress.c - see progress.h.
#include "progress.h"

#include <stdio.h>
#include <unistd.h>

void
cli_progress_show(const char *doing, const char *what)
{
    if (isatty(STDERR_FILENO) == 1) {
        fprintf(stderr, "\r\033[K%s %s", doing, what);
    }
}

void
cli_progress_clear(void)
{
    if (isatty(STDERR_FILENO) == 1) {
        fputs("\r\033[K", stderr);
    }
}
