// command.h - what people and other services ask of the queue beside enqueueing.
#pragma once
#include "state.h"

// Each applies one message, answers it, and returns what service_refuse does or what the store did.

// task.cancel: takes a task that is not over out of the queue.
bus_err_t htm_command_cancel(service_apply_t *apply, const void *message);
// task.requeue: a dead letter lives again.
bus_err_t htm_command_requeue(service_apply_t *apply, const void *message);
// task.pressure: whether the machine is strained; HTM's own word alone.
bus_err_t htm_command_pressure(service_apply_t *apply, const void *message);
// task.order: the reserve and when tasks escalate.
bus_err_t htm_command_order(service_apply_t *apply, const void *message);
