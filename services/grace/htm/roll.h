// roll.h - which workers are still there, as the broker lists its peers.
//
// News of a peer only makes the list be asked for again. A worker whose ready was applied before
// the list was asked for, and whose instance is not in it, is gone; but for a few seconds after a
// welcome, when peers have yet to say hello to a new broker.
//
// Owner: the loop's thread.
#pragma once
#include "state.h"

typedef struct htm_roll htm_roll_t;

BUS_CHECK bus_err_t htm_roll_new(service_t *service, htm_state_t *state, htm_roll_t **ret_self);
void htm_roll_destroy(htm_roll_t **self_p);
// Journals task.worker.gone for those that are.
void htm_roll_tick(htm_roll_t *self, service_query_t *query);
