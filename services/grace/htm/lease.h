// lease.h - who has what: HTM_RUNNING, by worker, then by task.
#pragma once
#include "task.h"

// Notes that a task is with a worker, or no longer. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t htm_lease_add(store_txn_t *txn, bus_view_t worker, uint64_t seq);
BUS_CHECK bus_err_t htm_lease_remove(store_txn_t *txn, bus_view_t worker, uint64_t seq);

// One of them, and a place to go on from. All zero is before the first.
typedef struct {
    char worker[HTM_TASK_NAME_MAX];
    size_t worker_size;
    uint64_t seq;
} htm_lease_t;

// The first behind *reterr_lease, which it becomes. BUS_NOT_FOUND, BUS_IO.
BUS_CHECK bus_err_t htm_lease_next(store_txn_t *txn, htm_lease_t *reterr_lease);
// The first task above `seq` that a worker of this name has. BUS_NOT_FOUND, BUS_IO.
BUS_CHECK bus_err_t htm_lease_next_of(store_txn_t *txn,
                                      bus_view_t worker,
                                      uint64_t seq,
                                      uint64_t *ret_seq);
