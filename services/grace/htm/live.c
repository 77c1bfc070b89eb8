// live.c - what the process does beside applying. See live.h.
#include "live.h"

#include "dispatch.h"
#include "due.h"
#include "proto/rfc3339.h"
#include "resend.h"
#include "roll.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "strain.h"

#include <assert.h>
#include <stdlib.h>

enum {
    CLOCK_MS = 50,      // between two task.clock
    PLAN_MS_MAX = 1000, // a tick comes then anyway
    METRICS_MS = 5000,  // the originals' own
    US_PER_MS = 1000,
};

struct htm_live {
    service_t *service;
    htm_state_t *state;
    htm_roll_t *roll;
    htm_strain_t *strain;
    htm_resend_t *resend;
    pack_t *body;
    int64_t ahead_us; // the journal's clock less the boot clock, as of the last tick
    bool has_ticked;
    bool has_resumed;    // what ran when we, or the broker, began was seen to
    bool is_resuming;    // its record is on its way
    uint64_t resumes;    // state->resumes before that
    uint64_t welcomes;   // of the client, as of the last tick
    bool has_new_broker; // a welcome came that is not the first
    uint64_t recalls;    // state->recalls that were seen to
    uint64_t clock_ms;   // boot clock: when the last task.clock was said
    uint64_t planned_ms; // boot clock: when the timer goes off
    int timer;           // 0: none
    int metrics_timer;
};

// --- The clock -----------------------------------------------------------------------------------

static void
on_timer(void *arg)
{
    htm_live_t *self = arg;
    self->timer = 0;
    service_tick_soon(self->service);
}

// Has a tick come when the first thing is due.
static void
plan(htm_live_t *self, store_txn_t *txn)
{
    uint64_t now_ms = clock_boot_ms();
    uint64_t due_us;
    uint64_t when_ms = now_ms;
    if (!htm_dispatch_is_pending(self->state)) {
        if (!self->has_ticked || htm_due_first(txn, &due_us) != BUS_OK) {
            return;
        }
        int64_t left_us = (int64_t) due_us - ((int64_t) clock_boot_us() + self->ahead_us);
        when_ms += left_us > 0 ? (uint64_t) left_us / US_PER_MS + 1 : 0;
    }
    if (when_ms < self->clock_ms + CLOCK_MS) {
        when_ms = self->clock_ms + CLOCK_MS;
    }
    if (when_ms > now_ms + PLAN_MS_MAX || (self->timer != 0 && self->planned_ms <= when_ms)) {
        return;
    }
    if (self->timer != 0) {
        loop_cancel_timer(service_loop(self->service), self->timer);
    }
    self->planned_ms = when_ms;
    unsigned delay_ms = when_ms > now_ms ? (unsigned) (when_ms - now_ms) : 1;
    self->timer = loop_add_timer(service_loop(self->service), delay_ms, 1, on_timer, self);
}

static void
say_clock(htm_live_t *self, service_query_t *query, uint64_t due_us, bool is_resuming)
{
    const schema_task_clock_t clock = {
        .due = {.has = due_us != 0, .value = (int64_t) due_us},
        .resumed = {.has = is_resuming, .value = true},
    };
    pack_clear(self->body);
    schema_encode(&SCHEMA_task_clock, &clock, self->body);
    bus_err_t err = service_query_say(query, "task.clock", pack_view(self->body));
    if (err != BUS_OK) {
        log_warning("clock_not_said", "error=%s", error_text(err)); // again at the next tick
        return;
    }
    self->clock_ms = clock_boot_ms();
    if (is_resuming) {
        self->is_resuming = true;
        self->resumes = self->state->resumes;
    }
}

// While the broker was away nobody could renew, and what was handed out may have been lost.
static void
look_at_welcomes(htm_live_t *self)
{
    client_stats_t stats;
    client_stats(service_client(self->service), &stats);
    if (stats.welcomes != self->welcomes && self->welcomes != 0) {
        self->has_new_broker = true;
        self->has_resumed = false;
        self->is_resuming = false;
    }
    self->welcomes = stats.welcomes;
}

// True: said.
static bool
resume(htm_live_t *self, service_query_t *query)
{
    look_at_welcomes(self);
    if (self->has_resumed || self->is_resuming) {
        return false;
    }
    if (self->state->totals.running == 0) {
        self->has_resumed = true;
        return false;
    }
    say_clock(self, query, 0, true);
    return true;
}

