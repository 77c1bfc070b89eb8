// query.c - what the executor is asked about executions.
#include "query.h"

#include "execution.h"
#include "index.h"
#include "metric.h"
#include "proto/walk.h"
#include "redact.h"

#include <assert.h>

enum {
    LIMIT_DEFAULT = 100,
    LIST_BYTES_MAX = 3 * 1024 * 1024, // docs/contract.md section 1: a page
    TRACE_MAX = 1000,                 // executions of one trace that are shown
};

typedef struct {
    service_query_t *query;
    bus_view_t status; // absent: any
    int64_t limit;
    bool with_payload;
    pack_t *copy;
    uint32_t count;
    workflow_execution_t first; // its views are into `first_copy`
    pack_t *first_copy;
    bus_err_t err;
} listing_t;

// Its fields, and the payload where that is given.
static void
pack_one(const listing_t *self, bus_view_t payload)
{
    pack_t *answer = self->query->answer;
    bus_view_t record = pack_view(self->copy);
    if (payload.data == NULL) {
        pack_raw(answer, record);
        return;
    }
    walk_pairs_t pairs = walk_pairs(record);
    bus_view_t key, value;
    pack_map(answer, pairs.left + 1);
    while (walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
        pack_str(answer, key);
        pack_raw(answer, value);
    }
    pack_text(answer, "payload");
    workflow_redact(payload, answer);
}

// Adds what self->copy holds. False: the page is full.
static bool
add(listing_t *self, uint64_t seq, const workflow_execution_t *execution)
{
    bus_view_t payload = VIEW_NONE;
    if (self->with_payload &&
        store_get(self->query->txn, WORKFLOW_PAYLOADS, STORE_U64(seq), &payload) != BUS_OK) {
        payload = VIEW_NONE; // it is damaged
    }
    size_t size = pack_view(self->copy).size + payload.size;
    if (self->count > 0 && pack_view(self->query->answer).size + size > LIST_BYTES_MAX) {
        return false;
    }
    pack_one(self, payload);
    if (self->count++ == 0) {
        pack_t *kept = self->first_copy; // what the views of `first` point to
        self->first_copy = self->copy;
        self->copy = kept;
        self->first = *execution;
    }
    return self->count < self->limit;
}

static bool
take(void *arg, uint64_t seq)
{
    listing_t *self = arg;
    workflow_execution_t execution;
    bus_err_t err = workflow_execution_load(self->query->txn, seq, self->copy, &execution);
    if (err != BUS_OK) { // a damaged one is left out, not the list's end
        self->err = err == BUS_CORRUPT || err == BUS_NOT_FOUND ? BUS_OK : err;
        return self->err == BUS_OK;
    }
    bool is_it = self->status.data == NULL || view_equal(self->status, execution.status);
    return is_it ? add(self, seq, &execution) : true;
}

static listing_t
listing_make(service_query_t *query, int64_t limit)
{
    return (listing_t){
        .query = query, .limit = limit, .copy = pack_new(), .first_copy = pack_new()};
}

static void
listing_clear(listing_t *self)
{
    pack_destroy(&self->copy);
    pack_destroy(&self->first_copy);
}

