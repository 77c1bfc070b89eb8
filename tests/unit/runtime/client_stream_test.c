// client_stream_test.c - the numbered window against a model of the broker in simulated time.
//
// The way is hostile: messages and answers are lost and late, connections break, and the broker may
// read what an old connection still held between what the new one brings. The model journals by
// PROTOCOL.md section 5 alone. A seed that failed once stays in the table.
#include "runtime/client_stream.h"
#include <criterion/criterion.h>
#include <stdio.h>

enum {
    CALLS = 300,
    IN_FLIGHT = 20000, // messages on their way in one run: asserted
    STREAMS = 1000,
    STEPS_MAX = 200000,
    STEP_MS = 5,
};

// A message or an answer on its way.
typedef struct {
    unsigned call;
    char stream[ID_TEXT_SIZE];
    uint64_t pseq;
    bool is_old; // of a connection that broke
    bus_err_t err;
    uint64_t expected;
} letter_t;

typedef struct {
    letter_t letters[IN_FLIGHT];
    size_t first, end;
} way_t;

typedef struct {
    unsigned lose, lose_ack, busy, full, refuse, reconnect, forget; // chances in 1,000 a step
} dangers_t;

typedef struct {
    client_call_table_t *calls;
    client_stream_t stream;
    uint64_t numbers[CALLS]; // of calls
    unsigned acked[CALLS], failed[CALLS];
    unsigned journaled[CALLS]; // how often
    unsigned journal[IN_FLIGHT];
    size_t journal_count;
    struct {
        char name[ID_TEXT_SIZE];
        uint64_t last;
    } streams[STREAMS];
    size_t stream_count;
    way_t up, old_up, down;
    uint64_t now_ms;
    unsigned random;
    dangers_t dangers;
    unsigned events; // of dangers that came true
} world_t;

static bool
happens(world_t *self, unsigned in_thousand)
{
    self->random = self->random * 1664525U + 1013904223U;
    bool is_so = (self->random >> 8) % 1000 < in_thousand;
    self->events += is_so;
    return is_so;
}

static void
put(way_t *way, const letter_t *letter)
{
    cr_assert_lt(way->end, IN_FLIGHT);
    way->letters[way->end++] = *letter;
}

static uint64_t *
last_of(world_t *self, const char *name)
{
    for (size_t i = 0; i < self->stream_count; i++) {
        if (strcmp(self->streams[i].name, name) == 0) {
            return &self->streams[i].last;
        }
    }
    cr_assert_lt(self->stream_count, STREAMS);
    strcpy(self->streams[self->stream_count].name, name);
    self->streams[self->stream_count].last = 0;
    return &self->streams[self->stream_count++].last;
}

// The broker reads one message and answers.
static void
broker_takes(world_t *self, letter_t letter)
{
    uint64_t *last = last_of(self, letter.stream);
    letter.err = BUS_OK;
    if (happens(self, self->dangers.busy)) {
        letter.err = BUS_BUSY;
    } else if (letter.call % 10 == 3 && self->dangers.refuse > 0) {
        letter.err = BUS_UNAUTHORIZED_ACCESS; // whenever it comes
    } else if (letter.pseq > *last + 1) {
        letter.err = BUS_PSEQ_GAP;
        letter.expected = *last + 1;
    } else if (letter.pseq == *last + 1 && happens(self, self->dangers.full)) {
        letter.err = BUS_JOURNAL_FULL;
    } else if (letter.pseq == *last + 1) {
        *last = letter.pseq;
        self->journaled[letter.call]++;
        self->journal[self->journal_count++] = letter.call;
    }
    if (!letter.is_old && !(letter.err == BUS_OK && happens(self, self->dangers.lose_ack))) {
        put(&self->down, &letter);
    }
}

static void
client_hears(world_t *self, const letter_t *letter)
{
    client_call_t *call = client_call_numbered(self->calls, self->numbers[letter->call]);
    if (call == NULL) {
        return; // answered before
    }
    client_refusal_t refusal = {.err = letter->err, .expected = letter->expected};
    if (letter->err == BUS_OK) {
        client_stream_acked(&self->stream, call, self->now_ms);
        self->acked[letter->call]++;
    } else if (client_stream_refused(&self->stream, call, &refusal, self->now_ms)) {
        self->failed[letter->call]++;
    } else {
        return;
    }
    client_call_remove(self->calls, call);
}

static void
client_sends(world_t *self)
{
    client_call_t *call = client_stream_next(&self->stream, self->now_ms);
    while (call != NULL) {
        letter_t letter = {.call = (unsigned) strtoul(call->id.data, NULL, 10), .pseq = call->pseq};
        strcpy(letter.stream, self->stream.name);
        client_stream_sent(&self->stream, call, self->now_ms);
        if (!happens(self, self->dangers.lose)) {
            put(&self->up, &letter);
        }
        call = client_stream_next(&self->stream, self->now_ms);
    }
}

// What was on its way up may still be read, late; what was on its way down is lost.
static void
reconnect(world_t *self)
{
    for (size_t i = self->up.first; i < self->up.end; i++) {
        self->up.letters[i].is_old = true;
        put(&self->old_up, &self->up.letters[i]);
    }
    self->up.first = self->up.end;
    self->down.first = self->down.end;
    client_stream_again(&self->stream, self->now_ms);
}

