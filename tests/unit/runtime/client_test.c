// client_test.c - a client against a broker that does as it is told: loses, refuses, dies, forgets.
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

static void
on_welcome(void *arg, const client_welcome_t *welcome)
{
    fixture_t *self = arg;
    self->welcomes++;
    self->welcomes_again += welcome->again;
    cr_assert(strlen(welcome->epoch) > 0);
}

static client_t *
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

static fixture_t *
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

static void
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

static void
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

static bool
is_final(const said_t *said)
{
    return said->failed > 0 || said->replied > 0 || (said->acked > 0 && !said->is_command);
}

static bool
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

static said_t *
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

static void
say_events(fixture_t *self, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        say(self, "core.event.test", CLIENT_WANT_ACK, 0);
    }
}

static bool
is_welcomed(void *arg)
{
    return ((fixture_t *) arg)->welcomes > 0;
}

static void
await_welcome(fixture_t *self)
{
    cr_assert(fake_run(self->loop, is_welcomed, self, WAIT_MS));
}

static void
await_finals(fixture_t *self)
{
    cr_assert(fake_run(self->loop, all_final, self, WAIT_MS), "not all were answered");
}

// Where in the journal the message is; 0: nowhere. More than once is a failure.
static uint64_t
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
static void
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

// --- Publishing ----------------------------------------------------------------------------------

Test(client, says_nothing_that_wants_an_answer_before_its_welcome)
{
    fixture_t *self = fixture_new(0);
    fake_broker_stop(self->broker);
    said_t *said = say(self, "core.event.test", CLIENT_WANT_ACK, 0);
    fake_run_for(self->loop, 50);
    cr_assert(!client_is_connected(self->client));
    cr_assert_eq(said->acked, 0);
    fake_broker_start(self->broker);
    await_finals(self);
    cr_assert(client_is_connected(self->client));
    cr_assert_eq(said->last.seq, 1);
    cr_assert_gt(said->last.at, 0);
    cr_assert_eq(fake_broker_counts(self->broker)->duplicates, 0);
    cr_assert_eq(client_head(self->client), 1);
    cr_assert_eq(client_pending(self->client), 0);
    fixture_destroy(&self);
}

Test(client, publishes_in_order_and_once)
{
    fixture_t *self = fixture_new(0);
    say_events(self, 3000);
    await_finals(self);
    check_window(self);
    cr_assert_eq(fake_broker_count(self->broker), 3000);
    fixture_destroy(&self);
}

Test(client, goes_back_for_a_message_that_was_lost_on_the_way)
{
    fixture_t *self = fixture_new(0);
    await_welcome(self);
    say_events(self, 2);
    await_finals(self);
    fake_broker_faults(self->broker)->lose_next = 2;
    uint64_t before_ms = clock_boot_ms();
    say_events(self, 20);
    await_finals(self);
    cr_assert_lt(clock_boot_ms(), before_ms + PATIENCE_MS, "the refusal told, not the timer");
    check_window(self);
    cr_assert_eq(fake_broker_count(self->broker), 22);
    fixture_destroy(&self);
}

Test(client, asks_again_where_acks_were_lost_and_hears_the_first_place)
{
    fixture_t *self = fixture_new(0);
    await_welcome(self);
    fake_broker_faults(self->broker)->lose_acks_next = 3;
    say_events(self, 5);
    await_finals(self);
    check_window(self);
    cr_assert_eq(fake_broker_count(self->broker), 5);
    cr_assert(self->said[0].last.duplicate);
    cr_assert(!self->said[4].last.duplicate);
    fixture_destroy(&self);
}

Test(client, waits_for_a_busy_broker_and_keeps_the_order)
{
    fixture_t *self = fixture_new(0);
    await_welcome(self);
    fake_broker_faults(self->broker)->busy_next = 4;
    say_events(self, 50);
    await_finals(self);
    check_window(self);
    cr_assert_eq(fake_broker_count(self->broker), 50);
    fixture_destroy(&self);
}

Test(client, tells_a_caller_whose_message_found_the_journal_full_and_no_other)
{
    fixture_t *self = fixture_new(0);
    await_welcome(self);
    say_events(self, 1);
    await_finals(self);
    fake_broker_faults(self->broker)->full_next = 1;
    say_events(self, 30);
    await_finals(self);
    check_window(self);
    cr_assert_eq(self->said[1].last.err, BUS_JOURNAL_FULL);
    cr_assert_eq(fake_broker_count(self->broker), 30);
    fixture_destroy(&self);
}

