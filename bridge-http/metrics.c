// metrics.c - counters and histograms, one cell a port and row.
#include "metrics.h"
#include "proto/walk.h"
#include <assert.h>
#include <stdlib.h>

enum { STAT_NAMES_MAX = 64 }; // counters of the broker that become metrics

static const int statuses[] = {
    200, 202, 204, 400, 401, 403, 404, 405, 408, 409, 413, 422, 429, 431, 500, 503, 504, 507};
static const uint64_t bounds_us[] = {
    500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 5000000};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef struct {
    uint64_t by_status[COUNT(statuses) + 1]; // the last: any other
    uint64_t within[COUNT(bounds_us)];       // not cumulative
    uint64_t beyond;
    uint64_t sum_us;
} cell_t;

struct bridge_metrics {
    cell_t *cells; // by port, then by row; behind the rows one for what fits none
    uint64_t cuts[BRIDGE_PORT_COUNT];
};

static cell_t *
cell_at(const bridge_metrics_t *self, bridge_port_id_t port, size_t row)
{
    return &self->cells[(size_t) port * (bridge_route_count + 1) + row];
}

bridge_metrics_t *
bridge_metrics_new(void)
{
    bridge_metrics_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    self->cells = calloc(BRIDGE_PORT_COUNT * (bridge_route_count + 1), sizeof(cell_t));
    assert(self->cells != NULL);
    return self;
}

void
bridge_metrics_destroy(bridge_metrics_t **self_p)
{
    bridge_metrics_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    free(self->cells);
    free(self);
    *self_p = NULL;
}

void
bridge_metrics_count(bridge_metrics_t *self,
                     bridge_port_id_t port,
                     const bridge_route_t *route,
                     int status,
                     uint64_t took_us)
{
    size_t row = route == NULL ? bridge_route_count : (size_t) (route - bridge_routes);
    cell_t *cell = cell_at(self, port, row);
    size_t slot = 0;
    while (slot < COUNT(statuses) && statuses[slot] != status) {
        slot++;
    }
    cell->by_status[slot]++;
    size_t bound = 0;
    while (bound < COUNT(bounds_us) && took_us > bounds_us[bound]) {
        bound++;
    }
    *(bound < COUNT(bounds_us) ? &cell->within[bound] : &cell->beyond) += 1;
    cell->sum_us += took_us;
}

void
bridge_metrics_count_cut(bridge_metrics_t *self, bridge_port_id_t port)
{
    self->cuts[port]++;
}

static uint64_t
cell_total(const cell_t *cell)
{
    uint64_t total = cell->beyond;
    for (size_t i = 0; i < COUNT(bounds_us); i++) {
        total += cell->within[i];
    }
    return total;
}

static const char *
row_path(size_t row)
{
    return row == bridge_route_count ? "none" : bridge_routes[row].path;
}

static const char *
row_method(size_t row)
{
    return row == bridge_route_count ? "none" : bridge_route_method_text(bridge_routes[row].method);
}

static void
write_requests(const bridge_metrics_t *self, bridge_port_id_t port, size_t row, text_t *out)
{
    const cell_t *cell = cell_at(self, port, row);
    for (size_t i = 0; i <= COUNT(statuses); i++) {
        if (cell->by_status[i] > 0) {
            text_add_format(
                out,
                "bhiv_http_requests_total{port=\"%s\",method=\"%s\",route=\"%s\",status=\"%d\"} "
                "%lu\n",
                bridge_server_port_name(port),
                row_method(row),
                row_path(row),
                i < COUNT(statuses) ? statuses[i] : 0,
                (unsigned long) cell->by_status[i]);
        }
    }
}

static void
write_durations(const bridge_metrics_t *self, bridge_port_id_t port, size_t row, text_t *out)
{
    const cell_t *cell = cell_at(self, port, row);
    uint64_t total = cell_total(cell);
    if (total == 0) {
        return;
    }
    const char *name = bridge_server_port_name(port);
    uint64_t sum = 0;
    for (size_t i = 0; i < COUNT(bounds_us); i++) {
        sum += cell->within[i];
        text_add_format(out,
                        "bhiv_http_request_seconds_bucket{port=\"%s\",method=\"%s\",route=\"%s\","
                        "le=\"%g\"} %lu\n",
                        name,
                        row_method(row),
                        row_path(row),
                        (double) bounds_us[i] / 1e6,
                        (unsigned long) sum);
    }
    text_add_format(out,
                    "bhiv_http_request_seconds_bucket{port=\"%s\",method=\"%s\",route=\"%s\","
                    "le=\"+Inf\"} %lu\n"
                    "bhiv_http_request_seconds_sum{port=\"%s\",method=\"%s\",route=\"%s\"} %.6f\n"
                    "bhiv_http_request_seconds_count{port=\"%s\",method=\"%s\",route=\"%s\"} %lu\n",
                    name,
                    row_method(row),
                    row_path(row),
                    (unsigned long) total,
                    name,
                    row_method(row),
                    row_path(row),
                    (double) cell->sum_us / 1e6,
                    name,
                    row_method(row),
                    row_path(row),
                    (unsigned long) total);
}

