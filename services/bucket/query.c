// query.c - what Bucket answers without changing anything.
#include "query.h"

#include "index.h"
#include "proto/walk.h"

#include <assert.h>
#include <stdlib.h>

enum {
    EVENTS_LIMIT = 100,               // where none is given
    EVENTS_LIMIT_MAX = 1000,          // most events of a page
    PAGE_BYTES_MAX = 3 * 1024 * 1024, // docs/contract.md section 1
    COUNT_WALK_MAX = 200000,          // rows looked at to count; more is a lower bound, and said so
    STATS_VALUES_MAX = 1000,          // agents and types listed
};

typedef struct {
    const schema_events_query_t *asked; // its filters
    store_txn_t *txn;
    bucket_index_kind_t drive; // the filter that the walk follows; 0: none
    bus_view_t value;          // of that filter
    unsigned filters;          // how many there are
} search_t;

static search_t
search_make(store_txn_t *txn, const schema_events_query_t *asked)
{
    search_t self = {.asked = asked, .txn = txn};
    const struct {
        bucket_index_kind_t kind;
        bus_view_t value;
    } filters[] = {{BUCKET_INDEX_TRACE, asked->trace_id},
                   {BUCKET_INDEX_AGENT, asked->agent_id},
                   {BUCKET_INDEX_TYPE, asked->event_type},
                   {BUCKET_INDEX_REQUESTER, asked->requester_id}};
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
        if (filters[i].value.data != NULL) {
            self.filters++;
            self.value = self.drive == 0 ? filters[i].value : self.value;
            self.drive = self.drive == 0 ? filters[i].kind : self.drive;
        }
    }
    return self;
}

static bool
field_is(bus_view_t event, const char *field, bus_view_t wanted)
{
    bus_view_t value;
    bus_view_t text;
    return wanted.data == NULL || (walk_find(event, field, &value) == BUS_OK &&
                                   walk_as_str(value, &text) == BUS_OK && view_equal(text, wanted));
}

static bool
matches(const search_t *self, bus_view_t event)
{
    return self->filters <= 1 || (field_is(event, "trace_id", self->asked->trace_id) &&
                                  field_is(event, "agent_id", self->asked->agent_id) &&
                                  field_is(event, "event_type", self->asked->event_type) &&
                                  field_is(event, "requester_id", self->asked->requester_id));
}

// The next event at or after the walk's place that matches. BUS_NOT_FOUND at the end.
static bus_err_t
search_next(const search_t *self,
            bucket_index_walk_t *walk,
            uint64_t *ret_seq,
            bus_view_t *ret_event)
{
    bus_err_t err = bucket_index_walk_next(walk, ret_seq);
    while (err == BUS_OK) {
        err = store_get(self->txn, BUCKET_EVENTS, STORE_U64(*ret_seq), ret_event);
        if (err != BUS_OK) {
            return err == BUS_NOT_FOUND ? BUS_CORRUPT : err; // a row without its event
        }
        if (matches(self, *ret_event)) {
            return BUS_OK;
        }
        err = bucket_index_walk_next(walk, ret_seq);
    }
    return err;
}

