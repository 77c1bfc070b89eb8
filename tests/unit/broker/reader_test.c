// reader_test.c - the reader's thread, spoken to as the router does.
#include "broker/reader.h"
#include "journal_fixture.h"
#include "proto/limits.h"
#include "proto/walk.h"
#include "runtime/clock.h"
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>

enum { ANSWER_MS_MAX = 20000, FRAMES_MAX = 4 };

typedef struct {
    fixture_t *fixture;
    void *context;
    held_t *held;
    reader_t *reader;
    void *socket;
} bed_t;

// One message from the reader.
typedef struct {
    zmq_msg_t frames[FRAMES_MAX];
    int count;
} heard_t;

static bed_t
bed_make(const journal_options_t *options)
{
    bed_t bed = {.fixture = fixture_new(options), .context = zmq_ctx_new(), .held = held_new()};
    return bed;
}

static void
bed_start(bed_t *self)
{
    self->reader = reader_new(self->context, self->fixture->journal, self->held, &self->socket);
    int timeout = ANSWER_MS_MAX;
    cr_assert_eq(zmq_setsockopt(self->socket, ZMQ_RCVTIMEO, &timeout, sizeof(timeout)), 0);
}

static void
bed_clear(bed_t *self)
{
    reader_destroy(&self->reader);
    zmq_ctx_term(self->context);
    held_destroy(&self->held);
    fixture_destroy(&self->fixture);
}

// A fetch as its client says it. Zero: absent, but for `from`.
typedef struct {
    const char *consumer; // NULL: left out
    const char *filter;   // NULL: none
    uint64_t from;
    uint64_t ack;
    uint64_t max;
    uint64_t max_bytes;
    uint64_t wait_ms;
    const char *id; // NULL: "fetch-1"
} ask_t;

static void
pack_optional(pack_t *out, const char *key, uint64_t value)
{
    if (value != 0) {
        pack_pair_uint(out, key, value);
    }
}

static void
send_frame(void *socket, const void *data, size_t size, int flags)
{
    cr_assert_eq(zmq_send(socket, data, size, flags), (int) size);
}

static void
send_body(bed_t *bed, const char *id, bus_view_t body)
{
    send_frame(bed->socket, "F", 1, ZMQ_SNDMORE);
    send_frame(bed->socket, "_inbox.me.1", 11, ZMQ_SNDMORE);
    send_frame(bed->socket, id, strlen(id), ZMQ_SNDMORE);
    send_frame(bed->socket, "a-trace", 7, ZMQ_SNDMORE);
    send_frame(bed->socket, body.data, body.size, 0);
}

static void
ask(bed_t *bed, const ask_t *what)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    const bool present[] = {what->consumer != NULL,
                            what->filter != NULL,
                            what->ack != 0,
                            what->max != 0,
                            what->max_bytes != 0,
                            what->wait_ms != 0};
    uint32_t count = 1;
    for (int i = 0; i < 6; i++) {
        count += present[i] ? 1 : 0;
    }
    pack_map(body, count);
    pack_pair_uint(body, "from", what->from);
    if (what->consumer != NULL) {
        pack_pair_text(body, "consumer", what->consumer);
    }
    if (what->filter != NULL) {
        pack_text(body, "filters");
        pack_array(body, 1);
        pack_text(body, what->filter);
    }
    pack_optional(body, "ack", what->ack);
    pack_optional(body, "max", what->max);
    pack_optional(body, "max_bytes", what->max_bytes);
    pack_optional(body, "wait_ms", what->wait_ms);
    send_body(bed, what->id == NULL ? "fetch-1" : what->id, pack_view(body));
}

static void
tell_head(bed_t *bed, uint64_t head)
{
    send_frame(bed->socket, "H", 1, ZMQ_SNDMORE);
    send_frame(bed->socket, &head, sizeof(head), 0);
}

