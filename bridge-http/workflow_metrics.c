// workflow_metrics.c - executions by action, status and duration, as Prometheus text: what the
// executor last said of itself, a second old at most.
#include "handler.h"
#include "health.h"
#include "proto/walk.h"

static bus_view_t
text_at(bus_view_t map, const char *key)
{
    bus_view_t value, text;
    if (walk_find(map, key, &value) != BUS_OK || walk_as_str(value, &text) != BUS_OK) {
        return VIEW_LITERAL("");
    }
    return text;
}

static void
write_kind(bus_view_t kind, text_t *out)
{
    bus_view_t action = text_at(kind, "action"); // of the executor's own few words
    bus_view_t status = text_at(kind, "status");
    bus_view_t buckets, bucket;
    unsigned long long count = walk_uint_at(kind, "count", 0);
    walk_items_t items = {.left = 0};
    if (walk_find(kind, "buckets", &buckets) == BUS_OK) {
        items = walk_items(buckets);
    }
    while (walk_items_next(&items, &bucket)) {
        text_add_format(out,
                        "bhiv_workflow_seconds_bucket{action=\"%.*s\",status=\"%.*s\",le=\"%g\"} "
                        "%llu\n",
                        (int) action.size,
                        action.data,
                        (int) status.size,
                        status.data,
                        walk_real_at(bucket, "le", 0),
                        (unsigned long long) walk_uint_at(bucket, "count", 0));
    }
    text_add_format(out,
                    "bhiv_workflow_seconds_bucket{action=\"%.*s\",status=\"%.*s\",le=\"+Inf\"} "
                    "%llu\n"
                    "bhiv_workflow_seconds_sum{action=\"%.*s\",status=\"%.*s\"} %.6f\n"
                    "bhiv_workflow_seconds_count{action=\"%.*s\",status=\"%.*s\"} %llu\n",
                    (int) action.size,
                    action.data,
                    (int) status.size,
                    status.data,
                    count,
                    (int) action.size,
                    action.data,
                    (int) status.size,
                    status.data,
                    walk_real_at(kind, "seconds", 0),
                    (int) action.size,
                    action.data,
                    (int) status.size,
                    status.data,
                    count);
}

void
bridge_workflow_write_metrics(const bridge_t *bridge, text_t *out)
{
    bus_view_t executions = bridge_health_of_workflow(bridge->health, "executions");
    bus_view_t ended, kind;
    if (executions.data == NULL) {
        return;
    }
    text_add_format(out,
                    "# HELP bhiv_workflow_open Executions that have not ended.\n"
                    "# TYPE bhiv_workflow_open gauge\n"
                    "bhiv_workflow_open{state=\"queued\"} %llu\n"
                    "bhiv_workflow_open{state=\"started\"} %llu\n"
                    "# HELP bhiv_workflow_seconds Executions that ended, by how long the act "
                    "took.\n# TYPE bhiv_workflow_seconds histogram\n",
                    (unsigned long long) walk_uint_at(executions, "queued", 0),
                    (unsigned long long) walk_uint_at(executions, "started", 0));
    walk_items_t kinds = {.left = 0};
    if (walk_find(executions, "ended", &ended) == BUS_OK) {
        kinds = walk_items(ended);
    }
    while (walk_items_next(&kinds, &kind)) {
        write_kind(kind, out);
    }
}
