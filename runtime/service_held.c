// service_held.c - replies that wait until what their questions had published is durable.
//
// A question that journals a fact (somebody looked at something, and that is on record) is answered
// only with the fact in the journal. The first fact of a question makes a held reply; the reply
// itself is put into it when the question is done, and leaves with the last ack, or as the broker's
// error where a fact was refused.
#include "proto/limits.h"
#include "service_self.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    PATIENCE_MS = 1500, // whoever asks waits 2 s by default, and should hear why not
    BODIES_BYTES_MAX = 64 * 1024 * 1024, // of held replies: no more is begun beyond it
};

struct service_held {
    service_t *service;
    service_ear_t *ear; // that heard the question
    unsigned missing;   // facts that the broker has not answered for
    bool is_refused;    // one of them was
    bus_err_t err;      // the reply's, or the broker's first
    uint8_t *body;      // the reply's; NULL: what `err` says
    size_t body_size;
    char id[ID_SIZE_MAX + 1];
    char reply_to[NAME_SIZE_MAX + 1];
    char trace_id[NAME_SIZE_MAX + 1];
    bool has_trace_id;
};

static void
copy_text(char *text, size_t size, bus_view_t view)
{
    assert(view.size < size); // the header's own limits
    memcpy(text, view.data, view.size);
    text[view.size] = '\0';
}

static service_held_t *
held_new(service_t *service, const header_t *asked)
{
    service_held_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    self->service = service;
    copy_text(self->reply_to, sizeof(self->reply_to), asked->reply_to);
    copy_text(self->id, sizeof(self->id), asked->id);
    self->has_trace_id = asked->trace_id.data != NULL;
    if (self->has_trace_id) {
        copy_text(self->trace_id, sizeof(self->trace_id), asked->trace_id);
    }
    service->holding.count++;
    return self;
}

static void
set_body(service_held_t *self, bus_view_t body)
{
    self->service->holding.bytes += body.size - self->body_size;
    free(self->body);
    self->body = NULL;
    self->body_size = body.size;
    if (body.size > 0) {
        self->body = malloc(body.size);
        assert(self->body != NULL);
        memcpy(self->body, body.data, body.size);
    }
}

static void
held_destroy(service_held_t **self_p)
{
    service_held_t *self = *self_p;
    set_body(self, VIEW_NONE);
    self->service->holding.count--;
    free(self);
    *self_p = NULL;
}

// Replies, and forgets it, where nothing is waited for any more.
static void
release_if_whole(service_held_t *self)
{
    if (self->missing > 0) {
        return;
    }
    header_t asked = {
        .id = view_from_text(self->id),
        .reply_to = view_from_text(self->reply_to),
        .trace_id = self->has_trace_id ? view_from_text(self->trace_id) : VIEW_NONE,
    };
    bus_view_t body = self->body == NULL ? VIEW_NONE : view_from(self->body, self->body_size);
    client_reply(self->ear->client, &asked, self->err, body);
    held_destroy(&self);
}

static void
on_answer(void *arg, const client_answer_t *answer)
{
    service_held_t *self = arg;
    if (answer->event == CLIENT_FAILED && !self->is_refused) {
        self->is_refused = true;
        self->err = answer->err;
        set_body(self, answer->body);
    }
    assert(self->missing > 0);
    self->missing--;
    release_if_whole(self);
}

bus_err_t
service_held_say(service_t *self, const header_t *asked, const char *topic, bus_view_t body)
{
    service_holding_t *holding = &self->holding;
    if (holding->open == NULL &&
        (holding->count >= SERVICE_HELD_MAX || holding->bytes >= BODIES_BYTES_MAX)) {
        return BUS_BUSY;
    }
    service_held_t *held = holding->open;
    if (held == NULL) {
        held = held_new(self, asked);
    }
    client_message_t message = {
        .topic = topic,
        .body = body,
        .trace_id = asked->trace_id,
        .want = CLIENT_WANT_ACK,
        .timeout_ms = PATIENCE_MS,
    };
    bus_err_t err = client_send(self->client, &message, on_answer, held, NULL);
    if (err == BUS_OK) {
        held->missing++;
        holding->open = held;
    } else if (holding->open == NULL) {
        held_destroy(&held);
    }
    return err;
}

void
service_held_reply(service_ear_t *ear, const header_t *asked, bus_err_t err, bus_view_t body)
{
    service_held_t *held = ear->service->holding.open;
    ear->service->holding.open = NULL;
    if (held == NULL) {
        client_reply(ear->client, asked, err, body);
        return;
    }
    assert(held->missing > 0); // the broker's answers come through the loop, never from within
    held->ear = ear;
    held->err = err;
    set_body(held, body);
}
