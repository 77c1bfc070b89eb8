// fake_self.h - what the fake broker is made of, for its .c files alone.
#pragma once
#include "fake_broker.h"
#include "proto/schema.h"
#include "proto/topic.h"
#include "proto/walk.h"
#include "runtime/clock.h"
#include "runtime/id.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <zmq.h>

enum { STREAMS = 4096, PEERS = 16, PARKED = 16, PARK_MS = 10, PAGE_MAX = 4 * 1024 * 1024 };

typedef struct {
    char source[FAKE_TEXT_SIZE];
    char name[FAKE_TEXT_SIZE];
    uint64_t last;
    uint64_t first_seq; // of pseq last, for duplicates
    uint64_t cause_seq, cause_n;
} stream_t;

typedef struct {
    char service[FAKE_TEXT_SIZE];
    char instance[FAKE_TEXT_SIZE];
    char inbox[FAKE_TEXT_SIZE];
} peer_t;

typedef struct {
    bool is_used;
    char consumer[FAKE_TEXT_SIZE];
    char id[FAKE_TEXT_SIZE];
    char reply_to[FAKE_TEXT_SIZE];
    char *body;
    size_t body_size;
    uint64_t until_ms;
} parked_t;

struct fake_broker {
    loop_t *loop;
    void *context, *pull, *xpub;
    char ingress[FAKE_TEXT_SIZE], egress[FAKE_TEXT_SIZE];
    char epoch[ID_TEXT_SIZE], boot[ID_TEXT_SIZE];
    unsigned random;
    fake_faults_t faults;
    fake_record_t *records;
    size_t count;
    stream_t *streams;
    size_t stream_count;
    peer_t peers[PEERS];
    size_t peer_count;
    char unwelcomed[PEERS][FAKE_TEXT_SIZE]; // inboxes that were heard of while that was muted
    size_t unwelcomed_count;
    parked_t parked[PARKED];
    int timer;
    fake_counts_t counts;
    uint64_t last_ack, last_from; // of fetches
};

// fake_journal.c
void fake_copy_view(char text[FAKE_TEXT_SIZE], bus_view_t view);
bus_view_t fake_own(bus_view_t view);
bool fake_happens(fake_broker_t *self, unsigned in_thousand, unsigned *left);
void fake_publish(fake_broker_t *self, bus_view_t topic, bus_view_t header, bus_view_t body);
void fake_answer(
    fake_broker_t *self, const header_t *asked, bool is_error, bool is_ack, bus_view_t body);
void fake_refuse(fake_broker_t *self, const header_t *asked, bus_err_t err, uint64_t expected);
void
fake_ack(fake_broker_t *self, const header_t *asked, uint64_t seq, uint64_t at, bool duplicate);
void fake_look_at_parked(void *arg);
void fake_on_fetch(fake_broker_t *self, const header_t *asked, bus_view_t body);
stream_t *fake_find_stream(fake_broker_t *self, bus_view_t source, bus_view_t name);
void fake_on_journaled(fake_broker_t *self,
                       bus_view_t topic,
                       const header_t *header,
                       bus_view_t header_bytes,
                       bus_view_t body);
void fake_release_parked(parked_t *parked);
uint64_t fake_append(
    fake_broker_t *self, bus_view_t topic, bus_view_t header_bytes, bus_view_t body, uint64_t at);
