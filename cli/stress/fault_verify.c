// fault_verify.c - what is held against the system's word when a fault is over. See fault_bus.h.
//
// Three records are compared: what our client was told (each event's ack), the journal as the
// broker serves it, and what Bucket serves; and the life events that Bucket told Karma, by their
// cause.
#include "fault_bus.h"

#include "proto/walk.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    LAND_MS = 20000, // for what is on its way
    ASK_MS = 5000,
    PAGE = 1000 // events of Bucket at once
};

typedef struct {
    cli_fault_bus_t *bus;
    uint64_t sent;    // events begun
    uint64_t *seqs;   // event n is at n - 1: where the journal has it, 0: nowhere
    uint64_t *by_seq; // n of the events by rising seq
    uint64_t count;   // of by_seq
    uint64_t doubled; // events that the journal has twice
    uint8_t *lives;   // life events that event n caused
    uint64_t next;    // of the fetch
    uint64_t head;
    bool is_over; // of the fetch
    bus_err_t err;
} verify_t;

// --- The journal -------------------------------------------------------------------------------

static uint64_t
number_of(bus_view_t body)
{
    bus_view_t value;
    uint64_t n = 0;
    return walk_find(body, "n", &value) == BUS_OK && walk_as_uint(value, &n) == BUS_OK ? n : 0;
}

static void
take_event(verify_t *self, const client_heard_t *record)
{
    uint64_t n = number_of(record->body);
    if (n == 0 || n > self->sent) {
        return; // nobody else says any; then it is missed below
    }
    if (self->seqs[n - 1] != 0) {
        self->doubled++;
        return;
    }
    self->seqs[n - 1] = record->header.seq;
    self->by_seq[self->count++] = n;
}

// The event at this place of the journal, or 0: by_seq rises.
static uint64_t
event_at(const verify_t *self, uint64_t seq)
{
    uint64_t low = 0;
    uint64_t high = self->count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (self->seqs[self->by_seq[middle] - 1] < seq) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < self->count && self->seqs[self->by_seq[low] - 1] == seq ? self->by_seq[low] : 0;
}

static void
take_life(verify_t *self, const client_heard_t *record)
{
    uint64_t n = view_is(record->header.source, "bhiv_bucket")
                     ? event_at(self, record->header.cause_seq)
                     : 0;
    if (n != 0 && self->lives[n - 1] < UINT8_MAX) {
        self->lives[n - 1]++;
    }
}

static void
on_page(void *arg, const client_page_t *page)
{
    verify_t *self = arg;
    self->is_over = true;
    self->err = page->err;
    if (page->err != BUS_OK) {
        return;
    }
    client_records_t records = client_records(page);
    client_heard_t record;
    while (client_next_record(&records, &record) == BUS_OK) {
        if (view_starts(record.topic, VIEW_LITERAL("core.event."))) {
            take_event(self, &record);
        } else {
            take_life(self, &record);
        }
    }
    self->next = page->next;
    self->head = page->head;
}

static bool
is_over(void *arg)
{
    const verify_t *self = arg;
    return self->is_over;
}

// Everything by this prefix, from the first record to the last.
static bool
read_journal(verify_t *self, const char *filter)
{
    self->next = 0;
    do {
        const client_fetch_t fetch = {
            .consumer = "fault_drill", .filters = &filter, .filter_count = 1, .from = self->next};
        self->is_over = false;
        client_t *client = cli_fault_bus_client(self->bus);
        bus_err_t err = client_fetch(client, &fetch, on_page, self);
        if (err != BUS_OK || !cli_fault_bus_until(self->bus, is_over, self, ASK_MS) ||
            self->err != BUS_OK) {
            client_fetch_cancel(client);
            err = err != BUS_OK ? err : self->is_over ? self->err : BUS_TIMEOUT;
            return cli_fault_expect(cli_fault_bus_fault(self->bus),
                                    false,
                                    "the journal can be read (%s)",
                                    error_text(err));
        }
    } while (self->next <= self->head);
    return true;
}

static bool
compare_journal(verify_t *self)
{
    uint64_t lost = 0;
    uint64_t moved = 0;
    uint64_t kept = 0;
    for (uint64_t n = 1; n <= self->sent; ++n) {
        uint64_t seq = cli_fault_bus_seq(self->bus, n);
        uint64_t found = self->seqs[n - 1];
        lost += seq != 0 && found == 0;
        moved += seq != 0 && found != 0 && found != seq;
        kept += found != 0 && cli_fault_bus_is_refused(self->bus, n);
    }
    cli_fault_t *fault = cli_fault_bus_fault(self->bus);
    cli_fault_figure(fault, "lost", (double) lost);
    cli_fault_figure(fault, "doubled", (double) self->doubled);
    return cli_fault_expect(fault,
                            lost == 0 && moved == 0 && self->doubled == 0 && kept == 0,
                            "the journal has each acknowledged event once, where its ack said: "
                            "%llu lost, %llu elsewhere, %llu doubled, %llu kept though refused",
                            (unsigned long long) lost,
                            (unsigned long long) moved,
                            (unsigned long long) self->doubled,
                            (unsigned long long) kept);
}

