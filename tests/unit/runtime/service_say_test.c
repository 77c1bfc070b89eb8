// service_say_test.c - questions that journal something, and questions by a second name.
#include "proto/header.h"
#include "service_fixture.h"

// --- Saying --------------------------------------------------------------------------------------

// Journals {op}'s worth of facts: "two", "refuse" (and refuses), else one; answers {told}.
static bus_err_t
query_told(service_query_t *self, const void *message BUS_UNUSED)
{
    static const uint8_t body[] = {0x80};
    bus_view_t value, op = VIEW_NONE;
    if (walk_find(self->body, "op", &value) == BUS_OK) {
        cr_assert_eq(walk_as_str(value, &op), BUS_OK);
    }
    unsigned count = view_is(op, "two") ? 2 : 1;
    for (unsigned i = 0; i < count; i++) {
        bus_err_t err = service_query_say(self, "karma.told", view_from(body, sizeof(body)));
        if (err != BUS_OK) {
            return err;
        }
    }
    if (view_is(op, "refuse")) {
        return service_query_refuse(self, BUS_USER_NOT_FOUND, "nobody", VIEW_NONE);
    }
    pack_map(self->answer, 1);
    pack_pair_uint(self->answer, "told", count);
    return BUS_OK;
}

static const service_query_row_t told_queries[] = {
    {"told", NULL, query_told, "journals"},
    {"counts", NULL, query_counts, "all"},
};

static fixture_t *
told_started(void)
{
    fixture_t *self = fixture_new();
    self->definition.queries = told_queries;
    self->definition.query_count = 2;
    start(self);
    await_ready(self);
    return self;
}

Test(service_say, answers_when_what_the_question_said_is_durable)
{
    fixture_t *self = told_started();
    fake_broker_faults(self->broker)->busy_next = 1;
    cr_assert_eq(ask(self, &(ask_t){.topic = "req.bucket.told", .trace = "t-1"}), BUS_OK);
    cr_assert_eq(number(self, "told"), 1);
    cr_assert_eq(fake_broker_counts(self->broker)->refusals, 1, "it waited for the second try");
    cr_assert_eq(fake_broker_count_topic(self->broker, "karma.told"), 1);
    const fake_record_t *record = fake_broker_record(self->broker, 0);
    header_t header;
    const char *why;
    cr_assert_eq(header_decode(record->header, &header, &why), BUS_OK);
    cr_assert_str_eq(record->source, "bhiv_bucket");
    cr_assert(view_is(header.trace_id, "t-1"));
    cr_assert_gt(header.id.size, 0);
    cr_assert_eq(header.cause_seq, 0);
    cr_assert_eq(ask(self, &(ask_t){.topic = "req.bucket.told", .op = "two"}), BUS_OK);
    cr_assert_eq(fake_broker_count_topic(self->broker, "karma.told"), 3);
    fixture_destroy(&self);
}

Test(service_say, answers_the_brokers_error_where_the_fact_was_refused)
{
    fixture_t *self = told_started();
    char word[TEXT_SIZE];
    fake_broker_faults(self->broker)->refuse_next = 1;
    cr_assert_eq(ask(self, &(ask_t){.topic = "req.bucket.told"}), BUS_UNAUTHORIZED_ACCESS);
    cr_assert_str_eq(text(self, "error_code", word), "UNAUTHORIZED_ACCESS");
    cr_assert_eq(number(self, "told"), -1);
    fake_broker_faults(self->broker)->refuse_next = 1;
    cr_assert_eq(ask(self, &(ask_t){.topic = "req.bucket.told", .op = "two"}),
                 BUS_UNAUTHORIZED_ACCESS);
    cr_assert_eq(ask(self, &(ask_t){.topic = "req.bucket.told"}), BUS_OK);
    fixture_destroy(&self);
}

Test(service_say, holds_a_refusal_too)
{
    fixture_t *self = told_started();
    char word[TEXT_SIZE];
    cr_assert_eq(ask(self, &(ask_t){.topic = "req.bucket.told", .op = "refuse"}),
                 BUS_USER_NOT_FOUND);
    cr_assert_str_eq(text(self, "message", word), "nobody");
    cr_assert_eq(fake_broker_count_topic(self->broker, "karma.told"), 1);
    fixture_destroy(&self);
}

Test(service_say, answers_timeout_where_no_ack_comes)
{
    fixture_t *self = told_started();
    fake_broker_faults(self->broker)->lose_ack = 1000;
    cr_assert_eq(ask(self, &(ask_t){.topic = "req.bucket.told"}), BUS_TIMEOUT);
    cr_assert_eq(self->answer.event, CLIENT_REPLIED, "the service's word, not our own patience");
    fake_broker_faults(self->broker)->lose_ack = 0;
    cr_assert_eq(ask(self, &(ask_t){.topic = "req.bucket.told"}), BUS_OK);
    fixture_destroy(&self);
}

enum { HELD_MS = 1500 }; // a reply that no ack comes for

typedef struct {
    unsigned ok, busy, timeout, aborted, other;
    uint64_t first_ms, last_ms; // of the answers but BUSY
} tally_t;

static void
on_tallied(void *arg, const client_answer_t *answer)
{
    tally_t *tally = arg;
    if (answer->event == CLIENT_ACKED) {
        return;
    }
    tally->ok += answer->err == BUS_OK;
    tally->busy += answer->err == BUS_BUSY;
    tally->timeout += answer->err == BUS_TIMEOUT;
    tally->aborted += answer->err == BUS_ABORTED;
    tally->other++;
    if (answer->err != BUS_BUSY) {
        tally->last_ms = clock_boot_ms();
        tally->first_ms = tally->first_ms == 0 ? tally->last_ms : tally->first_ms;
    }
}

