// service_once_test.c - the service is killed, told things twice and rebuilt, and must have applied
// and said each thing once.
#include "service_fixture.h"

// --- Once ----------------------------------------------------------------------------------------

Test(service, applies_and_says_everything_once_however_often_it_is_killed, .timeout = 200)
{
    fixture_t *self = fixture_new();
    unsigned random = 4711;
    size_t events = 0;
    for (int round = 0; round < 12; round++) {
        start(self);
        for (int burst = 0; burst < 5; burst++) {
            random = random * 1664525U + 1013904223U;
            size_t count = 1 + random % 150;
            add_events(self, count, NULL);
            events += count;
            fake_run_for(self->loop, 5 + random % 40);
        }
        cr_assert_eq(stop(self, SIGKILL), -SIGKILL);
    }
    start(self);
    await_ready(self);
    cr_assert_eq(counted(self, "events"), (int64_t) events);
    check_said(self, events);
    fixture_destroy(&self);
}

Test(service, answers_a_command_again_whose_answer_it_was_killed_before)
{
    fixture_t *self = fixture_started();
    fake_broker_faults(self->broker)->mute_replies = true;
    ask_t command = {.topic = "bucket.count", .id = "command-1", .timeout_ms = 2000};
    cr_assert_eq(ask(self, &command), BUS_TIMEOUT);
    cr_assert_eq(fake_broker_count(self->broker), 1);
    cr_assert_eq(stop(self, SIGKILL), -SIGKILL);
    fake_broker_faults(self->broker)->mute_replies = false;
    start(self);
    await_ready(self);
    command.timeout_ms = 0;
    cr_assert_eq(ask(self, &command), BUS_OK);
    cr_assert_eq(number(self, "count"), 1);
    cr_assert_eq(fake_broker_count(self->broker), 2, "it was journaled again");
    cr_assert_eq(counted(self, "commands"), 1, "and not applied again");
    fixture_destroy(&self);
}

Test(service, ignores_an_id_that_it_applied_within_a_day_and_not_after)
{
    fixture_t *self = fixture_started();
    uint64_t now = clock_wall_us();
    uint64_t day = 24ULL * 3600 * 1000000;
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 1);
    pack_pair_text(body, "requester_id", "bhiv_core");
    header_t header = {.id = VIEW_LITERAL("same"), .source = VIEW_LITERAL("a")};
    uint64_t start_at = now - 3 * day;
    fake_broker_append(self->broker, "core.event.x", &header, pack_view(body), start_at);
    fake_broker_append(self->broker, "core.event.x", &header, pack_view(body), start_at + day);
    header.source = VIEW_LITERAL("b");
    fake_broker_append(self->broker, "core.event.x", &header, pack_view(body), start_at + day);
    header.source = VIEW_LITERAL("a");
    fake_broker_append(self->broker, "core.event.x", &header, pack_view(body), start_at + day + 1);
    // Applied again, so its day begins anew.
    fake_broker_append(self->broker, "core.event.x", &header, pack_view(body), start_at + 2 * day);
    await_read_all(self);
    cr_assert_eq(counted(self, "events"), 3);
    fixture_destroy(&self);
}

Test(service, gives_an_idempotency_key_its_first_answer)
{
    fixture_t *self = fixture_started();
    ask_t command = {.topic = "bucket.count", .idem = "caller key-1", .op = "count"};
    cr_assert_eq(ask(self, &command), BUS_OK);
    cr_assert_eq(number(self, "count"), 1);
    cr_assert_eq(ask(self, &(ask_t){.topic = "bucket.count"}), BUS_OK);
    cr_assert_eq(number(self, "count"), 2);
    cr_assert_eq(ask(self, &command), BUS_OK);
    cr_assert_eq(number(self, "count"), 1, "the first answer");
    command.op = "other";
    cr_assert_eq(ask(self, &command), BUS_IDEMPOTENCY_KEY_REUSED);
    command.idem = "caller key-2";
    command.op = "refuse";
    cr_assert_eq(ask(self, &command), BUS_CONFLICT);
    cr_assert_eq(ask(self, &command), BUS_CONFLICT, "a refusal is an answer too");
    cr_assert_eq(counted(self, "commands"), 2);
    fixture_destroy(&self);
}

// --- Rebuilding ----------------------------------------------------------------------------------

static void
hash_of(fixture_t *self, char ret_hash[TEXT_SIZE])
{
    cr_assert_eq(ask(self, &(ask_t){.topic = "req.bucket.state_hash"}), BUS_OK);
    text(self, "state_hash", ret_hash);
    cr_assert_eq(strlen(ret_hash), 64);
}

Test(service, is_rebuilt_to_the_same_state_and_says_nothing_twice)
{
    fixture_t *self = fixture_started();
    char before[TEXT_SIZE], after[TEXT_SIZE];
    add_events(self, 500, NULL);
    check_said(self, 500);
    hash_of(self, before);
    cr_assert_eq(stop(self, SIGTERM), 0);
    lose_store(self);
    start(self);
    await_ready(self);
    hash_of(self, after);
    cr_assert_str_eq(before, after);
    add_events(self, 10, NULL);
    check_said(self, 510);
    fixture_destroy(&self);
}

Test(service, says_the_rest_where_its_store_was_lost_before_all_was_said)
{
    fixture_t *self = fixture_started();
    add_events(self, 200, NULL);
    check_said(self, 200);
    fake_broker_faults(self->broker)->lose_in = 1000; // nothing of it arrives
    add_events(self, 100, NULL);
    fake_run_for(self->loop, 100);
    cr_assert_eq(stop(self, SIGKILL), -SIGKILL);
    fake_broker_faults(self->broker)->lose_in = 0;
    lose_store(self);
    for (int i = 0; i < 3; i++) { // and is killed while it is being made again
        start(self);
        fake_run_for(self->loop, 30 + 20 * (unsigned) i);
        cr_assert_eq(stop(self, SIGKILL), -SIGKILL);
    }
    start(self);
    await_ready(self);
    check_said(self, 300);
    cr_assert_eq(counted(self, "events"), 300);
    fixture_destroy(&self);
}

Test(service, goes_on_from_an_older_copy_of_its_store)
{
    fixture_t *self = fixture_started();
    char path[2 * FOLDER_SIZE], copy[2 * FOLDER_SIZE];
    add_events(self, 50, NULL);
    check_said(self, 50);
    cr_assert_eq(store_copy(folder_join(&self->folder, "bucket", path),
                            folder_join(&self->folder, "copy", copy)),
                 BUS_OK);
    add_events(self, 50, NULL);
    check_said(self, 100);
    cr_assert_eq(stop(self, SIGTERM), 0);
    lose_store(self);
    cr_assert_eq(rename(copy, path), 0);
    start(self);
    await_ready(self);
    add_events(self, 50, NULL);
    check_said(self, 150);
    cr_assert_eq(counted(self, "events"), 150);
    fixture_destroy(&self);
}

Test(service, says_everything_once_to_a_broker_that_loses_and_refuses, .timeout = 120)
{
    fixture_t *self = fixture_started();
    *fake_broker_faults(self->broker) =
        (fake_faults_t){.lose_in = 3, .lose_ack = 300, .busy = 3, .full = 2};
    for (int round = 0; round < 5; round++) {
        add_events(self, 100, NULL);
        fake_run_for(self->loop, 50);
        fake_broker_stop(self->broker);
        fake_broker_start(self->broker);
    }
    fake_run_for(self->loop, 200);
    *fake_broker_faults(self->broker) = (fake_faults_t){.lose_in = 0};
    check_said(self, 500);
    fixture_destroy(&self);
}
