// supervise.h - keeps child processes running, and lets none outlive this one.
//
// Owner: the main thread; it makes the process's loop, so call it before any other thread exists.
// A child is this program again. It gets SIGKILL from the kernel when its supervisor dies, however
// that dies; its standard output is read for its `ready …` line, its standard error is ours.
#pragma once
#include "cli.h"
#include <stdint.h>
#include <sys/types.h>

enum {
    CLI_SUPERVISE_CHILDREN_MAX = 32,     // parts of one system
    CLI_SUPERVISE_BACKOFF_MIN_MS = 100,  // the first wait, doubled each time
    CLI_SUPERVISE_BACKOFF_MAX_MS = 5000, // the longest
    CLI_SUPERVISE_STEADY_MS = 1000,      // one that lived so long after ready starts at once again
    CLI_SUPERVISE_STOP_MS = 5000,        // from SIGTERM to SIGKILL
    CLI_SUPERVISE_REPEAT_MS = 1000       // asked to stop again after so long: SIGKILL at once
};

typedef struct {
    const char *name;  // of its process id's file
    char *const *argv; // ends with NULL; argv[0] is what ps shows
    unsigned stage;    // children of a lower stage are stopped first
} cli_supervise_child_t;

typedef struct {
    const cli_supervise_child_t *children;
    size_t count;        // 1 to CLI_SUPERVISE_CHILDREN_MAX
    const char *run_dir; // where <name>.pid goes
    const char *ready;   // the line for stdout once all are ready
    const char *hints;   // text for stderr after it; NULL: none
    uint64_t started_ms; // boot clock: since when the person waits
    int held_fd;         // inherited by every child: a lock that is held while any of them lives
    const char *ingress; // the bus, on which it answers req.supervisor.*; NULL: does not
    const char *egress;
} cli_supervise_t;

// Runs them until SIGTERM, SIGINT or SIGHUP (where that is not ignored). Returns 0 then; or the
// status of a child that gave up (64 to 78) before it was ever ready, after stopping the others.
// What it does for its children never waits for the bus.
int cli_supervise_run(const cli_supervise_t *plan);
