// service_question_test.c - questions that are answered later than they return.
#include "proto/limits.h"
#include "service_asker.h"

static service_question_t *kept; // in the service's process

// {op: "keep"} is answered when the next one is asked, {op: "error"} and {op: "large"} likewise;
// {op: "full"} takes every place that there is.
static bus_err_t
query_later(service_query_t *self, const void *message BUS_UNUSED)
{
    static const uint8_t body[] = {0x81, 0xa4, 'd', 'o', 'n', 'e', 0x07}; // {done: 7}
    bus_view_t value, op = VIEW_NONE;
    if (walk_find(self->body, "op", &value) == BUS_OK && walk_as_str(value, &op) != BUS_OK) {
        op = VIEW_NONE;
    }
    if (view_is(op, "keep")) {
        kept = service_query_defer(self);
        return kept != NULL ? BUS_OK : BUS_BUSY;
    }
    if (view_is(op, "fill")) {
        for (int i = 0; i < SERVICE_QUESTIONS_MAX; i++) {
            if (service_query_defer(self) == NULL) {
                return BUS_BUSY;
            }
        }
        return service_query_defer(self) == NULL ? BUS_OK : BUS_INTERNAL;
    }
    if (view_is(op, "error")) {
        service_question_answer(&kept, BUS_USER_NOT_FOUND, VIEW_NONE);
    } else if (view_is(op, "large")) {
        BUS_AUTO(pack_destroy) pack_t *large = pack_new();
        char *bytes = calloc(1, INBOX_BODY_SIZE_MAX);
        pack_bin(large, view_from(bytes, INBOX_BODY_SIZE_MAX));
        service_question_answer(&kept, BUS_OK, pack_view(large));
        free(bytes);
    } else {
        service_question_answer(&kept, BUS_OK, view_from(body, sizeof body));
    }
    cr_assert_null(kept);
    service_question_answer(&kept, BUS_OK, VIEW_NONE); // nobody: nothing
    pack_map(self->answer, 0);
    return BUS_OK;
}

static const service_query_row_t later_queries[] = {{"later", NULL, query_later, "later"}};

static fixture_t *
asking_started(void)
{
    fixture_t *self = fixture_new();
    self->definition.queries = later_queries;
    self->definition.query_count = 1;
    start(self);
    await_ready(self);
    return self;
}

static void
keep_question(asker_t *asker)
{
    static const uint8_t body[] = {0x81, 0xa2, 'o', 'p', 0xa4, 'k', 'e', 'e', 'p'};
    const client_message_t message = {.topic = "req.bucket.later",
                                      .body = view_from(body, sizeof body),
                                      .trace_id = VIEW_LITERAL("t-1"),
                                      .want = CLIENT_WANT_REPLY,
                                      .timeout_ms = WAIT_MS};
    cr_assert_eq(client_send(asker->fixture->client, &message, on_asker, asker, NULL), BUS_OK);
}

Test(service_question, answers_a_deferred_question_when_it_is_told_to)
{
    fixture_t *self = asking_started();
    const struct {
        const char *op;
        bus_err_t err;
        int64_t done;
    } cases[] = {
        {NULL, BUS_OK, 7}, {"error", BUS_USER_NOT_FOUND, -1}, {"large", BUS_PAYLOAD_TOO_LARGE, -1}};
    for (size_t i = 0; i < 3; i++) {
        char word[TEXT_SIZE];
        asker_t asker = {.fixture = self};
        keep_question(&asker);
        cr_assert_eq(ask(self, &(ask_t){.topic = "req.bucket.health"}), BUS_OK);
        cr_assert_str_eq(text(self, "status", word), "healthy");
        cr_assert_eq(asker.answers, 0, "others are answered meanwhile");
        cr_assert_eq(ask(self, &(ask_t){.topic = "req.bucket.later", .op = cases[i].op}), BUS_OK);
        await_told(&asker);
        cr_assert_eq(asker.err, cases[i].err);
        cr_assert_eq(asker.done, cases[i].done);
    }
    fixture_destroy(&self);
}

Test(service_question, answers_deferred_questions_when_it_stops)
{
    fixture_t *self = asking_started();
    asker_t first = {.fixture = self}, second = {.fixture = self};
    keep_question(&first);
    keep_question(&second);
    cr_assert_eq(ask(self, &(ask_t){.topic = "req.bucket.health"}), BUS_OK);
    cr_assert_eq(stop(self, SIGTERM), 0);
    await_told(&first);
    await_told(&second);
    cr_assert_eq(first.err, BUS_ABORTED);
    cr_assert_eq(second.err, BUS_ABORTED);
    fixture_destroy(&self);
}

Test(service_question, defers_so_many_questions_and_no_more)
{
    fixture_t *self = asking_started();
    const ask_t fill = {.topic = "req.bucket.later", .op = "fill", .timeout_ms = 2000};
    cr_assert_eq(ask(self, &fill), BUS_TIMEOUT, "it is deferred");
    asker_t asker = {.fixture = self};
    keep_question(&asker);
    await_told(&asker);
    cr_assert_eq(asker.err, BUS_BUSY);
    fixture_destroy(&self);
}
