// query.h - what Bucket answers without changing anything.
#pragma once
#include "proto/schema.h"
#include "runtime/service.h"

// req.bucket.events -> {events, count, showing, next}, oldest first.
BUS_CHECK bus_err_t bucket_query_events(service_query_t *query, const void *message);
// req.bucket.stats -> {stats, integration_status, karma_forwarding}.
BUS_CHECK bus_err_t bucket_query_stats(service_query_t *query, const void *message);
