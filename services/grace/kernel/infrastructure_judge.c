// infrastructure_judge.c - figures held against limits.
//
// Means since the last look, so that a moment's load is no anomaly; HTM's breaches since then; and
// the peers that are missed. What was not said by the next look is old, and thrown away.
#include "infrastructure_self.h"

#include "runtime/clock.h"

#include <math.h>
#include <stdio.h>

static void
add(kernel_infrastructure_t *self,
    const char *type,
    double value,
    double threshold,
    const char *severity)
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
judge_host(kernel_infrastructure_t *self)
{
    const kernel_infrastructure_sample_sum_t *sums = self->judged;
    if (sums[KERNEL_INFRASTRUCTURE_SAMPLE_CPU].count == 0) {
        return; // nothing was measured
    }
    double cpu = kernel_infrastructure_sample_mean(&sums[KERNEL_INFRASTRUCTURE_SAMPLE_CPU]);
    double memory = kernel_infrastructure_sample_mean(&sums[KERNEL_INFRASTRUCTURE_SAMPLE_MEMORY]);
    double disk = kernel_infrastructure_sample_mean(&sums[KERNEL_INFRASTRUCTURE_SAMPLE_DISK]);
    if (cpu > self->settings.cpu_max) {
        add(self, "high_cpu", cpu, self->settings.cpu_max, "high");
    }
    if (memory > self->settings.memory_max) {
        add(self, "high_memory", memory, self->settings.memory_max, "high");
    }
    if (disk > self->settings.disk_max) {
        add(self, "disk_full", disk, self->settings.disk_max, "high");
    }
    memset(self->judged, 0, sizeof self->judged);
}

static void
snapshot(kernel_infrastructure_t *self)
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
judge(kernel_infrastructure_t *self)
{
    kernel_watch_news_clear(&self->news); // what could not be said is old
    judge_host(self);
    if (!isnan(self->sla) && self->sla < KERNEL_INFRASTRUCTURE_SLA_MIN) {
        add(self, "sla_compliance_low", self->sla, KERNEL_INFRASTRUCTURE_SLA_MIN, "medium");
    }
    kernel_infrastructure_events_judge(
        &self->events, clock_boot_ms(), kernel_watch_ms(self->settings.gone_s), &self->news);
    if (self->news.count > 0) {
        snapshot(self);
        service_tick_soon(self->service);
    }
}

// The share of tasks within their SLA since HTM was asked last: a breach counts when it happens,
// which may be before its task ends.
static void
take_htm(kernel_infrastructure_t *self, bus_view_t answer)
{
    bus_view_t statistics;
    self->sla = NAN;
    if (walk_find(answer, "statistics", &statistics) != BUS_OK) {
        return;
    }
    uint64_t breaches = walk_uint_at(statistics, "sla_breaches", 0);
    uint64_t ended = walk_uint_at(statistics, "tasks_completed", 0) +
                     walk_uint_at(statistics, "tasks_failed", 0);
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
    kernel_infrastructure_t *self = arg;
    if (kernel_watch_is_given_up(answer)) {
        return;
    }
    self->sla = NAN;
    if (kernel_watch_is_answered(answer)) {
        take_htm(self, answer->body);
    }
    judge(self);
}

void
kernel_infrastructure_judge_look(void *arg)
{
    kernel_infrastructure_t *self = arg;
    client_t *client = service_client(self->service);
    if (client_is_connected(client) &&
        !kernel_watch_ask(client, "req.htm.status", PACK_EMPTY_MAP, on_htm, self)) {
        judge(self);
    }
}
