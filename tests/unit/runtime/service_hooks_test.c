// service_hooks_test.c - what a service may do besides applying and answering: at its start, before
// each commit, where the harness refuses, and once a second.
#include "service_fixture.h"

// --- Open and save -------------------------------------------------------------------------------

static bus_err_t
save(void *state, store_txn_t *txn)
{
    return put_count(txn, MARKS, "asked", ((state_t *) state)->asked);
}

Test(service_hooks, keeps_what_open_wrote)
{
    fixture_t *self = fixture_new();
    for (int i = 1; i <= 3; i++) {
        start(self);
        await_ready(self);
        cr_assert_eq(counted(self, "opened"), i);
        cr_assert_eq(stop(self, SIGKILL), -SIGKILL);
    }
    fixture_destroy(&self);
}

Test(service_hooks, saves_with_each_commit_and_before_it_stops)
{
    fixture_t *self = fixture_new();
    self->definition.save = save;
    start(self);
    await_ready(self);
    cr_assert_eq(counted(self, "asked"), 1);
    cr_assert_eq(counted(self, "asked"), 2);
    cr_assert_eq(stop(self, SIGTERM), 0);
    start(self);
    await_ready(self);
    cr_assert_eq(counted(self, "asked"), 3, "saved at the stop");
    cr_assert_eq(ask(self, &(ask_t){.topic = "bucket.count"}), BUS_OK);
    cr_assert_eq(counted(self, "asked"), 4);
    cr_assert_eq(stop(self, SIGKILL), -SIGKILL);
    start(self);
    await_ready(self);
    cr_assert_eq(counted(self, "asked"), 4, "saved with the command, and not since");
    fixture_destroy(&self);
}

// --- Refused -------------------------------------------------------------------------------------

static bus_err_t
refused(service_apply_t *apply, bus_err_t err)
{
    static const uint8_t body[] = {0x80};
    uint64_t count;
    bus_err_t stored = count_up(apply->txn, "refusals", &count);
    if (stored == BUS_OK) {
        stored = service_say(apply, "governance.escalation", view_from(body, sizeof(body)));
    }
    if (stored != BUS_OK) {
        return stored;
    }
    pack_map(apply->answer, 2);
    pack_pair_text(apply->answer, "error_code", error_text(err));
    pack_pair_uint(apply->answer, "refusals", count);
    return err;
}

static bus_err_t
refused_plainly(service_apply_t *apply, bus_err_t err)
{
    uint64_t count;
    bus_err_t stored = count_up(apply->txn, "refusals", &count);
    return stored == BUS_OK ? err : stored;
}

static bool
has_escalated(void *arg)
{
    fixture_t *self = arg;
    return fake_broker_count_topic(self->broker, "governance.escalation") >= self->target;
}

Test(service_hooks, has_a_word_in_what_the_harness_refuses_and_only_in_that)
{
    fixture_t *self = fixture_new();
    self->definition.refused = refused;
    self->definition.config = config_one;
    start(self);
    await_ready(self);
    cr_assert_eq(ask(self, &(ask_t){.topic = "bucket.count", .op = "refuse"}), BUS_CONFLICT);
    cr_assert_eq(number(self, "refusals"), -1, "apply's own refusals are apply's");
    cr_assert_eq(ask(self, &(ask_t){.topic = "bucket.forwarding.set"}), BUS_VALIDATION_FAILED);
    cr_assert_eq(number(self, "refusals"), 1);
    ask_t command = {.topic = "bucket.count", .idem = "caller key-1"};
    cr_assert_eq(ask(self, &command), BUS_OK);
    command.op = "other";
    cr_assert_eq(ask(self, &command), BUS_IDEMPOTENCY_KEY_REUSED);
    cr_assert_eq(number(self, "refusals"), 2);
    header_t header = {.id = VIEW_LITERAL("x"), .source = VIEW_LITERAL("somebody")};
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    config_one(NULL, body);
    fake_broker_append(self->broker, "bucket.config", &header, pack_view(body), 0);
    await_read_all(self);
    cr_assert_eq(counted(self, "refusals"), 3);
    header.id = VIEW_LITERAL("y"); // what lies below a row's topic is the row's as well
    fake_broker_append(self->broker, "bucket.config.x", &header, pack_view(body), 0);
    header = (header_t){.id = VIEW_LITERAL("z"), .source = VIEW_LITERAL("bhiv_bucket")};
    fake_broker_append(self->broker, "bucket.config.x", &header, pack_view(body), 0);
    await_read_all(self);
    cr_assert_eq(counted(self, "configs"), 1, "our own");
    cr_assert_eq(counted(self, "refusals"), 5);
    self->target = 5;
    cr_assert(fake_run(self->loop, has_escalated, self, WAIT_MS), "and it may say something");
    fixture_destroy(&self);
}

