// query.h - what the executor is asked about executions.
#pragma once
#include "tables.h"

// req.workflow.executions, req.workflow.status, req.workflow.stats
BUS_CHECK bus_err_t workflow_query_executions(service_query_t *query, const void *message);
BUS_CHECK bus_err_t workflow_query_status(service_query_t *query, const void *message);
BUS_CHECK bus_err_t workflow_query_stats(service_query_t *query, const void *message);

// Packs one pair, `executions`, with what is open and what has ended, counted: for the health and
// the metrics. BUS_IO, BUS_CORRUPT.
BUS_CHECK bus_err_t workflow_query_pack_counts(store_txn_t *txn, pack_t *out);