static heard_t
hear(bed_t *bed)
{
    heard_t heard = {.count = 0};
    int has_more = 1;
    while (has_more != 0) {
        cr_assert_lt(heard.count, FRAMES_MAX);
        zmq_msg_t *frame = &heard.frames[heard.count++];
        zmq_msg_init(frame);
        cr_assert_geq(zmq_msg_recv(frame, bed->socket, 0), 0, "no answer came");
        has_more = zmq_msg_more(frame);
    }
    return heard;
}

static bus_view_t
frame_of(heard_t *heard, int index)
{
    zmq_msg_t *frame = &heard->frames[index];
    return view_from(zmq_msg_data(frame), zmq_msg_size(frame));
}

static void
heard_clear(heard_t *self)
{
    while (self->count > 0) {
        zmq_msg_close(&self->frames[--self->count]);
    }
}

// Hears an answer and checks what all have in common. Its body.
static bus_view_t
hear_answer(bed_t *bed, heard_t *heard, const char *id, const char *status)
{
    *heard = hear(bed);
    cr_assert_eq(heard->count, 3);
    cr_assert(view_is(frame_of(heard, 0), "_inbox.me.1"));
    header_t header;
    cr_assert_eq(header_decode(frame_of(heard, 1), &header, NULL), BUS_OK);
    cr_assert(view_is(header.re, id), "it answers %.*s", (int) header.re.size, header.re.data);
    cr_assert(view_is(header.status, status));
    cr_assert(view_is(header.source, "$bus"));
    cr_assert(view_is(header.trace_id, "a-trace"));
    cr_assert_not(header.is_ack);
    cr_assert_leq(frame_of(heard, 2).size, INBOX_BODY_SIZE_MAX);
    const char *why = NULL;
    bus_view_t body = frame_of(heard, 2);
    cr_assert_eq(walk_check(body, WALK_ANY, 24, &why), BUS_OK, "%s", why);
    return body;
}

static uint64_t
uint_of(bus_view_t map, const char *path)
{
    bus_view_t value;
    uint64_t number;
    cr_assert_eq(walk_find_path(map, path, &value), BUS_OK, "%s", path);
    cr_assert_eq(walk_as_uint(value, &number), BUS_OK, "%s", path);
    return number;
}

// The expected page.
typedef struct {
    uint64_t first, next, head;
    uint32_t count;
} page_t;

static void
hear_page(bed_t *bed, const char *id, page_t wanted)
{
    heard_t heard;
    bus_view_t body = hear_answer(bed, &heard, id, "success");
    bus_view_t value;
    bus_view_t epoch;
    cr_assert_eq(walk_find(body, "epoch", &value), BUS_OK);
    cr_assert_eq(walk_as_str(value, &epoch), BUS_OK);
    cr_assert(view_is(epoch, fixture_info(bed->fixture).epoch));
    cr_assert_eq(uint_of(body, "first"), wanted.first);
    cr_assert_eq(uint_of(body, "next"), wanted.next, "next is %" PRIu64, uint_of(body, "next"));
    cr_assert_eq(uint_of(body, "head"), wanted.head);
    bus_view_t records;
    cr_assert_eq(walk_find(body, "records", &records), BUS_OK);
    walk_t walk = walk_from(records);
    walk_item_t item;
    cr_assert_eq(walk_next(&walk, &item), BUS_OK);
    cr_assert_eq(item.type, WALK_ARRAY);
    cr_assert_eq(item.count, wanted.count, "%u records", item.count);
    if (item.count > 0) { // the last one is just before `next`, or further back
        bus_view_t topic;
        header_t header;
        size_t size = (size_t) (walk.end - walk.at);
        fixture_read(view_from(walk.at, size), item.count - 1, &topic, &header);
        cr_assert_lt(header.seq, wanted.next);
        cr_assert_gt(header.at, 0);
    }
    heard_clear(&heard);
}

static void
hear_error(bed_t *bed, const char *id, const char *code, const char *path, uint64_t value)
{
    heard_t heard;
    bus_view_t body = hear_answer(bed, &heard, id, "error");
    bus_view_t item;
    bus_view_t text;
    cr_assert_eq(walk_find(body, "error_code", &item), BUS_OK);
    cr_assert_eq(walk_as_str(item, &text), BUS_OK);
    cr_assert(view_is(text, code), "%.*s", (int) text.size, text.data);
    if (path != NULL) {
        cr_assert_eq(uint_of(body, path), value);
    }
    heard_clear(&heard);
}

