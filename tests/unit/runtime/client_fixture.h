// client_fixture.h - a client and the fake broker in one loop, and what was said and heard.
#pragma once
#include "fake_broker.h"
#include "proto/schema.h"
#include "proto/walk.h"
#include "runtime/client.h"
#include "runtime/clock.h"
#include <criterion/criterion.h>
#include <stdio.h>

enum { WAIT_MS = 20000, CALLS_MAX = 4000, PATIENCE_MS = 1000 };

// One message that was said, and everything that was heard of it.
typedef struct {
    struct fixture *fixture;
    char id[40];
    unsigned acked, replied, failed; // events
    bool is_command;
    client_answer_t last;
    char first_event;
    uint64_t number;
} said_t;

typedef struct fixture {
    loop_t *loop;
    fake_broker_t *broker;
    client_t *client;
    pack_t *body;
    said_t said[CALLS_MAX];
    size_t count;
    size_t target; // finals that are waited for
    unsigned welcomes, welcomes_again;
    unsigned heard;
    char heard_topic[FAKE_TEXT_SIZE];
    char heard_trace[FAKE_TEXT_SIZE];
    unsigned pages;
    client_page_t page;
    uint64_t seqs[CALLS_MAX];
    size_t seq_count;
    client_outbox_t where;
    unsigned hellos;
    uint64_t outbox_acked;
    unsigned outbox_gaps;
    uint64_t outbox_expected;
} fixture_t;

static inline void
on_welcome(void *arg, const client_welcome_t *welcome)
{
    fixture_t *self = arg;
    self->welcomes++;
    self->welcomes_again += welcome->again;
    cr_assert(strlen(welcome->epoch) > 0);
}

static inline client_t *
join(fixture_t *self, const char *source, const char *service, size_t pending_max)
{
    client_options_t options = {.source = source,
                                .service = service,
                                .ingress = fake_broker_ingress(self->broker),
                                .egress = fake_broker_egress(self->broker),
                                .pending_max = pending_max};
    client_t *client = client_new(self->loop, &options);
    cr_assert_not_null(client);
    return client;
}

static inline fixture_t *
fixture_new(size_t pending_max)
{
    fixture_t *self = calloc(1, sizeof(*self));
    self->loop = loop_new();
    self->broker = fake_broker_new(self->loop, 1);
    self->client = join(self, "tester", NULL, pending_max);
    client_on_welcome(self->client, on_welcome, self);
    self->body = pack_new();
    pack_map(self->body, 1);
    pack_pair_text(self->body, "requester_id", "tester");
    return self;
}

static inline void
fixture_destroy(fixture_t **self_p)
{
    fixture_t *self = *self_p;
    client_destroy(&self->client);
    fake_broker_destroy(&self->broker);
    loop_destroy(&self->loop);
    pack_destroy(&self->body);
    free(self);
    *self_p = NULL;
}

static inline void
on_answer(void *arg, const client_answer_t *answer)
{
    said_t *said = arg;
    said->last = *answer;
    said->last.body = VIEW_NONE;
    switch (answer->event) {
    case CLIENT_ACKED:
        said->acked++;
        break;
    case CLIENT_REPLIED:
        said->replied++;
        break;
    case CLIENT_FAILED:
        said->failed++;
        break;
    }
    if (said->first_event == '\0') {
        said->first_event = "ARF"[answer->event];
    }
}

static inline bool
is_final(const said_t *said)
{
    return said->failed > 0 || said->replied > 0 || (said->acked > 0 && !said->is_command);
}

static inline bool
all_final(void *arg)
{
    const fixture_t *self = arg;
    for (size_t i = 0; i < self->count; i++) {
        if (!is_final(&self->said[i])) {
            return false;
        }
    }
    return true;
}

