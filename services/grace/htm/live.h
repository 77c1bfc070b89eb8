// live.h - what the process does beside applying: the clock, workers that go, pressure, metrics.
//
// Nothing here decides: what it sees it journals as a fact (task.clock, task.worker.gone,
// task.pressure), and the reducer decides where that is applied.
//
// Owner: the loop's thread.
#pragma once
#include "config.h"
#include "state.h"

BUS_CHECK bus_err_t htm_live_new(service_t *service, htm_state_t *state, htm_live_t **ret_self);
void htm_live_destroy(htm_live_t **self_p);
// After a commit.
void htm_live_act(htm_live_t *self, service_query_t *query);
// Once a second, or sooner where it asked for it.
void htm_live_tick(htm_live_t *self, service_query_t *query);
