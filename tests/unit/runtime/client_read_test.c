// client_read_test.c - subscriptions, fetches, the outbox and the end.
#include "client_fixture.h"

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
    options.ingress = options.egress;
    options.source = "no token";
    cr_assert_null(client_new(loop, &options));
    loop_destroy(&loop);
}