static void
step(world_t *self)
{
    self->now_ms += STEP_MS;
    if (happens(self, self->dangers.reconnect)) {
        reconnect(self);
    }
    if (self->stream_count > 0 && happens(self, self->dangers.forget) &&
        self->up.first == self->up.end && self->down.first == self->down.end &&
        self->old_up.first == self->old_up.end) {
        *last_of(self, self->stream.name) = 0; // a day without a word
    }
    client_stream_tick(&self->stream, self->now_ms);
    client_sends(self);
    for (unsigned i = self->random % 8; i > 0 && self->up.first < self->up.end; i--) {
        broker_takes(self, self->up.letters[self->up.first++]);
        if (self->old_up.first < self->old_up.end && self->random % 3 == 0) {
            broker_takes(self, self->old_up.letters[self->old_up.first++]);
        }
    }
    for (unsigned i = self->random % 10; i > 0 && self->down.first < self->down.end; i--) {
        client_hears(self, &self->down.letters[self->down.first++]);
    }
}

static void
say(world_t *self, unsigned call)
{
    char id[16];
    snprintf(id, sizeof(id), "%u", call);
    client_message_t message = {.topic = "core.event.x", .body = VIEW_LITERAL("\x80")};
    client_call_t *made = client_call_add(self->calls, &message, view_from_text(id), 0);
    self->numbers[call] = made->number;
    client_stream_add(&self->stream, made);
}

static world_t *
run(unsigned seed, const dangers_t *dangers)
{
    world_t *self = calloc(1, sizeof(*self));
    self->calls = client_call_table_new(INBOX_OUTSTANDING_MAX);
    client_stream_init(&self->stream);
    self->random = seed;
    self->dangers = *dangers;
    unsigned said = 0;
    for (unsigned i = 0; said < CALLS || client_call_count(self->calls) > 0; i++) {
        cr_assert_lt(i, STEPS_MAX, "seed %u does not come to an end", seed);
        for (unsigned burst = self->random % 12; burst > 6 && said < CALLS; burst--) {
            say(self, said++);
        }
        if (i > 20000) {
            self->dangers = (dangers_t){.refuse = dangers->refuse}; // even a bad day ends
        }
        step(self);
    }
    cr_assert_eq(self->stream.copies, 0);
    client_call_table_destroy(&self->calls);
    return self;
}

// Everything said is answered once. What was acked is journaled, in the order of saying.
// `is_strict`: nothing twice, and what failed not at all.
static void
check(const world_t *self, unsigned seed, bool is_strict)
{
    bool was_seen[CALLS] = {false};
    unsigned before = 0;
    for (size_t i = 0; i < self->journal_count; i++) {
        unsigned call = self->journal[i];
        if (!was_seen[call] && self->acked[call] == 1) {
            cr_assert(i == 0 || call >= before, "seed %u: %u behind %u", seed, call, before);
            before = call;
        }
        was_seen[call] = true;
    }
    for (unsigned call = 0; call < CALLS; call++) {
        cr_assert_eq(self->acked[call] + self->failed[call], 1, "seed %u: %u", seed, call);
        if (self->acked[call] == 1) {
            cr_assert_geq(self->journaled[call], 1, "seed %u: %u is lost", seed, call);
        }
        if (is_strict) {
            cr_assert_eq(self->journaled[call],
                         self->acked[call],
                         "seed %u: %u is journaled %u times",
                         seed,
                         call,
                         self->journaled[call]);
        }
    }
}

static void
run_all(const dangers_t *dangers, bool is_strict)
{
    unsigned events = 0;
    for (unsigned seed = 1; seed <= 60; seed++) {
        world_t *self = run(seed * 2654435761U, dangers);
        check(self, seed, is_strict);
        events += self->events;
        free(self);
    }
    cr_assert_gt(events, 500, "the way was not dangerous at all");
}

Test(client_stream, is_exact_where_messages_and_acks_are_lost)
{
    run_all(&(dangers_t){.lose = 30, .lose_ack = 50, .busy = 5}, true);
}

Test(client_stream, is_exact_where_connections_break_and_old_ones_are_read_late)
{
    run_all(&(dangers_t){.lose = 10, .lose_ack = 20, .busy = 5, .reconnect = 20}, true);
}

Test(client_stream, is_exact_where_the_journal_is_full_now_and_then)
{
    run_all(&(dangers_t){.full = 20, .busy = 10}, true);
}

Test(client_stream, is_exact_where_some_are_refused_for_what_they_are)
{
    run_all(&(dangers_t){.refuse = 1, .lose = 10, .busy = 5, .lose_ack = 10, .reconnect = 10},
            true);
}

Test(client_stream, is_exact_where_the_broker_forgets_a_silent_stream)
{
    run_all(&(dangers_t){.forget = 100, .busy = 1}, true);
}

// A copy of a message that was refused may be taken from an old connection: see client_stream.c.
Test(client_stream, loses_and_reorders_nothing_where_all_comes_together)
{
    run_all(
        &(dangers_t){
            .lose = 10, .lose_ack = 20, .busy = 5, .full = 15, .refuse = 1, .reconnect = 15},
        false);
}
