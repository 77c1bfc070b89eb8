// service_act_test.c - services with effects: commands that are answered later, and hooks that act.
#include "proto/header.h"
#include "service_asker.h"

// --- Commands that are answered later ------------------------------------------------------------

// {op: "refuse"} is refused, {op: "fill"} fails once as if the store were full; else deferred.
static bus_err_t
apply_defer(service_apply_t *self, const void *message BUS_UNUSED)
{
    state_t *state = self->state;
    bus_view_t value, op = VIEW_NONE;
    if (walk_find(self->body, "op", &value) == BUS_OK && walk_as_str(value, &op) != BUS_OK) {
        op = VIEW_NONE;
    }
    if (view_is(op, "refuse")) {
        return service_refuse(self, BUS_CONFLICT, "told to", VIEW_NONE);
    }
    uint64_t count;
    bus_err_t err = count_up(self->txn, "commands", &count);
    if (err == BUS_OK) {
        err = service_defer(self);
    }
    if (err == BUS_OK && view_is(op, "fill") && state->fullness > 0) {
        state->fullness--;
        return BUS_FULL;
    }
    return err;
}

// {seq, failed}: the command of that seq is answered how many were done, or CONFLICT.
static bus_err_t
apply_done(service_apply_t *self, const void *message BUS_UNUSED)
{
    bus_view_t value;
    uint64_t seq = 0;
    bool failed = false;
    if (walk_find(self->body, "seq", &value) != BUS_OK || walk_as_uint(value, &seq) != BUS_OK) {
        return BUS_VALIDATION_FAILED;
    }
    if (walk_find(self->body, "failed", &value) == BUS_OK &&
        walk_as_bool(value, &failed) != BUS_OK) {
        failed = false;
    }
    uint64_t count;
    bus_err_t err = count_up(self->txn, "events", &count);
    if (err != BUS_OK) {
        return err;
    }
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    if (failed) {
        schema_pack_error(body, BUS_CONFLICT, "it failed", VIEW_NONE, 0);
    } else {
        pack_map(body, 1);
        pack_pair_uint(body, "done", count);
    }
    return service_answer(self, seq, failed ? BUS_CONFLICT : BUS_OK, pack_view(body));
}

static const service_apply_row_t later_applies[] = {
    {"bucket.defer", NULL, true, apply_defer, "answered later", .event = false},
    {"bucket.done", NULL, false, apply_done, "answers it", .event = false},
};

static fixture_t *
later_made(void)
{
    fixture_t *self = fixture_new();
    self->definition.applies = later_applies;
    self->definition.apply_count = 2;
    return self;
}

static fixture_t *
later_started(void)
{
    fixture_t *self = later_made();
    start(self);
    await_ready(self);
    return self;
}

// Says bucket.defer, by `client`, and waits until it is journaled.
static void
defer_by(client_t *client, asker_t *asker, const ask_t *what)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, what->op != NULL);
    if (what->op != NULL) {
        pack_pair_text(body, "op", what->op);
    }
    const client_message_t message = {.topic = "bucket.defer",
                                      .body = pack_view(body),
                                      .id = what->id,
                                      .idem = view_from_text(what->idem),
                                      .trace_id = view_from_text(what->trace),
                                      .want = CLIENT_WANT_REPLY | CLIENT_WANT_ACK,
                                      .timeout_ms = WAIT_MS};
    cr_assert_eq(client_send(client, &message, on_asker, asker, NULL), BUS_OK);
    cr_assert(fake_run(asker->fixture->loop, is_acked, asker, WAIT_MS), "never journaled");
}

static void
defer(asker_t *asker, const ask_t *what)
{
    defer_by(asker->fixture->client, asker, what);
}

static void
say_done(fixture_t *self, uint64_t seq, bool failed)
{
    char id[40];
    snprintf(id, sizeof(id), "done-%u", self->next_id++);
    header_t header = {.id = view_from_text(id), .source = VIEW_LITERAL("bhiv_core")};
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 2);
    pack_pair_uint(body, "seq", seq);
    pack_pair_bool(body, "failed", failed);
    fake_broker_append(self->broker, "bucket.done", &header, pack_view(body), 0);
}

static bool
has_applied(void *arg)
{
    fixture_t *self = arg;
    return counted(self, "commands") >= (int64_t) self->target;
}

