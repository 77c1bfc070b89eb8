// stress_task.h - tasks for the queue of a drill's private instance: put in, and waited for.
//
// What came of them is read from the journal (task.done), so nothing is missed.
#pragma once
#include "proto/pack.h"
#include "stress_instance.h"

enum { CLI_STRESS_TASKS_MAX = 4096 }; // at once; `stress htm` has a load generator of its own

typedef struct {
    char id[65];      // task_id
    bus_view_t body;  // of its task.enqueue, one whole map with that task_id
    bus_err_t err;    // of its task.enqueue; BUS_TIMEOUT: it was not over in time
    pack_t *done;     // the body of its task.done, empty: none; destroyed by cli_stress_task_clear
    uint64_t queued;  // journal time of its task.enqueue, us
    uint64_t done_at; // and of its task.done
} cli_stress_task_t;

typedef struct {
    const cli_stress_instance_t *instance;
    cli_stress_task_t *tasks;
    size_t count;
    unsigned timeout_ms;                      // for all of them
    void (*progress)(void *arg, size_t done); // called after each that is over; may be NULL
    void *arg;
} cli_stress_tasks_t;

// Puts them in and waits until each is over, or the time is. Returns 0 (look at each), or
// CLI_NO_ANSWER, CLI_INTERRUPTED.
BUS_CHECK int cli_stress_task_run(const cli_stress_tasks_t *tasks);
void cli_stress_task_clear(cli_stress_task_t *tasks, size_t count);
