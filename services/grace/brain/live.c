// live.c - what is heard outside the journal. See live.h.
#include "live.h"

#include "drill.h"
#include "metric.h"
#include "proto/walk.h"
#include "runtime/clock.h"
#include "runtime/log.h"

#include <assert.h>
#include <stdlib.h>

enum {
    FRESH_MS = 2000,        // so old may the figures be that a drill is decided by
    KNOWN_MS = 15000,       // so old that they tell a full queue: HTM says them every 5 s
    COUNT_MAX = 1000000000, // tasks: more is no count of ours
};

struct brain_live {
    service_t *service;
    pack_t *telemetry; // the values of the last message, until they are journaled
    bool has_telemetry;
    pack_t *body;
    bool knows_queue;
    int64_t queued, running;
    uint64_t heard_ms;   // boot clock
    uint64_t started_at; // journal's time at the first tick; 0: before it
    uint64_t call;       // the question to HTM that is out; 0: none
};

// --- Hearing -------------------------------------------------------------------------------------

// A number's own value, or a map's mean.
static bool
read_mean(bus_view_t value, double *ret_mean)
{
    bus_view_t mean;
    return walk_as_real(value, ret_mean) == BUS_OK ||
           (walk_find(value, "mean", &mean) == BUS_OK && walk_as_real(mean, ret_mean) == BUS_OK);
}

uint32_t
brain_live_pick(bus_view_t summary, pack_t *out)
{
    size_t place = pack_map_begin(out);
    uint32_t count = 0;
    for (unsigned i = 0; i < BRAIN_METRIC_COUNT; i++) {
        const brain_metric_row_t *row = &brain_metric_rows[i];
        bus_view_t value;
        double mean;
        bool is_it = row->telemetry != NULL &&
                     walk_find(summary, row->telemetry, &value) == BUS_OK &&
                     read_mean(value, &mean) && mean >= row->least && mean <= row->most;
        if (is_it) {
            pack_pair_real(out, row->name, mean);
            count++;
        }
    }
    pack_count(out, place, count);
    return count;
}

bool
brain_live_sum(bus_view_t sizes, int64_t *ret_queued, int64_t *ret_running)
{
    walk_pairs_t pairs = walk_pairs(sizes);
    bus_view_t key, value;
    int64_t queued = 0, running = 0, count = 0;
    unsigned found = 0;
    while (walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
        if (walk_as_int(value, &count) != BUS_OK || count < 0 || count > COUNT_MAX) {
            continue;
        }
        found++;
        if (view_is(key, "running")) {
            running = count;
        } else if (queued <= COUNT_MAX) {
            queued += count;
        }
    }
    if (found == 0) {
        return false;
    }
    *ret_queued = queued;
    *ret_running = running;
    return true;
}

static void
on_telemetry(void *arg, const client_heard_t *heard)
{
    brain_live_t *self = arg;
    bus_view_t summary;
    pack_clear(self->telemetry);
    self->has_telemetry = walk_find(heard->body, "summary", &summary) == BUS_OK &&
                          brain_live_pick(summary, self->telemetry) > 0;
}

static void
take_sizes(brain_live_t *self, bus_view_t body, const char *key)
{
    bus_view_t sizes;
    if (body.data != NULL && walk_find(body, key, &sizes) == BUS_OK &&
        brain_live_sum(sizes, &self->queued, &self->running)) {
        self->knows_queue = true;
        self->heard_ms = clock_boot_ms();
    }
}

static void
on_metrics(void *arg, const client_heard_t *heard)
{
    take_sizes(arg, heard->body, "queue_depths");
}

static void
on_status(void *arg, const client_answer_t *answer)
{
    brain_live_t *self = arg;
    self->call = 0;
    if (answer->event == CLIENT_REPLIED && answer->err == BUS_OK) {
        take_sizes(self, answer->body, "queue_sizes");
        service_tick_soon(self->service);
    }
}

brain_live_t *
brain_live_new(service_t *service)
{
    brain_live_t *self = calloc(1, sizeof *self);
    assert(self);
    self->service = service;
    self->telemetry = pack_new();
    self->body = pack_new();
    client_t *client = service_client(service);
    bus_err_t err = client_subscribe(client, "layer3.telemetry.stream", on_telemetry, self);
    err = err == BUS_OK ? client_subscribe(client, "htm.resource.metrics", on_metrics, self) : err;
    assert(err == BUS_OK); // the client is new: it has room for both
    return self;
}

