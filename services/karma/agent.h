// agent.h - how each agent did, by the life events that name it in their context.
//
// Core and Bucket send `context.agent_id` with what an agent did (agent_…, learning_…, workflow_…;
// the ACTION table says what each counts as). The context is a map, or the JSON text of one. Owner:
// the service's thread. The question is karma_agent in operations.h.
#pragma once
#include "rules.h"
#include "tables.h"

// What is known of one deed.
typedef struct {
    const karma_action_row_t *action;
    bus_view_t context; // whole msgpack, or absent
    bus_view_t user_id;
    uint64_t at;
} karma_agent_deed_t;

// Counts it for its agent, if it has one. `state`: its buffers are used. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t karma_agent_note(store_txn_t *txn,
                                     karma_state_t *state,
                                     const karma_agent_deed_t *deed);
