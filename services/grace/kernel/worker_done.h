// worker_done.h - what a worker did, until HTM's journal has it, and a while longer.
//
// Inside of worker.h, for worker.c alone; the loop's thread. What is not durable yet is told again
// until it is, or until the broker refuses it for good; KERNEL_WORKER_DONE_KEPT that are durable
// are kept to answer a task that is handed out once more.
#pragma once
#include "worker.h"

enum { KERNEL_WORKER_DONE_KEPT = 128 }; // handed out again is handed out at once, not much later

typedef struct kernel_worker_done kernel_worker_done_t;

// `untold_max`: how many may wait to be durable.
kernel_worker_done_t *kernel_worker_done_new(client_t *client, size_t untold_max);
void kernel_worker_done_destroy(kernel_worker_done_t **self_p);

// Whether so many wait to be durable that no more can be taken on.
bool kernel_worker_done_is_full(const kernel_worker_done_t *self);
// Tells the end of `job`: `body` is the whole task.completed, or of a failure task.failed; copied.
void kernel_worker_done_add(kernel_worker_done_t *self,
                            const kernel_worker_job_t *job,
                            bool is_failure,
                            bus_view_t body);
// A task was handed out: was it done already? Then that is told again, and it is not to be done. A
// failure stands only for its own attempt, and only until HTM has it.
bool
kernel_worker_done_tell_again(kernel_worker_done_t *self, bus_view_t task_id, uint64_t attempt);
// Tells what could not be told.
void kernel_worker_done_tell_rest(kernel_worker_done_t *self);
