// infrastructure_stream.c - telemetry: measured, and published live.
//
// The broker is asked first how far its readers are and then who is there; without an answer the
// message has less in it. A peer's process is read only where its hello says the same host as ours
// (runtime/identity.h): a process id from another machine, or another container, is another
// process's here.
#include "infrastructure_self.h"

#include "runtime/clock.h"
#include "runtime/log.h"

#include <limits.h>

enum {
    SUMMARY_EVERY = 6, // messages: 30 s
    LAGS_MAX = 64,     // consumers in a message
};

// --- Saying --------------------------------------------------------------------------------------

static void
publish(const kernel_infrastructure_t *self, const char *topic, const pack_t *body)
{
    const client_message_t message = {.topic = topic, .body = pack_view(body)};
    bus_err_t err = client_send(service_client(self->service), &message, NULL, NULL, NULL);
    if (err != BUS_OK) {
        log_warning("telemetry_not_sent", "topic=%s error=%s", topic, error_text(err));
    }
}

static void
say_layer2(kernel_infrastructure_t *self)
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
say_layer3(kernel_infrastructure_t *self)
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

// --- Measuring -----------------------------------------------------------------------------------

// All answers are there, or will not come.
static void
finish(kernel_infrastructure_t *self)
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

static void
take_peers(kernel_infrastructure_t *self, bus_view_t answer)
{
    walk_items_t items = walk_items_at(answer, "peers");
    bus_view_t item;
    kernel_infrastructure_sample_begin(&self->sample);
    if (self->broker_pid != 0) {
        kernel_infrastructure_sample_add(&self->sample, VIEW_LITERAL("broker"), self->broker_pid);
    }
    while (walk_items_next(&items, &item)) {
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
    kernel_infrastructure_t *self = arg;
    if (kernel_watch_is_given_up(answer)) {
        return;
    }
    if (kernel_watch_is_answered(answer)) {
        take_peers(self, answer->body);
    }
    finish(self);
}

static void
sum_bus(kernel_infrastructure_t *self, double lag, double commit_us)
{
    kernel_infrastructure_sample_sum_t *lags = &self->summary[KERNEL_INFRASTRUCTURE_SAMPLE_LAG];
    kernel_infrastructure_sample_sum_t *commits =
        &self->summary[KERNEL_INFRASTRUCTURE_SAMPLE_COMMIT];
    kernel_infrastructure_sample_sum_add(lags, lag);
    kernel_infrastructure_sample_sum_add(commits, commit_us);
}

static void
take_stats(kernel_infrastructure_t *self, bus_view_t answer)
{
    walk_items_t items = walk_items_at(answer, "consumers");
    bus_view_t item;
    uint64_t lag_max = 0;
    uint32_t count = 0;
    uint64_t commit_us = walk_uint_at(answer, "commits.latency_us.p99", 0);
    pack_clear(self->bus);
    pack_map(self->bus, 5);
    pack_pair_uint(self->bus, "head", walk_uint_at(answer, "head", 0));
    pack_pair_uint(self->bus, "peers", walk_uint_at(answer, "peers", 0));
    pack_pair_uint(self->bus, "commit_p99_us", commit_us);
    pack_text(self->bus, "lag");
    size_t place = pack_map_begin(self->bus);
    while (walk_items_next(&items, &item)) {
        uint64_t lag = walk_uint_at(item, "lag", 0);
        bus_view_t name = walk_text_at(item, "consumer");
        lag_max = lag > lag_max ? lag : lag_max;
        if (name.data != NULL && count < LAGS_MAX) {
            pack_str(self->bus, name);
            pack_uint(self->bus, lag);
            count++;
        }
    }
    pack_count(self->bus, place, count);
    pack_pair_uint(self->bus, "lag_max", lag_max);
    uint64_t pid = walk_uint_at(answer, "pid", 0);
    bool is_here = view_is(walk_text_at(answer, "host"), self->identity.host);
    self->broker_pid = is_here && pid <= INT_MAX ? (int) pid : 0;
    sum_bus(self, (double) lag_max, (double) commit_us);
}

static void
on_stats(void *arg, const client_answer_t *answer)
{
    kernel_infrastructure_t *self = arg;
    if (kernel_watch_is_given_up(answer)) {
        return;
    }
    pack_clear(self->bus);
    self->broker_pid = 0;
    if (kernel_watch_is_answered(answer)) {
        take_stats(self, answer->body);
    }
    if (!kernel_watch_ask(
            service_client(self->service), "$bus.peers", PACK_EMPTY_MAP, on_peers, self)) {
        finish(self);
    }
}

void
kernel_infrastructure_stream_measure(void *arg)
{
    kernel_infrastructure_t *self = arg;
    client_t *client = service_client(self->service);
    if (self->is_open || !client_is_connected(client)) {
        return; // the last one's answers are late: the broker has other things to do
    }
    self->is_open = kernel_watch_ask(client, "$bus.stats", PACK_EMPTY_MAP, on_stats, self);
}