Test(service_hooks, gives_its_answer_again_where_a_refused_record_is_repeated)
{
    fixture_t *self = fixture_new();
    self->definition.refused = refused;
    start(self);
    await_ready(self);
    ask_t command = {.topic = "bucket.forwarding.set", .id = "bad-1"};
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(ask(self, &command), BUS_VALIDATION_FAILED);
        cr_assert_eq(number(self, "refusals"), 1);
    }
    fixture_destroy(&self);
}

Test(service_hooks, answers_by_itself_where_the_service_does_not)
{
    fixture_t *self = fixture_new();
    char word[TEXT_SIZE];
    self->definition.refused = refused_plainly;
    start(self);
    await_ready(self);
    cr_assert_eq(ask(self, &(ask_t){.topic = "bucket.forwarding.set"}), BUS_VALIDATION_FAILED);
    cr_assert_str_eq(text(self, "error_code", word), "VALIDATION_FAILED");
    bus_view_t details;
    cr_assert_eq(walk_find(view_from(self->body, self->body_size), "details", &details), BUS_OK);
    cr_assert_eq(counted(self, "refusals"), 1);
    fixture_destroy(&self);
}

// --- Reads ---------------------------------------------------------------------------------------

Test(service_hooks, applies_and_answers_a_read_anew_each_time)
{
    fixture_t *self = fixture_started();
    ask_t read_one = {.topic = "bucket.read", .id = "read-1"};
    cr_assert_eq(ask(self, &read_one), BUS_OK);
    cr_assert_eq(number(self, "count"), 1);
    cr_assert_eq(ask(self, &read_one), BUS_OK);
    cr_assert_eq(number(self, "count"), 2, "the same id");
    read_one.op = "refuse";
    cr_assert_eq(ask(self, &read_one), BUS_CONFLICT);
    cr_assert_eq(ask(self, &(ask_t){.topic = "req.bucket.health"}), BUS_OK);
    cr_assert_eq(number(self, "duplicates"), 0);
    cr_assert_eq(number(self, "applied"), 2);
    cr_assert_eq(number(self, "refused"), 1);
    fixture_destroy(&self);
}

Test(service_hooks, keeps_a_read_that_came_with_an_idempotency_key)
{
    fixture_t *self = fixture_started();
    ask_t read_one = {.topic = "bucket.read", .idem = "caller key-1"};
    cr_assert_eq(ask(self, &read_one), BUS_OK);
    cr_assert_eq(ask(self, &(ask_t){.topic = "bucket.read"}), BUS_OK);
    cr_assert_eq(number(self, "count"), 2);
    cr_assert_eq(ask(self, &read_one), BUS_OK);
    cr_assert_eq(number(self, "count"), 1, "its first answer");
    read_one.op = "other";
    cr_assert_eq(ask(self, &read_one), BUS_IDEMPOTENCY_KEY_REUSED);
    cr_assert_eq(counted(self, "commands"), 2);
    fixture_destroy(&self);
}

