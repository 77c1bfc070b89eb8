// report.h - what workers say of tasks in hand. The first word that a task was done counts, of
// whatever attempt; that an attempt failed counts while it is the present one.
#pragma once
#include "state.h"

// task.completed
bus_err_t htm_report_completed(service_apply_t *apply, const void *message);
// task.failed
bus_err_t htm_report_failed(service_apply_t *apply, const void *message);