void
brain_live_destroy(brain_live_t **self_p)
{
    brain_live_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    if (self->call != 0) {
        client_cancel(service_client(self->service), self->call);
    }
    pack_destroy(&self->telemetry);
    pack_destroy(&self->body);
    free(self);
    *self_p = NULL;
}

// --- Journaling what counts ----------------------------------------------------------------------

static bool
is_heard_within(const brain_live_t *self, uint64_t ms)
{
    return self->knows_queue && clock_boot_ms() - self->heard_ms <= ms;
}

static void
say(service_query_t *query, const char *topic, bus_view_t body)
{
    bus_err_t err = service_query_say(query, topic, body);
    if (err != BUS_OK) { // said again at a later tick, with what is known then
        log_warning("fact_not_said", "topic=%s error=%s", topic, error_text(err));
    }
}

static void
say_observation(brain_live_t *self, service_query_t *query, const char *kind, bus_view_t values)
{
    pack_clear(self->body);
    pack_map(self->body, 2);
    pack_pair_text(self->body, "kind", kind);
    pack_pair_raw(self->body, "values", values);
    say(query, "brain.observation", pack_view(self->body));
}

static void
pack_figures(const brain_live_t *self, pack_t *out)
{
    pack_map(out, 2);
    pack_pair_int(out, "queued", self->queued);
    pack_pair_int(out, "running", self->running);
}

// A full queue is worth a record only where it would lead to something.
static void
look_at_queue(brain_live_t *self, service_query_t *query, const brain_config_t *config)
{
    if (!is_heard_within(self, KNOWN_MS) || self->queued + self->running <= BRAIN_INTENT_QUEUE) {
        return;
    }
    brain_issue_key_t key;
    brain_issue_t issue;
    bus_view_t view =
        brain_issue_key(&key, brain_intent_rows[BRAIN_INTENT_RETRIEVAL].name, VIEW_NONE);
    if (brain_issue_load(query->txn, view, &issue) != BUS_OK ||
        brain_issue_decide(&issue, config, query->header->at, 0) != BRAIN_ISSUE_ACT) {
        return;
    }
    BUS_AUTO(pack_destroy) pack_t *figures = pack_new();
    pack_figures(self, figures);
    say_observation(self, query, "queue", pack_view(figures));
}

static void
ask_htm(brain_live_t *self)
{
    const client_message_t question = {
        .topic = "req.htm.status", .body = PACK_EMPTY_MAP, .want = CLIENT_WANT_REPLY};
    if (self->call == 0 &&
        client_send(service_client(self->service), &question, on_status, self, &self->call) !=
            BUS_OK) {
        self->call = 0; // asked again at the next tick
    }
}

static void
look_at_drill(brain_live_t *self, service_query_t *query, const brain_config_t *config)
{
    brain_issue_t last;
    uint64_t at = query->header->at;
    bool is_due = at >= self->started_at + config->drill_us &&
                  brain_drill_last(query->txn, &last) == BUS_OK &&
                  brain_drill_is_due(&last, config, at);
    if (!is_due) {
        return;
    }
    bool is_light = self->queued + self->running < BRAIN_DRILL_QUEUE;
    if (is_heard_within(self, FRESH_MS)) {
        if (is_light) {
            pack_clear(self->body);
            pack_figures(self, self->body);
            say(query, "brain.clock", pack_view(self->body));
        }
    } else {
        ask_htm(self); // where nobody answers, nobody would run a drill either
    }
}

void
brain_live_tick(brain_live_t *self, service_query_t *query)
{
    if (self->started_at == 0) {
        self->started_at = query->header->at;
    }
    brain_config_t config;
    if (brain_config_get(query->txn, &config) != BUS_OK) {
        return;
    }
    if (self->has_telemetry) {
        self->has_telemetry = false;
        say_observation(self, query, "telemetry", pack_view(self->telemetry));
    }
    look_at_queue(self, query, &config);
    look_at_drill(self, query, &config);
}

void
brain_live_pack(const brain_live_t *self, pack_t *out)
{
    bool is_known = self != NULL && is_heard_within(self, KNOWN_MS);
    pack_map(out, is_known ? 3 : 1);
    pack_pair_bool(out, "known", is_known);
    if (is_known) {
        pack_pair_int(out, "queued", self->queued);
        pack_pair_int(out, "running", self->running);
    }
}
