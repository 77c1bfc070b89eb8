// infrastructure.c - the kernel that watches hosts and processes.
//
// Every BHIV_TELEMETRY_SECONDS (5) it asks the broker who is there and how far the readers are,
// reads the machine's figures and those of each peer's process that it can see, and publishes
// layer2.telemetry.stream; every sixth time layer3.telemetry.stream, summed up. Both are live: a
// figure that nobody heard is gone. Every BHIV_ANOMALY_SECONDS (60) it holds the means since the
// last time, HTM's breaches and the peers that are missed against limits, and says
// hunter.anomaly.detected, journaled, when one is passed.
#include "infrastructure_self.h"
#include "kernel.h"
#include "runtime/clock.h"

#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NAME "kernel-infrastructure"

// clang-format off
#define SECONDS(variable, field, preset) \
    KERNEL_WATCH_SECONDS_ROW(variable, kernel_infrastructure_t, settings.field, preset)
#define PERCENT(variable, field, preset) \
    {variable, SETTING_REAL, offsetof(kernel_infrastructure_t, settings.field), preset, 0, 100}

static const setting_row_t settings[] = {
    SECONDS("BHIV_TELEMETRY_SECONDS", telemetry_s, 5),
    KERNEL_WATCH_ANOMALY_ROW(kernel_infrastructure_t, settings.anomaly_s),
    SECONDS("BHIV_GONE_SECONDS", gone_s, 10), // a peer that restarts is back in less
    PERCENT("BHIV_ANOMALY_CPU", cpu_max, 90),
    PERCENT("BHIV_ANOMALY_MEMORY", memory_max, 85),
    PERCENT("BHIV_ANOMALY_DISK", disk_max, 90),
};
// clang-format on

static void
tick(service_query_t *query)
{
    kernel_infrastructure_t *self = query->state;
    kernel_watch_news_say(&self->news, query, NAME);
}

// --- What is heard -------------------------------------------------------------------------------

static void
on_presence(void *arg, const client_heard_t *heard)
{
    kernel_infrastructure_t *self = arg;
    bus_view_t service = walk_text_at(heard->body, "service");
    if (service.size == 0) {
        return; // a peer that answers nothing
    }
    if (view_is(heard->topic, "$bus.peer.up")) {
        kernel_infrastructure_events_up(&self->events, service);
    } else if (view_is(heard->topic, "$bus.peer.down")) {
        kernel_infrastructure_events_down(
            &self->events, service, walk_text_at(heard->body, "reason"), clock_boot_ms());
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
    const kernel_infrastructure_t *self = query->state;
    pack_t *out = query->answer;
    pack_map(out, 11);
    pack_pair_text(out, "status", self->is_measured ? "watching" : "starting");
    pack_pair_real(out, "telemetry_seconds", self->settings.telemetry_s);
    pack_pair_real(out, "anomaly_seconds", self->settings.anomaly_s);
    pack_text(out, "limits");
    pack_map(out, 4);
    pack_pair_real(out, "cpu_percent", self->settings.cpu_max);
    pack_pair_real(out, "memory_percent", self->settings.memory_max);
    pack_pair_real(out, "disk_percent", self->settings.disk_max);
    pack_pair_real(out, "sla_compliance", KERNEL_INFRASTRUCTURE_SLA_MIN);
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
pack_health(void *state, store_txn_t *txn BUS_UNUSED, pack_t *out)
{
    const kernel_infrastructure_t *self = state;
    pack_pair_uint(out, "telemetry", self->layer2);
    return 1;
}

// --- Life ----------------------------------------------------------------------------------------

static void
close_state(void **state_p)
{
    kernel_infrastructure_t *self = *state_p;
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
    kernel_infrastructure_t *self = calloc(1, sizeof *self);
    assert(self);
    self->dir = strdup(options->dir);
    assert(self->dir);
    self->sla = NAN;
    self->bus = pack_new();
    identity_read(&self->identity);
    kernel_infrastructure_sample_init(&self->sample);
    kernel_infrastructure_events_init(&self->events);
    *ret_state = self;
    bus_err_t err = setting_read(settings, COUNT(settings), self);
    if (err != BUS_OK) {
        close_state(ret_state);
    }
    return err;
}

static bus_err_t
start(service_t *service, void *state)
{
    kernel_infrastructure_t *self = state;
    loop_t *loop = service_loop(service);
    self->service = service;
    (void) loop_add_timer(loop,
                          kernel_watch_ms(self->settings.telemetry_s),
                          0,
                          kernel_infrastructure_stream_measure,
                          self);
    (void) loop_add_timer(
        loop, kernel_watch_ms(self->settings.anomaly_s), 0, kernel_infrastructure_judge_look, self);
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
    .health = pack_health,
};
