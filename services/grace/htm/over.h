// over.h - tasks that are over, in the order in which they ended; the oldest go.
#pragma once
#include "state.h"

enum {
    HTM_OVER_MAX = 100000,      // kept of each status, so that none pushes out dead letters
    HTM_OVER_REMOVED_MAX = 100, // to make room for one: what a record costs at most
};
// Contexts and results together: a quarter of the smallest map that a store has by default, so that
// rows and their indexes always find room.
#define HTM_OVER_BYTES_MAX (UINT64_C(16) * 1024 * 1024 * 1024)

// Adds the task, which the caller saves, and removes the oldest where there are too many. BUS_FULL,
// BUS_IO.
BUS_CHECK bus_err_t htm_over_add(service_apply_t *apply, htm_task_t *task);
// Takes it out: it lives again. BUS_IO.
BUS_CHECK bus_err_t htm_over_take(service_apply_t *apply, const htm_task_t *task);
// Removes old ones until `bytes` more fit, within limits. Whether they do is in *ret_fits. BUS_IO.
BUS_CHECK bus_err_t htm_over_make_room(service_apply_t *apply, uint64_t bytes, bool *ret_fits);

// Calls `fn` with those of one status, the latest first, until it returns false. BUS_IO.
typedef bool(htm_over_fn)(void *arg, uint64_t seq);
BUS_CHECK bus_err_t htm_over_walk(store_txn_t *txn,
                                  htm_status_t status,
                                  htm_over_fn *fn,
                                  void *arg);