void
htm_live_tick(htm_live_t *self, service_query_t *query)
{
    uint64_t now_us = query->header->at;
    self->ahead_us = (int64_t) now_us - (int64_t) clock_boot_us();
    self->has_ticked = true;
    uint64_t due_us = 0;
    if (!resume(self, query)) {
        bool is_due = htm_due_first(query->txn, &due_us) == BUS_OK && due_us <= now_us;
        if (is_due || htm_dispatch_is_pending(self->state)) {
            say_clock(self, query, is_due ? due_us : 0, false);
        }
    }
    htm_roll_tick(self->roll, query);
    htm_strain_tick(self->strain, query);
    plan(self, query->txn);
}

void
htm_live_act(htm_live_t *self, service_query_t *query)
{
    if (self->is_resuming && self->state->resumes > self->resumes) {
        self->is_resuming = false;
        self->has_resumed = true;
        htm_resend_begin(self->resend, self->has_new_broker ? HTM_RESEND_ALL : HTM_RESEND_UNTOLD);
    } else if (self->has_resumed && self->state->recalls > self->recalls) {
        htm_resend_begin(self->resend, HTM_RESEND_RECALLED);
    }
    self->recalls = self->state->recalls;
    plan(self, query->txn);
}

// --- Metrics -------------------------------------------------------------------------------------

static void
pack_depths(const htm_totals_t *totals, pack_t *out)
{
    pack_map(out, HTM_RANK_COUNT + 1);
    for (unsigned i = 0; i < HTM_RANK_COUNT; i++) {
        pack_pair_uint(out, htm_tables_priority((htm_rank_t) i), totals->waiting[i]);
    }
    pack_pair_uint(out, "running", totals->running);
}

static void
on_metrics(void *arg)
{
    htm_live_t *self = arg;
    BUS_AUTO(pack_destroy) pack_t *depths = pack_new();
    char timestamp[RFC3339_SIZE];
    rfc3339_format(clock_wall_us(), timestamp);
    pack_depths(&self->state->totals, depths);
    const schema_htm_metrics_t metrics = {
        .cpu_percent = {.has = true, .value = htm_strain_cpu(self->strain)},
        .memory_percent = {.has = true, .value = htm_strain_memory(self->strain)},
        .queue_depths = pack_view(depths),
        .timestamp = view_from_text(timestamp),
    };
    pack_clear(self->body);
    schema_encode(&SCHEMA_htm_metrics, &metrics, self->body);
    const client_message_t message = {.topic = "htm.resource.metrics",
                                      .body = pack_view(self->body)};
    bus_err_t err = client_send(service_client(self->service), &message, NULL, NULL, NULL);
    if (err != BUS_OK) {
        log_debug("metrics_not_sent", "error=%s", error_text(err));
    }
}

// --- Life ----------------------------------------------------------------------------------------

bus_err_t
htm_live_new(service_t *service, htm_state_t *state, htm_live_t **ret_self)
{
    htm_config_t config;
    bus_err_t err = htm_config_read(&config);
    if (err != BUS_OK) {
        return err;
    }
    htm_live_t *self = calloc(1, sizeof *self);
    assert(self);
    self->service = service;
    self->state = state;
    self->body = pack_new();
    self->resend = htm_resend_new(service, state);
    self->metrics_timer = loop_add_timer(service_loop(service), METRICS_MS, 0, on_metrics, self);
    err = htm_roll_new(service, state, &self->roll);
    if (err == BUS_OK) {
        err = htm_strain_new(service, state, &config, &self->strain);
    }
    if (err != BUS_OK) {
        htm_live_destroy(&self);
    }
    *ret_self = self;
    return err;
}

void
htm_live_destroy(htm_live_t **self_p)
{
    htm_live_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    loop_cancel_timer(service_loop(self->service), self->metrics_timer);
    if (self->timer != 0) {
        loop_cancel_timer(service_loop(self->service), self->timer);
    }
    htm_strain_destroy(&self->strain);
    htm_roll_destroy(&self->roll);
    htm_resend_destroy(&self->resend);
    pack_destroy(&self->body);
    free(self);
    *self_p = NULL;
}
