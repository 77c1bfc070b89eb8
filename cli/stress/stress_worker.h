// stress_worker.h - the workers of the HTM drill: child processes that take tasks and may be
// killed.
//
// Owner: the main thread; outlives no loop that it was given.
#pragma once
#include "runtime/loop.h"
#include "stress_instance.h"

enum { CLI_STRESS_WORKERS_MAX = 64 };

// The handlers that each of them serves, as the originals' drill drew them.
extern const char *const cli_stress_worker_handlers[];
enum { CLI_STRESS_WORKER_HANDLERS = 4 };

typedef struct {
    const cli_stress_instance_t *instance; // outlives them
    unsigned count;
    unsigned slots;
    unsigned work_ms; // that each task takes
} cli_stress_workers_options_t;

typedef struct cli_stress_workers cli_stress_workers_t;

// Starts all of them; they say to the queue that they are ready when they are. NULL, having said
// why, where a process cannot be started.
cli_stress_workers_t *cli_stress_workers_new(const cli_stress_workers_options_t *options);
// SIGTERM, then SIGKILL; all are gone when it returns.
void cli_stress_workers_destroy(cli_stress_workers_t **self_p);

// Kills worker `which` (below the count) with SIGKILL and starts another in its place: under the
// same name, as a supervisor would, or under a new one, so that the queue has to notice by itself.
// Returns 0, or says why not and returns the exit status.
BUS_CHECK int cli_stress_workers_kill(cli_stress_workers_t *self, unsigned which, bool same_name);
// How many processes were started in all.
unsigned cli_stress_workers_spawned(const cli_stress_workers_t *self);