static void
await_applied(fixture_t *self, size_t commands)
{
    self->target = commands;
    for (uint64_t until_ms = clock_boot_ms() + WAIT_MS; !has_applied(self);) {
        cr_assert_lt(clock_boot_ms(), until_ms);
    }
}

// What req.bucket.queue says of a command.
static const char *
queue_state(fixture_t *self, uint64_t seq, char word[TEXT_SIZE])
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 1);
    pack_pair_uint(body, "seq", seq);
    client_message_t message = {.topic = "req.bucket.queue",
                                .body = pack_view(body),
                                .want = CLIENT_WANT_REPLY,
                                .timeout_ms = WAIT_MS};
    self->is_answered = false;
    cr_assert_eq(client_send(self->client, &message, on_answer, self, NULL), BUS_OK);
    cr_assert(fake_run(self->loop, is_answered, self, WAIT_MS));
    return text(self, "state", word);
}

Test(service_act, answers_a_deferred_command_with_what_a_later_record_says)
{
    fixture_t *self = later_started();
    char word[TEXT_SIZE];
    asker_t asker = {.fixture = self}, other = {.fixture = self};
    defer(&asker, &(ask_t){.trace = "t-1"});
    defer(&other, &(ask_t){.op = NULL});
    await_applied(self, 2);
    cr_assert_eq(asker.answers, 0);
    cr_assert_str_eq(queue_state(self, asker.seq, word), "queued");
    say_done(self, other.seq, false);
    await_told(&other);
    cr_assert_eq(other.err, BUS_OK);
    cr_assert_eq(other.done, 1);
    cr_assert_eq(asker.answers, 0, "that was another's");
    say_done(self, asker.seq, false);
    await_told(&asker);
    cr_assert_eq(asker.done, 2);
    cr_assert_str_eq(queue_state(self, asker.seq, word), "applied");
    cr_assert_eq(number(self, "result.done"), 2);
    fixture_destroy(&self);
}

Test(service_act, answers_a_deferred_command_with_an_error_too)
{
    fixture_t *self = later_started();
    char word[TEXT_SIZE];
    asker_t asker = {.fixture = self};
    defer(&asker, &(ask_t){.op = NULL});
    say_done(self, asker.seq, true);
    await_told(&asker);
    cr_assert_eq(asker.err, BUS_CONFLICT);
    cr_assert_str_eq(queue_state(self, asker.seq, word), "refused");
    fixture_destroy(&self);
}

Test(service_act, refuses_at_once_what_is_not_deferred)
{
    fixture_t *self = later_started();
    asker_t asker = {.fixture = self};
    defer(&asker, &(ask_t){.op = "refuse"});
    await_told(&asker);
    cr_assert_eq(asker.err, BUS_CONFLICT);
    fixture_destroy(&self);
}

Test(service_act, has_repeats_by_id_wait_with_the_first)
{
    fixture_t *self = later_started();
    client_options_t options = {.source = "bhiv_core",
                                .ingress = fake_broker_ingress(self->broker),
                                .egress = fake_broker_egress(self->broker)};
    client_t *again = client_new(self->loop, &options);
    asker_t first = {.fixture = self}, second = {.fixture = self}, late = {.fixture = self};
    defer(&first, &(ask_t){.id = "one"});
    defer_by(again, &second, &(ask_t){.id = "one"});
    cr_assert_neq(first.seq, second.seq, "two records");
    await_read_all(self);
    cr_assert_eq(counted(self, "commands"), 1, "one command");
    say_done(self, first.seq, false);
    await_told(&first);
    await_told(&second);
    cr_assert_eq(second.done, 1);
    defer(&late, &(ask_t){.id = "one"});
    await_told(&late);
    cr_assert_eq(late.done, 1, "its first answer");
    cr_assert_eq(counted(self, "commands"), 1);
    client_destroy(&again);
    fixture_destroy(&self);
}

Test(service_act, has_repeats_by_idempotency_key_wait_with_the_first)
{
    fixture_t *self = later_started();
    char word[TEXT_SIZE];
    asker_t first = {.fixture = self}, second = {.fixture = self}, late = {.fixture = self};
    asker_t other = {.fixture = self};
    defer(&first, &(ask_t){.idem = "caller key"});
    defer(&second, &(ask_t){.idem = "caller key"});
    defer(&other, &(ask_t){.idem = "caller key", .op = "other"});
    await_told(&other);
    cr_assert_eq(other.err, BUS_IDEMPOTENCY_KEY_REUSED);
    await_read_all(self);
    cr_assert_eq(counted(self, "commands"), 1);
    say_done(self, first.seq, false);
    await_told(&first);
    await_told(&second);
    cr_assert_eq(second.done, 1);
    cr_assert_str_eq(queue_state(self, second.seq, word), "applied");
    defer(&late, &(ask_t){.idem = "caller key"});
    await_told(&late);
    cr_assert_eq(late.done, 1);
    cr_assert_eq(counted(self, "commands"), 1);
    fixture_destroy(&self);
}

