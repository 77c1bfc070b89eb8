// client_fetch.c - reading the journal: one fetch in flight, under one id, sent again until
// answered.
//
// An answer to an earlier fetch carries another `re` and goes nowhere, so a page is never taken for
// the one behind it.
#include "client_self.h"
#include "proto/schema.h"
#include "proto/walk.h"
#include <assert.h>

enum { FETCH_LATE_MS = 2000 }; // beyond wait_ms: then the fetch or its answer was lost

static bus_err_t
send_fetch(client_t *self)
{
    header_t header = {
        .id = view_from_text(self->fetch.id),
        .source = view_from_text(self->source),
        .reply_to = view_from_text(self->inbox),
    };
    return client_send_raw(self, VIEW_LITERAL("$bus.fetch"), &header, pack_view(self->fetch.body));
}

void
client_fetch_resend(client_t *self)
{
    if (self->fetch.is_active && self->is_connected) {
        self->fetch.is_unsent = send_fetch(self) != BUS_OK;
    }
}

static void
on_late(void *arg)
{
    client_t *self = arg;
    self->stats.resent++;
    client_fetch_resend(self);
    client_pump(self);
}

static void
pack_fetch(const client_fetch_t *fetch, pack_t *out)
{
    bool has_trace = fetch->trace_id != NULL && fetch->trace_id[0] != '\0';
    pack_clear(out);
    pack_map(out, 5U + has_trace + (fetch->max > 0) + (fetch->max_bytes > 0));
    pack_pair_text(out, "consumer", fetch->consumer);
    pack_text(out, "filters");
    pack_array(out, (uint32_t) fetch->filter_count);
    for (size_t i = 0; i < fetch->filter_count; i++) {
        pack_text(out, fetch->filters[i]);
    }
    if (has_trace) {
        pack_pair_text(out, "trace_id", fetch->trace_id);
    }
    pack_pair_uint(out, "from", fetch->from);
    pack_pair_uint(out, "ack", fetch->ack);
    pack_pair_uint(out, "wait_ms", fetch->wait_ms);
    if (fetch->max > 0) {
        pack_pair_uint(out, "max", fetch->max);
    }
    if (fetch->max_bytes > 0) {
        pack_pair_uint(out, "max_bytes", fetch->max_bytes);
    }
}

bus_err_t
client_fetch(client_t *self, const client_fetch_t *fetch, client_page_fn *fn, void *arg)
{
    assert(fn != NULL && fetch->consumer != NULL);
    assert(fetch->filter_count <= CLIENT_FILTERS_MAX);
    client_fetch_state_t *state = &self->fetch;
    if (self->is_closing) {
        return BUS_ABORTED;
    }
    if (state->is_active) {
        return BUS_BUSY;
    }
    pack_fetch(fetch, state->body);
    id_make(state->id);
    state->is_active = true;
    state->fn = fn;
    state->arg = arg;
    state->timer = loop_add_timer(self->loop, fetch->wait_ms + FETCH_LATE_MS, 0, on_late, self);
    client_fetch_resend(self);
    client_pump(self);
    return BUS_OK;
}

static void
end_fetch(client_t *self, const client_page_t *page)
{
    self->fetch.is_active = false;
    self->fetch.is_unsent = false;
    loop_cancel_timer(self->loop, self->fetch.timer);
    self->fetch.timer = 0;
    self->fetch.fn(self->fetch.arg, page);
}

// The page in a successful answer's body.
static bus_err_t
decode_page(bus_view_t body, client_page_t *ret_page)
{
    schema_fetch_answer_t said;
    schema_problems_t problems;
    bus_err_t err = schema_decode(&SCHEMA_fetch_answer, body, &said, &problems);
    if (err != BUS_OK) {
        return BUS_MALFORMED_MESSAGE;
    }
    walk_t walk = walk_from(said.records);
    walk_item_t head;
    err = walk_next(&walk, &head);
    if (err != BUS_OK) {
        return err;
    }
    *ret_page = (client_page_t){
        .epoch = said.epoch,
        .first = (uint64_t) said.first.value,
        .next = (uint64_t) said.next.value,
        .head = (uint64_t) said.head.value,
        .records = said.records,
        .count = head.count,
    };
    return BUS_OK;
}

static uint64_t
damaged_seq(bus_view_t body)
{
    bus_view_t value;
    uint64_t seq = 0;
    bus_err_t err = walk_find_path(body, "details.seq", &value);
    return err == BUS_OK && walk_as_uint(value, &seq) == BUS_OK ? seq : 0;
}

// Whether the body is one value: the page's parts lie within it, however it is broken.
static bool
is_whole(bus_view_t body)
{
    walk_t walk = walk_from(body);
    return walk_skip(&walk, NULL) == BUS_OK && walk.at == walk.end;
}

bool
client_fetch_answered(client_t *self, const header_t *header, bus_view_t body)
{
    if (!self->fetch.is_active || !view_is(header->re, self->fetch.id)) {
        return false;
    }
    client_page_t page = {.err = BUS_MALFORMED_MESSAGE};
    if (!is_whole(body)) {
        self->stats.orphans++;
    } else if (view_is(header->status, "error")) {
        page.err = client_answer_refusal(body).err;
        page.damaged = page.err == BUS_CORRUPT ? damaged_seq(body) : 0;
    } else {
        bus_err_t err = decode_page(body, &page);
        page.err = err;
    }
    if (page.err == BUS_OK) {
        self->head = page.head;
    }
    self->stats.answered++;
    end_fetch(self, &page);
    return true;
}

void
client_fetch_cancel(client_t *self)
{
    if (self->fetch.is_active) {
        self->fetch.is_active = false;
        self->fetch.is_unsent = false;
        loop_cancel_timer(self->loop, self->fetch.timer);
        self->fetch.timer = 0;
    }
}

void
client_fetch_abort(client_t *self)
{
    if (self->fetch.is_active) {
        end_fetch(self, &(client_page_t){.err = BUS_ABORTED});
    }
}