Test(client, tells_a_caller_who_was_refused_and_no_other)
{
    fixture_t *self = fixture_new(0);
    await_welcome(self);
    fake_broker_faults(self->broker)->refuse_next = 1;
    say_events(self, 10);
    await_finals(self);
    check_window(self);
    cr_assert_eq(self->said[0].last.err, BUS_UNAUTHORIZED_ACCESS);
    cr_assert_eq(fake_broker_count(self->broker), 9);
    fixture_destroy(&self);
}

Test(client, keeps_its_stream_when_the_last_message_is_refused)
{
    fixture_t *self = fixture_new(0);
    await_welcome(self);
    say_events(self, 1);
    await_finals(self);
    fake_broker_faults(self->broker)->refuse_next = 1;
    say_events(self, 1);
    await_finals(self);
    say_events(self, 1);
    await_finals(self);
    check_window(self);
    const fake_record_t *first = fake_broker_record(self->broker, 0);
    const fake_record_t *second = fake_broker_record(self->broker, 1);
    cr_assert_str_eq(first->pstream, second->pstream);
    cr_assert_eq(second->pseq, 2);
    fixture_destroy(&self);
}

Test(client, begins_a_fresh_stream_where_the_broker_forgot_its_own)
{
    fixture_t *self = fixture_new(0);
    await_welcome(self);
    say_events(self, 5);
    await_finals(self);
    fake_broker_forget_streams(self->broker);
    say_events(self, 5);
    await_finals(self);
    check_window(self);
    cr_assert_eq(fake_broker_count(self->broker), 10);
    fixture_destroy(&self);
}

static bool
some_journaled(void *arg)
{
    fixture_t *self = arg;
    return fake_broker_count(self->broker) > self->target;
}

Test(client, survives_a_broker_that_dies_with_messages_in_flight)
{
    fixture_t *self = fixture_new(0);
    await_welcome(self);
    for (size_t round = 0; round < 5; round++) {
        self->target = fake_broker_count(self->broker) + 100;
        say_events(self, 500);
        cr_assert(fake_run(self->loop, some_journaled, self, WAIT_MS));
        fake_broker_stop(self->broker);
        fake_broker_start(self->broker);
    }
    await_finals(self);
    check_window(self);
    cr_assert_eq(fake_broker_count(self->broker), 2500);
    cr_assert_geq(self->welcomes_again, 1);
    fixture_destroy(&self);
}

// --- Everything at once --------------------------------------------------------------------------

static bool
rest(void *arg BUS_UNUSED)
{
    return false;
}

static void
run_chaos(unsigned seed)
{
    fixture_t *self = fixture_new(0);
    fake_broker_destroy(&self->broker);
    client_destroy(&self->client);
    self->broker = fake_broker_new(self->loop, seed);
    self->client = join(self, "tester", NULL, 0);
    unsigned random = seed;
    for (unsigned round = 0; round < 6; round++) {
        *fake_broker_faults(self->broker) = (fake_faults_t){
            .lose_in = 10 + seed % 7, .lose_ack = 20, .busy = 4, .full = seed % 3 * 4};
        random = random * 1664525U + 1013904223U;
        say_events(self, 20 + random % 60);
        fake_run(self->loop, rest, self, random % 30);
        if (random % 3 == 0) {
            fake_broker_stop(self->broker);
            fake_run(self->loop, rest, self, random % 50);
            fake_broker_start(self->broker);
        }
    }
    *fake_broker_faults(self->broker) = (fake_faults_t){.lose_in = 0};
    await_finals(self);
    check_window(self);
    cr_assert_eq(client_pending(self->client), 0);
    fixture_destroy(&self);
}

// A seed that failed is added here and stays.
Test(client,
     loses_doubles_and_reorders_nothing_whatever_is_lost_refused_or_restarted,
     .timeout = 120)
{
    for (unsigned seed = 1; seed <= 8; seed++) {
        run_chaos(seed * 7919);
    }
}

// --- Deadlines -----------------------------------------------------------------------------------

