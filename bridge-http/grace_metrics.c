// grace_metrics.c - the task queue as Prometheus text: what HTM last said of it, a second old at
// most, and which kernels are up.
#include "grace.h"
#include "handler.h"
#include "health.h"
#include "proto/walk.h"

// One sample for each key of a map of numbers, with the key as its label.
static void
write_family(bus_view_t map, const char *name, const char *label, text_t *out)
{
    walk_pairs_t pairs = walk_pairs(map);
    bus_view_t key, value;
    while (walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
        double number;
        if (key.data != NULL && walk_as_real(value, &number) == BUS_OK) {
            text_add_format(
                out, "%s{%s=\"%.*s\"} %.15g\n", name, label, (int) key.size, key.data, number);
        }
    }
}

static void
write_dispatch(bus_view_t dispatch, text_t *out)
{
    static const struct {
        const char *key;
        const char *quantile;
    } quantiles[] = {{"p50_us", "0.5"}, {"p90_us", "0.9"}, {"p99_us", "0.99"}, {"max_us", "1"}};
    text_add_format(out,
                    "# HELP bhiv_htm_dispatch_seconds From when a task and a free worker were both "
                    "there.\n# TYPE bhiv_htm_dispatch_seconds gauge\n");
    for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
        double us = walk_real_at(dispatch, quantiles[i].key, -1);
        if (us >= 0) {
            text_add_format(out,
                            "bhiv_htm_dispatch_seconds{quantile=\"%s\"} %.6f\n",
                            quantiles[i].quantile,
                            us / 1e6);
        }
    }
}

static void
write_queue(const bridge_health_t *health, text_t *out)
{
    bus_view_t sizes = bridge_health_of_queue(health, "queue_sizes");
    if (sizes.data == NULL) {
        return;
    }
    text_add_format(out,
                    "# HELP bhiv_htm_tasks Tasks that are not over: waiting by priority, held, "
                    "running.\n# TYPE bhiv_htm_tasks gauge\n");
    write_family(sizes, "bhiv_htm_tasks", "queue", out);
    text_add_format(out,
                    "# HELP bhiv_htm_total What happened in the task queue.\n"
                    "# TYPE bhiv_htm_total counter\n");
    bus_view_t statistics = bridge_health_of_queue(health, "statistics");
    if (statistics.data != NULL) {
        write_family(statistics, "bhiv_htm_total", "what", out);
    }
    bus_view_t dispatch = bridge_health_of_queue(health, "dispatch");
    if (dispatch.data != NULL) {
        write_dispatch(dispatch, out);
    }
}

void
bridge_grace_write_metrics(const bridge_t *bridge, text_t *out)
{
    write_queue(bridge->health, out);
    bus_view_t peers = bridge_health_peers(bridge->health);
    text_add_format(out, "# TYPE bhiv_kernel_up gauge\n");
    for (size_t i = 0; i < BRIDGE_GRACE_KERNELS; i++) {
        text_add_format(out,
                        "bhiv_kernel_up{kernel=\"%s\"} %d\n",
                        bridge_grace_rows[i].name,
                        bridge_grace_find(peers, bridge_grace_rows[i].service, NULL) ? 1 : 0);
    }
}