enum { CROWD = 12, CROWD_TOLD = 8 };

Test(service_act, has_so_many_repeats_wait_and_no_more)
{
    fixture_t *self = later_started();
    asker_t askers[CROWD];
    for (size_t i = 0; i < CROWD; i++) {
        askers[i] = (asker_t){.fixture = self};
        defer(&askers[i], &(ask_t){.idem = "caller key"});
    }
    await_read_all(self);
    say_done(self, askers[0].seq, false);
    for (size_t i = 0; i < CROWD_TOLD; i++) {
        await_told(&askers[i]);
    }
    await_read_all(self);
    fake_run_for(self->loop, 200);
    for (size_t i = CROWD_TOLD; i < CROWD; i++) {
        cr_assert_eq(askers[i].answers, 0, "%zu", i);
    }
    fixture_destroy(&self);
}

Test(service_act, answers_who_waited_through_a_crash)
{
    fixture_t *self = later_started();
    asker_t first = {.fixture = self}, second = {.fixture = self};
    defer(&first, &(ask_t){.id = "one", .trace = "t-1"});
    await_applied(self, 1);
    cr_assert_eq(stop(self, SIGKILL), -SIGKILL);
    defer(&second, &(ask_t){.op = NULL}); // while nobody is there
    start(self);
    await_ready(self);
    await_applied(self, 2);
    say_done(self, first.seq, false);
    say_done(self, second.seq, false);
    await_told(&first);
    await_told(&second);
    cr_assert_eq(first.done, 1);
    cr_assert_eq(second.done, 2);
    fixture_destroy(&self);
}

Test(service_act, defers_again_what_a_full_store_undid)
{
    fixture_t *self = later_started();
    asker_t asker = {.fixture = self};
    defer(&asker, &(ask_t){.op = "fill"});
    say_done(self, asker.seq, false);
    await_told(&asker);
    cr_assert_eq(asker.done, 1);
    cr_assert_eq(counted(self, "commands"), 1);
    cr_assert_eq(counted(self, "undone"), 1);
    fixture_destroy(&self);
}

Test(service_act, only_keeps_an_answer_that_nobody_waits_for)
{
    fixture_t *self = later_started();
    char word[TEXT_SIZE];
    header_t header = {.id = VIEW_LITERAL("x"), .source = VIEW_LITERAL("bhiv_core")};
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 0);
    uint64_t seq = fake_broker_append(self->broker, "bucket.defer", &header, pack_view(body), 0);
    await_applied(self, 1);
    cr_assert_str_eq(queue_state(self, seq, word), "queued");
    say_done(self, seq, false);
    await_read_all(self);
    cr_assert_str_eq(queue_state(self, seq, word), "applied");
    cr_assert_eq(number(self, "result.done"), 1);
    fixture_destroy(&self);
}

// --- Acting --------------------------------------------------------------------------------------

// What the acting service keeps beside its state, in the process alone.
static service_t *acting;
static uint64_t acted; // commands that it has acted on

static bus_err_t
start_acting(service_t *service, void *state BUS_UNUSED)
{
    acting = service;
    printf("started\n");
    fflush(stdout);
    return BUS_OK;
}

static void
stop_acting(void *state BUS_UNUSED)
{
    printf("stopped %llu\n", (unsigned long long) acted);
    fflush(stdout);
}

static bus_err_t
start_badly(service_t *service BUS_UNUSED, void *state BUS_UNUSED)
{
    return BUS_VALIDATION_FAILED;
}

static void
on_fact(void *arg BUS_UNUSED, const client_answer_t *answer BUS_UNUSED)
{
}