// --- Ticks ---------------------------------------------------------------------------------------

enum { TICKS = 3 };

// Something is due until it was done three times.
static void
tick(service_query_t *query)
{
    if (get_count(query->txn, COUNTS, "commands") >= TICKS) {
        return;
    }
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 1);
    pack_pair_uint(body, "now", query->header->at);
    bus_err_t err = service_query_say(query, "bucket.tick", pack_view(body));
    cr_assert_eq(err, BUS_OK);
}

static bool
has_ticked(void *arg)
{
    fixture_t *self = arg;
    return fake_broker_count_topic(self->broker, "bucket.tick") >= self->target;
}

static uint64_t
tick_now(const fake_record_t *record)
{
    bus_view_t value;
    uint64_t now = 0;
    cr_assert_eq(walk_find(record->body, "now", &value), BUS_OK);
    cr_assert_eq(walk_as_uint(value, &now), BUS_OK);
    return now;
}

static uint64_t ahead_from; // the journal's time, which the wall clock is a day behind

// The first tick that knows of it; one may have come before. NULL: none yet.
static const fake_record_t *
tick_ahead(const fixture_t *self)
{
    for (size_t i = 0; i < fake_broker_count(self->broker); i++) {
        const fake_record_t *record = fake_broker_record(self->broker, i);
        if (strcmp(record->topic, "bucket.tick") == 0 && tick_now(record) >= ahead_from) {
            return record;
        }
    }
    return NULL;
}

static bool
has_ticked_ahead(void *arg)
{
    return tick_ahead(arg) != NULL;
}

Test(service_hooks, asks_what_is_due_once_a_second_by_the_journals_time)
{
    fixture_t *self = fixture_new();
    self->definition.tick = tick;
    uint64_t day_us = 24ULL * 3600 * 1000000;
    start(self);
    await_ready(self);
    ahead_from = clock_wall_us() + day_us;
    header_t header = {.id = VIEW_LITERAL("x"), .source = VIEW_LITERAL("a")};
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 0);
    fake_broker_append(self->broker, "bucket.count", &header, pack_view(body), ahead_from);
    cr_assert(fake_run(self->loop, has_ticked_ahead, self, WAIT_MS));
    const fake_record_t *record = tick_ahead(self);
    cr_assert_lt(tick_now(record), clock_wall_us() + day_us + 1000000);
    cr_assert_str_eq(record->source, "bhiv_bucket");
    fixture_destroy(&self);
}

Test(service_hooks, does_not_tick_before_it_has_read_what_the_last_tick_said)
{
    fixture_t *self = fixture_new();
    self->definition.tick = tick;
    fake_broker_faults(self->broker)->lose_ack = 1000;
    start(self);
    await_ready(self);
    self->target = 1;
    cr_assert(fake_run(self->loop, has_ticked, self, WAIT_MS));
    self->target = 2;
    cr_assert(!fake_run(self->loop, has_ticked, self, 2500), "it does not know what became of it");
    fake_broker_faults(self->broker)->lose_ack = 0;
    self->target = TICKS;
    cr_assert(fake_run(self->loop, has_ticked, self, WAIT_MS));
    await_read_all(self);
    cr_assert_eq(counted(self, "commands"), TICKS);
    self->target = TICKS + 1;
    cr_assert(!fake_run(self->loop, has_ticked, self, 1500), "nothing is due any more");
    fixture_destroy(&self);
}

Test(service_hooks, ticks_though_there_is_nothing_to_read)
{
    fixture_t *self = fixture_new();
    self->definition.tick = tick;
    start(self);
    await_ready(self);
    self->target = 1;
    cr_assert(fake_run(self->loop, has_ticked, self, 3000), "its fetch is parked for five seconds");
    fixture_destroy(&self);
}