Test(client, times_out_while_the_broker_is_away_and_then_does_not_publish)
{
    fixture_t *self = fixture_new(0);
    fake_broker_stop(self->broker);
    said_t *late = say(self, "core.event.test", CLIENT_WANT_ACK, 60);
    await_finals(self);
    cr_assert_eq(late->last.err, BUS_TIMEOUT);
    cr_assert_eq(client_pending(self->client), 0);
    fake_broker_start(self->broker);
    say_events(self, 1);
    await_finals(self);
    cr_assert_eq(fake_broker_count(self->broker), 1);
    fixture_destroy(&self);
}

static bool
nothing_pending(void *arg)
{
    return client_pending(((fixture_t *) arg)->client) == 0;
}

Test(client, lets_a_numbered_message_go_its_way_when_its_caller_gave_up)
{
    fixture_t *self = fixture_new(0);
    await_welcome(self);
    fake_broker_faults(self->broker)->lose_next = 1;
    said_t *late = say(self, "core.event.test", CLIENT_WANT_ACK, 60);
    await_finals(self);
    cr_assert_eq(late->last.err, BUS_TIMEOUT);
    cr_assert_eq(client_pending(self->client), 1);
    said_t *next = say(self, "core.event.test", CLIENT_WANT_ACK, 0);
    await_finals(self);
    cr_assert(fake_run(self->loop, nothing_pending, self, WAIT_MS));
    cr_assert_eq(journaled(self, late->id), 1);
    cr_assert_eq(journaled(self, next->id), 2);
    cr_assert_eq(late->acked, 0);
    fixture_destroy(&self);
}

Test(client, gives_a_message_on_its_way_to_the_caller_who_says_it_again)
{
    fixture_t *self = fixture_new(0);
    await_welcome(self);
    fake_broker_faults(self->broker)->lose_next = 1;
    said_t *late = say(self, "core.event.test", CLIENT_WANT_ACK, 60);
    client_message_t again = {.topic = "core.event.test",
                              .body = pack_view(self->body),
                              .id = late->id,
                              .want = CLIENT_WANT_ACK};
    said_t *second = &self->said[self->count++];
    cr_assert_eq(client_send(self->client, &again, on_answer, second, NULL), BUS_CONFLICT);
    self->count--;
    await_finals(self);
    self->count++;
    cr_assert_eq(client_send(self->client, &again, on_answer, second, NULL), BUS_OK);
    await_finals(self);
    cr_assert_eq(second->acked, 1);
    cr_assert_eq(late->failed, 1);
    cr_assert_eq(fake_broker_count(self->broker), 1);
    fixture_destroy(&self);
}

Test(client, calls_back_no_more_after_cancel)
{
    fixture_t *self = fixture_new(0);
    said_t *gone = say(self, "core.event.test", CLIENT_WANT_ACK, 0);
    client_cancel(self->client, gone->number);
    client_cancel(self->client, gone->number);
    self->count = 0;
    say_events(self, 1);
    await_finals(self);
    cr_assert_eq(gone->failed, 0);
    cr_assert_eq(fake_broker_count(self->broker), 1, "it had not been sent");
    fixture_destroy(&self);
}

Test(client, refuses_what_is_over_its_limit_or_no_message)
{
    fixture_t *self = fixture_new(2);
    fake_broker_stop(self->broker);
    say_events(self, 2);
    client_message_t message = {
        .topic = "core.event.test", .body = pack_view(self->body), .want = CLIENT_WANT_ACK};
    cr_assert_eq(client_send(self->client, &message, on_answer, self, NULL), BUS_BUSY);
    message.topic = "core..event";
    cr_assert_eq(client_send(self->client, &message, on_answer, self, NULL), BUS_INVALID_TOPIC);
    message.topic = "_inbox.a.b";
    cr_assert_eq(client_send(self->client, &message, on_answer, self, NULL), BUS_INVALID_TOPIC);
    message.topic = "core.event.test";
    message.body.size = 2 * 1024 * 1024;
    cr_assert_eq(client_send(self->client, &message, on_answer, self, NULL), BUS_PAYLOAD_TOO_LARGE);
    fixture_destroy(&self);
}

Test(client, aborts_what_is_unanswered_when_it_is_destroyed)
{
    fixture_t *self = fixture_new(0);
    fake_broker_stop(self->broker);
    say_events(self, 3);
    client_destroy(&self->client);
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(self->said[i].failed, 1);
        cr_assert_eq(self->said[i].last.err, BUS_ABORTED);
    }
    fixture_destroy(&self);
}

// --- Requests and replies ------------------------------------------------------------------------

static void
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