static inline said_t *
say(fixture_t *self, const char *topic, unsigned want, unsigned timeout_ms)
{
    cr_assert(self->count < CALLS_MAX);
    said_t *said = &self->said[self->count];
    said->fixture = self;
    said->is_command = (want & CLIENT_WANT_REPLY) != 0;
    snprintf(said->id, sizeof(said->id), "m-%zu", self->count);
    self->count++;
    client_message_t message = {.topic = topic,
                                .body = pack_view(self->body),
                                .id = said->id,
                                .want = want,
                                .timeout_ms = timeout_ms,
                                .trace_id = VIEW_LITERAL("trace-7")};
    bus_err_t err = client_send(self->client, &message, on_answer, said, &said->number);
    cr_assert_eq(err, BUS_OK, "%s", error_text(err));
    return said;
}

static inline void
say_events(fixture_t *self, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        say(self, "core.event.test", CLIENT_WANT_ACK, 0);
    }
}

static inline bool
is_welcomed(void *arg)
{
    return ((fixture_t *) arg)->welcomes > 0;
}

static inline void
await_welcome(fixture_t *self)
{
    cr_assert(fake_run(self->loop, is_welcomed, self, WAIT_MS));
}

static inline void
await_finals(fixture_t *self)
{
    cr_assert(fake_run(self->loop, all_final, self, WAIT_MS), "not all were answered");
}

// Where in the journal the message is; 0: nowhere. More than once is a failure.
static inline uint64_t
journaled(const fixture_t *self, const char *id)
{
    uint64_t seq = 0;
    for (size_t i = 0; i < fake_broker_count(self->broker); i++) {
        const fake_record_t *record = fake_broker_record(self->broker, i);
        if (strcmp(record->id, id) == 0) {
            cr_assert_eq(seq, 0, "%s is in the journal twice", id);
            seq = record->seq;
        }
    }
    return seq;
}

// Acked is journaled once, failed is not, and the order is that of saying.
static inline void
check_window(const fixture_t *self)
{
    uint64_t before = 0;
    for (size_t i = 0; i < self->count; i++) {
        const said_t *said = &self->said[i];
        uint64_t seq = journaled(self, said->id);
        cr_assert_eq(said->acked + said->failed, 1, "%s: %u acks", said->id, said->acked);
        if (said->failed > 0) {
            cr_assert_eq(seq, 0, "%s failed and is journaled", said->id);
            continue;
        }
        cr_assert_gt(seq, before, "%s is out of order", said->id);
        cr_assert_eq(said->last.seq, seq);
        before = seq;
    }
}

static inline bool
some_journaled(void *arg)
{
    fixture_t *self = arg;
    return fake_broker_count(self->broker) > self->target;
}

static inline bool
nothing_pending(void *arg)
{
    return client_pending(((fixture_t *) arg)->client) == 0;
}

static inline void
echo(void *arg, const client_heard_t *heard)
{
    fixture_t *self = arg;
    self->heard++;
    snprintf(self->heard_topic,
             sizeof(self->heard_topic),
             "%.*s",
             (int) heard->topic.size,
             heard->topic.data);
    snprintf(self->heard_trace,
             sizeof(self->heard_trace),
             "%.*s",
             (int) heard->header.trace_id.size,
             heard->header.trace_id.data);
}

typedef struct {
    fixture_t *fixture;
    client_t *client;
    bus_err_t err;
    unsigned silent; // so many are not answered
    unsigned asked;
    char trace[FAKE_TEXT_SIZE];
} server_t;

static inline void
serve(void *arg, const client_heard_t *heard)
{
    server_t *server = arg;
    server->asked++;
    echo(server->fixture, heard);
    if (server->silent > 0) {
        server->silent--;
        return;
    }
    client_reply(server->client, &heard->header, server->err, VIEW_NONE);
}

static inline void
on_hello(void *arg, const client_outbox_t *where)
{
    fixture_t *self = arg;
    self->where = *where;
    self->hellos++;
}

static inline bool
has_hello(void *arg)
{
    return ((fixture_t *) arg)->hellos > 0;
}

static inline void
server_start(server_t *server, fixture_t *fixture)
{
    *server = (server_t){.fixture = fixture};
    server->client = join(fixture, "bhiv_echo", "echo", 0);
    client_on_request(server->client, serve, server);
    client_on_hello(server->client, on_hello, fixture);
    cr_assert(fake_run(fixture->loop, has_hello, fixture, WAIT_MS));
}
