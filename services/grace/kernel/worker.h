// worker.h - a worker: takes tasks from HTM, and tells what came of them.
//
// It says task.worker.ready (with its client's instance, so that HTM sees at once when the process
// goes) after each welcome, takes task.execute.<handler> that name it, renews the lease of what is
// still open, and says task.completed or task.failed until that is durable. The same attempt handed
// out twice is one job; what was done and is handed out again is told again, not done again.
//
// Owner: the loop's thread. Nothing blocks.
#pragma once
#include "runtime/client.h"
#include "runtime/loop.h"

typedef struct kernel_worker kernel_worker_t;

// A task in hand. Its views live until it is completed or failed.
typedef struct kernel_worker_job {
    bus_view_t task_id;
    bus_view_t task_type;
    bus_view_t handler;
    bus_view_t priority;
    bus_view_t context;  // one whole map
    bus_view_t trace_id; // absent: none. What the job says should carry it
    uint64_t attempt;
    void *own; // the worker's, NULL at first
} kernel_worker_job_t;

// Begins a task. It ends it now or later, with kernel_worker_complete or kernel_worker_fail.
typedef void(kernel_worker_fn)(void *arg, kernel_worker_job_t *job);

typedef struct {
    const char *name;            // unique among workers; a kernel's is its service's
    const char *const *handlers; // at least one
    size_t handler_count;
    unsigned slots; // tasks at once, 1 to KERNEL_WORKER_SLOTS_MAX
    kernel_worker_fn *fn;
    void *arg;
} kernel_worker_options_t;

enum { KERNEL_WORKER_SLOTS_MAX = 1024, KERNEL_WORKER_HANDLERS_MAX = 32 };

// `client` says hello (its options.service is set) and outlives the worker. The worker subscribes
// through it; it leaves client_on_welcome to its owner.
kernel_worker_t *
kernel_worker_new(loop_t *loop, client_t *client, const kernel_worker_options_t *options);
// Jobs that are open are given up: HTM hands them to others. Says task.worker.gone.
void kernel_worker_destroy(kernel_worker_t **self_p);

// Says task.worker.ready again: at each welcome, and when it should be heard of.
void kernel_worker_announce(kernel_worker_t *self);
// How many jobs are open.
size_t kernel_worker_open(const kernel_worker_t *self);

// Ends a job; NULL afterwards. `result`: one whole map, copied. `error`: for a person.
void kernel_worker_complete(kernel_worker_t *self, kernel_worker_job_t **job_p, bus_view_t result);
void kernel_worker_fail(kernel_worker_t *self,
                        kernel_worker_job_t **job_p,
                        const char *error,
                        bool retry);
