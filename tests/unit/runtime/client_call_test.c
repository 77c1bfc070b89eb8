// client_call_test.c - deadlines, requests, replies and commands.
#include "client_fixture.h"

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
    await_welcome(self);
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
