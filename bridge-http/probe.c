// probe.c - following one event from Bucket's door to Karma's ledger.
#include "probe.h"
#include "health.h"
#include "journal.h"
#include "proto/walk.h"
#include "runtime/clock.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    STEP_MS = 20,         // between looks
    PAUSE_US = 1000000,   // between samples
    GOOD_US = 500000,     // what is promised
    GIVE_UP_US = 5000000, // an event that has not arrived by then was not forwarded, or is late
    RECORDS_MAX = 256,    // life events of one look
    ASK_MS = 1000,        // for Karma's health
};

typedef enum {
    IDLE,
    LOOKING, // for the life event
    ASKING   // Karma, whether it has applied it
} state_t;

struct bridge_probe {
    bridge_t *bridge;
    state_t state;
    uint64_t seq;        // of the event
    uint64_t started_us; // its request
    uint64_t life_seq;   // of its life event
    uint64_t next_us;    // the next sample not before
    int timer;           // of the next look; 0: none
    uint64_t call;       // Karma being asked; 0: not
    bridge_journal_job_t job;
    bridge_probe_counts_t counts;
};

static void look(void *arg);

bridge_probe_t *
bridge_probe_new(bridge_t *bridge)
{
    bridge_probe_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    self->bridge = bridge;
    return self;
}

void
bridge_probe_stop(bridge_probe_t *self)
{
    bridge_journal_cancel(self->bridge->journal, &self->job);
    if (self->call != 0) {
        client_cancel(self->bridge->client, self->call);
        self->call = 0;
    }
    if (self->timer != 0) {
        loop_cancel_timer(self->bridge->loop, self->timer);
        self->timer = 0;
    }
    self->state = IDLE;
}

void
bridge_probe_destroy(bridge_probe_t **self_p)
{
    free(*self_p);
    *self_p = NULL;
}

bridge_probe_counts_t
bridge_probe_counts(const bridge_probe_t *self)
{
    return self->counts;
}

static void
finish(bridge_probe_t *self, bool is_sample)
{
    uint64_t now_us = clock_boot_us();
    if (is_sample) {
        self->counts.samples++;
        self->counts.within += now_us - self->started_us <= GOOD_US ? 1 : 0;
    }
    self->state = IDLE;
    self->next_us = now_us + PAUSE_US;
}

// Whether Bucket itself has not come to the event yet.
static bool
is_behind(const bridge_probe_t *self)
{
    bus_view_t value = bridge_health_of_bucket(self->bridge->health, "cursor");
    uint64_t cursor = 0;
    return value.data == NULL || walk_as_uint(value, &cursor) != BUS_OK || cursor < self->seq;
}

// Looks again soon, or gives up: an event that has its life event, or that Bucket has not taken, is
// late; another was not forwarded.
static void
look_later(bridge_probe_t *self)
{
    if (clock_boot_us() - self->started_us >= GIVE_UP_US) {
        finish(self, self->state == ASKING || is_behind(self));
        return;
    }
    self->timer = loop_add_timer(self->bridge->loop, STEP_MS, 1, look, self);
}

static void
on_karma(void *arg, const client_answer_t *answer)
{
    bridge_probe_t *self = arg;
    bus_view_t value;
    uint64_t cursor = 0;
    if (answer->event == CLIENT_ACKED) {
        return;
    }
    self->call = 0;
    bool is_applied = answer->event == CLIENT_REPLIED && answer->err == BUS_OK &&
                      walk_find(answer->body, "cursor", &value) == BUS_OK &&
                      walk_as_uint(value, &cursor) == BUS_OK && cursor >= self->life_seq;
    if (is_applied) {
        finish(self, true);
    } else {
        look_later(self);
    }
}

static void
on_life_events(void *arg, const client_page_t *page)
{
    bridge_probe_t *self = arg;
    client_records_t records = client_records(page);
    client_heard_t record;
    while (page->err == BUS_OK && client_next_record(&records, &record) == BUS_OK) {
        if (record.header.cause_seq == self->seq) {
            self->life_seq = record.header.seq;
            self->state = ASKING;
            look(self);
            return;
        }
    }
    if (page->err == BUS_OK) {
        self->job.from = page->next;
    }
    look_later(self);
}

static void
ask_karma(bridge_probe_t *self)
{
    const client_message_t message = {.topic = "req.karma.health",
                                      .body = PACK_EMPTY_MAP,
                                      .want = CLIENT_WANT_REPLY,
                                      .timeout_ms = ASK_MS};
    if (client_send(self->bridge->client, &message, on_karma, self, &self->call) != BUS_OK) {
        self->call = 0;
        look_later(self);
    }
}

static void
look(void *arg)
{
    bridge_probe_t *self = arg;
    self->timer = 0;
    if (!bridge_is_connected(self->bridge)) {
        finish(self, false);
        return;
    }
    if (self->state == ASKING) {
        ask_karma(self);
        return;
    }
    if (bridge_journal_read(self->bridge->journal, &self->job) != BUS_OK) {
        finish(self, false); // the journal is busy with readers: no time for samples
    }
}

void
bridge_probe_follow(bridge_probe_t *self, uint64_t seq, uint64_t started_us)
{
    if (self->state != IDLE || started_us < self->next_us ||
        !bridge_health_has_bucket(self->bridge->health)) {
        return;
    }
    self->state = LOOKING;
    self->seq = seq;
    self->started_us = started_us;
    self->job = (bridge_journal_job_t){
        .from = seq + 1, .max = RECORDS_MAX, .fn = on_life_events, .arg = self};
    (void) snprintf(self->job.prefix, sizeof(self->job.prefix), "karma.life_event");
    look(self);
}
