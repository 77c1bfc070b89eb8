// query.h - what the queue is asked: req.htm.status, .tasks, .task, .workers.
#pragma once
#include "state.h"

bus_err_t htm_query_status(service_query_t *query, const void *message);
bus_err_t htm_query_tasks(service_query_t *query, const void *message);
bus_err_t htm_query_task(service_query_t *query, const void *message);
bus_err_t htm_query_workers(service_query_t *query, const void *message);

// Adds queue_sizes and workers to the health.
unsigned htm_query_health(void *state, store_txn_t *txn, pack_t *out);
