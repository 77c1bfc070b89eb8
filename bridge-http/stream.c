// stream.c - one stream: where it is in the journal, its queue, and libmicrohttpd's reader of it.
#include "stream.h"
#include "answer.h"
#include "event.h"
#include "handler.h"
#include "journal.h"
#include "params.h"
#include "proto/limits.h"
#include "proto/topic.h"
#include "request.h"
#include "runtime/clock.h"
#include "shapes.h"
#include "tokens.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

enum { BLOCK_SIZE = 16 * 1024, RETRY_MS = 1000 };

typedef struct {
    bridge_stream_t base; // first: the hub's part
    bridge_t *bridge;
    struct MHD_Connection *http;
    bridge_identity_t identity; // whose it is
    char pattern[TOPIC_SIZE_MAX + 1];
    bool wants_journal;
    bool has_place;    // `from` is set
    bool may_be_ahead; // `from` came from outside, or is to be asked for again
    uint64_t from;     // next seq wanted
    bridge_journal_job_t job;
    text_t *queue;    // what waits for the client
    size_t sent;      // bytes of `queue` that it has
    size_t events;    // in `queue`, at most
    uint64_t dropped; // live messages that found no room
    uint64_t wrote_us;
    bool is_suspended;
    bool is_ended;
} stream_t;

static stream_t *
stream_of(bridge_stream_t *base)
{
    return (stream_t *) base;
}

const char *
bridge_stream_pattern(const bridge_stream_t *base)
{
    return ((const stream_t *) base)->pattern;
}

const char *
bridge_stream_role(const bridge_stream_t *base)
{
    return ((const stream_t *) base)->identity.role;
}

static size_t
waiting_bytes(const stream_t *self)
{
    return text_view(self->queue).size - self->sent;
}

static void
resume(stream_t *self)
{
    if (self->is_suspended) {
        self->is_suspended = false;
        MHD_resume_connection(self->http);
        bridge_server_kick(&self->bridge->ports[BRIDGE_CONSOLE]);
    }
}

// Something was added to the queue.
static void
added(stream_t *self)
{
    self->events++;
    self->wrote_us = clock_boot_us();
    resume(self);
}

// --- From the journal ---------------------------------------------------------------------------

static void
take_records(stream_t *self, const client_page_t *page)
{
    client_records_t records = client_records(page);
    client_heard_t record;
    while (client_next_record(&records, &record) == BUS_OK) {
        if (topic_pattern_matches(view_from_text(self->pattern), record.topic) &&
            bridge_identity_sees_record(
                &self->identity, record.topic, &record.header, record.body)) {
            bridge_event_frame(&record, self->queue);
            added(self);
        }
    }
    self->from = page->next;
}

// The journal does not go where the stream stands: says so, and goes on from `from`.
static void
jump(stream_t *self, const char *reason, uint64_t from)
{
    bridge_event_dropped(reason, 0, self->queue);
    added(self);
    self->from = from;
}

static void
on_page(void *arg, const client_page_t *page)
{
    stream_t *self = arg;
    uint64_t head = 0;
    if (page->err == BUS_OK) {
        bridge_hub_note_head(self->base.hub, page->head);
        take_records(self, page);
    } else if (page->err == BUS_TRIMMED) {
        jump(self, "trimmed", 0);
    } else if (page->err == BUS_AHEAD && bridge_hub_head(self->base.hub, &head)) {
        jump(self, "ahead", head + 1);
    } else if (page->err == BUS_CORRUPT && page->damaged >= self->from) {
        bridge_event_damaged(page->damaged, self->queue);
        added(self);
        self->from = page->damaged + 1;
    } else {
        return; // the sweep asks again
    }
    bridge_stream_wake(&self->base);
}

void
bridge_stream_wake(bridge_stream_t *base)
{
    stream_t *self = stream_of(base);
    uint64_t head = 0;
    if (!bridge_hub_head(base->hub, &head)) {
        return;
    }
    if (!self->has_place) {
        self->has_place = true;
        self->from = head + 1;
    }
    bool has_room = waiting_bytes(self) < BRIDGE_STREAM_ROOM_BYTES;
    bool is_behind = self->from <= head || self->may_be_ahead;
    if (!self->wants_journal || self->is_ended || self->job.is_queued || !has_room || !is_behind) {
        return;
    }
    self->may_be_ahead = false;
    self->job.from = self->from;
    if (bridge_journal_read(self->bridge->journal, &self->job) != BUS_OK) {
        self->may_be_ahead = true; // asked again by the sweep
    }
}

// --- What is only live --------------------------------------------------------------------------

void
bridge_stream_hear(bridge_stream_t *base, const client_heard_t *heard)
{
    stream_t *self = stream_of(base);
    if (self->is_ended ||
        !bridge_identity_sees_record(&self->identity, heard->topic, &heard->header, heard->body)) {
        return;
    }
    if (self->events >= BRIDGE_STREAM_EVENTS_MAX ||
        waiting_bytes(self) + heard->body.size > BRIDGE_STREAM_BYTES_MAX) {
        self->dropped++;
        return;
    }
    if (self->dropped > 0) {
        bridge_event_dropped("slow", self->dropped, self->queue);
        self->dropped = 0;
    }
    bridge_event_frame(heard, self->queue);
    added(self);
}

// --- To the client ------------------------------------------------------------------------------

