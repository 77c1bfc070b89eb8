// infrastructure.c - the kernel that watches hosts and processes.
//
// Every BHIV_TELEMETRY_SECONDS (5) it asks the broker who is there and how far the readers are,
// reads the machine's figures and those of each peer's process that it can see, and publishes
// layer2.telemetry.stream; every sixth time layer3.telemetry.stream, summed up. Both are live: a
// figure that nobody heard is gone. Every BHIV_ANOMALY_SECONDS (60) it holds the means since the
// last time, HTM's breaches and the peers that are missed against limits, and says
// hunter.anomaly.detected, journaled, when one is passed.
//
// A peer's process is read only where its hello says the same host as ours (runtime/identity.h): a
// process id from another machine, or another container, is another process's here.
#include "kernel.h"

#include "infrastructure_events.h"
#include "infrastructure_sample.h"
#include "runtime/clock.h"
#include "runtime/identity.h"
#include "runtime/log.h"

#include <assert.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NAME "kernel-infrastructure"
#define EMPTY VIEW_LITERAL("\x80")

enum {
    TELEMETRY_S = 5,
    SUMMARY_EVERY = 6, // of those: 30 s
    CPU_MAX = 90,      // percent
    MEMORY_MAX = 85,
    DISK_MAX = 90,
    GONE_S = 10,   // a peer that restarts is back in less
    LAGS_MAX = 64, // consumers in a message
};

static const double sla_min = 0.9;

typedef struct {
    service_t *service;
    char *dir; // owned: the system's folder
    unsigned telemetry_ms, anomaly_ms, gone_ms;
    double cpu_max, memory_max, disk_max; // percent
    identity_t identity;
    kernel_infrastructure_sample_t sample;
    kernel_infrastructure_events_t events;
    kernel_infrastructure_sample_sums_t summary; // since the last layer3 message
    kernel_infrastructure_sample_sums_t judged;  // since anomalies were looked for
    uint64_t events_summed;                      // of events.count, in the last layer3 message
    uint64_t layer2, layer3;                     // messages so far
    bool is_open;                                // the broker is being asked for this telemetry
    int broker_pid;                              // where it is a process that we see; 0: it is not
    bool is_measured;
    pack_t *bus;       // the part of a message, as the broker said; empty: it did not
    uint64_t breaches; // HTM's, when it was asked last
    uint64_t ended;    // tasks, the same
    bool knows_htm;
    double sla; // share of tasks within their SLA since then; NAN: there were none
    kernel_watch_news_t news;
} state_t;

// --- Telemetry -----------------------------------------------------------------------------------

static void
publish(const state_t *self, const char *topic, const pack_t *body)
{
    const client_message_t message = {.topic = topic, .body = pack_view(body)};
    bus_err_t err = client_send(service_client(self->service), &message, NULL, NULL, NULL);
    if (err != BUS_OK) {
        log_warning("telemetry_not_sent", "topic=%s error=%s", topic, error_text(err));
    }
}

static void
say_layer2(state_t *self)
{
    bool has_bus = pack_view(self->bus).size > 0;
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, has_bus ? 6 : 5);
    pack_pair_uint(body, "metrics_count", kernel_infrastructure_sample_figures(&self->sample));
    pack_text(body, "recent_events");
    kernel_infrastructure_events_pack(&self->events, body);
    pack_pair_rfc3339(body, "timestamp", clock_wall_us());
    pack_text(body, "host");
    kernel_infrastructure_sample_pack_host(&self->sample, body);
    pack_text(body, "processes");
    kernel_infrastructure_sample_pack_processes(&self->sample, body);
    if (has_bus) {
        pack_pair_raw(body, "bus", pack_view(self->bus));
    }
    publish(self, "layer2.telemetry.stream", body);
    self->layer2++;
}

