// event.h - what happened to a task where that is unusual: retries, escalations, requeues. Its
// ordinary life is told by its row's times.
#pragma once
#include "proto/pack.h"
#include "task.h"

enum { HTM_EVENT_MAX = 100 }; // of one task: later ones are counted, not kept

// Adds one, and counts it in the task, which the caller saves. `detail` may be absent.
// BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t htm_event_add(
    store_txn_t *txn, htm_task_t *task, uint64_t at_us, const char *what, bus_view_t detail);
// Removes all of a task. BUS_IO.
BUS_CHECK bus_err_t htm_event_remove(store_txn_t *txn, const htm_task_t *task);
// Packs them as one array of {at, what, attempt, worker?, detail?}, in their order; damaged ones
// are left out.
BUS_CHECK bus_err_t htm_event_pack(store_txn_t *txn, const htm_task_t *task, pack_t *out);
