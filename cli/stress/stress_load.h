// stress_load.h - the load of the HTM drill: tasks put in as fast as the bus takes them, workers
// started and killed while they run, the queue looked at every second, duplicates at the end.
#pragma once
#include "stress.h"
#include "stress_instance.h"

typedef struct {
    cli_stress_run_t *run; // for samples and events
    const cli_stress_instance_t *instance;
    const cli_stress_htm_t *htm;
} cli_stress_load_t;

typedef struct {
    uint64_t samples;
    double mean_depth; // of the samples: waiting and running
    uint64_t max_depth;
    uint64_t refused;            // tasks that the queue or the bus did not take
    uint64_t killed;             // workers
    unsigned spawned;            // worker processes in all
    uint64_t duplicates_sent;    // of tasks and of completions
    uint64_t duplicates_ignored; // of them: those that changed nothing
    double enqueue_seconds;      // until the last was durable
} cli_stress_loaded_t;

// Returns 0 when all tasks are over; CLI_TIMED_OUT where nothing moves any more; CLI_INTERRUPTED.
BUS_CHECK int cli_stress_load_run(const cli_stress_load_t *load, cli_stress_loaded_t *ret_loaded);