static void
say_layer3(state_t *self)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 4);
    pack_pair_uint(
        body, "metrics_buffer_size", self->summary[KERNEL_INFRASTRUCTURE_SAMPLE_CPU].count);
    pack_pair_uint(body, "log_buffer_size", self->events.count - self->events_summed);
    pack_pair_rfc3339(body, "timestamp", clock_wall_us());
    pack_text(body, "summary");
    kernel_infrastructure_sample_pack_sums(self->summary, body);
    publish(self, "layer3.telemetry.stream", body);
    memset(self->summary, 0, sizeof self->summary);
    self->events_summed = self->events.count;
    self->layer3++;
}

// All answers are there, or will not come.
static void
finish(state_t *self)
{
    self->is_open = false;
    if (!kernel_infrastructure_sample_host(&self->sample, self->dir)) {
        log_warning("host_not_read", "dir=%s", self->dir);
        return;
    }
    self->is_measured = true;
    kernel_infrastructure_sample_sum(&self->sample, self->summary);
    kernel_infrastructure_sample_sum(&self->sample, self->judged);
    say_layer2(self);
    if (self->layer2 % SUMMARY_EVERY == 0) {
        say_layer3(self);
    }
}

static bool
is_answer(const client_answer_t *answer)
{
    return answer->event == CLIENT_REPLIED && answer->err == BUS_OK;
}

static void
take_peers(state_t *self, bus_view_t answer)
{
    kernel_watch_items_t items = kernel_watch_items(answer, "peers");
    bus_view_t item;
    kernel_infrastructure_sample_begin(&self->sample);
    if (self->broker_pid != 0) {
        kernel_infrastructure_sample_add(&self->sample, VIEW_LITERAL("broker"), self->broker_pid);
    }
    while (kernel_watch_next(&items, &item)) {
        kernel_watch_peer_t peer;
        kernel_watch_peer(item, &peer);
        kernel_infrastructure_events_listed(&self->events, peer.service);
        bool is_here = peer.host.size > 0 && view_is(peer.host, self->identity.host);
        if (is_here && peer.pid > 0) {
            kernel_infrastructure_sample_add(&self->sample,
                                             peer.service.size > 0 ? peer.service : peer.instance,
                                             (int) peer.pid);
        }
    }
    kernel_infrastructure_sample_end(&self->sample);
}

static void
on_peers(void *arg, const client_answer_t *answer)
{
    state_t *self = arg;
    if (answer->event == CLIENT_ACKED || answer->err == BUS_ABORTED) {
        return;
    }
    if (is_answer(answer)) {
        take_peers(self, answer->body);
    }
    finish(self);
}

static void
sum_bus(state_t *self, double lag, double commit_us)
{
    kernel_infrastructure_sample_sum_t *lags = &self->summary[KERNEL_INFRASTRUCTURE_SAMPLE_LAG];
    kernel_infrastructure_sample_sum_t *commits =
        &self->summary[KERNEL_INFRASTRUCTURE_SAMPLE_COMMIT];
    kernel_infrastructure_sample_sum_add(lags, lag);
    kernel_infrastructure_sample_sum_add(commits, commit_us);
}

static void
take_stats(state_t *self, bus_view_t answer)
{
    kernel_watch_items_t items = kernel_watch_items(answer, "consumers");
    bus_view_t item;
    bus_view_t value;
    uint64_t lag_max = 0;
    uint32_t count = 0;
    uint64_t commit_us = 0;
    if (walk_find_path(answer, "commits.latency_us.p99", &value) != BUS_OK ||
        walk_as_uint(value, &commit_us) != BUS_OK) {
        commit_us = 0;
    }
    pack_clear(self->bus);
    pack_map(self->bus, 5);
    pack_pair_uint(self->bus, "head", kernel_watch_uint(answer, "head", 0));
    pack_pair_uint(self->bus, "peers", kernel_watch_uint(answer, "peers", 0));
    pack_pair_uint(self->bus, "commit_p99_us", commit_us);
    pack_text(self->bus, "lag");
    size_t place = pack_map_begin(self->bus);
    while (kernel_watch_next(&items, &item)) {
        uint64_t lag = kernel_watch_uint(item, "lag", 0);
        bus_view_t name = kernel_watch_text(item, "consumer");
        lag_max = lag > lag_max ? lag : lag_max;
        if (name.data != NULL && count < LAGS_MAX) {
            pack_str(self->bus, name);
            pack_uint(self->bus, lag);
            count++;
        }
    }
    pack_count(self->bus, place, count);
    pack_pair_uint(self->bus, "lag_max", lag_max);
    uint64_t pid = kernel_watch_uint(answer, "pid", 0);
    bool is_here = view_is(kernel_watch_text(answer, "host"), self->identity.host);
    self->broker_pid = is_here && pid <= INT_MAX ? (int) pid : 0;
    sum_bus(self, (double) lag_max, (double) commit_us);
}

