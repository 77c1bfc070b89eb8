// infrastructure_events.c - what was noticed lately. See infrastructure_events.h.
#include "infrastructure_events.h"

#include "runtime/clock.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define WORKERS VIEW_LITERAL("worker.")

void
kernel_infrastructure_events_init(kernel_infrastructure_events_t *self)
{
    *self = (kernel_infrastructure_events_t){
        .services = calloc(KERNEL_INFRASTRUCTURE_EVENTS_SERVICES_MAX, sizeof *self->services),
    };
    assert(self->services);
}

void
kernel_infrastructure_events_clear(kernel_infrastructure_events_t *self)
{
    free(self->services);
    self->services = NULL;
}

void
kernel_infrastructure_events_add(kernel_infrastructure_events_t *self, const char *format, ...)
{
    kernel_infrastructure_event_t *event =
        &self->ring[self->count++ % KERNEL_INFRASTRUCTURE_EVENTS_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(event->what, sizeof event->what, format, arguments);
    va_end(arguments);
    event->at = clock_wall_us();
}

// --- Who comes and goes --------------------------------------------------------------------------

static kernel_infrastructure_service_t *
find(kernel_infrastructure_events_t *self, bus_view_t name)
{
    for (size_t i = 0; i < self->service_count; i++) {
        if (view_is(name, self->services[i].name)) {
            return &self->services[i];
        }
    }
    return NULL;
}

static kernel_infrastructure_service_t *
require(kernel_infrastructure_events_t *self, bus_view_t name)
{
    kernel_infrastructure_service_t *service = find(self, name);
    if (service != NULL) {
        return service;
    }
    if (name.size == 0 || name.size >= sizeof service->name || view_starts(name, WORKERS) ||
        self->service_count == KERNEL_INFRASTRUCTURE_EVENTS_SERVICES_MAX) {
        return NULL;
    }
    service = &self->services[self->service_count++];
    *service = (kernel_infrastructure_service_t){.missed_ms = 0};
    memcpy(service->name, name.data, name.size);
    return service;
}

void
kernel_infrastructure_events_listed(kernel_infrastructure_events_t *self, bus_view_t service)
{
    kernel_infrastructure_service_t *known = find(self, service);
    if (known != NULL) {
        known->missed_ms = 0;
    }
}

void
kernel_infrastructure_events_up(kernel_infrastructure_events_t *self, bus_view_t service)
{
    kernel_infrastructure_events_add(self, "%.*s is there", (int) service.size, service.data);
    kernel_infrastructure_events_listed(self, service);
}

void
kernel_infrastructure_events_down(kernel_infrastructure_events_t *self,
                                  bus_view_t service,
                                  bus_view_t reason,
                                  uint64_t now_ms)
{
    bool is_bye = view_is(reason, "bye");
    kernel_infrastructure_events_add(
        self, "%.*s %s", (int) service.size, service.data, is_bye ? "left" : "fell silent");
    kernel_infrastructure_service_t *known = is_bye ? NULL : require(self, service);
    if (known != NULL) {
        for (size_t i = KERNEL_INFRASTRUCTURE_EVENTS_FALLS - 1; i > 0; i--) {
            known->fell_ms[i] = known->fell_ms[i - 1];
        }
        known->fell_ms[0] = now_ms;
        known->missed_ms = now_ms;
    }
}

static void
judge(const kernel_infrastructure_service_t *service,
      uint64_t now_ms,
      uint64_t patience_ms,
      kernel_watch_news_t *news)
{
    char what[KERNEL_INFRASTRUCTURE_EVENTS_TEXT_SIZE];
    uint64_t missed_ms = service->missed_ms == 0 ? 0 : now_ms - service->missed_ms;
    if (missed_ms > patience_ms && missed_ms <= KERNEL_INFRASTRUCTURE_EVENTS_MOURN_MS) {
        snprintf(what,
                 sizeof what,
                 "%s fell silent %.0f s ago and did not come back",
                 service->name,
                 (double) missed_ms / 1e3);
        const kernel_watch_anomaly_t gone = {
            .type = "peer_gone",
            .value = (double) missed_ms / 1e3,
            .threshold = (double) patience_ms / 1e3,
            .severity = "high",
            .what = what,
        };
        kernel_watch_news_add(news, &gone);
    }
    uint64_t first_ms = service->fell_ms[KERNEL_INFRASTRUCTURE_EVENTS_FALLS - 1];
    if (first_ms != 0 && now_ms - first_ms <= KERNEL_INFRASTRUCTURE_EVENTS_WINDOW_MS) {
        snprintf(what,
                 sizeof what,
                 "%s fell silent %d times within %d s",
                 service->name,
                 KERNEL_INFRASTRUCTURE_EVENTS_FALLS,
                 KERNEL_INFRASTRUCTURE_EVENTS_WINDOW_MS / 1000);
        const kernel_watch_anomaly_t restarting = {
            .type = "peer_restarting",
            .value = KERNEL_INFRASTRUCTURE_EVENTS_FALLS,
            .threshold = KERNEL_INFRASTRUCTURE_EVENTS_FALLS,
            .severity = "high",
            .what = what,
        };
        kernel_watch_news_add(news, &restarting);
    }
}

void
kernel_infrastructure_events_judge(const kernel_infrastructure_events_t *self,
                                   uint64_t now_ms,
                                   uint64_t patience_ms,
                                   kernel_watch_news_t *news)
{
    for (size_t i = 0; i < self->service_count; i++) {
        judge(&self->services[i], now_ms, patience_ms, news);
    }
}

void
kernel_infrastructure_events_pack(const kernel_infrastructure_events_t *self, pack_t *out)
{
    uint64_t kept = self->count < KERNEL_INFRASTRUCTURE_EVENTS_MAX
                        ? self->count
                        : (uint64_t) KERNEL_INFRASTRUCTURE_EVENTS_MAX;
    pack_array(out, (uint32_t) kept);
    for (uint64_t i = self->count - kept; i < self->count; i++) {
        const kernel_infrastructure_event_t *event =
            &self->ring[i % KERNEL_INFRASTRUCTURE_EVENTS_MAX];
        pack_map(out, 2);
        pack_pair_rfc3339(out, "at", event->at);
        pack_pair_text(out, "what", event->what);
    }
}