// How many match in all. Counted by walking only where no counter has it.
static bus_err_t
search_count(const search_t *self, uint64_t *ret_count, bool *ret_exact)
{
    *ret_exact = true;
    if (self->filters == 0) {
        return store_count(self->txn, BUCKET_EVENTS, ret_count);
    }
    if (self->filters == 1 && self->drive != BUCKET_INDEX_TRACE) {
        return bucket_index_count(self->txn, self->drive, self->value, ret_count);
    }
    BUS_AUTO(bucket_index_walk_destroy) bucket_index_walk_t *walk = NULL;
    const bucket_index_range_t range = {.kind = self->drive, .value = self->value};
    bus_err_t err = bucket_index_walk_open(self->txn, &range, &walk);
    uint64_t count = 0;
    uint64_t looked = 0;
    while (err == BUS_OK && looked < COUNT_WALK_MAX) {
        uint64_t seq;
        bus_view_t event = VIEW_NONE;
        err = bucket_index_walk_next(walk, &seq);
        if (err == BUS_OK && self->filters > 1) {
            err = store_get(self->txn, BUCKET_EVENTS, STORE_U64(seq), &event);
        }
        if (err == BUS_OK) {
            looked++;
            count += self->filters == 1 || matches(self, event) ? 1 : 0;
        }
    }
    *ret_exact = err == BUS_NOT_FOUND;
    *ret_count = count;
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

// Collects the page's seqs into `seqs`, oldest first. A page of the last ones is walked downwards.
static bus_err_t
search_page(const search_t *self, uint64_t *seqs, size_t limit, size_t *ret_count)
{
    bool down = !self->asked->after_seq.has;
    uint64_t after = down ? 0 : (uint64_t) self->asked->after_seq.value;
    *ret_count = 0;
    if (!down && after >= INT64_MAX) {
        return BUS_OK;
    }
    BUS_AUTO(bucket_index_walk_destroy) bucket_index_walk_t *walk = NULL;
    const bucket_index_range_t range = {
        .kind = self->drive, .value = self->value, .from = down ? 0 : after + 1, .down = down};
    bus_err_t err = bucket_index_walk_open(self->txn, &range, &walk);
    size_t count = 0;
    size_t bytes = 0;
    while (err == BUS_OK && count < limit) {
        bus_view_t event;
        uint64_t seq;
        err = search_next(self, walk, &seq, &event);
        if (err != BUS_OK) {
            break;
        }
        if (count > 0 && bytes + event.size > PAGE_BYTES_MAX) {
            break;
        }
        bytes += event.size;
        seqs[count++] = seq;
    }
    for (size_t i = 0; down && i < count / 2; i++) {
        uint64_t kept = seqs[i];
        seqs[i] = seqs[count - 1 - i];
        seqs[count - 1 - i] = kept;
    }
    *ret_count = count;
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

bus_err_t
bucket_query_events(service_query_t *query, const void *message)
{
    const schema_events_query_t *asked = message;
    size_t limit = asked->limit.has ? (size_t) asked->limit.value : EVENTS_LIMIT;
    assert(limit <= EVENTS_LIMIT_MAX);
    search_t search = search_make(query->txn, asked);
    uint64_t seqs[EVENTS_LIMIT_MAX];
    size_t showing = 0;
    bus_err_t err = search_page(&search, seqs, limit, &showing);
    uint64_t count = 0;
    bool exact = true;
    if (err == BUS_OK) {
        err = search_count(&search, &count, &exact);
    }
    if (err != BUS_OK) {
        return err;
    }
    uint64_t after = asked->after_seq.has ? (uint64_t) asked->after_seq.value : 0;
    pack_map(query->answer, exact ? 4 : 5);
    pack_text(query->answer, "events");
    pack_array(query->answer, (uint32_t) showing);
    for (size_t i = 0; i < showing; i++) {
        bus_view_t event;
        err = store_get(query->txn, BUCKET_EVENTS, STORE_U64(seqs[i]), &event);
        if (err != BUS_OK) {
            return err;
        }
        pack_raw(query->answer, event);
    }
    pack_pair_uint(query->answer, "count", count);
    pack_pair_uint(query->answer, "showing", showing);
    pack_pair_uint(query->answer, "next", showing > 0 ? seqs[showing - 1] : after);
    if (!exact) {
        pack_pair_bool(query->answer, "count_is_lower_bound", true);
    }
    return BUS_OK;
}

typedef struct {
    pack_t *out;
    uint32_t count;   // values packed
    bool with_counts; // as pairs of a map, else as texts of an array
} listing_t;

static bool
list_value(void *arg, bus_view_t value, uint64_t count)
{
    listing_t *self = arg;
    pack_str(self->out, value);
    if (self->with_counts) {
        pack_uint(self->out, count);
    }
    self->count++;
    return self->count < STATS_VALUES_MAX;
}

bus_err_t
bucket_query_stats(service_query_t *query, const void *message BUS_UNUSED)
{
    const bucket_state_t *state = query->state;
    const bucket_totals_t *totals = &state->totals;
    pack_t *out = query->answer;
    pack_map(out, 3);
    pack_text(out, "stats");
    pack_map(out, 4);
    pack_pair_uint(out, "total_events", totals->events);
    pack_pair_uint(out, "agents_with_context", totals->agents);
    pack_text(out, "tracked_agents");
    size_t place = pack_array_begin(out);
    listing_t agents = {.out = out};
    bus_err_t err = bucket_index_values(query->txn, BUCKET_INDEX_AGENT, list_value, &agents);
    if (err != BUS_OK) {
        return err;
    }
    pack_count(out, place, agents.count);
    pack_text(out, "by_type");
    place = pack_map_begin(out);
    listing_t types = {.out = out, .with_counts = true};
    err = bucket_index_values(query->txn, BUCKET_INDEX_TYPE, list_value, &types);
    if (err != BUS_OK) {
        return err;
    }
    pack_count(out, place, types.count);
    pack_pair_text(out, "integration_status", "active");
    pack_text(out, "karma_forwarding");
    pack_map(out, 5);
    pack_pair_bool(out, "enabled", totals->forwarding != 0);
    pack_pair_uint(out, "forwarded", totals->forwarded);
    pack_pair_uint(out, "failed", totals->failed);
    pack_pair_uint(out, "skipped", totals->skipped);
    pack_pair_uint(out, "direct", totals->direct);
    return BUS_OK;
}
