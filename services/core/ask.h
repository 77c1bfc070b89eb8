// ask.h - the questions that make tasks: handle_task, handle_multi_task, query_kb; and what became
// of one.
#pragma once
#include "core_self.h"

// Each is answered when the task is finished, however long that takes: {task_id, agent_output,
// status, agent_id, workflow?}. A repeat of the same request under the same task_id gets the same
// answer. BUS_VALIDATION_FAILED; BUS_CONFLICT, or BUS_IDEMPOTENCY_KEY_REUSED, where another request
// has the task_id; BUS_BUSY.
BUS_CHECK bus_err_t core_ask_task(service_query_t *query, const void *message);
BUS_CHECK bus_err_t core_ask_kb(service_query_t *query, const void *message);

// req.core.task. BUS_NOT_FOUND.
BUS_CHECK bus_err_t core_ask_show(service_query_t *query, const void *message);

// What several questions check alike. Each refuses and returns BUS_VALIDATION_FAILED.
BUS_CHECK bus_err_t core_ask_read_input(service_query_t *query,
                                        bus_view_t word,
                                        core_input_t *ret_input);
BUS_CHECK bus_err_t core_ask_check_tags(service_query_t *query, bus_view_t tags);
// 422 with one field named.
bus_err_t core_ask_invalid(service_query_t *query, const char *field, const char *problem);

// multi.c: req.core.handle_multi_task.
BUS_CHECK bus_err_t core_multi_ask(service_query_t *query, const void *message);
// Whether one of this id is under way.
bool core_multi_is_running(const core_state_t *core, bus_view_t id);
// Forgets those that are under way; nobody is answered. Their tasks go before.
void core_multi_clear(core_state_t *core);
