// strain.h - whether the machine is strained, as layer2.telemetry.stream tells.
//
// Owner: the loop's thread. Two messages in a row decide, and 5 points lie between strained and no
// longer, so that a figure at the limit does not flutter.
#pragma once
#include "config.h"
#include "state.h"

typedef struct htm_strain htm_strain_t;

BUS_CHECK bus_err_t htm_strain_new(service_t *service,
                                   htm_state_t *state,
                                   const htm_config_t *config,
                                   htm_strain_t **ret_self);
void htm_strain_destroy(htm_strain_t **self_p);
// Journals task.pressure where what was applied last is no longer so.
void htm_strain_tick(htm_strain_t *self, service_query_t *query);
// As told last; 0 before.
double htm_strain_cpu(const htm_strain_t *self);
double htm_strain_memory(const htm_strain_t *self);
