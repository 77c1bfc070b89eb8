// list.h - walking tasks by status: for questions, in a read transaction.
#pragma once
#include "state.h"

// Return false to end the walk.
typedef bool(htm_list_fn)(void *arg, const htm_task_t *task);

// Calls `fn` with the tasks of one status: waiting ones in the order in which they would start,
// those with a delay behind them by its end; others the latest first. `handler`: only its; absent:
// all. Damaged ones are left out. BUS_IO.
typedef struct {
    store_txn_t *txn;
    const htm_state_t *state;
    bus_view_t handler;
    htm_list_fn *fn;
    void *arg;
} htm_list_t;
BUS_CHECK bus_err_t htm_list_walk(const htm_list_t *list, htm_status_t status);

// Tasks that one walk looks at, where a handler is asked for that few of them have.
enum { HTM_LIST_LOOKED_MAX = 20000 };