Test(service_hooks, does_not_tick_without_a_broker)
{
    fixture_t *self = fixture_new();
    self->definition.tick = tick;
    self->alone_ms = 0;
    fake_broker_stop(self->broker);
    start(self);
    await_ready(self);
    fake_run_for(self->loop, 1500);
    add_events(self, 1, NULL);
    fake_broker_start(self->broker);
    self->target = 1;
    cr_assert(fake_run(self->loop, has_ticked, self, WAIT_MS));
    cr_assert_str_eq(fake_broker_record(self->broker, 0)->topic, "core.event.test");
    fixture_destroy(&self);
}

// --- Sooner, elsewhere, in another's trace -------------------------------------------------------

static void
tick_at_once(service_query_t *query)
{
    if (get_count(query->txn, COUNTS, "commands") < TICKS) {
        tick(query);
        service_tick_soon(query->service); // not before that was read back
    }
}

static bool
has_read_back(void *arg)
{
    const fixture_t *self = arg;
    return fake_broker_count_topic(self->broker, "bucket.tick") >= TICKS;
}

static void
on_moment(void *arg)
{
    service_tick_soon(arg);
}

static bus_err_t
start_moments(service_t *service, void *state BUS_UNUSED)
{
    (void) loop_add_timer(service_loop(service), 20, 0, on_moment, service);
    return BUS_OK;
}

Test(service_hooks, ticks_sooner_where_it_is_told_to)
{
    fixture_t *self = fixture_new();
    self->definition.tick = tick_at_once;
    self->definition.start = start_moments;
    start(self);
    await_ready(self);
    uint64_t begin_ms = clock_boot_ms();
    cr_assert(fake_run(self->loop, has_read_back, self, WAIT_MS));
    cr_assert_lt(clock_boot_ms() - begin_ms, 1900, "three ticks of a second each take longer");
    fixture_destroy(&self);
}

Test(service_hooks, journals_its_configuration_under_the_topic_that_it_names)
{
    fixture_t *self = fixture_new();
    self->definition.config = config_one;
    self->definition.config_topic = "bucket.config.own";
    start(self);
    await_ready(self);
    cr_assert_eq(fake_broker_count_topic(self->broker, "bucket.config.own"), 1);
    cr_assert_eq(fake_broker_count_topic(self->broker, "bucket.config"), 0);
    cr_assert_eq(counted(self, "configs"), 1, "applied before it was ready");
    fixture_destroy(&self);
}

static bus_err_t
apply_for_another(service_apply_t *apply, const void *message BUS_UNUSED)
{
    static const uint8_t body[] = {0x80};
    bus_err_t err = service_say(apply, "karma.own", view_from(body, sizeof(body)));
    service_trace(apply, VIEW_LITERAL("t-another"));
    return err == BUS_OK ? service_say(apply, "karma.other", view_from(body, sizeof(body))) : err;
}

static bool
has_said_other(void *arg)
{
    const fixture_t *self = arg;
    return fake_broker_count_topic(self->broker, "karma.other") > 0;
}

Test(service_hooks, says_in_anothers_trace_what_that_one_waited_for)
{
    static const service_apply_row_t rows[] = {
        {"bucket.", NULL, true, apply_for_another, "says two things", .event = false}};
    fixture_t *self = fixture_new();
    self->definition.applies = rows;
    self->definition.apply_count = 1;
    start(self);
    await_ready(self);
    cr_assert_eq(ask(self, &(ask_t){.topic = "bucket.count", .trace = "t-1"}), BUS_OK);
    cr_assert(fake_run(self->loop, has_said_other, self, WAIT_MS));
    for (size_t i = 0; i < 3; i++) {
        const fake_record_t *record = fake_broker_record(self->broker, i);
        header_t header;
        const char *why;
        cr_assert_eq(header_decode(record->header, &header, &why), BUS_OK);
        cr_assert(view_is(header.trace_id, i == 2 ? "t-another" : "t-1"), "record %zu", i);
    }
    fixture_destroy(&self);
}