static void
on_stats(void *arg, const client_answer_t *answer)
{
    state_t *self = arg;
    if (answer->event == CLIENT_ACKED || answer->err == BUS_ABORTED) {
        return;
    }
    pack_clear(self->bus);
    self->broker_pid = 0;
    if (is_answer(answer)) {
        take_stats(self, answer->body);
    }
    if (!kernel_watch_ask(service_client(self->service), "$bus.peers", EMPTY, on_peers, self)) {
        finish(self);
    }
}

static void
on_telemetry(void *arg)
{
    state_t *self = arg;
    client_t *client = service_client(self->service);
    if (self->is_open || !client_is_connected(client)) {
        return; // the last one's answers are late: the broker has other things to do
    }
    self->is_open = kernel_watch_ask(client, "$bus.stats", EMPTY, on_stats, self);
}

// --- Anomalies -----------------------------------------------------------------------------------

static void
add(state_t *self, const char *type, double value, double threshold, const char *severity)
{
    char what[KERNEL_INFRASTRUCTURE_EVENTS_TEXT_SIZE];
    const char *side = value > threshold ? "above" : "below";
    snprintf(what,
             sizeof what,
             "%s: %.3g is %s %.3g on %s",
             type,
             value,
             side,
             threshold,
             self->sample.host_name);
    const kernel_watch_anomaly_t anomaly = {
        .type = type, .value = value, .threshold = threshold, .severity = severity, .what = what};
    kernel_watch_news_add(&self->news, &anomaly);
    kernel_infrastructure_events_add(&self->events, "%s", what);
}

static void
judge_host(state_t *self)
{
    const kernel_infrastructure_sample_sum_t *sums = self->judged;
    if (sums[KERNEL_INFRASTRUCTURE_SAMPLE_CPU].count == 0) {
        return; // nothing was measured
    }
    double cpu = kernel_infrastructure_sample_mean(&sums[KERNEL_INFRASTRUCTURE_SAMPLE_CPU]);
    double memory = kernel_infrastructure_sample_mean(&sums[KERNEL_INFRASTRUCTURE_SAMPLE_MEMORY]);
    double disk = kernel_infrastructure_sample_mean(&sums[KERNEL_INFRASTRUCTURE_SAMPLE_DISK]);
    if (cpu > self->cpu_max) {
        add(self, "high_cpu", cpu, self->cpu_max, "high");
    }
    if (memory > self->memory_max) {
        add(self, "high_memory", memory, self->memory_max, "high");
    }
    if (disk > self->disk_max) {
        add(self, "disk_full", disk, self->disk_max, "high");
    }
    memset(self->judged, 0, sizeof self->judged);
}

static void
snapshot(state_t *self)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 3);
    pack_text(body, "host");
    kernel_infrastructure_sample_pack_host(&self->sample, body);
    pack_pair_real(body, "bus_cpu_percent", self->sample.bus_cpu_percent);
    pack_pair_uint(body, "bus_memory_bytes", self->sample.bus_memory_bytes);
    kernel_watch_news_snapshot(&self->news, pack_view(body));
}

