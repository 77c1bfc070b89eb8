// client_hello.c - being known to the broker: hello after each welcome, a beat each second, bye.
//
// Until its answer came the hello itself is repeated in place of the beat: a service starts with
// that answer, and it may be lost like anything else.
#include "client_self.h"
#include "clock.h"
#include "proto/schema.h"
#include "proto/walk.h"
#include <unistd.h>

enum { BEAT_MS = 1000 };

static void
pack_hello(client_t *self)
{
    schema_hello_t hello = {
        .service = view_from_text(self->service),
        .instance = view_from_text(self->instance),
        .inbox = view_from_text(self->inbox),
        .version = VIEW_LITERAL(BHIV_VERSION),
        .pid = {.has = true, .value = getpid()},
        .boot_ms = {.has = true, .value = self->hello.boot_ms},
        .pstream = VIEW_LITERAL(""),
        .build = view_from_text(self->hello.identity.build),
        .host = view_from_text(self->hello.identity.host),
    };
    pack_clear(self->body);
    schema_encode(&SCHEMA_hello, &hello, self->body);
}

static void
send_hello(client_t *self)
{
    id_make(self->hello.id);
    header_t header = {
        .id = view_from_text(self->hello.id),
        .source = view_from_text(self->source),
        .reply_to = view_from_text(self->inbox),
    };
    pack_hello(self);
    // Where the queue is full the next beat says it.
    bus_err_t err =
        client_send_raw(self, VIEW_LITERAL("$bus.hello"), &header, pack_view(self->body));
    self->hello.is_said = self->hello.is_said || err == BUS_OK;
}

static void
on_beat(void *arg)
{
    client_t *self = arg;
    if (!self->is_connected) {
        return;
    }
    if (!self->hello.is_answered) {
        send_hello(self);
        return;
    }
    header_t header = {.source = view_from_text(self->source)};
    pack_hello(self);
    if (client_send_raw(self, VIEW_LITERAL("$bus.beat"), &header, pack_view(self->body)) !=
        BUS_OK) {
        self->stats.refused++;
    }
}

void
client_hello_say(client_t *self)
{
    if (self->service == NULL) {
        return;
    }
    if (self->hello.timer == 0) {
        identity_read(&self->hello.identity);
        uint64_t started_ms = self->hello.started_ms;
        self->hello.boot_ms =
            started_ms != 0 ? (double) (clock_boot_ms() - started_ms) : clock_process_age_ms();
        self->hello.timer = loop_add_timer(self->loop, BEAT_MS, 0, on_beat, self);
    }
    self->hello.is_answered = false;
    send_hello(self);
}

// Reads [seq, n].
static void
read_cause(bus_view_t cause, client_outbox_t *where)
{
    walk_t walk = walk_from(cause);
    walk_item_t head, seq, n;
    if (walk_next(&walk, &head) == BUS_OK && head.type == WALK_ARRAY && head.count == 2 &&
        walk_next(&walk, &seq) == BUS_OK && seq.type == WALK_INT &&
        walk_next(&walk, &n) == BUS_OK && n.type == WALK_INT) {
        where->cause_seq = (uint64_t) seq.integer;
        where->cause_n = (uint64_t) n.integer;
    }
}

bool
client_hello_answered(client_t *self, const header_t *header, bus_view_t body)
{
    if (self->service == NULL || self->hello.is_answered || !view_is(header->re, self->hello.id)) {
        return false;
    }
    schema_hello_answer_t said;
    schema_problems_t problems;
    if (view_is(header->status, "error") ||
        schema_decode(&SCHEMA_hello_answer, body, &said, &problems) != BUS_OK) {
        self->stats.refused++;
        return true; // said again with the next beat
    }
    self->hello.is_answered = true;
    client_outbox_t where = {.pseq = (uint64_t) said.pseq.value};
    if (said.cause.data != NULL) {
        read_cause(said.cause, &where);
    }
    if (self->hello.fn != NULL) {
        self->hello.fn(self->hello.arg, &where);
    }
    return true;
}

void
client_hello_bye(client_t *self)
{
    if (self->hello.timer != 0) {
        loop_cancel_timer(self->loop, self->hello.timer);
    }
    if (!self->hello.is_said || !self->is_connected) {
        return;
    }
    header_t header = {.source = view_from_text(self->source)};
    pack_clear(self->body);
    pack_map(self->body, 1);
    pack_pair_text(self->body, "instance", self->instance);
    if (client_send_raw(self, VIEW_LITERAL("$bus.bye"), &header, pack_view(self->body)) != BUS_OK) {
        self->stats.refused++;
    }
}

void
client_on_hello(client_t *self, client_outbox_fn *fn, void *arg)
{
    self->hello.fn = fn;
    self->hello.arg = arg;
}