Test(reader, serves_a_page_and_says_where_to_go_on)
{
    bed_t bed = bed_make(NULL);
    for (int i = 0; i < 6; i++) {
        fixture_add(bed.fixture, &(fixture_record_t){.topic = i % 2 == 0 ? "core.x" : "karma.y"});
    }
    fixture_append(bed.fixture);
    bed_start(&bed);
    ask(&bed, &(ask_t){.consumer = "c", .from = 0});
    hear_page(&bed, "fetch-1", (page_t){.first = 1, .next = 7, .head = 6, .count = 6});
    ask(&bed, &(ask_t){.consumer = "c", .from = 2, .filter = "core.", .id = "two"});
    hear_page(&bed, "two", (page_t){.first = 1, .next = 7, .head = 6, .count = 2});
    ask(&bed, &(ask_t){.consumer = "c", .from = 1, .max = 1, .filter = "karma."});
    hear_page(&bed, "fetch-1", (page_t){.first = 1, .next = 3, .head = 6, .count = 1});
    ask(&bed, &(ask_t){.consumer = "c", .from = 1, .max_bytes = 1});
    hear_page(&bed, "fetch-1", (page_t){.first = 1, .next = 2, .head = 6, .count = 1});
    ask(&bed, &(ask_t){.consumer = "c", .from = 7});
    hear_page(&bed, "fetch-1", (page_t){.first = 1, .next = 7, .head = 6, .count = 0});
    bed_clear(&bed);
}

Test(reader, tells_the_router_where_an_acking_consumer_stands)
{
    bed_t bed = bed_make(NULL);
    fixture_fill(bed.fixture, "core.x", 5);
    bed_start(&bed);
    ask(&bed, &(ask_t){.consumer = "bucket", .from = 3, .ack = 3});
    hear_page(&bed, "fetch-1", (page_t){.first = 1, .next = 6, .head = 5, .count = 3});
    heard_t heard = hear(&bed);
    cr_assert_eq(heard.count, 4);
    cr_assert(view_is(frame_of(&heard, 0), "C"));
    cr_assert(view_is(frame_of(&heard, 1), "bucket"));
    uint64_t next;
    uint64_t ack;
    cr_assert_eq(frame_of(&heard, 2).size, sizeof(next));
    memcpy(&next, frame_of(&heard, 2).data, sizeof(next));
    memcpy(&ack, frame_of(&heard, 3).data, sizeof(ack));
    cr_assert_eq(next, 6);
    cr_assert_eq(ack, 3);
    heard_clear(&heard);
    bed_clear(&bed);
}

Test(reader, refuses_a_fetch_before_the_first_and_beyond_the_head)
{
    const journal_options_t options = {.retention_bytes = 1};
    bed_t bed = bed_make(&options);
    fixture_fill(bed.fixture, "core.x", 5);
    fixture_add_trim(bed.fixture, 4);
    fixture_append(bed.fixture);
    bed_start(&bed);
    ask(&bed, &(ask_t){.consumer = "c", .from = 3});
    hear_error(&bed, "fetch-1", "TRIMMED", "details.first", 4);
    ask(&bed, &(ask_t){.consumer = "c", .from = 7, .wait_ms = 60000});
    hear_error(&bed, "fetch-1", "AHEAD", "details.head", 5);
    ask(&bed, &(ask_t){.consumer = "c", .from = 0});
    hear_page(&bed, "fetch-1", (page_t){.first = 4, .next = 6, .head = 5, .count = 2});
    bed_clear(&bed);
}