static void
serve(void *arg, const client_heard_t *heard)
{
    server_t *server = arg;
    server->asked++;
    echo(server->fixture, heard);
    if (server->silent > 0) {
        server->silent--;
        return;
    }
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    if (server->err == BUS_OK) {
        pack_map(out, 0);
    } else {
        schema_pack_error(out, server->err, NULL, VIEW_NONE, 0);
    }
    client_reply(server->client, &heard->header, server->err, pack_view(out));
}

static void
on_hello(void *arg, const client_outbox_t *where)
{
    fixture_t *self = arg;
    self->where = *where;
    self->hellos++;
}

static bool
has_hello(void *arg)
{
    return ((fixture_t *) arg)->hellos > 0;
}

static void
server_start(server_t *server, fixture_t *fixture)
{
    *server = (server_t){.fixture = fixture};
    server->client = join(fixture, "bhiv_echo", "echo", 0);
    client_on_request(server->client, serve, server);
    client_on_hello(server->client, on_hello, fixture);
    cr_assert(fake_run(fixture->loop, has_hello, fixture, WAIT_MS));
}

Test(client, asks_a_service_and_hears_its_reply)
{
    fixture_t *self = fixture_new(0);
    server_t server;
    server_start(&server, self);
    said_t *said = say(self, "req.echo.shout", CLIENT_WANT_REPLY, 0);
    await_finals(self);
    cr_assert_eq(said->replied, 1);
    cr_assert_eq(said->last.err, BUS_OK);
    cr_assert_str_eq(self->heard_topic, "req.echo.shout");
    cr_assert_str_eq(self->heard_trace, "trace-7");
    server.err = BUS_USER_NOT_FOUND;
    said = say(self, "req.echo.shout", CLIENT_WANT_REPLY, 0);
    await_finals(self);
    cr_assert_eq(said->last.event, CLIENT_REPLIED);
    cr_assert_eq(said->last.err, BUS_USER_NOT_FOUND);
    client_destroy(&server.client);
    fixture_destroy(&self);
}

Test(client, hears_at_once_that_nobody_is_there_to_answer)
{
    fixture_t *self = fixture_new(0);
    said_t *said = say(self, "req.nobody.home", CLIENT_WANT_REPLY, 0);
    await_finals(self);
    cr_assert_eq(said->failed, 1);
    cr_assert_eq(said->last.err, BUS_NO_RESPONDERS);
    fixture_destroy(&self);
}

Test(client, gives_up_a_request_at_its_deadline_and_drops_the_late_reply)
{
    fixture_t *self = fixture_new(0);
    server_t server;
    server_start(&server, self);
    server.silent = 1;
    said_t *said = say(self, "req.echo.shout", CLIENT_WANT_REPLY, 80);
    await_finals(self);
    cr_assert_eq(said->last.err, BUS_TIMEOUT);
    client_stats_t stats;
    client_stats(self->client, &stats);
    cr_assert_eq(stats.timeouts, 1);
    header_t late = {.re = view_from_text(said->id), .status = VIEW_LITERAL("success")};
    fake_broker_publish(self->broker, client_inbox(self->client), &late, pack_view(self->body));
    say_events(self, 1);
    await_finals(self);
    client_stats(self->client, &stats);
    cr_assert_eq(stats.orphans, 1);
    cr_assert_eq(said->replied, 0);
    client_destroy(&server.client);
    fixture_destroy(&self);
}

static bool
was_asked(void *arg)
{
    return ((server_t *) arg)->asked > 0;
}

Test(client, asks_again_after_the_broker_died_under_the_same_id)
{
    fixture_t *self = fixture_new(0);
    server_t server;
    server_start(&server, self);
    server.silent = 1;
    said_t *said = say(self, "req.echo.shout", CLIENT_WANT_REPLY, 10000);
    cr_assert(fake_run(self->loop, was_asked, &server, WAIT_MS));
    fake_broker_stop(self->broker);
    fake_broker_start(self->broker);
    await_finals(self);
    // The asker may have been back before the server: then nobody was there.
    cr_assert(said->replied == 1 || said->last.err == BUS_NO_RESPONDERS);
    client_destroy(&server.client);
    fixture_destroy(&self);
}

