// story.c - the trace of the record in hand. See story.h.
#include "story.h"

#include "proto/limits.h"

#include <assert.h>
#include <stdio.h>

typedef struct {
    uint64_t depth;
    uint64_t at; // of the last remediation
} trace_t;

bus_err_t
brain_story_begin(brain_story_t *self, service_apply_t *apply)
{
    *self = (brain_story_t){
        .apply = apply, .at = apply->header->at, .trace_id = apply->header->trace_id};
    bus_err_t err = brain_config_get(apply->txn, &self->config);
    trace_t trace = {.depth = 0};
    if (err == BUS_OK && self->trace_id.size > 0) {
        err = brain_tables_get(apply->txn, BRAIN_TRACES, self->trace_id, &trace, sizeof trace);
    }
    if (trace.depth > 0 && self->at < trace.at + BRAIN_STORY_US) {
        self->depth = trace.depth;
    }
    return err;
}

bus_err_t
brain_story_only(service_apply_t *apply, const char *source)
{
    return view_is(apply->header->source, source)
               ? BUS_OK
               : service_refuse(
                     apply, BUS_UNAUTHORIZED_ACCESS, "not its source's to say", VIEW_NONE);
}

void
brain_story_trace(brain_story_t *self, const char *word)
{
    if (self->trace_id.size > 0) {
        return;
    }
    int size = snprintf(self->made,
                        sizeof self->made,
                        "%s_%llu",
                        word,
                        (unsigned long long) self->apply->header->seq);
    assert(size > 0 && size < (int) sizeof self->made);
    self->trace_id = view_from(self->made, (size_t) size);
    service_trace(self->apply, self->trace_id);
}

// A trace that is new takes its place behind the others, and the oldest gives way.
static bus_err_t
put_in_order(const brain_story_t *self)
{
    store_txn_t *txn = self->apply->txn;
    uint64_t last = 0;
    bus_err_t err = brain_tables_last(txn, BRAIN_ORDER, &last);
    if (err == BUS_OK) {
        err = store_put(txn, BRAIN_ORDER, STORE_U64(last + 1), self->trace_id);
    }
    if (err != BUS_OK || last < BRAIN_STORY_TRACES_MAX) {
        return err;
    }
    uint64_t oldest = last + 1 - BRAIN_STORY_TRACES_MAX;
    char text[NAME_SIZE_MAX];
    bus_view_t trace;
    err = store_get(txn, BRAIN_ORDER, STORE_U64(oldest), &trace);
    if (err == BUS_OK && trace.size > 0 && trace.size <= sizeof text) {
        memcpy(text, trace.data, trace.size); // the view dies with the next write
        err = store_del(txn, BRAIN_TRACES, view_from(text, trace.size));
    }
    if (err == BUS_OK || err == BUS_NOT_FOUND || err == BUS_CORRUPT) {
        err = store_del(txn, BRAIN_ORDER, STORE_U64(oldest));
    }
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

bus_err_t
brain_story_deepen(brain_story_t *self)
{
    store_txn_t *txn = self->apply->txn;
    assert(self->trace_id.size > 0); // brain_story_trace came before
    trace_t before;
    bus_err_t err = brain_tables_get(txn, BRAIN_TRACES, self->trace_id, &before, sizeof before);
    const trace_t trace = {.depth = self->depth + 1, .at = self->at};
    if (err == BUS_OK) {
        err = store_put(txn, BRAIN_TRACES, self->trace_id, view_from(&trace, sizeof trace));
    }
    return err == BUS_OK && before.depth == 0 ? put_in_order(self) : err;
}