Test(reader, refuses_what_is_no_fetch_and_names_the_field)
{
    bed_t bed = bed_make(NULL);
    bed_start(&bed);
    ask(&bed, &(ask_t){.from = 1});
    heard_t heard;
    bus_view_t body = hear_answer(&bed, &heard, "fetch-1", "error");
    bus_view_t value;
    cr_assert_eq(walk_find(body, "details", &value), BUS_OK);
    cr_assert_not_null(memmem(value.data, value.size, "consumer", 8));
    heard_clear(&heard);
    ask(&bed, &(ask_t){.consumer = "c", .filter = "no such..prefix"});
    body = hear_answer(&bed, &heard, "fetch-1", "error");
    cr_assert_eq(walk_find(body, "details", &value), BUS_OK);
    cr_assert_not_null(memmem(value.data, value.size, "filters", 7));
    heard_clear(&heard);

    BUS_AUTO(pack_destroy) pack_t *many = pack_new();
    for (uint32_t count = 32; count <= 33; count++) {
        pack_clear(many);
        pack_map(many, 2);
        pack_pair_text(many, "consumer", "c");
        pack_text(many, "filters");
        pack_array(many, count);
        for (uint32_t i = 0; i < count; i++) {
            pack_text(many, "core.");
        }
        send_body(&bed, "many", pack_view(many));
        if (count == 32) {
            hear_page(&bed, "many", (page_t){.first = 1, .next = 1, .head = 0, .count = 0});
        } else {
            hear_error(&bed, "many", "VALIDATION_FAILED", NULL, 0);
        }
    }
    send_body(&bed, "no-map", VIEW_LITERAL("\x2a"));
    hear_error(&bed, "no-map", "VALIDATION_FAILED", NULL, 0);
    bed_clear(&bed);
}

Test(reader, parks_a_fetch_until_the_head_brings_what_it_wants)
{
    bed_t bed = bed_make(NULL);
    fixture_fill(bed.fixture, "core.x", 3);
    bed_start(&bed);
    ask(&bed, &(ask_t){.consumer = "a", .from = 4, .wait_ms = 60000, .id = "all"});
    ask(&bed,
        &(ask_t){.consumer = "b", .from = 1, .filter = "karma.", .wait_ms = 60000, .id = "k"});
    ask(&bed, &(ask_t){.consumer = "c", .from = 4, .id = "now"});
    // The third is answered, though the others came first: they are parked.
    hear_page(&bed, "now", (page_t){.first = 1, .next = 4, .head = 3, .count = 0});
    fixture_fill(bed.fixture, "core.x", 2);
    fixture_fill(bed.fixture, "karma.y", 1);
    // In one go: half a second behind the first head "k" would be answered, empty.
    tell_head(&bed, 5);
    ask(&bed, &(ask_t){.consumer = "c", .from = 6, .id = "now"});
    tell_head(&bed, 6);
    hear_page(&bed, "all", (page_t){.first = 1, .next = 6, .head = 5, .count = 2});
    hear_page(&bed, "now", (page_t){.first = 1, .next = 6, .head = 5, .count = 0});
    hear_page(&bed, "k", (page_t){.first = 1, .next = 7, .head = 6, .count = 1});
    bed_clear(&bed);
}

Test(reader, wakes_of_many_only_those_whose_filter_can_match)
{
    enum { COUNT = 40 };
    bed_t bed = bed_make(NULL);
    bed_start(&bed);
    char consumer[16];
    for (int i = 0; i < COUNT; i++) {
        snprintf(consumer, sizeof(consumer), "c%d", i);
        ask(&bed,
            &(ask_t){.consumer = consumer,
                     .from = 1,
                     .filter = i % 4 == 0   ? "karma."
                               : i % 4 == 1 ? "core.event.other"
                                            : "bucket.",
                     .wait_ms = 60000,
                     .id = consumer});
    }
    fixture_fill(bed.fixture, "core.event.x", 2);
    fixture_fill(bed.fixture, "karma.y", 1);
    fixture_fill(bed.fixture, "bucket.z", 1);
    // In one go, for who only moves on is answered soon; a fetch between keeps two heads apart.
    tell_head(&bed, 2);
    ask(&bed, &(ask_t){.consumer = "last", .from = 3, .id = "second"});
    tell_head(&bed, 3);
    ask(&bed, &(ask_t){.consumer = "last", .from = 4, .id = "third"});
    tell_head(&bed, 4);
    hear_page(&bed, "second", (page_t){.first = 1, .next = 3, .head = 2, .count = 0});
    for (int i = 0; i < COUNT; i += 4) { // in the order in which they came
        snprintf(consumer, sizeof(consumer), "c%d", i);
        hear_page(&bed, consumer, (page_t){.first = 1, .next = 4, .head = 3, .count = 1});
    }
    hear_page(&bed, "third", (page_t){.first = 1, .next = 4, .head = 3, .count = 0});
    for (int i = 0; i < COUNT; i++) {
        if (i % 4 >= 2) {
            snprintf(consumer, sizeof(consumer), "c%d", i);
            hear_page(&bed, consumer, (page_t){.first = 1, .next = 5, .head = 4, .count = 1});
        }
    }
    bed_clear(&bed);
}