static bool
all_tallied(void *arg)
{
    return ((const tally_t *) arg)->other == SERVICE_HELD_MAX + 1;
}

static void
ask_many(fixture_t *self, tally_t *tally, unsigned count)
{
    static const uint8_t body[] = {0x80};
    for (unsigned i = 0; i < count; i++) {
        client_message_t message = {.topic = "req.bucket.told",
                                    .body = view_from(body, sizeof(body)),
                                    .want = CLIENT_WANT_REPLY,
                                    .timeout_ms = WAIT_MS};
        cr_assert_eq(client_send(self->client, &message, on_tallied, tally, NULL), BUS_OK);
    }
}

Test(service_say, holds_so_many_replies_and_no_more)
{
    fixture_t *self = told_started();
    tally_t tally = {.ok = 0};
    fake_broker_faults(self->broker)->lose_ack = 1000;
    ask_many(self, &tally, SERVICE_HELD_MAX + 1);
    cr_assert(fake_run(self->loop, all_tallied, &tally, WAIT_MS));
    cr_assert_eq(tally.busy + tally.timeout, SERVICE_HELD_MAX + 1);
    // On a machine that is too slow the last are heard when the first have given up their places.
    if (tally.last_ms - tally.first_ms < HELD_MS / 2) {
        cr_assert_eq(tally.busy, 1);
        cr_assert_eq(tally.timeout, SERVICE_HELD_MAX);
    }
    fake_broker_faults(self->broker)->lose_ack = 0;
    cr_assert_eq(ask(self, &(ask_t){.topic = "req.bucket.told"}), BUS_OK, "there is room again");
    fixture_destroy(&self);
}

static bool
one_told(void *arg)
{
    const fixture_t *self = arg;
    return fake_broker_count_topic(self->broker, "karma.told") == 1;
}

static bool
one_tallied(void *arg)
{
    return ((const tally_t *) arg)->other == 1;
}

Test(service_say, answers_aborted_where_it_stops_meanwhile)
{
    fixture_t *self = told_started();
    tally_t tally = {.ok = 0};
    fake_broker_faults(self->broker)->lose_ack = 1000;
    ask_many(self, &tally, 1);
    cr_assert(fake_run(self->loop, one_told, self, WAIT_MS));
    cr_assert_eq(stop(self, SIGTERM), 0);
    cr_assert(fake_run(self->loop, one_tallied, &tally, WAIT_MS));
    cr_assert_eq(tally.aborted, 1);
    fixture_destroy(&self);
}

// --- A second name -------------------------------------------------------------------------------

static const service_query_row_t crypto_queries[] = {
    {"told", NULL, query_told, "journals"},
    {"checked", &SCHEMA_forwarding_set, query_refused, "wants enabled"},
};

static fixture_t *
alias_started(void)
{
    fixture_t *self = fixture_new();
    self->definition.alias =
        (service_alias_t){.name = "crypto", .queries = crypto_queries, .query_count = 2};
    start(self);
    await_ready(self);
    return self;
}

Test(service_alias, answers_by_its_second_name_as_soon_as_it_is_ready)
{
    fixture_t *self = alias_started();
    cr_assert_eq(ask(self, &(ask_t){.topic = "req.crypto.told"}), BUS_OK);
    cr_assert_eq(number(self, "told"), 1);
    cr_assert_eq(ask(self, &(ask_t){.topic = "req.crypto.checked"}), BUS_VALIDATION_FAILED);
    cr_assert_eq(counted(self, "commands"), 0, "and by its first");
    fixture_destroy(&self);
}

Test(service_alias, keeps_the_two_names_apart)
{
    fixture_t *self = alias_started();
    cr_assert_eq(ask(self, &(ask_t){.topic = "req.bucket.told"}), BUS_NOT_FOUND);
    cr_assert_eq(ask(self, &(ask_t){.topic = "req.crypto.counts"}), BUS_NOT_FOUND);
    cr_assert_eq(ask(self, &(ask_t){.topic = "req.crypto.health"}), BUS_NOT_FOUND);
    cr_assert_eq(ask(self, &(ask_t){.topic = "req.bucket.health"}), BUS_OK);
    fixture_destroy(&self);
}

Test(service_alias, answers_again_when_the_broker_was_away)
{
    fixture_t *self = alias_started();
    fake_broker_stop(self->broker);
    fake_broker_start(self->broker);
    bus_err_t err = BUS_NO_RESPONDERS;
    for (int i = 0; i < 300 && err == BUS_NO_RESPONDERS; i++) {
        err = ask(self, &(ask_t){.topic = "req.crypto.told"});
        fake_run_for(self->loop, 10);
    }
    cr_assert_eq(err, BUS_OK);
    fixture_destroy(&self);
}

static bool
both_said_bye(void *arg)
{
    const fixture_t *self = arg;
    return fake_broker_counts(self->broker)->byes == 2;
}

Test(service_alias, takes_leave_by_both_names)
{
    fixture_t *self = alias_started();
    cr_assert_eq(stop(self, SIGTERM), 0);
    cr_assert(fake_run(self->loop, both_said_bye, self, WAIT_MS));
    fixture_destroy(&self);
}
