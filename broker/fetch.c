// fetch.c - a fetch's body against its schema, then its filters one by one.
#include "fetch.h"
#include "journal_scan.h"
#include "proto/schema.h"
#include "proto/topic.h"
#include "proto/walk.h"
#include <assert.h>
#include <stdlib.h>

// The texts of the array `filters`, as views into it. NULL, or what is wrong with them.
static const char *
read_filters(bus_view_t filters, bus_view_t *ret_filters, size_t *ret_count)
{
    *ret_count = 0;
    if (filters.data == NULL) {
        return NULL;
    }
    walk_t walk = walk_from(filters);
    walk_item_t item;
    if (walk_next(&walk, &item) != BUS_OK || item.type != WALK_ARRAY) {
        return "is no array";
    }
    if (item.count > FETCH_FILTERS_MAX) {
        return "has more than 32 prefixes";
    }
    const uint32_t count = item.count;
    for (uint32_t i = 0; i < count; i++) {
        if (walk_next(&walk, &item) != BUS_OK || item.type != WALK_STR ||
            !topic_is_legal_prefix(item.bytes)) {
            return "holds something that is no topic prefix";
        }
        ret_filters[i] = item.bytes;
    }
    *ret_count = count;
    return NULL;
}

// Copies what is read of a valid fetch.
static fetch_t *
make(const fetch_frames_t *frames,
     const schema_fetch_t *body,
     const bus_view_t *filters,
     size_t filter_count)
{
    size_t size = frames->reply_to.size + frames->id.size + frames->trace_id.size +
                  body->consumer.size + body->trace_id.size;
    for (size_t i = 0; i < filter_count; i++) {
        size += filters[i].size;
    }
    fetch_t *self = calloc(1, sizeof(*self) + size);
    assert(self != NULL);
    char *at = self->bytes;
    self->reply_to = view_keep(frames->reply_to, &at);
    self->id = view_keep(frames->id, &at);
    self->trace_id = view_keep(frames->trace_id, &at);
    self->consumer = view_keep(body->consumer, &at);
    self->only_trace = view_keep(body->trace_id, &at);
    self->filter_count = filter_count;
    self->families = filter_count == 0 ? UINT64_MAX : 0;
    for (size_t i = 0; i < filter_count; i++) {
        self->filters[i] = view_keep(filters[i], &at);
        self->families |= journal_scan_filter_families(self->filters[i]);
    }
    return self;
}

bus_err_t
fetch_new(const fetch_frames_t *frames, uint64_t now_ms, pack_t *reterr_details, fetch_t **ret_self)
{
    schema_fetch_t body;
    schema_problems_t problems;
    if (schema_decode(&SCHEMA_fetch, frames->body, &body, &problems) != BUS_OK) {
        schema_pack_problems(&problems, reterr_details);
        return BUS_VALIDATION_FAILED;
    }
    bus_view_t filters[FETCH_FILTERS_MAX];
    size_t filter_count;
    const char *problem = read_filters(body.filters, filters, &filter_count);
    if (problem != NULL) {
        problems.count = 1;
        problems.at[0] = (schema_problem_t){.field = "filters", .problem = problem};
        schema_pack_problems(&problems, reterr_details);
        return BUS_VALIDATION_FAILED;
    }
    fetch_t *self = make(frames, &body, filters, filter_count);
    self->from = body.from.has ? (uint64_t) body.from.value : 0;
    self->ack = body.ack.has ? (uint64_t) body.ack.value : 0;
    self->max = body.max.has ? (uint32_t) body.max.value : FETCH_COUNT_PRESET;
    self->max_bytes = body.max_bytes.has ? (uint32_t) body.max_bytes.value : FETCH_BYTES_PRESET;
    self->deadline_ms = now_ms + (body.wait_ms.has ? (uint64_t) body.wait_ms.value : 0);
    *ret_self = self;
    return BUS_OK;
}

void
fetch_destroy(fetch_t **self_p)
{
    assert(self_p != NULL);
    free(*self_p);
    *self_p = NULL;
}