// --- Bucket ------------------------------------------------------------------------------------

// Waits until Bucket has applied our last event, and said all that follows from it.
static bool
settle(verify_t *self)
{
    uint64_t last = self->count == 0 ? 0 : self->seqs[self->by_seq[self->count - 1] - 1];
    double until_ms = cli_fault_now_ms() + CLI_FAULT_SETTLE_MS;
    uint64_t cursor = 0;
    while (cli_fault_now_ms() < until_ms) {
        bus_view_t health;
        if (cli_fault_bus_ask(self->bus, "req.bucket.health", NULL, ASK_MS, &health) == BUS_OK) {
            cursor = walk_uint_at(health, "cursor", 0);
            if (cursor >= last && walk_uint_at(health, "outbox", 0) == 0) {
                return true;
            }
        }
        cli_fault_bus_run(self->bus, 10);
    }
    return cli_fault_expect(cli_fault_bus_fault(self->bus),
                            false,
                            "Bucket has applied everything: it is at %llu of %llu",
                            (unsigned long long) cursor,
                            (unsigned long long) last);
}

// One page: compares each event with the one that the journal has at that place, and steps on.
static bool
compare_page(const verify_t *self, bus_view_t events, uint64_t *at, uint64_t *wrong)
{
    walk_t walk = walk_from(events);
    walk_item_t head;
    bus_view_t event;
    if (walk_next(&walk, &head) != BUS_OK || head.type != WALK_ARRAY) {
        return false;
    }
    for (uint32_t i = 0; i < head.count && walk_skip(&walk, &event) == BUS_OK; ++i) {
        uint64_t n = *at < self->count ? self->by_seq[*at] : 0;
        *wrong +=
            n == 0 || number_of(event) != n || walk_uint_at(event, "seq", 0) != self->seqs[n - 1];
        ++*at;
    }
    return head.count > 0;
}

static bool
compare_bucket(verify_t *self)
{
    BUS_AUTO(pack_destroy) pack_t *question = pack_new();
    uint64_t after = 0;
    uint64_t at = 0;
    uint64_t wrong = 0;
    bus_err_t err = BUS_OK;
    bool goes_on = true;
    while (goes_on) {
        bus_view_t answer, events;
        pack_clear(question);
        pack_map(question, 3);
        pack_pair_uint(question, "after_seq", after);
        pack_pair_uint(question, "limit", PAGE);
        pack_pair_text(question, "event_type", CLI_FAULT_EVENT);
        err = cli_fault_bus_ask(self->bus, "req.bucket.events", question, ASK_MS, &answer);
        goes_on = err == BUS_OK && walk_find(answer, "events", &events) == BUS_OK &&
                  compare_page(self, events, &at, &wrong);
        after = goes_on ? walk_uint_at(answer, "next", 0) : 0;
    }
    return cli_fault_expect(cli_fault_bus_fault(self->bus),
                            err == BUS_OK && at == self->count && wrong == 0,
                            "Bucket has what the journal has, once, in its order: %llu of %llu, "
                            "%llu others (%s)",
                            (unsigned long long) at,
                            (unsigned long long) self->count,
                            (unsigned long long) wrong,
                            error_text(err));
}

static bool
compare_karma(verify_t *self)
{
    if (!read_journal(self, "karma.life_event")) {
        return false;
    }
    uint64_t wrong = 0;
    for (uint64_t i = 0; i < self->count; ++i) {
        wrong += self->lives[self->by_seq[i] - 1] != 1;
    }
    return cli_fault_expect(cli_fault_bus_fault(self->bus),
                            wrong == 0,
                            "Karma is told of each event once: %llu of %llu are not",
                            (unsigned long long) wrong,
                            (unsigned long long) self->count);
}

// --- All of it ---------------------------------------------------------------------------------

static void
clear(verify_t *self)
{
    free(self->seqs);
    free(self->by_seq);
    free(self->lives);
}

bool
cli_fault_bus_verify(cli_fault_bus_t *bus, bool has_bucket)
{
    cli_fault_t *fault = cli_fault_bus_fault(bus);
    bool is_landed = cli_fault_bus_load_end(bus, LAND_MS);
    cli_fault_load_t load = cli_fault_bus_load_now(bus);
    cli_fault_figure(fault, "acked", (double) load.acked);
    cli_fault_figure(fault, "refused", (double) load.refused);
    if (!cli_fault_expect(fault,
                          is_landed && load.acked > 0,
                          "every publish is answered: %llu of %llu",
                          (unsigned long long) load.acked + load.refused,
                          (unsigned long long) load.sent)) {
        return false;
    }
    verify_t self = {.bus = bus, .sent = load.sent};
    self.seqs = calloc(load.sent, sizeof *self.seqs);
    self.by_seq = calloc(load.sent, sizeof *self.by_seq);
    self.lives = calloc(load.sent, sizeof *self.lives);
    assert(self.seqs && self.by_seq && self.lives);
    bool holds = read_journal(&self, "core.event." CLI_FAULT_EVENT) && compare_journal(&self);
    if (holds && has_bucket) {
        holds = settle(&self) && compare_bucket(&self) && compare_karma(&self);
    }
    clear(&self);
    return holds;
}
