// act.h - what this process does in the world.
//
// For each queued execution it says `started`, with its boot, and waits until that is applied; then
// it acts, once, and says `finished` until that is applied. What another boot started is said to
// have been interrupted. So whatever is killed when, an effect happens at most once, and who waits
// is told.
#pragma once
#include "adapter.h"
#include "tables.h"

// At once for one adapter: a slow server has the others' executions wait for nothing, and what is
// asked of one server stays below what it takes from one client (Postfix: 50 connections).
enum { WORKFLOW_ACT_EACH_MAX = 32 };

// Starts acting, over the service's loop and client. `servers` is copied.
workflow_act_t *workflow_act_new(service_t *service, const workflow_servers_t *servers);
// Ends what is under way. What was begun is for the next boot to call interrupted.
void workflow_act_destroy(workflow_act_t **self_p);

// Begins nothing more that it has not asked for. Returns whether anything is in its hands.
bool workflow_act_drain(workflow_act_t *self);

// Does what is due as of the query's transaction: the service's `act`, and once a second its tick.
void workflow_act_look(workflow_act_t *self, service_query_t *query);