Test(reader, keeps_back_what_has_not_been_answered_for)
{
    bed_t bed = bed_make(NULL);
    fixture_fill(bed.fixture, "core.x", 2);
    bed_start(&bed);
    fixture_fill(bed.fixture, "core.x", 2); // journaled, its acks not sent yet
    ask(&bed, &(ask_t){.consumer = "c", .from = 1});
    hear_page(&bed, "fetch-1", (page_t){.first = 1, .next = 3, .head = 2, .count = 2});
    ask(&bed, &(ask_t){.consumer = "c", .from = 3, .wait_ms = 60000});
    tell_head(&bed, 4);
    hear_page(&bed, "fetch-1", (page_t){.first = 1, .next = 5, .head = 4, .count = 2});
    bed_clear(&bed);
}

Test(reader, answers_an_empty_page_at_the_deadline)
{
    bed_t bed = bed_make(NULL);
    fixture_fill(bed.fixture, "core.x", 2);
    bed_start(&bed);
    uint64_t start = clock_boot_ms();
    ask(&bed, &(ask_t){.consumer = "a", .from = 3, .wait_ms = 1500, .id = "long"});
    ask(&bed,
        &(ask_t){.consumer = "b", .from = 1, .filter = "karma.", .wait_ms = 50, .id = "short"});
    hear_page(&bed, "short", (page_t){.first = 1, .next = 3, .head = 2, .count = 0});
    cr_assert_geq(clock_boot_ms() - start, 50);
    hear_page(&bed, "long", (page_t){.first = 1, .next = 3, .head = 2, .count = 0});
    cr_assert_geq(clock_boot_ms() - start, 1500);
    bed_clear(&bed);
}

Test(reader, replaces_a_parked_fetch_of_the_same_consumer)
{
    bed_t bed = bed_make(NULL);
    bed_start(&bed);
    ask(&bed, &(ask_t){.consumer = "a", .from = 1, .wait_ms = 60000, .id = "old"});
    ask(&bed, &(ask_t){.consumer = "b", .from = 1, .wait_ms = 60000, .id = "other"});
    ask(&bed, &(ask_t){.consumer = "a", .from = 1, .wait_ms = 60000, .id = "new"});
    fixture_fill(bed.fixture, "core.x", 1);
    tell_head(&bed, 1);
    hear_page(&bed, "other", (page_t){.first = 1, .next = 2, .head = 1, .count = 1});
    hear_page(&bed, "new", (page_t){.first = 1, .next = 2, .head = 1, .count = 1});
    ask(&bed, &(ask_t){.consumer = "c", .from = 2, .id = "end"});
    hear_page(&bed, "end", (page_t){.first = 1, .next = 2, .head = 1, .count = 0});
    bed_clear(&bed);
}

Test(reader, names_a_damaged_record_and_serves_what_is_around_it)
{
    bed_t bed = bed_make(NULL);
    fixture_fill(bed.fixture, "core.x", 2);
    fixture_put(bed.fixture, &(fixture_record_t){.topic = "core.spoiled"});
    fixture_fill(bed.fixture, "core.x", 2);
    cr_assert_geq(fixture_damage(bed.fixture, "core.spoiled"), 1);
    bed_start(&bed);
    ask(&bed, &(ask_t){.consumer = "c", .from = 1});
    hear_page(&bed, "fetch-1", (page_t){.first = 1, .next = 3, .head = 5, .count = 2});
    ask(&bed, &(ask_t){.consumer = "c", .from = 3});
    hear_error(&bed, "fetch-1", "INTEGRITY_ERROR", "details.seq", 3);
    ask(&bed, &(ask_t){.consumer = "c", .from = 4});
    hear_page(&bed, "fetch-1", (page_t){.first = 1, .next = 6, .head = 5, .count = 2});
    bed_clear(&bed);
}

