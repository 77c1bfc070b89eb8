// execute.h - the executor's reducer: a command, and the facts of what became of it.
#pragma once
#include "tables.h"

// Executions that wait for their turn: each keeps its payload anyway, but a backlog of more than
// an hour is an error to whoever adds to it.
enum { WORKFLOW_OPEN_MAX = 100000 };

// Applies workflow.execute. What needs no effect in the world is decided at once; the rest is
// queued, and its command answered when it ends.
BUS_CHECK bus_err_t workflow_execute(service_apply_t *apply, const void *message);
// Applies workflow.started: the first for an execution counts.
BUS_CHECK bus_err_t workflow_execute_started(service_apply_t *apply, const void *message);
// Applies workflow.finished: the first counts.
BUS_CHECK bus_err_t workflow_execute_finished(service_apply_t *apply, const void *message);
