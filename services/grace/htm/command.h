// command.h - what people and other services ask of the queue beside enqueueing.
#pragma once
#include "state.h"

// task.cancel
bus_err_t htm_command_cancel(service_apply_t *apply, const void *message);
// task.requeue
bus_err_t htm_command_requeue(service_apply_t *apply, const void *message);
// task.pressure: HTM's own
bus_err_t htm_command_pressure(service_apply_t *apply, const void *message);
// task.order
bus_err_t htm_command_order(service_apply_t *apply, const void *message);
