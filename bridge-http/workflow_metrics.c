// workflow_metrics.c - executions by action, status and duration, as Prometheus text: what the
// executor last said of itself, a second old at most.
#include "handler.h"
#include "health.h"
#include "proto/walk.h"

static uint64_t
number_at(bus_view_t map, const char *key)
{
    bus_view_t value;
    uint64_t number = 0;
    if (map.data == NULL || walk_find(map, key, &value) != BUS_OK ||
        walk_as_uint(value, &number) != BUS_OK) {
        return 0;
    }
    return number;
}

static double
real_at(bus_view_t map, const char *key)
{
    bus_view_t value;
    double number = 0;
    if (walk_find(map, key, &value) != BUS_OK || walk_as_real(value, &number) != BUS_OK) {
        return 0;
    }
    return number;
}

static bus_view_t
text_at(bus_view_t map, const char *key)
{
    bus_view_t value, text;
    if (walk_find(map, key, &value) != BUS_OK || walk_as_str(value, &text) != BUS_OK) {
        return VIEW_LITERAL("");
    }
    return text;
}

// The items of an array, one after the other.
typedef struct {
    walk_t walk;
    uint32_t left;
} items_t;

static items_t
items_of(bus_view_t array)
{
    items_t items = {.walk = walk_from(array)};
    walk_item_t head;
    if (array.data != NULL && walk_next(&items.walk, &head) == BUS_OK && head.type == WALK_ARRAY) {
        items.left = head.count;
    }
    return items;
}

static bool
next_item(items_t *self, bus_view_t *ret_item)
{
    if (self->left == 0 || walk_skip(&self->walk, ret_item) != BUS_OK) {
        return false;
    }
    self->left--;
    return true;
}

static void
write_kind(bus_view_t kind, text_t *out)
{
    bus_view_t action = text_at(kind, "action"); // of the executor's own few words
    bus_view_t status = text_at(kind, "status");
    bus_view_t buckets, bucket;
    unsigned long long count = number_at(kind, "count");
    items_t items = {.left = 0};
    if (walk_find(kind, "buckets", &buckets) == BUS_OK) {
        items = items_of(buckets);
    }
    while (next_item(&items, &bucket)) {
        text_add_format(out,
                        "bhiv_workflow_seconds_bucket{action=\"%.*s\",status=\"%.*s\",le=\"%g\"} "
                        "%llu\n",
                        (int) action.size,
                        action.data,
                        (int) status.size,
                        status.data,
                        real_at(bucket, "le"),
                        (unsigned long long) number_at(bucket, "count"));
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
                    real_at(kind, "seconds"),
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
                    (unsigned long long) number_at(executions, "queued"),
                    (unsigned long long) number_at(executions, "started"));
    items_t kinds = {.left = 0};
    if (walk_find(executions, "ended", &ended) == BUS_OK) {
        kinds = items_of(ended);
    }
    while (next_item(&kinds, &kind)) {
        write_kind(kind, out);
    }
}