// Says a fact for what was committed since it acted last: how much it sees, and who it is.
static void
act(service_query_t *query)
{
    uint64_t seen = get_count(query->txn, COUNTS, "commands");
    if (seen == acted) {
        return;
    }
    acted = seen;
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 2);
    pack_pair_uint(body, "seen", seen);
    pack_pair_text(body, "boot", service_boot(query->service));
    const client_message_t message = {
        .topic = "karma.acted", .body = pack_view(body), .want = CLIENT_WANT_ACK};
    cr_assert_eq(acting, query->service);
    cr_assert_not_null(service_loop(acting));
    cr_assert_eq(client_send(service_client(acting), &message, on_fact, NULL, NULL), BUS_OK);
}

static fixture_t *
acting_made(void)
{
    fixture_t *self = fixture_new();
    self->definition.start = start_acting;
    self->definition.stop = stop_acting;
    self->definition.act = act;
    return self;
}

static void
add_commands(fixture_t *self, size_t count)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 0);
    for (size_t i = 0; i < count; i++) {
        char id[40];
        snprintf(id, sizeof(id), "command-%u", self->next_id++);
        header_t header = {.id = view_from_text(id), .source = VIEW_LITERAL("bhiv_core")};
        fake_broker_append(self->broker, "bucket.count", &header, pack_view(body), 0);
    }
}

static bool
has_acted(void *arg)
{
    const fixture_t *self = arg;
    return fake_broker_count_topic(self->broker, "karma.acted") >= self->target;
}

// The facts of what was acted, in their order.
static int64_t
seen_by(const fixture_t *self, size_t index, char boot[64])
{
    for (size_t i = 0; i < fake_broker_count(self->broker); i++) {
        const fake_record_t *record = fake_broker_record(self->broker, i);
        if (strcmp(record->topic, "karma.acted") != 0 || index-- > 0) {
            continue;
        }
        bus_view_t value, name;
        int64_t seen = -1;
        cr_assert_eq(walk_find(record->body, "boot", &value), BUS_OK);
        cr_assert_eq(walk_as_str(value, &name), BUS_OK);
        snprintf(boot, 64, "%.*s", (int) name.size, name.data);
        cr_assert_eq(walk_find(record->body, "seen", &value), BUS_OK);
        cr_assert_eq(walk_as_int(value, &seen), BUS_OK);
        return seen;
    }
    return -1;
}

enum { BACKLOG = 5000 }; // several pages, and so several commits

Test(service_act, does_not_act_before_it_has_caught_up)
{
    fixture_t *self = acting_made();
    char boot[64];
    add_commands(self, BACKLOG);
    start(self);
    self->target = 1;
    cr_assert(fake_run(self->loop, has_acted, self, WAIT_MS), "never acted");
    cr_assert_eq(seen_by(self, 0, boot), BACKLOG, "on what it had not read to the end");
    await_printed(self, "ready bucket\n");
    cr_assert(strncmp(self->printed, "started\nready bucket\n", 21) == 0, "%s", self->printed);
    fixture_destroy(&self);
}

Test(service_act, acts_after_each_commit_and_under_another_name_in_each_process)
{
    fixture_t *self = acting_made();
    char boot[64], other[64];
    start(self);
    await_printed(self, "ready bucket\n");
    cr_assert_eq(ask(self, &(ask_t){.topic = "bucket.count"}), BUS_OK);
    self->target = 1;
    cr_assert(fake_run(self->loop, has_acted, self, WAIT_MS));
    cr_assert_eq(ask(self, &(ask_t){.topic = "bucket.count"}), BUS_OK);
    self->target = 2;
    cr_assert(fake_run(self->loop, has_acted, self, WAIT_MS));
    cr_assert_eq(seen_by(self, 0, boot), 1);
    cr_assert_eq(seen_by(self, 1, other), 2);
    cr_assert_str_eq(boot, other);
    cr_assert_eq(stop(self, SIGTERM), 0);
    (void) is_ready(self);
    cr_assert_not_null(strstr(self->printed, "stopped 2\n"));
    start(self); // it has acted on nothing, and sees two
    self->target = 3;
    cr_assert(fake_run(self->loop, has_acted, self, WAIT_MS), "what is there at the start");
    cr_assert_eq(seen_by(self, 2, other), 2);
    cr_assert_str_neq(boot, other);
    fixture_destroy(&self);
}

