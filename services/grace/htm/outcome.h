// outcome.h - how a task goes from one state to another. Each changes the task, which the caller
// saves with htm_due_save (but htm_outcome_end, which saves it), the counts, the order and what its
// worker has, and says what is to be said. All return BUS_OK, BUS_FULL or BUS_IO.
#pragma once
#include "state.h"

typedef enum { HTM_OUTCOME_LAPSED, HTM_OUTCOME_GONE } htm_outcome_loss_t;

// From nowhere, held or running into the queue: to start at once, or after a delay.
BUS_CHECK bus_err_t htm_outcome_wait(service_apply_t *apply, htm_task_t *task, uint64_t delay_us);
// Its delay is over.
BUS_CHECK bus_err_t htm_outcome_wake(service_apply_t *apply, htm_task_t *task);
// Out of the queue, or its hold, on the way to another state.
BUS_CHECK bus_err_t htm_outcome_withdraw(service_apply_t *apply, htm_task_t *task);
// From waiting to a worker.
BUS_CHECK bus_err_t htm_outcome_start(service_apply_t *apply,
                                      htm_task_t *task,
                                      htm_worker_t *worker);
// From its worker, on the way to another state.
BUS_CHECK bus_err_t htm_outcome_release(service_apply_t *apply, htm_task_t *task);
// Whichever of the two it is.
BUS_CHECK bus_err_t htm_outcome_leave(service_apply_t *apply, htm_task_t *task);
// A running attempt is lost: again at once, or dead.
BUS_CHECK bus_err_t htm_outcome_lose(service_apply_t *apply,
                                     htm_task_t *task,
                                     htm_outcome_loss_t loss);
// A running attempt failed: again after a while, or dead.
BUS_CHECK bus_err_t htm_outcome_fail(service_apply_t *apply,
                                     htm_task_t *task,
                                     bus_view_t error,
                                     bool may_retry);
// The end of one that left what it was: completed, dead or cancelled. `result`: absent where there
// is none. The reason is in the task. Saves it.
BUS_CHECK bus_err_t htm_outcome_end(service_apply_t *apply,
                                    htm_task_t *task,
                                    htm_status_t status,
                                    bus_view_t result);
// All leases begin anew: the queue was away.
BUS_CHECK bus_err_t htm_outcome_renew_all(service_apply_t *apply);
