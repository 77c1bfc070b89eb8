// execution.h - an execution as it is kept: its record, its key, where it stands.
//
//     workflow.execute --> queued --started--> started --finished--> success | failed
//                  \------------ task, or something is missing ----^
//
// All transitions are records of the journal; the first of two wins. `queued` and `started` ones
// are in WORKFLOW_OPEN, where a process looks for what it is to do.
#pragma once
#include "adapter.h"
#include "proto/schema.h"
#include "tables.h"

#define WORKFLOW_QUEUED "queued"
#define WORKFLOW_STARTED "started"
#define WORKFLOW_SUCCESS "success"
#define WORKFLOW_FAILED "failed"

typedef schema_workflow_execution_t workflow_execution_t;

// Reads one into `copy`, which owns what *ret_execution's views point to. BUS_NOT_FOUND,
// BUS_CORRUPT, BUS_IO.
BUS_CHECK bus_err_t workflow_execution_load(store_txn_t *txn,
                                            uint64_t seq,
                                            pack_t *copy,
                                            workflow_execution_t *ret_execution);
// Writes it; `written` is scratch. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t workflow_execution_save(store_txn_t *txn,
                                            const workflow_execution_t *execution,
                                            pack_t *written);

// The seq of the one with this key. BUS_NOT_FOUND, BUS_IO; BUS_CORRUPT.
BUS_CHECK bus_err_t workflow_execution_find(store_txn_t *txn,
                                            bus_view_t trace_id,
                                            bus_view_t execution_id,
                                            uint64_t *ret_seq);
BUS_CHECK bus_err_t workflow_execution_put_key(store_txn_t *txn,
                                               bus_view_t trace_id,
                                               bus_view_t execution_id,
                                               uint64_t seq);

// Packs what its command is answered: {trace_id, status, execution_result}.
void workflow_execution_answer(const workflow_execution_t *execution, pack_t *out);

// --- Open ones -----------------------------------------------------------------------------------

typedef enum { WORKFLOW_IS_QUEUED = 'q', WORKFLOW_IS_STARTED = 's' } workflow_open_t;

// BUS_FULL, BUS_IO. `boot`: of a started one; else absent.
BUS_CHECK bus_err_t workflow_execution_open(store_txn_t *txn,
                                            workflow_open_t where,
                                            workflow_action_t action,
                                            uint64_t seq,
                                            bus_view_t boot);
// Nothing where it is not there. BUS_IO.
BUS_CHECK bus_err_t workflow_execution_close(store_txn_t *txn,
                                             workflow_open_t where,
                                             workflow_action_t action,
                                             uint64_t seq);
// Whether it is there.
bool workflow_execution_is_open(store_txn_t *txn,
                                workflow_open_t where,
                                workflow_action_t action,
                                uint64_t seq);

// Calls `fn` with those of one action from seq `from` on, the oldest first, until it returns false.
// `boot` is valid during the call. BUS_IO.
typedef bool(workflow_execution_open_fn)(void *arg,
                                         workflow_action_t action,
                                         uint64_t seq,
                                         bus_view_t boot);
typedef struct {
    workflow_open_t where;
    workflow_action_t action;
    uint64_t from;
} workflow_execution_range_t;
BUS_CHECK bus_err_t workflow_execution_walk_open(store_txn_t *txn,
                                                 const workflow_execution_range_t *range,
                                                 workflow_execution_open_fn *fn,
                                                 void *arg);