static void
judge(state_t *self)
{
    kernel_watch_news_clear(&self->news); // what could not be said is old
    judge_host(self);
    if (!isnan(self->sla) && self->sla < sla_min) {
        add(self, "sla_compliance_low", self->sla, sla_min, "medium");
    }
    kernel_infrastructure_events_judge(&self->events, clock_boot_ms(), self->gone_ms, &self->news);
    if (self->news.count > 0) {
        snapshot(self);
        service_tick_soon(self->service);
    }
}

// The share of tasks within their SLA since HTM was asked last: a breach counts when it happens,
// which may be before its task ends.
static void
take_htm(state_t *self, bus_view_t answer)
{
    bus_view_t statistics;
    self->sla = NAN;
    if (walk_find(answer, "statistics", &statistics) != BUS_OK) {
        return;
    }
    uint64_t breaches = kernel_watch_uint(statistics, "sla_breaches", 0);
    uint64_t ended = kernel_watch_uint(statistics, "tasks_completed", 0) +
                     kernel_watch_uint(statistics, "tasks_failed", 0);
    if (self->knows_htm && breaches >= self->breaches && ended >= self->ended) {
        uint64_t broken = breaches - self->breaches;
        uint64_t all = ended - self->ended;
        all = all > broken ? all : broken;
        self->sla = all == 0 ? NAN : 1.0 - (double) broken / (double) all;
    }
    self->breaches = breaches;
    self->ended = ended;
    self->knows_htm = true;
}

static void
on_htm(void *arg, const client_answer_t *answer)
{
    state_t *self = arg;
    if (answer->event == CLIENT_ACKED || answer->err == BUS_ABORTED) {
        return;
    }
    self->sla = NAN;
    if (is_answer(answer)) {
        take_htm(self, answer->body);
    }
    judge(self);
}

static void
on_anomaly_time(void *arg)
{
    state_t *self = arg;
    client_t *client = service_client(self->service);
    if (client_is_connected(client) &&
        !kernel_watch_ask(client, "req.htm.status", EMPTY, on_htm, self)) {
        judge(self);
    }
}

static void
tick(service_query_t *query)
{
    state_t *self = query->state;
    kernel_watch_news_say(&self->news, query, NAME);
}

// --- What is heard -------------------------------------------------------------------------------

static void
on_presence(void *arg, const client_heard_t *heard)
{
    state_t *self = arg;
    bus_view_t service = kernel_watch_text(heard->body, "service");
    if (service.size == 0) {
        return; // a peer that answers nothing
    }
    if (view_is(heard->topic, "$bus.peer.up")) {
        kernel_infrastructure_events_up(&self->events, service);
    } else if (view_is(heard->topic, "$bus.peer.down")) {
        kernel_infrastructure_events_down(
            &self->events, service, kernel_watch_text(heard->body, "reason"), clock_boot_ms());
    }
}

static bus_err_t
take_anomaly(service_apply_t *apply, const void *message)
{
    return kernel_watch_keep(apply, message, NULL);
}

// --- What is asked -------------------------------------------------------------------------------

