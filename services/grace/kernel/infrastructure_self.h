// infrastructure_self.h - what the infrastructure kernel is made of, for its .c files alone.
//
// infrastructure.c has its life and its report; infrastructure_stream.c measures and publishes;
// infrastructure_judge.c holds figures against limits; infrastructure_proc.c reads,
// infrastructure_sample.c computes, infrastructure_events.c remembers what was noticed.
#pragma once
#include "infrastructure_events.h"
#include "infrastructure_sample.h"
#include "runtime/identity.h"

typedef struct {
    service_t *service;
    char *dir; // owned: the system's folder
    struct {
        double telemetry_s;
        double anomaly_s;
        double gone_s;                        // silence after which a peer is missed
        double cpu_max, memory_max, disk_max; // percent
    } settings;
    identity_t identity;
    kernel_infrastructure_sample_t sample;
    kernel_infrastructure_events_t events;
    kernel_infrastructure_sample_sums_t summary; // since the last layer3 message
    kernel_infrastructure_sample_sums_t judged;  // since anomalies were looked for
    uint64_t events_summed;                      // of events.count, in the last layer3 message
    uint64_t layer2, layer3;                     // messages so far
    bool is_open;                                // the broker is being asked for this telemetry
    int broker_pid;                              // where it is a process that we see; 0: it is not
    bool is_measured;                            // once
    pack_t *bus;       // the part of a message, as the broker said; empty: it did not
    uint64_t breaches; // HTM's, when it was asked last
    uint64_t ended;    // tasks, the same
    bool knows_htm;    // the two hold
    double sla;        // share of tasks within their SLA since then; NAN: there were none
    kernel_watch_news_t news;
} kernel_infrastructure_t;

#define KERNEL_INFRASTRUCTURE_SLA_MIN 0.9 // below it too few tasks are done in time

// --- infrastructure_stream.c
// A timer's: measures, and publishes, once the broker has answered.
void kernel_infrastructure_stream_measure(void *arg);

// --- infrastructure_judge.c
// A timer's: looks for anomalies, and has them said.
void kernel_infrastructure_judge_look(void *arg);