static void
reply_as_owner(fixture_t *self, const char *id, bool is_error)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    schema_pack_error(out, BUS_CONFLICT, NULL, VIEW_NONE, 0);
    header_t header = {.source = VIEW_LITERAL("bhiv_karma"),
                       .re = view_from_text(id),
                       .status = is_error ? VIEW_LITERAL("error") : VIEW_LITERAL("success")};
    fake_broker_publish(self->broker,
                        client_inbox(self->client),
                        &header,
                        is_error ? pack_view(out) : pack_view(self->body));
}

static bool
first_is_acked(void *arg)
{
    return ((fixture_t *) arg)->said[0].acked > 0;
}

Test(client, hears_of_a_command_that_it_is_durable_and_then_what_became_of_it)
{
    fixture_t *self = fixture_new(0);
    said_t *said = say(self, "karma.life_event", CLIENT_WANT_ACK | CLIENT_WANT_REPLY, 0);
    cr_assert(fake_run(self->loop, first_is_acked, self, WAIT_MS));
    cr_assert_eq(said->replied, 0);
    cr_assert_eq(said->last.seq, 1);
    reply_as_owner(self, said->id, true);
    await_finals(self);
    cr_assert_eq(said->acked, 1);
    cr_assert_eq(said->last.err, BUS_CONFLICT);
    cr_assert_eq(said->last.seq, 1);
    cr_assert_eq(client_pending(self->client), 0);
    fixture_destroy(&self);
}

Test(client, takes_a_reply_that_overtook_the_ack_as_the_last_word)
{
    fixture_t *self = fixture_new(0);
    await_welcome(self);
    fake_broker_faults(self->broker)->lose_acks_next = 1;
    said_t *said = say(self, "karma.life_event", CLIENT_WANT_ACK | CLIENT_WANT_REPLY, 0);
    cr_assert(fake_run(self->loop, some_journaled, self, WAIT_MS));
    reply_as_owner(self, said->id, false);
    await_finals(self);
    cr_assert_eq(said->first_event, 'R');
    cr_assert_eq(client_pending(self->client), 1, "its number awaits the broker's word");
    cr_assert(fake_run(self->loop, nothing_pending, self, WAIT_MS));
    cr_assert_eq(said->acked, 0);
    cr_assert_eq(fake_broker_count(self->broker), 1);
    fixture_destroy(&self);
}

static bool
two_journaled(void *arg)
{
    return fake_broker_count(((fixture_t *) arg)->broker) == 2;
}

Test(client, says_a_command_again_whose_reply_a_broken_connection_took)
{
    fixture_t *self = fixture_new(0);
    said_t *said = say(self, "karma.life_event", CLIENT_WANT_ACK | CLIENT_WANT_REPLY, 0);
    cr_assert(fake_run(self->loop, first_is_acked, self, WAIT_MS));
    fake_broker_stop(self->broker);
    fake_broker_start(self->broker);
    cr_assert(fake_run(self->loop, two_journaled, self, WAIT_MS));
    cr_assert_str_eq(fake_broker_record(self->broker, 1)->id, said->id);
    reply_as_owner(self, said->id, false);
    await_finals(self);
    cr_assert_eq(said->acked, 1);
    cr_assert_eq(said->replied, 1);
    fixture_destroy(&self);
}

Test(client, acks_a_live_message_without_a_place)
{
    fixture_t *self = fixture_new(0);
    said_t *said = say(self, "layer2.telemetry.cpu", CLIENT_WANT_ACK, 0);
    await_finals(self);
    cr_assert_eq(said->acked, 1);
    cr_assert_eq(said->last.seq, 0);
    said = say(self, "$bus.stats", CLIENT_WANT_REPLY, 0);
    await_finals(self);
    cr_assert_eq(said->replied, 1);
    fixture_destroy(&self);
}

Test(client, publishes_a_batch_under_one_number_and_one_ack)
{
    fixture_t *self = fixture_new(0);
    BUS_AUTO(pack_destroy) pack_t *batch = pack_new();
    pack_array(batch, 3);
    for (int i = 0; i < 3; i++) {
        pack_array(batch, 3);
        pack_text(batch, "core.event.test");
        pack_map(batch, 0);
        pack_map(batch, 0);
    }
    say_events(self, 1);
    client_message_t message = {
        .topic = "$bus.batch", .body = pack_view(batch), .want = CLIENT_WANT_ACK};
    said_t *said = &self->said[self->count++];
    cr_assert_eq(client_send(self->client, &message, on_answer, said, NULL), BUS_OK);
    say_events(self, 1);
    await_finals(self);
    cr_assert_eq(said->last.first, 2);
    cr_assert_eq(said->last.seq, 4);
    cr_assert_eq(said->last.count, 3);
    cr_assert_eq(self->said[2].last.seq, 5);
    fixture_destroy(&self);
}

