// trace_tree_pack.c - the tree as an array of steps, each parent before its children.
#include "proto/rfc3339.h"
#include "proto/walk.h"
#include "trace_tree_inner.h"
#include <assert.h>

static const char *const kind_words[] = {"http", "agent", "effect", "karma", "event", "bus"};

static bus_view_t
kept(const bridge_trace_tree_t *self, bridge_trace_span_t span)
{
    return view_from(pack_view(self->data).data + span.offset, span.size);
}

void
bridge_trace_tree_pack_seqs(const bridge_trace_tree_t *self, pack_t *out)
{
    pack_array(out, self->by_seq_count);
    for (uint32_t i = 0; i < self->by_seq_count; i++) {
        pack_uint(out, self->steps[self->by_seq[i]].seq);
    }
}

static void
pack_time(pack_t *out, const char *key, uint64_t time_us)
{
    char text[RFC3339_SIZE];
    rfc3339_format(time_us, text);
    pack_pair_text(out, key, text);
}

// The pairs of `map` but its seq.
static void
pack_but_seq(pack_t *out, bus_view_t map)
{
    walk_pairs_t pairs = walk_pairs(map);
    bus_view_t key, value;
    size_t place = pack_map_begin(out);
    uint32_t count = 0;
    while (walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
        if (!view_is(key, "seq")) {
            pack_str(out, key);
            pack_raw(out, value);
            count++;
        }
    }
    pack_count(out, place, count);
}

// What others know of it. Returns how many pairs.
static uint32_t
pack_known(const bridge_trace_tree_t *self, const bridge_trace_step_t *step, pack_t *out)
{
    uint32_t count = 0;
    if (step->about.size > 0) {
        pack_pair_raw(out, "about", kept(self, step->about));
        count++;
    }
    if (step->karma.size > 0) {
        pack_text(out, "karma");
        pack_but_seq(out, kept(self, step->karma));
        count++;
    }
    if (step->audit_first != BRIDGE_TRACE_NONE) {
        pack_text(out, "audit");
        size_t place = pack_array_begin(out);
        uint32_t entries = 0;
        for (uint32_t i = step->audit_first; i != BRIDGE_TRACE_NONE; i = self->audits[i].next) {
            pack_but_seq(out, kept(self, self->audits[i].place));
            entries++;
        }
        pack_count(out, place, entries);
        count++;
    }
    if (step->known_by != NULL) {
        pack_pair_text(out, "known_by", step->known_by);
        count++;
    }
    return count;
}

static uint32_t
pack_where(const bridge_trace_tree_t *self, const bridge_trace_step_t *step, pack_t *out)
{
    uint32_t count = 0;
    if (step->seq > 0) {
        pack_pair_uint(out, "seq", step->seq);
        count++;
    }
    if (step->cause_seq > 0) {
        pack_text(out, "cause");
        pack_array(out, 2);
        pack_uint(out, step->cause_seq);
        pack_uint(out, step->cause_n);
        count++;
    }
    if (step->parent != BRIDGE_TRACE_NONE) {
        pack_pair_uint(out, "parent", self->steps[step->parent].number);
        pack_pair_text(out, "parent_by", step->parent_by);
        count += 2;
    }
    return count;
}

static void
pack_step(const bridge_trace_tree_t *self,
          const bridge_trace_step_t *step,
          uint64_t began_at,
          pack_t *out)
{
    size_t map = pack_map_begin(out);
    uint32_t count = 7;
    pack_pair_uint(out, "step", step->number);
    pack_pair_uint(out, "depth", step->depth);
    pack_pair_text(out, "kind", kind_words[step->kind]);
    pack_pair_text(out, "what", step->what);
    pack_pair_text(out, "source", step->source);
    pack_time(out, "at", step->at);
    pack_pair_real(out, "offset_ms", (double) (step->at - began_at) / 1e3);
    if (step->duration_us != BRIDGE_TRACE_NO_DURATION) {
        pack_pair_real(out, "duration_ms", (double) step->duration_us / 1e3);
        count++;
    }
    if (step->status[0] != '\0') {
        pack_pair_text(out, "status", step->status);
        count++;
    }
    if (step->http_status != 0) {
        pack_pair_int(out, "http_status", step->http_status);
        count++;
    }
    count += pack_where(self, step, out);
    count += pack_known(self, step, out);
    pack_count(out, map, count);
}

// When the first step began, and the last one known of ended.
static void
find_span(const bridge_trace_tree_t *self, uint64_t *ret_began_at, uint64_t *ret_ended_at)
{
    uint64_t began = self->count == 0 ? 0 : UINT64_MAX;
    uint64_t ended = 0;
    for (uint32_t i = 0; i < self->count; i++) {
        const bridge_trace_step_t *step = &self->steps[i];
        // A record's time is that of its end, a request's and an agent's that of their beginning.
        bool ends_later = step->duration_us != BRIDGE_TRACE_NO_DURATION && !step->is_record &&
                          step->kind != BRIDGE_TRACE_EFFECT;
        uint64_t end = step->at + (ends_later ? step->duration_us : 0);
        began = step->at < began ? step->at : began;
        ended = end > ended ? end : ended;
    }
    *ret_began_at = began;
    *ret_ended_at = ended;
}

unsigned
bridge_trace_tree_pack(bridge_trace_tree_t *self, pack_t *out)
{
    uint64_t began_at, ended_at;
    uint32_t number = 0;
    uint32_t first = bridge_trace_tree_link(self);
    find_span(self, &began_at, &ended_at);
    pack_pair_text(out, "trace_id", self->trace_id);
    if (self->count > 0) {
        pack_time(out, "began_at", began_at);
        pack_time(out, "ended_at", ended_at);
    } else {
        pack_pair_nil(out, "began_at");
        pack_pair_nil(out, "ended_at");
    }
    pack_pair_real(out, "duration_ms", (double) (ended_at - began_at) / 1e3);
    pack_pair_uint(out, "count", self->count);
    pack_pair_bool(out, "truncated", self->is_truncated);
    pack_pair_bool(out, "trimmed", self->has_trimmed);
    pack_text(out, "steps");
    pack_array(out, self->count);
    for (uint32_t place = first; place != BRIDGE_TRACE_NONE;
         place = bridge_trace_tree_step_on(self, place)) {
        bridge_trace_step_t *step = &self->steps[place];
        step->number = ++number;
        step->depth = step->parent == BRIDGE_TRACE_NONE ? 0 : self->steps[step->parent].depth + 1;
        pack_step(self, step, began_at, out);
    }
    assert(number == self->count);
    return 8;
}