void
bridge_metrics_write(const bridge_metrics_t *self, text_t *out)
{
    text_add_format(out,
                    "# HELP bhiv_http_requests_total Requests answered, by route and status; "
                    "status 0 is any other.\n# TYPE bhiv_http_requests_total counter\n");
    for (unsigned port = 0; port < BRIDGE_PORT_COUNT; port++) {
        for (size_t row = 0; row <= bridge_route_count; row++) {
            write_requests(self, (bridge_port_id_t) port, row, out);
        }
    }
    text_add_format(out,
                    "# HELP bhiv_http_request_seconds From the request line to the answer.\n"
                    "# TYPE bhiv_http_request_seconds histogram\n");
    for (unsigned port = 0; port < BRIDGE_PORT_COUNT; port++) {
        for (size_t row = 0; row <= bridge_route_count; row++) {
            write_durations(self, (bridge_port_id_t) port, row, out);
        }
    }
    text_add_format(out,
                    "# HELP bhiv_http_cut_total Connections cut or refused before a request was "
                    "whole.\n# TYPE bhiv_http_cut_total counter\n");
    for (unsigned port = 0; port < BRIDGE_PORT_COUNT; port++) {
        text_add_format(out,
                        "bhiv_http_cut_total{port=\"%s\"} %lu\n",
                        bridge_server_port_name((bridge_port_id_t) port),
                        (unsigned long) self->cuts[port]);
    }
}

void
bridge_metrics_write_bus(bus_view_t stats, text_t *out)
{
    text_add_format(out,
                    "# HELP bhiv_bus The broker's counters, a second old at most.\n"
                    "# TYPE bhiv_bus gauge\n");
    walk_pairs_t pairs = walk_pairs(stats);
    bus_view_t key;
    bus_view_t value;
    for (unsigned i = 0; i < STAT_NAMES_MAX && walk_pairs_next(&pairs, &key, &value) == BUS_OK;
         i++) {
        double number;
        if (key.data != NULL && walk_as_real(value, &number) == BUS_OK) {
            text_add_format(
                out, "bhiv_bus{counter=\"%.*s\"} %.17g\n", (int) key.size, key.data, number);
        }
    }
}

// Whether the row asks how we are: a 503 while we start is its right answer, and how often a
// supervisor asks says nothing of what we serve.
static bool
is_probe(size_t row)
{
    static const char *const probes[] = {"health", "healthz", "readyz"};
    for (size_t i = 0; row < bridge_route_count && i < COUNT(probes); i++) {
        if (strcmp(bridge_routes[row].operation, probes[i]) == 0) {
            return true;
        }
    }
    return false;
}

bridge_metrics_sum_t
bridge_metrics_sum(const bridge_metrics_t *self, bridge_port_id_t port)
{
    bridge_metrics_sum_t sum = {0};
    for (size_t row = 0; row <= bridge_route_count; row++) {
        if (is_probe(row)) {
            continue;
        }
        const cell_t *cell = cell_at(self, port, row);
        sum.requests += cell_total(cell);
        sum.slow += cell->beyond;
        for (size_t i = 0; i < COUNT(statuses); i++) {
            sum.failed += statuses[i] >= 500 ? cell->by_status[i] : 0;
        }
    }
    return sum;
}

uint64_t
bridge_metrics_answered(const bridge_metrics_t *self,
                        bridge_port_id_t port,
                        const char *operation,
                        int status)
{
    uint64_t answered = 0;
    size_t slot = 0;
    while (slot < COUNT(statuses) && statuses[slot] != status) {
        slot++;
    }
    for (size_t row = 0; row < bridge_route_count; row++) {
        if (strcmp(bridge_routes[row].operation, operation) == 0) {
            answered += cell_at(self, port, row)->by_status[slot];
        }
    }
    return answered;
}

double
bridge_metrics_within(const bridge_metrics_t *self,
                      bridge_port_id_t port,
                      const char *operation,
                      uint64_t limit_us,
                      uint64_t *ret_count)
{
    uint64_t within = 0;
    *ret_count = 0;
    for (size_t row = 0; row < bridge_route_count; row++) {
        if (strcmp(bridge_routes[row].operation, operation) != 0) {
            continue;
        }
        const cell_t *cell = cell_at(self, port, row);
        *ret_count += cell_total(cell);
        for (size_t i = 0; i < COUNT(bounds_us) && bounds_us[i] <= limit_us; i++) {
            within += cell->within[i];
        }
    }
    return *ret_count == 0 ? 0.0 : (double) within / (double) *ret_count;
}