// --- Hearing -------------------------------------------------------------------------------------

static bool
heard_two(void *arg)
{
    return ((fixture_t *) arg)->heard >= 2;
}

Test(client, hears_what_fits_its_pattern_and_nothing_else)
{
    fixture_t *self = fixture_new(0);
    cr_assert_eq(client_subscribe(self->client, "core.*.*.>", echo, self), BUS_OK);
    cr_assert_eq(client_subscribe(self->client, "core..x", echo, self), BUS_INVALID_TOPIC);
    await_welcome(self);
    header_t header = {.source = VIEW_LITERAL("x"), .trace_id = VIEW_LITERAL("t")};
    // Its subscription may arrive after its welcome: said until it is heard.
    for (unsigned i = 0; i < 1000 && self->heard < 2; i++) {
        fake_broker_publish(self->broker, "core.event.a", &header, pack_view(self->body));
        fake_broker_publish(self->broker, "core.event.a.b", &header, pack_view(self->body));
        fake_run(self->loop, heard_two, self, 10);
    }
    cr_assert_geq(self->heard, 2);
    cr_assert_str_eq(self->heard_topic, "core.event.a.b");
    fixture_destroy(&self);
}

// --- The journal ---------------------------------------------------------------------------------

static void
on_page(void *arg, const client_page_t *page)
{
    fixture_t *self = arg;
    self->pages++;
    self->page = *page;
    client_records_t records = client_records(page);
    client_heard_t record;
    while (client_next_record(&records, &record) == BUS_OK) {
        cr_assert(self->seq_count < CALLS_MAX);
        self->seqs[self->seq_count++] = record.header.seq;
    }
    cr_assert_eq(page->err == BUS_OK ? records.left : 0, 0);
}

static bool
has_page(void *arg)
{
    return ((fixture_t *) arg)->pages > 0;
}

static const char *const filters[] = {"core."};

static client_fetch_t
fetch_from(uint64_t from, uint32_t max, uint32_t wait_ms)
{
    return (client_fetch_t){.consumer = "tester",
                            .filters = filters,
                            .filter_count = 1,
                            .from = from,
                            .max = max,
                            .wait_ms = wait_ms};
}

Test(client, reads_the_journal_page_by_page)
{
    fixture_t *self = fixture_new(0);
    say_events(self, 25);
    say(self, "karma.life_event", CLIENT_WANT_ACK, 0);
    await_finals(self);
    uint64_t next = 1;
    while (next <= 26) {
        client_fetch_t fetch = fetch_from(next, 10, 0);
        self->pages = 0;
        cr_assert_eq(client_fetch(self->client, &fetch, on_page, self), BUS_OK);
        cr_assert_eq(client_fetch(self->client, &fetch, on_page, self), BUS_BUSY);
        cr_assert(fake_run(self->loop, has_page, self, WAIT_MS));
        cr_assert_gt(self->page.next, next);
        next = self->page.next;
    }
    cr_assert_eq(self->seq_count, 25);
    for (size_t i = 0; i < 25; i++) {
        cr_assert_eq(self->seqs[i], i + 1);
    }
    cr_assert_eq(self->page.head, 26);
    fixture_destroy(&self);
}

Test(client, waits_for_a_record_and_through_a_broker_that_dies)
{
    fixture_t *self = fixture_new(0);
    client_fetch_t fetch = fetch_from(1, 10, 60000);
    cr_assert_eq(client_fetch(self->client, &fetch, on_page, self), BUS_OK);
    await_welcome(self);
    fake_broker_stop(self->broker);
    fake_broker_start(self->broker);
    say_events(self, 1);
    await_finals(self);
    cr_assert(fake_run(self->loop, has_page, self, WAIT_MS));
    cr_assert_eq(self->page.err, BUS_OK);
    cr_assert_eq(self->seq_count, 1);
    fixture_destroy(&self);
}

Test(client, tells_why_a_fetch_was_refused)
{
    fixture_t *self = fixture_new(0);
    client_fetch_t fetch = fetch_from(99, 10, 0);
    cr_assert_eq(client_fetch(self->client, &fetch, on_page, self), BUS_OK);
    cr_assert(fake_run(self->loop, has_page, self, WAIT_MS));
    cr_assert_eq(self->page.err, BUS_AHEAD);
    fixture_destroy(&self);
}

