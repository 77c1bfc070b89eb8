// hub.c - the ears, their subscriptions, and the list of streams.
#include "hub.h"
#include "event.h"
#include "proto/limits.h"
#include "stream.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    WATCH_WAIT_MS = 20000,
    WATCH_PAUSE_MS = 10 // between two looks at a journal that grows all the time
};

typedef struct pattern pattern_t;
struct pattern {
    pattern_t *next;
    bridge_hub_t *hub;
    char text[TOPIC_SIZE_MAX + 1];
};

struct bridge_hub {
    bridge_t *bridge;
    bridge_stream_t *streams;
    size_t count;
    client_t *ears;      // NULL: no stream since they were closed
    pattern_t *patterns; // that the ears are subscribed to
    size_t pattern_count;
    char consumer[64];
    bool knows_head;
    uint64_t head;
    int watch_timer; // 0: none
};

bridge_hub_t *
bridge_hub_new(bridge_t *bridge)
{
    bridge_hub_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    self->bridge = bridge;
    return self;
}

static void
close_ears(bridge_hub_t *self)
{
    if (self->watch_timer != 0) {
        loop_cancel_timer(self->bridge->loop, self->watch_timer);
        self->watch_timer = 0;
    }
    client_destroy(&self->ears);
    while (self->patterns != NULL) {
        pattern_t *pattern = self->patterns;
        self->patterns = pattern->next;
        free(pattern);
    }
    self->pattern_count = 0;
    self->knows_head = false;
}

void
bridge_hub_destroy(bridge_hub_t **self_p)
{
    bridge_hub_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    assert(self->streams == NULL);
    close_ears(self);
    free(self);
    *self_p = NULL;
}

static void
wake_all(bridge_hub_t *self)
{
    for (bridge_stream_t *stream = self->streams; stream != NULL; stream = stream->next) {
        bridge_stream_wake(stream);
    }
}

static void watch(void *arg);

static void
watch_later(bridge_hub_t *self)
{
    if (self->watch_timer == 0) {
        self->watch_timer = loop_add_timer(self->bridge->loop, WATCH_PAUSE_MS, 1, watch, self);
    }
}

static void
on_watched(void *arg, const client_page_t *page)
{
    bridge_hub_t *self = arg;
    if (page->err == BUS_ABORTED) {
        return; // the ears are being closed
    }
    if (page->err == BUS_OK) {
        bridge_hub_note_head(self, page->head);
    } else {
        self->head = client_head(self->ears); // the journal is another one, or was trimmed
    }
    watch_later(self);
    wake_all(self);
}

// Asks to be told when there is anything behind the head.
static void
watch(void *arg)
{
    bridge_hub_t *self = arg;
    self->watch_timer = 0;
    const client_fetch_t fetch = {.consumer = self->consumer,
                                  .from = self->head + 1,
                                  .max = 1,
                                  .max_bytes = 1,
                                  .wait_ms = WATCH_WAIT_MS};
    if (client_fetch(self->ears, &fetch, on_watched, self) != BUS_OK) {
        watch_later(self);
    }
}

static void
on_welcome(void *arg, const client_welcome_t *welcome)
{
    bridge_hub_t *self = arg;
    bool first = !self->knows_head;
    self->knows_head = true;
    self->head = welcome->head;
    if (first) {
        watch_later(self);
    }
    wake_all(self);
}

static void
open_ears(bridge_hub_t *self)
{
    const bridge_options_t *options = self->bridge->options;
    const client_options_t client = {
        .source = "bhiv_bridge",
        .ingress = options->ingress,
        .egress = options->egress,
        .cert = options->cert,
    };
    self->ears = client_new(self->bridge->loop, &client);
    (void) snprintf(self->consumer, sizeof(self->consumer), "ears-%s", client_instance(self->ears));
    client_on_welcome(self->ears, on_welcome, self);
}

static void
on_heard(void *arg, const client_heard_t *heard)
{
    const pattern_t *pattern = arg;
    if (heard->header.seq != 0) {
        return; // journaled: it is read from the journal
    }
    bridge_stream_t *stream = pattern->hub->streams;
    for (; stream != NULL; stream = stream->next) {
        if (strcmp(bridge_stream_pattern(stream), pattern->text) == 0) {
            bridge_stream_hear(stream, heard);
        }
    }
}

static bus_err_t
require_pattern(bridge_hub_t *self, const char *text)
{
    for (pattern_t *pattern = self->patterns; pattern != NULL; pattern = pattern->next) {
        if (strcmp(pattern->text, text) == 0) {
            return BUS_OK;
        }
    }
    if (self->pattern_count == BRIDGE_HUB_PATTERNS_MAX) {
        return BUS_BUSY;
    }
    pattern_t *pattern = calloc(1, sizeof(*pattern));
    assert(pattern != NULL);
    pattern->hub = self;
    (void) snprintf(pattern->text, sizeof(pattern->text), "%s", text);
    bus_err_t err = client_subscribe(self->ears, pattern->text, on_heard, pattern);
    if (err != BUS_OK) {
        free(pattern);
        return err;
    }
    pattern->next = self->patterns;
    self->patterns = pattern;
    self->pattern_count++;
    return BUS_OK;
}

bus_err_t
bridge_hub_join(bridge_hub_t *self, bridge_stream_t *stream)
{
    if (self->count == BRIDGE_HUB_STREAMS_MAX) {
        return BUS_BUSY;
    }
    if (self->ears == NULL) {
        open_ears(self);
    }
    const char *text = bridge_stream_pattern(stream);
    bus_err_t err = BUS_OK;
    if (bridge_event_wants_live(view_from_text(text))) {
        err = require_pattern(self, text);
    }
    if (err != BUS_OK) {
        return err;
    }
    stream->next = self->streams;
    stream->prev = NULL;
    if (stream->next != NULL) {
        stream->next->prev = stream;
    }
    self->streams = stream;
    self->count++;
    return BUS_OK;
}

bool
bridge_hub_is_used_up(const bridge_hub_t *self, const char *role)
{
    unsigned count = 0;
    for (const bridge_stream_t *stream = self->streams; stream != NULL; stream = stream->next) {
        count += strcmp(bridge_stream_role(stream), role) == 0 ? 1 : 0;
    }
    return count >= BRIDGE_HUB_STREAMS_IDENTITY;
}

void
bridge_hub_leave(bridge_hub_t *self, bridge_stream_t *stream)
{
    if (stream->next != NULL) {
        stream->next->prev = stream->prev;
    }
    *(stream->prev != NULL ? &stream->prev->next : &self->streams) = stream->next;
    self->count--;
}

bool
bridge_hub_head(const bridge_hub_t *self, uint64_t *ret_head)
{
    *ret_head = self->head;
    return self->knows_head;
}

void
bridge_hub_note_head(bridge_hub_t *self, uint64_t head)
{
    self->head = head > self->head ? head : self->head;
}

void
bridge_hub_sweep(bridge_hub_t *self, uint64_t now_us)
{
    for (bridge_stream_t *stream = self->streams; stream != NULL; stream = stream->next) {
        bridge_stream_sweep(stream, now_us);
    }
    // Closing waits for what is unsent, up to half a second: only while the broker is there.
    if (self->streams == NULL && self->ears != NULL && client_is_connected(self->ears)) {
        close_ears(self);
    }
}

void
bridge_hub_end(bridge_hub_t *self)
{
    for (bridge_stream_t *stream = self->streams; stream != NULL; stream = stream->next) {
        bridge_stream_end(stream);
    }
}
