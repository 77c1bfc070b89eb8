// show.h - what Core shows of itself: agents, configuration, what was learned, health.
#pragma once
#include "core_self.h"

// req.core.agents: {agents: [{agent_id, kind, enabled, available, standby, input_types, tags, …}],
// count}.
BUS_CHECK bus_err_t core_show_agents(service_query_t *query, const void *message);
// req.core.config: {agents, rl, timeouts, workflow, timestamp}; no secrets.
BUS_CHECK bus_err_t core_show_config(service_query_t *query, const void *message);
// req.core.rl_stats: {agents: [{agent_id, count, average_reward, confidence, …}], total_tasks,
// epsilon, epsilon_by_input}.
BUS_CHECK bus_err_t core_show_rl(service_query_t *query, const void *message);

// Pairs for the open map of the service's health. Returns how many.
unsigned core_show_health(const core_state_t *core, store_txn_t *txn, pack_t *out);
