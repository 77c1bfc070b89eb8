// service_test.c - a service's life, what it refuses, and what it answers.
#include "service_fixture.h"

// --- Life ----------------------------------------------------------------------------------------

Test(service, is_ready_when_it_has_caught_up)
{
    fixture_t *self = fixture_new();
    add_events(self, 100, NULL);
    start(self);
    await_ready(self);
    cr_assert_eq(counted(self, "events"), 100);
    check_said(self, 100);
    fixture_destroy(&self);
}

static bool
has_configured(void *arg)
{
    fixture_t *self = arg;
    return fake_broker_count_topic(self->broker, "bucket.config") >= self->target;
}

Test(service, is_ready_without_a_broker_and_works_once_there_is_one)
{
    fixture_t *self = fixture_new();
    self->alone_ms = 0;
    fake_broker_stop(self->broker);
    start(self);
    await_ready(self);
    fake_broker_start(self->broker);
    add_events(self, 3, NULL);
    check_said(self, 3);
    cr_assert_eq(counted(self, "events"), 3);
    fixture_destroy(&self);
}

Test(service, journals_its_configuration_though_it_was_ready_before_there_was_a_broker)
{
    fixture_t *self = fixture_new();
    self->definition.config = config_one;
    self->alone_ms = 0;
    fake_broker_stop(self->broker);
    start(self);
    await_ready(self);
    fake_broker_start(self->broker);
    self->target = 1;
    cr_assert(fake_run(self->loop, has_configured, self, WAIT_MS));
    await_read_all(self);
    cr_assert_eq(counted(self, "configs"), 1);
    cr_assert_str_eq(self->printed, "ready bucket\n", "and says so once");
    fixture_destroy(&self);
}

Test(service, is_not_ready_while_a_broker_that_is_there_has_not_welcomed_it)
{
    fixture_t *self = fixture_new();
    add_events(self, 3, NULL);
    self->alone_ms = 1000;
    fake_broker_faults(self->broker)->mute_welcomes = true;
    start(self);
    cr_assert(!fake_run(self->loop, is_ready, self, 2000));
    fake_broker_welcome(self->broker);
    await_ready(self);
    cr_assert_eq(counted(self, "events"), 3);
    fixture_destroy(&self);
}

Test(service, ends_with_75_where_its_store_is_taken)
{
    fixture_t *self = fixture_started();
    pid_t first = self->pid;
    start(self);
    cr_assert_eq(stop(self, 0), 75);
    self->pid = first;
    fixture_destroy(&self);
}

static bool
has_ended(void *arg)
{
    fixture_t *self = arg;
    return spawner_has_ended(&self->spawner, self->pid);
}

Test(service, ends_with_78_where_the_journal_is_another)
{
    fixture_t *self = fixture_started();
    fake_broker_stop(self->broker);
    fake_broker_replace_journal(self->broker);
    fake_broker_start(self->broker);
    cr_assert(fake_run(self->loop, has_ended, self, WAIT_MS));
    cr_assert_eq(stop(self, 0), 78);
    fixture_destroy(&self);
}

// --- Pages ---------------------------------------------------------------------------------------

enum {
    LOTS = 8,
    LOT = 40, // records: a page after which a service pauses
    PAUSE_MS = 25
};

// Journals a lot at once.
static void
add_lot(fixture_t *self, const char *topic)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 1);
    pack_pair_text(body, "requester_id", "bhiv_core");
    for (int i = 0; i < LOT; i++) {
        char id[40];
        snprintf(id, sizeof(id), "lot-%u", self->next_id++);
        header_t header = {.id = view_from_text(id),
                           .source = VIEW_LITERAL("bhiv_core"),
                           .reply_to = view_from_text(client_inbox(self->client))};
        fake_broker_append(self->broker, topic, &header, pack_view(body), 0);
    }
}

// Whoever does not pause asks for the next page before he answers another's question, however slow
// the machine is.
static void
check_asks_on(fixture_t *self, const char *topic)
{
    for (int lot = 0; lot < LOTS; lot++) {
        add_lot(self, topic);
        int64_t applied = await_read_all(self);
        cr_expect_gt((int64_t) fake_broker_last_from(self->broker), applied);
    }
}

Test(service, takes_events_in_larger_pages_where_they_come_fast)
{
    fixture_t *self = fixture_started();
    uint64_t began_ms = clock_boot_ms();
    for (int lot = 0; lot < LOTS; lot++) {
        add_lot(self, "core.event.test");
        await_read_all(self);
    }
    cr_expect_geq(clock_boot_ms() - began_ms, (LOTS - 1) * PAUSE_MS); // unpaused: some 30 ms
    fixture_destroy(&self);
}

Test(service, does_not_pause_where_it_is_to_be_prompt)
{
    fixture_t *self = fixture_new();
    self->definition.prompt = true;
    start(self);
    await_ready(self);
    check_asks_on(self, "core.event.test");
    fixture_destroy(&self);
}