Test(client, forgets_a_fetch_and_takes_another)
{
    fixture_t *self = fixture_new(0);
    client_fetch_t parked = fetch_from(1, 10, 60000);
    cr_assert_eq(client_fetch(self->client, &parked, on_page, self), BUS_OK);
    client_fetch_cancel(self->client);
    client_fetch_t fetch = fetch_from(1, 10, 0);
    cr_assert_eq(client_fetch(self->client, &fetch, on_page, self), BUS_OK);
    cr_assert(fake_run(self->loop, has_page, self, WAIT_MS));
    cr_assert_eq(self->pages, 1);
    fixture_destroy(&self);
}

// --- An outbox -----------------------------------------------------------------------------------

static void
on_outbox_ack(void *arg, bus_err_t err, uint64_t pseq)
{
    fixture_t *self = arg;
    if (err == BUS_OK) {
        self->outbox_acked = pseq > self->outbox_acked ? pseq : self->outbox_acked;
    } else {
        cr_assert_eq(err, BUS_PSEQ_GAP);
        self->outbox_gaps++;
        self->outbox_expected = pseq;
    }
}

static bus_err_t
send_outbox(fixture_t *self, client_t *client, uint64_t pseq)
{
    char id[40];
    snprintf(id, sizeof(id), "out-%llu", (unsigned long long) pseq);
    header_t header = {
        .id = view_from_text(id), .pseq = pseq, .cause_seq = 100 + pseq, .cause_n = 3};
    return client_outbox_send(
        client, VIEW_LITERAL("karma.life_event"), &header, pack_view(self->body));
}

static bool
outbox_is_acked(void *arg)
{
    fixture_t *self = arg;
    return self->outbox_acked >= self->target;
}

static bool
outbox_has_gap(void *arg)
{
    return ((fixture_t *) arg)->outbox_gaps > 0;
}

Test(client, publishes_an_outbox_under_its_owners_numbers)
{
    fixture_t *self = fixture_new(0);
    client_t *client = join(self, "bhiv_box", "", 0);
    client_on_hello(client, on_hello, self);
    client_on_outbox_ack(client, on_outbox_ack, self);
    cr_assert_eq(send_outbox(self, client, 1), BUS_BUSY, "not before the welcome");
    cr_assert(fake_run(self->loop, has_hello, self, WAIT_MS));
    cr_assert_eq(self->where.pseq, 0);
    for (uint64_t pseq = 1; pseq <= 10; pseq++) {
        cr_assert_eq(send_outbox(self, client, pseq), BUS_OK);
    }
    self->target = 10;
    cr_assert(fake_run(self->loop, outbox_is_acked, self, WAIT_MS));
    cr_assert_eq(send_outbox(self, client, 12), BUS_OK);
    cr_assert(fake_run(self->loop, outbox_has_gap, self, WAIT_MS));
    cr_assert_eq(self->outbox_expected, 11);
    self->hellos = 0;
    fake_broker_stop(self->broker);
    fake_broker_start(self->broker);
    cr_assert(fake_run(self->loop, has_hello, self, WAIT_MS));
    cr_assert_eq(self->where.pseq, 10);
    cr_assert_eq(self->where.cause_seq, 110);
    cr_assert_eq(self->where.cause_n, 3);
    cr_assert_eq(fake_broker_record(self->broker, 9)->pseq, 10);
    cr_assert_str_eq(fake_broker_record(self->broker, 9)->source, "bhiv_box");
    client_destroy(&client);
    fixture_destroy(&self);
}

static bool
bye_was_said(void *arg)
{
    return fake_broker_counts(((fixture_t *) arg)->broker)->byes > 0;
}

Test(client, says_bye)
{
    fixture_t *self = fixture_new(0);
    server_t server;
    server_start(&server, self);
    client_destroy(&server.client);
    cr_assert(fake_run(self->loop, bye_was_said, self, WAIT_MS));
    fixture_destroy(&self);
}

Test(client, does_not_begin_with_an_endpoint_that_makes_no_sense)
{
    loop_t *loop = loop_new();
    client_options_t options = {
        .source = "tester", .ingress = "nonsense", .egress = "tcp://127.0.0.1:1"};
    cr_assert_null(client_new(loop, &options));
    loop_destroy(&loop);
}