Test(reader, keeps_a_full_page_within_what_an_inbox_takes)
{
    bed_t bed = bed_make(NULL);
    for (int i = 0; i < 5; i++) {
        const size_t size = BODY_SIZE_MAX - 5; // the biggest body, less its head
        fixture_put(bed.fixture, &(fixture_record_t){.topic = "core.big", .body_size = size});
    }
    bed_start(&bed);
    ask(&bed, &(ask_t){.consumer = "c", .from = 1, .max_bytes = 3145728});
    hear_page(&bed, "fetch-1", (page_t){.first = 1, .next = 3, .head = 5, .count = 2});
    ask(&bed, &(ask_t){.consumer = "c", .from = 3});
    hear_page(&bed, "fetch-1", (page_t){.first = 1, .next = 4, .head = 5, .count = 1});
    bed_clear(&bed);
}

Test(reader, serves_small_pages_alone_while_too_much_is_held)
{
    bed_t bed = bed_make(NULL);
    fixture_fill(bed.fixture, "core.x", 2000);
    fixture_put(bed.fixture, &(fixture_record_t){.topic = "core.big", .body_size = HELD_GRAIN});
    bed_start(&bed);
    zmq_msg_t other;
    zmq_msg_init(&other);
    held_charge(bed.held, &other, HELD_MAX);
    ask(&bed, &(ask_t){.consumer = "c", .from = 1, .max = 2000});
    heard_t heard;
    bus_view_t body = hear_answer(&bed, &heard, "fetch-1", "success");
    cr_assert_lt(body.size, HELD_GRAIN);
    uint64_t next = uint_of(body, "next");
    cr_assert(next > 2 && next < 2000, "next is %" PRIu64, next);
    heard_clear(&heard);
    ask(&bed, &(ask_t){.consumer = "c", .from = 2001});
    body = hear_answer(&bed, &heard, "fetch-1", "error");
    bus_view_t code;
    cr_assert_eq(walk_find(body, "error_code", &code), BUS_OK);
    cr_assert_eq(walk_as_str(code, &code), BUS_OK);
    cr_assert(view_is(code, "BUSY"));
    cr_assert_eq(uint_of(body, "retry_after"), 1);
    heard_clear(&heard);
    zmq_msg_close(&other);
    ask(&bed, &(ask_t){.consumer = "c", .from = 1, .max = 2000});
    hear_page(&bed, "fetch-1", (page_t){.first = 1, .next = 2001, .head = 2001, .count = 2000});
    bed_clear(&bed);
}

Test(reader, charges_a_page_until_it_is_let_go)
{
    bed_t bed = bed_make(NULL);
    fixture_fill(bed.fixture, "core.x", 2000);
    bed_start(&bed);
    ask(&bed, &(ask_t){.consumer = "c", .from = 1, .max = 2000});
    heard_t heard = hear(&bed);
    cr_assert_geq(held_bytes(bed.held), frame_of(&heard, 2).size);
    heard_clear(&heard);
    cr_assert_eq(held_bytes(bed.held), 0);
    bed_clear(&bed);
}

Test(reader, stops_while_fetches_are_parked_and_answers_unread)
{
    bed_t bed = bed_make(NULL);
    fixture_fill(bed.fixture, "core.x", 100);
    bed_start(&bed);
    for (int i = 0; i < 500; i++) { // far more than may wait for the router
        ask(&bed, &(ask_t){.consumer = "c", .from = 1, .ack = 1});
    }
    ask(&bed, &(ask_t){.consumer = "d", .from = 101, .wait_ms = 60000});
    bed_clear(&bed);
}