Test(service, does_not_pause_while_somebody_waits_for_an_answer)
{
    fixture_t *self = fixture_started();
    check_asks_on(self, "bucket.count");
    fixture_destroy(&self);
}

// --- Refusing ------------------------------------------------------------------------------------

Test(service, refuses_what_does_not_fit_its_schema_and_names_the_field)
{
    fixture_t *self = fixture_started();
    char field[TEXT_SIZE];
    cr_assert_eq(ask(self, &(ask_t){.topic = "bucket.forwarding.set"}), BUS_VALIDATION_FAILED);
    bus_view_t details, first;
    walk_t walk;
    walk_item_t head;
    cr_assert_eq(walk_find(view_from(self->body, self->body_size), "details", &details), BUS_OK);
    walk = walk_from(details);
    cr_assert_eq(walk_next(&walk, &head), BUS_OK);
    cr_assert_eq(head.count, 1);
    cr_assert_eq(walk_skip(&walk, &first), BUS_OK);
    memmove(self->body, first.data, first.size);
    self->body_size = first.size;
    cr_assert_str_eq(text(self, "field", field), "enabled");
    cr_assert_eq(ask(self, &(ask_t){.topic = "bucket.count", .op = "refuse"}), BUS_CONFLICT);
    cr_assert_str_eq(text(self, "message", field), "told to");
    cr_assert_eq(counted(self, "commands"), 0);
    cr_assert_eq(ask(self, &(ask_t){.topic = "req.bucket.health"}), BUS_OK);
    cr_assert_eq(number(self, "refused"), 2);
    cr_assert_eq(number(self, "cursor"), 2);
    fixture_destroy(&self);
}

Test(service, undoes_a_batch_that_its_store_cannot_take_and_tries_again)
{
    fixture_t *self = fixture_started();
    cr_assert_eq(ask(self, &(ask_t){.topic = "bucket.count", .op = "fill"}), BUS_OK);
    cr_assert_eq(number(self, "count"), 1, "what it counted before it failed is gone");
    cr_assert_eq(counted(self, "undone"), 1);
    cr_assert_eq(counted(self, "commands"), 1);
    fixture_destroy(&self);
}

static bool
client_is_welcomed(void *arg)
{
    return client_is_connected(((fixture_t *) arg)->client);
}

static uint64_t
orphans(const fixture_t *self)
{
    client_stats_t stats;
    client_stats(self->client, &stats);
    return stats.orphans;
}

Test(service, does_not_answer_who_has_gone)
{
    fixture_t *self = fixture_new();
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 0);
    header_t header = {.id = VIEW_LITERAL("old"),
                       .source = VIEW_LITERAL("a"),
                       .reply_to = view_from_text(client_inbox(self->client))};
    cr_assert(fake_run(self->loop, client_is_welcomed, self, WAIT_MS));
    fake_broker_append(
        self->broker, "bucket.count", &header, pack_view(body), clock_wall_us() - 6000000);
    start(self);
    await_ready(self);
    cr_assert_eq(counted(self, "commands"), 1);
    cr_assert_eq(orphans(self), 0);
    header.id = VIEW_LITERAL("new");
    fake_broker_append(self->broker, "bucket.count", &header, pack_view(body), 0);
    await_read_all(self);
    cr_assert_eq(orphans(self), 1);
    fixture_destroy(&self);
}

Test(service, answers_though_the_wall_clock_and_the_journals_are_a_day_apart)
{
    fixture_t *self = fixture_started();
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 0);
    header_t header = {.id = VIEW_LITERAL("new"),
                       .source = VIEW_LITERAL("a"),
                       .reply_to = view_from_text(client_inbox(self->client))};
    uint64_t day_us = 24ULL * 3600 * 1000000;
    fake_broker_append(
        self->broker, "bucket.count", &header, pack_view(body), clock_wall_us() - day_us);
    await_read_all(self);
    cr_assert_eq(orphans(self), 1);
    fixture_destroy(&self);
}

// --- Questions -----------------------------------------------------------------------------------

