// history.h - what Core learns and keeps of tasks: the reducer over its own facts.
//
// The selector learns here and nowhere else: an outcome counts when its record is applied, some
// milliseconds after it was told, so what was learned is in the store, comes back after a restart,
// and a rebuild learns the same again.
#pragma once
#include "core_self.h"

enum {
    CORE_HISTORY_TASKS_MAX = 100000, // kept: GET /tasks/{task_id} has them
    CORE_HISTORY_DAYS = 7,           // likewise, at most
};
#define CORE_HISTORY_BYTES_MAX (UINT64_C(4) << 30) // of their answers

// core.event.rl_outcome, core.event.agent_result, core.event.task_error; of bhiv_core alone.
BUS_CHECK bus_err_t core_history_outcome(service_apply_t *apply, const void *message);
BUS_CHECK bus_err_t core_history_result(service_apply_t *apply, const void *message);
BUS_CHECK bus_err_t core_history_error(service_apply_t *apply, const void *message);
// core.feedback: a person's reward takes the place of the formula's. Answers {status, task_id,
// agent_id, reward, previous, average_reward, count}. BUS_NOT_FOUND, BUS_VALIDATION_FAILED.
BUS_CHECK bus_err_t core_history_feedback(service_apply_t *apply, const void *message);
// workflow.execute of Core's own; and what became of it: core.event.workflow_execution, which tells
// of every execution, and workflow.finished, of those that took time (and where the executor tells
// no events).
BUS_CHECK bus_err_t core_history_workflow(service_apply_t *apply, const void *message);
BUS_CHECK bus_err_t core_history_execution(service_apply_t *apply, const void *message);
BUS_CHECK bus_err_t core_history_finished(service_apply_t *apply, const void *message);

// What is kept of a task: *ret_task points into the store. BUS_NOT_FOUND, BUS_CORRUPT, BUS_IO.
BUS_CHECK bus_err_t core_history_find(store_txn_t *txn,
                                      bus_view_t task_id,
                                      uint64_t *ret_seq,
                                      schema_core_task_t *ret_task);
// What its agent answered. BUS_NOT_FOUND, BUS_CORRUPT, BUS_IO.
BUS_CHECK bus_err_t core_history_output(store_txn_t *txn, uint64_t seq, bus_view_t *ret_output);
