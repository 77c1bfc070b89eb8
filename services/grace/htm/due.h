// due.h - time: when a task is to be looked at next, and what is done with it then.
//
// `apply` has no clock. HTM journals task.clock when the first row of HTM_DUE is in the past
// (live.c), and what is due by that record's time is done where it is applied.
#pragma once
#include "state.h"

enum { HTM_DUE_MAX = 1000 }; // looked at in one record: what is left has the next

// Writes the task, and plans its next look. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t htm_due_save(service_apply_t *apply, htm_task_t *task);

// When the first look is due. BUS_NOT_FOUND where none is; BUS_IO.
BUS_CHECK bus_err_t htm_due_first(store_txn_t *txn, uint64_t *ret_at_us);

// task.clock
bus_err_t htm_due_clock(service_apply_t *apply, const void *message);
