// metrics.h - what the bridge did, counted by port, route and status, as Prometheus text.
//
// A label is a route's pattern, never a path: the number of series is that of the table's rows.
#pragma once
#include "proto/text.h"
#include "route.h"

bridge_metrics_t *bridge_metrics_new(void);
void bridge_metrics_destroy(bridge_metrics_t **self_p);

// One answered request. `route` NULL: none fitted.
void bridge_metrics_count(bridge_metrics_t *self,
                          bridge_port_id_t port,
                          const bridge_route_t *route,
                          int status,
                          uint64_t took_us);
// One request that was cut before it was whole, or refused by the guard.
void bridge_metrics_count_cut(bridge_metrics_t *self, bridge_port_id_t port);

void bridge_metrics_write(const bridge_metrics_t *self, text_t *out);
// Every counter that the broker's stats (a msgpack map) give as a plain number.
void bridge_metrics_write_bus(bus_view_t stats, text_t *out);

// What /bucket/sla reports: requests on a port (but /health, /healthz and /readyz), and those of
// them that ended in 5xx.
typedef struct {
    uint64_t requests;
    uint64_t failed;
    uint64_t slow; // those of them that took longer than 5 s
} bridge_metrics_sum_t;
bridge_metrics_sum_t bridge_metrics_sum(const bridge_metrics_t *self, bridge_port_id_t port);

// How many of a route's requests were answered with `status`.
uint64_t bridge_metrics_answered(const bridge_metrics_t *self,
                                 bridge_port_id_t port,
                                 const char *operation,
                                 int status);

// The share of a route's requests that took at most `limit_us` (a bound of the histogram: 100,000,
// 500,000 or 5,000,000), and how many there were.
double bridge_metrics_within(const bridge_metrics_t *self,
                             bridge_port_id_t port,
                             const char *operation,
                             uint64_t limit_us,
                             uint64_t *ret_count);
