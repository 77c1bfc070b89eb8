// metric.c - executions counted by action, status and how long the act took.
#include "metric.h"

#include "runtime/log.h"

#include <assert.h>
#include <stdio.h>

const uint64_t workflow_metric_bounds_us[WORKFLOW_METRIC_BOUNDS] = {
    5000, 25000, 100000, 250000, 500000, 1000000, 2000000, 5000000, 30000000};

enum { KEY_SIZE = 48 };

typedef struct {
    uint64_t count;
    uint64_t sum_us;
    uint64_t within[WORKFLOW_METRIC_BOUNDS]; // each alone, not cumulative
} metric_t;

// What is no metric, or damaged, begins anew: a count is not worth an executor that stands still.
static bus_err_t
load(store_txn_t *txn, bus_view_t key, metric_t *ret_metric)
{
    bus_view_t value;
    bus_err_t err = store_get(txn, WORKFLOW_METRICS, key, &value);
    *ret_metric = (metric_t){.count = 0};
    if (err == BUS_OK && value.size == sizeof *ret_metric) {
        memcpy(ret_metric, value.data, sizeof *ret_metric);
    } else if (err == BUS_OK || err == BUS_CORRUPT) {
        log_error("metric_damaged", "key=%.*s", (int) key.size, key.data);
    }
    return store_forgive(err);
}

bus_err_t
workflow_metric_count(store_txn_t *txn, const char *action, bool success, uint64_t duration_us)
{
    char text[KEY_SIZE];
    int size = snprintf(text, sizeof text, "%s %s", action, success ? "success" : "failed");
    assert(size > 0 && size < KEY_SIZE);
    bus_view_t key = view_from(text, (size_t) size);
    metric_t metric;
    bus_err_t err = load(txn, key, &metric);
    if (err != BUS_OK) {
        return err;
    }
    metric.count++;
    metric.sum_us += duration_us;
    for (size_t i = 0; i < WORKFLOW_METRIC_BOUNDS; i++) {
        if (duration_us <= workflow_metric_bounds_us[i]) {
            metric.within[i]++;
            break;
        }
    }
    return store_put(txn, WORKFLOW_METRICS, key, view_from(&metric, sizeof metric));
}

static void
pack_metric(bus_view_t key, const metric_t *metric, pack_t *out)
{
    const char *space = memchr(key.data, ' ', key.size);
    assert(space != NULL); // we wrote it
    size_t action_size = (size_t) (space - key.data);
    pack_map(out, 5);
    pack_pair_str(out, "action", view_from(key.data, action_size));
    pack_pair_str(out, "status", view_from(space + 1, key.size - action_size - 1));
    pack_pair_uint(out, "count", metric->count);
    pack_pair_real(out, "seconds", (double) metric->sum_us / 1e6);
    pack_text(out, "buckets");
    pack_array(out, WORKFLOW_METRIC_BOUNDS);
    uint64_t sum = 0;
    for (size_t i = 0; i < WORKFLOW_METRIC_BOUNDS; i++) {
        sum += metric->within[i];
        pack_map(out, 2);
        pack_pair_real(out, "le", (double) workflow_metric_bounds_us[i] / 1e6);
        pack_pair_uint(out, "count", sum);
    }
}

bus_err_t
workflow_metric_pack(store_txn_t *txn, pack_t *out)
{
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_err_t err = store_cursor_open(txn, WORKFLOW_METRICS, &cursor);
    bus_view_t key, value;
    size_t place = pack_array_begin(out);
    uint32_t count = 0;
    if (err == BUS_OK) {
        err = store_first(cursor, &key, &value);
    }
    while (err == BUS_OK || err == BUS_CORRUPT) {
        metric_t metric;
        if (err == BUS_OK && value.size == sizeof metric) {
            memcpy(&metric, value.data, sizeof metric);
            pack_metric(key, &metric, out);
            count++;
        }
        err = store_next(cursor, &key, &value);
    }
    pack_count(out, place, count);
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}