// All, the latest first.
static bus_err_t
walk_all(listing_t *self)
{
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_view_t key = VIEW_NONE;
    bus_view_t value = VIEW_NONE;
    bus_err_t err = store_cursor_open(self->query->txn, WORKFLOW_EXECUTIONS, &cursor);
    if (err == BUS_OK) {
        err = store_last(cursor, &key, &value);
    }
    while (err == BUS_OK || err == BUS_CORRUPT) {
        uint64_t seq = 0;
        assert(key.data != NULL && key.size == sizeof seq); // the cursor stands on it
        memcpy(&seq, key.data, sizeof seq);
        if (!take(self, seq)) {
            return BUS_OK;
        }
        err = store_prev(cursor, &key, &value);
    }
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

bus_err_t
workflow_query_executions(service_query_t *query, const void *message)
{
    const schema_workflow_executions_query_t *asked = message;
    listing_t listing = listing_make(query, asked->limit.has ? asked->limit.value : LIMIT_DEFAULT);
    listing.status = asked->status;
    pack_map(query->answer, 2);
    pack_text(query->answer, "executions");
    size_t place = pack_array_begin(query->answer);
    bus_err_t err;
    if (asked->trace_id.data != NULL) {
        err =
            workflow_index_walk(query->txn, WORKFLOW_INDEX_TRACE, asked->trace_id, take, &listing);
    } else if (asked->status.data != NULL) {
        err = workflow_index_walk(query->txn, WORKFLOW_INDEX_STATUS, asked->status, take, &listing);
    } else {
        err = walk_all(&listing);
    }
    pack_count(query->answer, place, listing.count);
    pack_pair_uint(query->answer, "count", listing.count);
    err = err == BUS_OK ? listing.err : err;
    listing_clear(&listing);
    return err;
}

// {trace_id, executions: […]}, and the latest one's status and execution_result.
bus_err_t
workflow_query_status(service_query_t *query, const void *message)
{
    const schema_workflow_trace_query_t *asked = message;
    listing_t listing = listing_make(query, TRACE_MAX);
    listing.with_payload = true;
    size_t map = pack_map_begin(query->answer);
    uint32_t count = 3;
    pack_pair_str(query->answer, "trace_id", asked->trace_id);
    pack_text(query->answer, "executions");
    size_t place = pack_array_begin(query->answer);
    bus_err_t err =
        workflow_index_walk(query->txn, WORKFLOW_INDEX_TRACE, asked->trace_id, take, &listing);
    pack_count(query->answer, place, listing.count);
    err = err == BUS_OK ? listing.err : err;
    if (err == BUS_OK && listing.count == 0) {
        err =
            service_query_refuse(query, BUS_NOT_FOUND, "no execution has this trace_id", VIEW_NONE);
        pack_clear(query->answer);
    } else if (err == BUS_OK) {
        pack_pair_str(query->answer, "status", listing.first.status);
        if (listing.first.execution_result.data != NULL) {
            pack_pair_raw(query->answer, "execution_result", listing.first.execution_result);
            count++;
        }
        pack_count(query->answer, map, count);
    }
    listing_clear(&listing);
    return err;
}

// --- Counts --------------------------------------------------------------------------------------

static bool
count_one(void *arg,
          workflow_action_t action BUS_UNUSED,
          uint64_t seq BUS_UNUSED,
          bus_view_t boot BUS_UNUSED)
{
    ++*(uint64_t *) arg;
    return true;
}

bus_err_t
workflow_query_pack_counts(store_txn_t *txn, pack_t *out)
{
    uint64_t open = 0, started = 0, all = 0, tasks = 0;
    bus_err_t err = store_count(txn, WORKFLOW_OPEN, &open);
    for (unsigned i = 0; i < WORKFLOW_ACTION_COUNT && err == BUS_OK; i++) {
        const workflow_execution_range_t range = {.where = WORKFLOW_IS_STARTED,
                                                  .action = (workflow_action_t) i};
        err = workflow_execution_walk_open(txn, &range, count_one, &started);
    }
    if (err == BUS_OK) {
        err = store_count(txn, WORKFLOW_EXECUTIONS, &all);
    }
    if (err == BUS_OK) {
        err = store_count(txn, WORKFLOW_TASKS, &tasks);
    }
    if (err != BUS_OK) {
        return err;
    }
    pack_text(out, "executions");
    pack_map(out, 5);
    pack_pair_uint(out, "total", all);
    pack_pair_uint(out, "queued", open - started);
    pack_pair_uint(out, "started", started);
    pack_pair_uint(out, "tasks", tasks);
    pack_text(out, "ended");
    return workflow_metric_pack(txn, out);
}

bus_err_t
workflow_query_stats(service_query_t *query, const void *message BUS_UNUSED)
{
    pack_map(query->answer, 1);
    return workflow_query_pack_counts(query->txn, query->answer);
}
