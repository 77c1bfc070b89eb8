// task.h - the task adapter: tasks that are kept, listed and completed here. Its whole effect is a
// record, so `apply` does it all.
#pragma once
#include "execution.h"

// Makes a task of a checked payload, says workflow.task.created, and packs the result. BUS_FULL,
// BUS_IO.
BUS_CHECK bus_err_t workflow_task_create(service_apply_t *apply,
                                         const workflow_execution_t *execution,
                                         const workflow_values_t *values,
                                         pack_t *result);

// Applies workflow.task.complete. A completed task stays as it is.
BUS_CHECK bus_err_t workflow_task_complete(service_apply_t *apply, const void *message);

// req.workflow.tasks, req.workflow.task
BUS_CHECK bus_err_t workflow_task_query_list(service_query_t *query, const void *message);
BUS_CHECK bus_err_t workflow_task_query_one(service_query_t *query, const void *message);