Test(service_act, does_not_act_without_a_broker)
{
    fixture_t *self = acting_made();
    start(self);
    await_printed(self, "ready bucket\n");
    cr_assert_eq(ask(self, &(ask_t){.topic = "bucket.count"}), BUS_OK);
    self->target = 1;
    cr_assert(fake_run(self->loop, has_acted, self, WAIT_MS));
    cr_assert_eq(stop(self, SIGKILL), -SIGKILL);
    fake_broker_stop(self->broker);
    self->alone_ms = 0;
    start(self);
    await_printed(self, "ready bucket\n"); // it is ready to be asked
    fake_run_for(self->loop, 1500);
    fake_broker_start(self->broker);
    self->target = 2;
    cr_assert(fake_run(self->loop, has_acted, self, WAIT_MS));
    fixture_destroy(&self);
}

Test(service_act, neither_starts_nor_acts_in_a_rebuild)
{
    fixture_t *self = acting_made();
    add_commands(self, 10);
    self->rebuild = true;
    start(self);
    cr_assert(fake_run(self->loop, is_ready, self, WAIT_MS), "never done");
    cr_assert_eq(stop(self, 0), 0);
    (void) is_ready(self);
    cr_assert_null(strstr(self->printed, "started"), "%s", self->printed);
    cr_assert_null(strstr(self->printed, "stopped"), "%s", self->printed);
    cr_assert_not_null(strstr(self->printed, "\"applied\":10"), "%s", self->printed);
    cr_assert_eq(fake_broker_count_topic(self->broker, "karma.acted"), 0);
    fixture_destroy(&self);
}

Test(service_act, ends_where_it_cannot_start)
{
    fixture_t *self = acting_made();
    self->definition.start = start_badly;
    start(self);
    cr_assert_eq(stop(self, 0), 78);
    (void) is_ready(self);
    cr_assert_null(strstr(self->printed, "ready"));
    cr_assert_null(strstr(self->printed, "stopped"), "it never started");
    fixture_destroy(&self);
}

// --- Stopping ------------------------------------------------------------------------------------

static bool
is_under_way(void *state BUS_UNUSED)
{
    return acted == 0;
}

// And says at once that it was asked.
static bool
is_always_busy(void *state BUS_UNUSED)
{
    static bool is_said;
    if (!is_said) {
        is_said = true;
        printf("draining\n");
        fflush(stdout);
    }
    return true;
}

static fixture_t *
draining_started(bool (*drain)(void *state))
{
    fixture_t *self = acting_made();
    self->definition.drain = drain;
    start(self);
    await_printed(self, "ready bucket\n");
    return self;
}

// Runs the loop until the service has begun to stop. Returns how long that took since `begin_ms`.
static uint64_t
await_stopped(fixture_t *self, uint64_t begin_ms)
{
    await_printed(self, "stopped ");
    return clock_boot_ms() - begin_ms;
}

Test(service_act, ends_when_what_it_began_has_ended)
{
    fixture_t *self = draining_started(is_under_way);
    kill(self->pid, SIGTERM);
    fake_run_for(self->loop, 300);
    cr_assert_not(spawner_has_ended(&self->spawner, self->pid));
    cr_assert_eq(ask(self, &(ask_t){.topic = "bucket.count"}), BUS_OK, "it goes on meanwhile");
    cr_assert_lt(await_stopped(self, clock_boot_ms()), 1500);
    cr_assert_not_null(strstr(self->printed, "stopped 1\n"));
    cr_assert_eq(stop(self, 0), 0);
    fixture_destroy(&self);
}

Test(service_act, waits_so_long_for_what_it_began_and_no_longer)
{
    fixture_t *self = draining_started(is_always_busy);
    uint64_t begin_ms = clock_boot_ms();
    kill(self->pid, SIGTERM);
    uint64_t took_ms = await_stopped(self, begin_ms);
    cr_assert(took_ms >= SERVICE_DRAIN_MS && took_ms < SERVICE_DRAIN_MS + 1500,
              "%llu ms",
              (unsigned long long) took_ms);
    cr_assert_eq(stop(self, 0), 0);
    fixture_destroy(&self);
}

Test(service_act, waits_for_nothing_after_a_second_signal)
{
    fixture_t *self = draining_started(is_always_busy);
    kill(self->pid, SIGTERM);
    await_printed(self, "draining\n"); // it has read the first
    uint64_t begin_ms = clock_boot_ms();
    kill(self->pid, SIGTERM);
    cr_assert_lt(await_stopped(self, begin_ms), 1500);
    cr_assert_eq(stop(self, 0), 0);
    fixture_destroy(&self);
}
