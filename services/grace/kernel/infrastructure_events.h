// infrastructure_events.h - what was noticed lately, and which services come and go.
//
// Owner: the loop's thread. Memory only; times are given to it. A service that says goodbye has
// left; one that falls silent has failed, and is missed until it is back. Workers (worker.<name>)
// come and go as they like: HTM is who misses them.
#pragma once
#include "watch.h"

enum {
    KERNEL_INFRASTRUCTURE_EVENTS_MAX = 10, // in a message
    KERNEL_INFRASTRUCTURE_EVENTS_TEXT_SIZE = 192,
    KERNEL_INFRASTRUCTURE_EVENTS_SERVICES_MAX = 256, // watched; others are only told of
    KERNEL_INFRASTRUCTURE_EVENTS_FALLS = 3,          // so many in the window are too many
    KERNEL_INFRASTRUCTURE_EVENTS_WINDOW_MS = 300000, // five minutes
    KERNEL_INFRASTRUCTURE_EVENTS_MOURN_MS = 3600000, // an hour: then it is not expected any more
};

typedef struct {
    uint64_t at; // microseconds since 1970
    char what[KERNEL_INFRASTRUCTURE_EVENTS_TEXT_SIZE];
} kernel_infrastructure_event_t;

typedef struct {
    char name[129];                                       // of the service
    uint64_t fell_ms[KERNEL_INFRASTRUCTURE_EVENTS_FALLS]; // the last times that it fell silent
    uint64_t missed_ms;                                   // since when; 0: it is not
} kernel_infrastructure_service_t;

typedef struct {
    kernel_infrastructure_event_t ring[KERNEL_INFRASTRUCTURE_EVENTS_MAX];
    uint64_t count;                            // so far; the next one's place is count modulo MAX
    kernel_infrastructure_service_t *services; // owned
    size_t service_count;
} kernel_infrastructure_events_t;

void kernel_infrastructure_events_init(kernel_infrastructure_events_t *self);
void kernel_infrastructure_events_clear(kernel_infrastructure_events_t *self);

void kernel_infrastructure_events_add(kernel_infrastructure_events_t *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
// `now_ms`: boot clock, above 0.
void kernel_infrastructure_events_up(kernel_infrastructure_events_t *self, bus_view_t service);
void kernel_infrastructure_events_down(kernel_infrastructure_events_t *self,
                                       bus_view_t service,
                                       bus_view_t reason,
                                       uint64_t now_ms);
// An instance of it is listed: it is not missed.
void kernel_infrastructure_events_listed(kernel_infrastructure_events_t *self, bus_view_t service);
// Adds peer_gone for each service that is missed for longer than `patience_ms` and not yet for
// MOURN_MS, and peer_restarting for each that fell FALLS times in the window.
void kernel_infrastructure_events_judge(const kernel_infrastructure_events_t *self,
                                        uint64_t now_ms,
                                        uint64_t patience_ms,
                                        kernel_watch_news_t *news);
// One array of {at, what}, the newest last.
void kernel_infrastructure_events_pack(const kernel_infrastructure_events_t *self, pack_t *out);