Test(service, answers_what_every_service_answers)
{
    fixture_t *self = fixture_started();
    char word[TEXT_SIZE];
    cr_assert_eq(ask(self, &(ask_t){.topic = "bucket.count"}), BUS_OK);
    cr_assert_eq(ask(self, &(ask_t){.topic = "bucket.count", .op = "refuse"}), BUS_CONFLICT);
    cr_assert_eq(ask(self, &(ask_t){.topic = "req.bucket.health"}), BUS_OK);
    cr_assert_str_eq(text(self, "status", word), "healthy");
    cr_assert_str_eq(text(self, "service", word), "bucket");
    cr_assert_str_eq(text(self, "mood", word), "fine");
    cr_assert_eq(number(self, "applied"), 1);
    cr_assert_eq(number(self, "refused"), 1);
    cr_assert_eq(number(self, "rules_version"), 3);
    cr_assert_gt(number(self, "storage.bytes"), 0);
    cr_assert_eq(number(self, "storage.quota"), 64 << 20);
    cr_assert_eq(ask(self, &(ask_t){.topic = "req.bucket.nothing"}), BUS_NOT_FOUND);
    cr_assert_eq(ask(self, &(ask_t){.topic = "req.bucket.refused"}), BUS_USER_NOT_FOUND);
    cr_assert_str_eq(text(self, "message", word), "nobody");
    cr_assert_eq(ask(self, &(ask_t){.topic = "req.bucket.checked"}), BUS_VALIDATION_FAILED);
    fixture_destroy(&self);
}

static bus_err_t
ask_queue(fixture_t *self, uint64_t seq)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 1);
    pack_pair_uint(body, "seq", seq);
    self->is_answered = false;
    client_message_t message = {
        .topic = "req.bucket.queue", .body = pack_view(body), .want = CLIENT_WANT_REPLY};
    cr_assert_eq(client_send(self->client, &message, on_answer, self, NULL), BUS_OK);
    cr_assert(fake_run(self->loop, is_answered, self, WAIT_MS));
    return self->answer.err;
}

Test(service, says_what_became_of_a_command)
{
    fixture_t *self = fixture_started();
    char word[TEXT_SIZE];
    ask_t command = {.topic = "bucket.count", .idem = "k"};
    cr_assert_eq(ask(self, &command), BUS_OK);
    cr_assert_eq(ask(self, &(ask_t){.topic = "bucket.count", .op = "refuse"}), BUS_CONFLICT);
    cr_assert_eq(ask(self, &command), BUS_OK);
    cr_assert_eq(ask_queue(self, 1), BUS_OK);
    cr_assert_str_eq(text(self, "state", word), "applied");
    cr_assert_eq(number(self, "result.count"), 1);
    cr_assert_eq(ask_queue(self, 2), BUS_OK);
    cr_assert_str_eq(text(self, "state", word), "refused");
    cr_assert_str_eq(text(self, "result.error_code", word), "CONFLICT");
    cr_assert_eq(ask_queue(self, 3), BUS_OK);
    cr_assert_eq(number(self, "result.count"), 1, "of the one that it repeats");
    cr_assert_eq(ask_queue(self, 99), BUS_OK);
    cr_assert_str_eq(text(self, "state", word), "queued");
    cr_assert_eq(ask_queue(self, 0), BUS_VALIDATION_FAILED);
    fixture_destroy(&self);
}

// --- Configuration -------------------------------------------------------------------------------

Test(service, journals_its_configuration_when_it_changed_and_only_then)
{
    fixture_t *self = fixture_new();
    self->definition.config = config_one;
    start(self);
    await_ready(self);
    cr_assert_eq(fake_broker_count_topic(self->broker, "bucket.config"), 1);
    cr_assert_eq(counted(self, "configs"), 1, "applied before it was ready");
    cr_assert_eq(stop(self, SIGTERM), 0);
    start(self);
    await_ready(self);
    cr_assert_eq(fake_broker_count_topic(self->broker, "bucket.config"), 1);
    cr_assert_eq(stop(self, SIGTERM), 0);
    self->definition.config = config_two;
    start(self);
    await_ready(self);
    cr_assert_eq(fake_broker_count_topic(self->broker, "bucket.config"), 2);
    cr_assert_eq(stop(self, SIGTERM), 0);
    lose_store(self);
    start(self);
    await_ready(self);
    cr_assert_eq(fake_broker_count_topic(self->broker, "bucket.config"), 2, "it read them back");
    cr_assert_eq(counted(self, "configs"), 2);
    header_t header = {.id = VIEW_LITERAL("x"), .source = VIEW_LITERAL("somebody")};
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    config_one(NULL, body);
    fake_broker_append(self->broker, "bucket.config", &header, pack_view(body), 0);
    await_read_all(self);
    cr_assert_eq(counted(self, "configs"), 2, "another's word does not count");
    fixture_destroy(&self);
}

// --- Keeping -------------------------------------------------------------------------------------

static bool
has_acked(void *arg)
{
    fixture_t *self = arg;
    return fake_broker_last_ack(self->broker) >= self->target;
}

Test(service, acks_what_is_flushed_and_never_more)
{
    fixture_t *self = fixture_started();
    add_events(self, 10, NULL);
    await_read_all(self);
    uint64_t cursor = (uint64_t) number(self, "cursor") + 1;
    cr_assert_lt(fake_broker_last_ack(self->broker), cursor, "the last commit may be lost");
    self->target = cursor;
    cr_assert(fake_run(self->loop, has_acked, self, WAIT_MS), "flushed when idle");
    fixture_destroy(&self);
}
