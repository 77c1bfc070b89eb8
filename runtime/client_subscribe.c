// client_subscribe.c - topics: their own SUB, and every pattern tried on every message.
#include "client_self.h"
#include "proto/topic.h"
#include "proto/walk.h"
#include <assert.h>
#include <stdlib.h>

static void
hear(client_t *self, const client_link_message_t *message)
{
    client_heard_t heard = {
        .topic = message->topic, .header_bytes = message->header, .body = message->body};
    const char *why;
    if (header_decode(message->header, &heard.header, &why) != BUS_OK ||
        walk_check(message->body, WALK_ANY, BODY_DEPTH_MAX, &why) != BUS_OK) {
        self->stats.orphans++;
        return;
    }
    for (size_t i = 0; i < self->subscription_count; i++) {
        const client_subscription_t *row = &self->subscriptions[i];
        if (row->fn != NULL &&
            topic_pattern_matches(view_from_text(row->pattern), message->topic)) {
            row->fn(row->arg, &heard);
        }
    }
}

static void
on_topics(void *arg)
{
    client_t *self = arg;
    client_link_message_t message;
    for (int i = 0; i < CLIENT_DRAIN_MAX && client_link_receive(self->link.topics, &message); i++) {
        hear(self, &message);
        client_link_release(&message);
    }
}

bus_err_t
client_subscribe(client_t *self, const char *pattern, client_heard_fn *fn, void *arg)
{
    assert(fn != NULL);
    bus_view_t view = view_from_text(pattern);
    if (!topic_pattern_is_legal(view)) {
        return BUS_INVALID_TOPIC;
    }
    if (self->subscription_count == CLIENT_SUBSCRIPTIONS_MAX) {
        return BUS_BUSY;
    }
    if (self->link.topics == NULL) {
        client_link_open_topics(&self->link);
        loop_add_socket(self->loop, self->link.topics, on_topics, self);
        self->subscriptions = calloc(CLIENT_SUBSCRIPTIONS_MAX, sizeof(*self->subscriptions));
        assert(self->subscriptions != NULL);
    }
    char *kept = strdup(pattern);
    assert(kept != NULL);
    self->subscriptions[self->subscription_count++] =
        (client_subscription_t){.pattern = kept, .fn = fn, .arg = arg};
    client_link_hear(self->link.topics, topic_pattern_prefix(view));
    return BUS_OK;
}

void
client_unsubscribe(client_t *self, const void *arg)
{
    for (size_t i = 0; i < self->subscription_count; i++) {
        if (self->subscriptions[i].arg == arg) {
            self->subscriptions[i].fn =
                NULL; // its row stays: we may be called from a loop over them
        }
    }
}

void
client_subscribe_clear(client_t *self)
{
    if (self->link.topics != NULL) {
        loop_remove_socket(self->loop, self->link.topics);
    }
    for (size_t i = 0; i < self->subscription_count; i++) {
        free(self->subscriptions[i].pattern);
    }
    free(self->subscriptions);
    self->subscriptions = NULL;
    self->subscription_count = 0;
}
