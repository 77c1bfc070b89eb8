// query.h - what the brain is asked. Each fills the query's answer; BUS_IO.
#pragma once
#include "tables.h"

// req.brain.status: {config, baselines, learned, open, issues, drifts, drift_count, scores,
// recommendations, drills, queue, sla, intents}
BUS_CHECK bus_err_t brain_query_status(service_query_t *query, const void *message);
// req.brain.drifts: {drifts, count}
BUS_CHECK bus_err_t brain_query_drifts(service_query_t *query, const void *message);
// req.brain.why: {issue_type, candidates, choice, why}
BUS_CHECK bus_err_t brain_query_why(service_query_t *query, const void *message);
// req.brain.scores: {scores, outcomes, recommendations}
BUS_CHECK bus_err_t brain_query_scores(service_query_t *query, const void *message);