static bus_err_t
report(service_query_t *query, const void *message BUS_UNUSED)
{
    const state_t *self = query->state;
    pack_t *out = query->answer;
    pack_map(out, 11);
    pack_pair_text(out, "status", self->is_measured ? "watching" : "starting");
    pack_pair_real(out, "telemetry_seconds", self->telemetry_ms / 1e3);
    pack_pair_real(out, "anomaly_seconds", self->anomaly_ms / 1e3);
    pack_text(out, "limits");
    pack_map(out, 4);
    pack_pair_real(out, "cpu_percent", self->cpu_max);
    pack_pair_real(out, "memory_percent", self->memory_max);
    pack_pair_real(out, "disk_percent", self->disk_max);
    pack_pair_real(out, "sla_compliance", sla_min);
    pack_text(out, "said");
    pack_map(out, 3);
    pack_pair_uint(out, "layer2", self->layer2);
    pack_pair_uint(out, "layer3", self->layer3);
    pack_pair_uint(out, "anomalies", self->news.said);
    pack_text(out, "host");
    kernel_infrastructure_sample_pack_host(&self->sample, out);
    pack_text(out, "processes");
    kernel_infrastructure_sample_pack_processes(&self->sample, out);
    pack_pair_uint(out, "processes_skipped", self->sample.skipped);
    pack_text(out, "summary");
    kernel_infrastructure_sample_pack_sums(self->summary, out);
    pack_text(out, "recent_events");
    kernel_infrastructure_events_pack(&self->events, out);
    kernel_watch_pack_kept(query->txn, out);
    return BUS_OK;
}

static unsigned
health(void *state, store_txn_t *txn BUS_UNUSED, pack_t *out)
{
    const state_t *self = state;
    pack_pair_uint(out, "telemetry", self->layer2);
    return 1;
}

// --- Life ----------------------------------------------------------------------------------------

static void
close_state(void **state_p)
{
    state_t *self = *state_p;
    kernel_infrastructure_sample_clear(&self->sample);
    kernel_infrastructure_events_clear(&self->events);
    kernel_watch_news_clear(&self->news);
    pack_destroy(&self->bus);
    free(self->dir);
    free(self);
    *state_p = NULL;
}

static bus_err_t
open_state(const service_options_t *options, store_txn_t *txn BUS_UNUSED, void **ret_state)
{
    state_t *self = calloc(1, sizeof *self);
    assert(self);
    self->dir = strdup(options->dir);
    assert(self->dir);
    self->telemetry_ms = kernel_watch_ms("BHIV_TELEMETRY_SECONDS", TELEMETRY_S);
    self->anomaly_ms = kernel_watch_anomaly_ms();
    self->gone_ms = kernel_watch_ms("BHIV_GONE_SECONDS", GONE_S);
    self->cpu_max = kernel_watch_number("BHIV_ANOMALY_CPU", CPU_MAX, 0, 100);
    self->memory_max = kernel_watch_number("BHIV_ANOMALY_MEMORY", MEMORY_MAX, 0, 100);
    self->disk_max = kernel_watch_number("BHIV_ANOMALY_DISK", DISK_MAX, 0, 100);
    self->sla = NAN;
    self->bus = pack_new();
    identity_read(&self->identity);
    kernel_infrastructure_sample_init(&self->sample);
    kernel_infrastructure_events_init(&self->events);
    *ret_state = self;
    return BUS_OK;
}

static bus_err_t
start(service_t *service, void *state)
{
    state_t *self = state;
    loop_t *loop = service_loop(service);
    self->service = service;
    (void) loop_add_timer(loop, self->telemetry_ms, 0, on_telemetry, self);
    (void) loop_add_timer(loop, self->anomaly_ms, 0, on_anomaly_time, self);
    return client_subscribe(service_client(service), "$bus.peer.", on_presence, self);
}

static const store_table_t tables[] = {KERNEL_WATCH_TABLE};

static const service_apply_row_t applies[] = {
    {.prefix = "hunter.anomaly.detected",
     .schema = &SCHEMA_hunter_anomaly,
     .apply = take_anomaly,
     .meaning = "an anomaly: the last hundred are kept"},
};

static const service_query_row_t queries[] = {
    {"report", NULL, report, "the figures of now, and the anomalies of late"},
};

const service_definition_t kernel_infrastructure_definition = {
    .name = NAME,
    .source = NAME,
    .rules_version = 1,
    .tables = tables,
    .table_count = COUNT(tables),
    .applies = applies,
    .apply_count = COUNT(applies),
    .queries = queries,
    .query_count = COUNT(queries),
    .open = open_state,
    .close = close_state,
    .start = start,
    .tick = tick,
    .health = health,
};