void
bridge_stream_sweep(bridge_stream_t *base, uint64_t now_us)
{
    stream_t *self = stream_of(base);
    if (self->is_ended) {
        return;
    }
    if (self->identity.is_set && !bridge_tokens_is_good(self->bridge->tokens, &self->identity)) {
        bridge_stream_end(base); // its token was revoked, or is over
        return;
    }
    bridge_stream_wake(base);
    if (self->dropped > 0 && waiting_bytes(self) == 0) {
        bridge_event_dropped("slow", self->dropped, self->queue);
        self->dropped = 0;
        added(self);
    }
    if (now_us - self->wrote_us >= BRIDGE_STREAM_HEARTBEAT_US && waiting_bytes(self) == 0) {
        text_add(self->queue, VIEW_LITERAL(": still here\n\n"));
        added(self);
    }
}

void
bridge_stream_end(bridge_stream_t *base)
{
    stream_t *self = stream_of(base);
    self->is_ended = true;
    resume(self);
}

static ssize_t
read_queue(void *arg, uint64_t position BUS_UNUSED, char *buffer, size_t size)
{
    stream_t *self = arg;
    size_t left = waiting_bytes(self);
    if (left > 0) {
        size_t part = left < size ? left : size;
        memcpy(buffer, text_view(self->queue).data + self->sent, part);
        self->sent += part;
        if (part == left) {
            text_clear(self->queue);
            self->sent = 0;
            self->events = 0;
        }
        bridge_stream_wake(&self->base);
        return (ssize_t) part;
    }
    if (self->is_ended) {
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    self->is_suspended = true;
    MHD_suspend_connection(self->http);
    return 0;
}

static void
free_stream(void *arg)
{
    stream_t *self = arg;
    bridge_journal_cancel(self->bridge->journal, &self->job);
    bridge_hub_leave(self->base.hub, &self->base);
    text_destroy(&self->queue);
    free(self);
}

// --- GET /events/stream -------------------------------------------------------------------------

// Where to begin: behind Last-Event-ID, at `from`, or with what comes now. False: it answered.
static bool
choose_place(bridge_request_t *request,
             const bridge_shape_bus_stream_t *asked,
             stream_t *ret_stream)
{
    if (asked->from.has) {
        ret_stream->has_place = true;
        ret_stream->from = (uint64_t) asked->from.value;
    }
    bus_view_t last = bridge_request_header(request, "Last-Event-ID");
    if (last.size == 0) {
        return true;
    }
    char digits[24] = "";
    char *end = digits;
    if (last.size < sizeof(digits)) {
        memcpy(digits, last.data, last.size);
        ret_stream->from = strtoull(digits, &end, 10);
    }
    if (end == digits || *end != '\0' || digits[0] < '0' || digits[0] > '9' ||
        ret_stream->from >= INT64_MAX) {
        bridge_answer_invalid(request, "Last-Event-ID", "is no place in the journal");
        return false;
    }
    ret_stream->from++;
    ret_stream->has_place = true;
    return true;
}

static stream_t *
make_stream(bridge_request_t *request, const stream_t *place, bus_view_t pattern)
{
    stream_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    self->base.hub = request->bridge->hub;
    self->bridge = request->bridge;
    self->http = request->http;
    self->identity = request->identity;
    (void) snprintf(self->pattern, sizeof(self->pattern), "%.*s", (int) pattern.size, pattern.data);
    self->wants_journal = bridge_event_wants_journal(pattern);
    self->has_place = place->has_place;
    self->may_be_ahead = place->has_place;
    self->from = place->from;
    bus_view_t prefix = topic_pattern_prefix(pattern);
    (void) snprintf(
        self->job.prefix, sizeof(self->job.prefix), "%.*s", (int) prefix.size, prefix.data);
    self->job.max = BRIDGE_STREAM_PAGE_RECORDS;
    self->job.fn = on_page;
    self->job.arg = self;
    self->queue = text_new();
    text_add_format(self->queue, "retry: %d\n\n", RETRY_MS);
    self->wrote_us = clock_boot_us();
    return self;
}

void
bridge_stream_open(bridge_request_t *request)
{
    BUS_AUTO(pack_destroy) pack_t *params = pack_new();
    bridge_shape_bus_stream_t asked;
    stream_t place = {0};
    if (!bridge_params_read(request, params, &asked) || !choose_place(request, &asked, &place)) {
        return;
    }
    bus_view_t pattern = asked.topic.data != NULL ? asked.topic : VIEW_LITERAL(">");
    if (!topic_pattern_is_legal(pattern) || pattern.data[0] == '$' || pattern.data[0] == '_') {
        bridge_answer_invalid(request, "topic", "is no pattern over application topics");
        return;
    }
    if (request->bridge->is_stopping) {
        bridge_answer_refuse(request, BUS_SERVICE_UNAVAILABLE, "the bridge is stopping");
        return;
    }
    if (request->identity.is_set &&
        bridge_hub_is_used_up(request->bridge->hub, request->identity.role)) {
        bridge_answer_refuse(request, BUS_BUSY, "as many streams of yours are open as may be");
        return;
    }
    stream_t *self = make_stream(request, &place, pattern);
    bus_err_t err = bridge_hub_join(self->base.hub, &self->base);
    if (err != BUS_OK) {
        text_destroy(&self->queue);
        free(self);
        bridge_answer_refuse(request, err, "as many streams are open as may be");
        return;
    }
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, BLOCK_SIZE, read_queue, self, free_stream);
    assert(response != NULL);
    request->is_stream = true;
    bridge_answer_header(request, "Content-Type", "text/event-stream");
    bridge_answer_header(request, "Cache-Control", "no-store");
    bridge_answer_header(request, "X-Accel-Buffering", "no");
    bridge_answer_response(request, MHD_HTTP_OK, response);
    bridge_stream_wake(&self->base);
}
