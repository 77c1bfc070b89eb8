// fake_broker.c - see fake_broker.h. One array of records, one of streams, one of peers; no limits
// but asserted ones.
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
    parked_t parked[PARKED];
    int timer;
    fake_counts_t counts;
    uint64_t last_ack;
};

static void
copy_view(char text[FAKE_TEXT_SIZE], bus_view_t view)
{
    assert(view.size < FAKE_TEXT_SIZE);
    memset(text, 0, FAKE_TEXT_SIZE);
    if (view.size > 0) {
        memcpy(text, view.data, view.size);
    }
}

static bus_view_t
own(bus_view_t view)
{
    char *data = malloc(view.size + 1);
    assert(data != NULL);
    memcpy(data, view.data, view.size);
    return view_from(data, view.size);
}

// Deterministic: a linear congruence is random enough for faults.
static bool
happens(fake_broker_t *self, unsigned in_thousand, unsigned *left)
{
    if (left != NULL && *left > 0) {
        (*left)--;
        return true;
    }
    self->random = self->random * 1664525U + 1013904223U;
    return (self->random >> 8) % 1000 < in_thousand;
}

static void
publish(fake_broker_t *self, bus_view_t topic, bus_view_t header, bus_view_t body)
{
    if (self->xpub == NULL) {
        return;
    }
    zmq_send(self->xpub, topic.data, topic.size, ZMQ_SNDMORE);
    zmq_send(self->xpub, header.data, header.size, ZMQ_SNDMORE);
    zmq_send(self->xpub, body.data, body.size, 0);
}

void
fake_broker_publish(fake_broker_t *self, const char *topic, const header_t *header, bus_view_t body)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    header_encode(header, out);
    publish(self, view_from_text(topic), pack_view(out), body);
}

static void
answer(fake_broker_t *self, const header_t *asked, bool is_error, bool is_ack, bus_view_t body)
{
    if (asked->reply_to.data == NULL) {
        return;
    }
    header_t header = {.source = VIEW_LITERAL("$bus"),
                       .re = asked->id,
                       .status = is_error ? VIEW_LITERAL("error") : VIEW_LITERAL("success"),
                       .is_ack = is_ack};
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    header_encode(&header, out);
    publish(self, asked->reply_to, pack_view(out), body);
}

static void
refuse(fake_broker_t *self, const header_t *asked, bus_err_t err, uint64_t expected)
{
    BUS_AUTO(pack_destroy) pack_t *details = pack_new();
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    pack_map(details, 1);
    pack_pair_uint(details, "expected", expected);
    schema_pack_error(out, err, NULL, expected == 0 ? VIEW_NONE : pack_view(details), 0);
    self->counts.refusals++;
    answer(self, asked, true, true, pack_view(out));
}

static void
ack(fake_broker_t *self, const header_t *asked, uint64_t seq, uint64_t at, bool duplicate)
{
    if (happens(self, self->faults.lose_ack, &self->faults.lose_acks_next)) {
        return;
    }
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    pack_map(out, 3);
    pack_pair_uint(out, "seq", seq);
    pack_pair_uint(out, "at", at);
    pack_pair_bool(out, "duplicate", duplicate);
    answer(self, asked, false, true, pack_view(out));
}

// --- The journal ---------------------------------------------------------------------------------

static bool
matches(bus_view_t filters, const char *topic)
{
    walk_t walk = walk_from(filters);
    walk_item_t head, filter;
    if (filters.data == NULL || walk_next(&walk, &head) != BUS_OK || head.count == 0) {
        return true;
    }
    for (uint32_t i = 0; i < head.count; i++) {
        if (walk_next(&walk, &filter) == BUS_OK &&
            view_starts(view_from_text(topic), filter.bytes)) {
            return true;
        }
    }
    return false;
}

// Answers a fetch, unless it may wait and there is nothing.
static bool
serve(fake_broker_t *self, const header_t *asked, const schema_fetch_t *fetch, bool may_wait)
{
    uint64_t next = fetch->from.value == 0 ? 1 : (uint64_t) fetch->from.value;
    if (next > self->count + 1) {
        refuse(self, asked, BUS_AHEAD, 0);
        return true;
    }
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    uint32_t max = fetch->max.has ? (uint32_t) fetch->max.value : 1000;
    uint32_t found = 0;
    pack_map(out, 5);
    pack_text(out, "records");
    size_t place = pack_array_begin(out);
    while (next <= self->count && found < max) {
        const fake_record_t *record = &self->records[next - 1];
        next++;
        if (matches(fetch->filters, record->topic)) {
            pack_array(out, 3);
            pack_text(out, record->topic);
            pack_raw(out, record->header);
            pack_raw(out, record->body);
            found++;
        }
    }
    pack_count(out, place, found);
    if (found == 0 && may_wait) {
        return false;
    }
    pack_pair_text(out, "epoch", self->epoch);
    pack_pair_uint(out, "first", 1);
    pack_pair_uint(out, "next", next);
    pack_pair_uint(out, "head", self->count);
    answer(self, asked, false, false, pack_view(out));
    return true;
}

static void
release_parked(parked_t *parked)
{
    free(parked->body);
    *parked = (parked_t){.is_used = false};
}

static void
look_at_parked(void *arg)
{
    fake_broker_t *self = arg;
    for (size_t i = 0; i < PARKED; i++) {
        parked_t *parked = &self->parked[i];
        if (!parked->is_used) {
            continue;
        }
        header_t asked = {.id = view_from_text(parked->id),
                          .reply_to = view_from_text(parked->reply_to)};
        schema_fetch_t fetch;
        schema_problems_t problems;
        bus_err_t err = schema_decode(
            &SCHEMA_fetch, view_from(parked->body, parked->body_size), &fetch, &problems);
        assert(err == BUS_OK);
        if (serve(self, &asked, &fetch, clock_boot_ms() < parked->until_ms)) {
            release_parked(parked);
        }
    }
}

static void
on_fetch(fake_broker_t *self, const header_t *asked, bus_view_t body)
{
    schema_fetch_t fetch;
    schema_problems_t problems;
    bus_err_t err = schema_decode(&SCHEMA_fetch, body, &fetch, &problems);
    assert(err == BUS_OK);
    self->counts.fetches++;
    self->last_ack = (uint64_t) fetch.ack.value;
    parked_t *place = NULL;
    for (size_t i = 0; i < PARKED; i++) {
        parked_t *parked = &self->parked[i];
        if (parked->is_used && view_is(fetch.consumer, parked->consumer)) {
            release_parked(parked);
        }
        place = parked->is_used ? place : parked;
    }
    if (serve(self, asked, &fetch, fetch.wait_ms.has && fetch.wait_ms.value > 0)) {
        return;
    }
    assert(place != NULL);
    place->is_used = true;
    copy_view(place->consumer, fetch.consumer);
    copy_view(place->id, asked->id);
    copy_view(place->reply_to, asked->reply_to);
    place->body = (char *) own(body).data;
    place->body_size = body.size;
    place->until_ms = clock_boot_ms() + (uint64_t) fetch.wait_ms.value;
}

static uint64_t
append(fake_broker_t *self, bus_view_t topic, bus_view_t header_bytes, bus_view_t body, uint64_t at)
{
    header_t header;
    const char *why;
    bus_err_t err = header_decode(header_bytes, &header, &why);
    assert(err == BUS_OK && self->count < FAKE_RECORDS_MAX);
    fake_record_t *record = &self->records[self->count++];
    copy_view(record->topic, topic);
    copy_view(record->id, header.id);
    copy_view(record->source, header.source);
    copy_view(record->pstream, header.pstream);
    record->seq = self->count;
    record->at = at == 0 ? clock_wall_us() : at;
    record->pseq = header.pseq;
    record->cause_seq = header.cause_seq;
    record->cause_n = header.cause_n;
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    header_restamp(header_bytes, &(header_stamp_t){.journaled = true}, out);
    record->header = own(pack_view(out));
    header_place((uint8_t *) record->header.data + record->header.size, record->seq, record->at, 0);
    record->body = own(body);
    return record->seq;
}

uint64_t
fake_broker_append(
    fake_broker_t *self, const char *topic, const header_t *header, bus_view_t body, uint64_t at)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    header_encode(header, out);
    uint64_t seq = append(self, view_from_text(topic), pack_view(out), body, at);
    look_at_parked(self);
    return seq;
}

static stream_t *
find_stream(fake_broker_t *self, bus_view_t source, bus_view_t name)
{
    for (size_t i = 0; i < self->stream_count; i++) {
        if (view_equal(source, view_from_text(self->streams[i].source)) &&
            view_equal(name, view_from_text(self->streams[i].name))) {
            return &self->streams[i];
        }
    }
    assert(self->stream_count < STREAMS);
    stream_t *stream = &self->streams[self->stream_count++];
    *stream = (stream_t){.last = 0};
    copy_view(stream->source, source);
    copy_view(stream->name, name);
    return stream;
}

static uint64_t
seq_of(const fake_broker_t *self, const stream_t *stream, uint64_t pseq)
{
    for (size_t i = 0; i < self->count; i++) {
        const fake_record_t *record = &self->records[i];
        if (record->pseq == pseq && strcmp(record->pstream, stream->name) == 0 &&
            strcmp(record->source, stream->source) == 0) {
            return record->seq;
        }
    }
    return 0;
}

static void
on_journaled(fake_broker_t *self,
             bus_view_t topic,
             const header_t *header,
             bus_view_t header_bytes,
             bus_view_t body)
{
    fake_faults_t *faults = &self->faults;
    stream_t *stream = NULL;
    if (happens(self, 0, &faults->refuse_next)) {
        refuse(self, header, BUS_UNAUTHORIZED_ACCESS, 0);
        return;
    }
    if (happens(self, faults->busy, &faults->busy_next)) {
        refuse(self, header, BUS_BUSY, 0);
        return;
    }
    if (header->pseq > 0) {
        stream = find_stream(self,
                             header->source,
                             header->pstream.data == NULL ? VIEW_LITERAL("") : header->pstream);
        if (header->pseq > stream->last + 1) {
            refuse(self, header, BUS_PSEQ_GAP, stream->last + 1);
            return;
        }
        if (header->pseq <= stream->last) {
            uint64_t seq = seq_of(self, stream, header->pseq);
            self->counts.duplicates++;
            ack(self, header, seq, seq == 0 ? 0 : self->records[seq - 1].at, true);
            return;
        }
    }
    if (happens(self, faults->full, &faults->full_next)) {
        refuse(self, header, BUS_JOURNAL_FULL, 0);
        return;
    }
    uint64_t seq = append(self, topic, header_bytes, body, 0);
    if (stream != NULL) {
        stream->last = header->pseq;
        stream->cause_seq = header->cause_seq;
        stream->cause_n = header->cause_n;
    }
    if (header->ack != HEADER_ACK_NONE) {
        ack(self, header, seq, self->records[seq - 1].at, false);
    }
    look_at_parked(self);
}

// --- Peers ---------------------------------------------------------------------------------------

static void
on_hello(fake_broker_t *self, const header_t *asked, bus_view_t body)
{
    schema_hello_t hello;
    schema_problems_t problems;
    bus_err_t err = schema_decode(&SCHEMA_hello, body, &hello, &problems);
    assert(err == BUS_OK);
    self->counts.hellos++;
    size_t at = 0;
    while (at < self->peer_count && !view_is(hello.instance, self->peers[at].instance)) {
        at++;
    }
    assert(at < PEERS);
    self->peer_count = at == self->peer_count ? at + 1 : self->peer_count;
    copy_view(self->peers[at].service, hello.service);
    copy_view(self->peers[at].instance, hello.instance);
    copy_view(self->peers[at].inbox, hello.inbox);
    const stream_t *stream = find_stream(self, asked->source, VIEW_LITERAL(""));
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    pack_map(out, stream->cause_seq > 0 ? 5 : 4);
    pack_pair_text(out, "epoch", self->epoch);
    pack_pair_text(out, "boot", self->boot);
    pack_pair_uint(out, "head", self->count);
    pack_pair_uint(out, "pseq", stream->last);
    if (stream->cause_seq > 0) {
        pack_text(out, "cause");
        pack_array(out, 2);
        pack_uint(out, stream->cause_seq);
        pack_uint(out, stream->cause_n);
    }
    answer(self, asked, false, false, pack_view(out));
}

static void
on_request(fake_broker_t *self,
           bus_view_t topic,
           const header_t *header,
           bus_view_t header_bytes,
           bus_view_t body)
{
    for (size_t i = self->peer_count; i > 0; i--) { // the latest instance
        const peer_t *peer = &self->peers[i - 1];
        char prefix[FAKE_TEXT_SIZE + 8];
        snprintf(prefix, sizeof(prefix), "req.%s.", peer->service);
        if (peer->service[0] != '\0' && view_starts(topic, view_from_text(prefix))) {
            BUS_AUTO(pack_destroy) pack_t *out = pack_new();
            header_restamp(header_bytes, &(header_stamp_t){.topic = topic}, out);
            publish(self, view_from_text(peer->inbox), pack_view(out), body);
            return;
        }
    }
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    schema_pack_error(out, BUS_NO_RESPONDERS, NULL, VIEW_NONE, 0);
    answer(self, header, true, false, pack_view(out));
}

static void
on_batch(fake_broker_t *self, const header_t *header, bus_view_t body)
{
    walk_t walk = walk_from(body);
    walk_item_t head, record, topic;
    bus_err_t err = walk_next(&walk, &head);
    uint64_t first = self->count + 1;
    for (uint32_t i = 0; err == BUS_OK && i < head.count; i++) {
        bus_view_t inner, value;
        err = walk_next(&walk, &record);
        err = err == BUS_OK ? walk_next(&walk, &topic) : err;
        err = err == BUS_OK ? walk_skip(&walk, &inner) : err;
        err = err == BUS_OK ? walk_skip(&walk, &value) : err;
        assert(err == BUS_OK);
        append(self, topic.bytes, inner, value, 0);
    }
    find_stream(self, header->source, header->pstream)->last = header->pseq;
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    pack_map(out, 5);
    pack_pair_uint(out, "seq", self->count);
    pack_pair_uint(out, "at", clock_wall_us());
    pack_pair_bool(out, "duplicate", false);
    pack_pair_uint(out, "first", first);
    pack_pair_uint(out, "count", head.count);
    answer(self, header, false, true, pack_view(out));
}

static void
on_bus(fake_broker_t *self, bus_view_t topic, const header_t *header, bus_view_t body)
{
    static const uint8_t empty_map[] = {0x80};
    if (view_is(topic, "$bus.hello")) {
        on_hello(self, header, body);
    } else if (view_is(topic, "$bus.fetch")) {
        on_fetch(self, header, body);
    } else if (view_is(topic, "$bus.batch")) {
        on_batch(self, header, body);
    } else if (view_is(topic, "$bus.stats")) {
        answer(self, header, false, false, view_from(empty_map, sizeof(empty_map)));
    } else if (view_is(topic, "$bus.bye")) {
        self->counts.byes++;
    } else {
        assert(view_is(topic, "$bus.beat"));
    }
}

static void
on_live(fake_broker_t *self,
        bus_view_t topic,
        const header_t *header,
        bus_view_t header_bytes,
        bus_view_t body)
{
    publish(self, topic, header_bytes, body);
    if (header->ack == HEADER_ACK_EACH) {
        ack(self, header, 0, 0, false);
    }
}

static void
on_message(fake_broker_t *self, bus_view_t topic, bus_view_t header_bytes, bus_view_t body)
{
    header_t header;
    const char *why;
    self->counts.in++;
    if (happens(self, self->faults.lose_in, &self->faults.lose_next)) {
        return;
    }
    bus_err_t err = header_decode(header_bytes, &header, &why);
    assert(err == BUS_OK);
    switch (topic_class(topic)) {
    case TOPIC_JOURNALED:
        on_journaled(self, topic, &header, header_bytes, body);
        break;
    case TOPIC_LIVE:
        on_live(self, topic, &header, header_bytes, body);
        break;
    case TOPIC_INBOX:
        if (!self->faults.mute_replies) {
            publish(self, topic, header_bytes, body);
        }
        break;
    case TOPIC_REQUEST:
        on_request(self, topic, &header, header_bytes, body);
        break;
    case TOPIC_BUS:
        on_bus(self, topic, &header, body);
        break;
    }
}

static void
on_pull(void *arg)
{
    fake_broker_t *self = arg;
    zmq_msg_t frames[3];
    for (int i = 0; i < 100 && self->pull != NULL; i++) {
        for (int j = 0; j < 3; j++) {
            zmq_msg_init(&frames[j]);
            if (zmq_msg_recv(&frames[j], self->pull, ZMQ_DONTWAIT) < 0) {
                assert(j == 0);
                zmq_msg_close(&frames[0]);
                return;
            }
        }
        on_message(self,
                   view_from(zmq_msg_data(&frames[0]), zmq_msg_size(&frames[0])),
                   view_from(zmq_msg_data(&frames[1]), zmq_msg_size(&frames[1])),
                   view_from(zmq_msg_data(&frames[2]), zmq_msg_size(&frames[2])));
        for (int j = 0; j < 3; j++) {
            zmq_msg_close(&frames[j]);
        }
    }
}

static void
on_xpub(void *arg)
{
    fake_broker_t *self = arg;
    char bytes[FAKE_TEXT_SIZE];
    int size = zmq_recv(self->xpub, bytes, sizeof(bytes), ZMQ_DONTWAIT);
    bus_view_t topic = view_from(bytes + 1, size < 1 ? 0 : (size_t) size - 1);
    if (size < 1 || bytes[0] != 1 || !topic_is_inbox(topic)) {
        return;
    }
    BUS_AUTO(pack_destroy) pack_t *header = pack_new();
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    header_encode(&(header_t){.source = VIEW_LITERAL("$bus"), .re = VIEW_LITERAL("welcome")},
                  header);
    pack_map(body, 3);
    pack_pair_text(body, "epoch", self->epoch);
    pack_pair_text(body, "boot", self->boot);
    pack_pair_uint(body, "head", self->count);
    self->counts.welcomes++;
    publish(self, topic, pack_view(header), pack_view(body));
}

// --- Life ----------------------------------------------------------------------------------------

static void
set_int(void *socket, int option, int value)
{
    int rc = zmq_setsockopt(socket, option, &value, sizeof(value));
    assert(rc == 0);
}

void
fake_broker_start(fake_broker_t *self)
{
    self->context = zmq_ctx_new();
    self->pull = zmq_socket(self->context, ZMQ_PULL);
    self->xpub = zmq_socket(self->context, ZMQ_XPUB);
    set_int(self->xpub, ZMQ_XPUB_VERBOSE, 1);
    set_int(self->xpub, ZMQ_LINGER, 0);
    set_int(self->xpub, ZMQ_SNDHWM, 32768);
    set_int(self->pull, ZMQ_RCVHWM, 32768);
    id_make(self->boot);
    self->peer_count = 0;
    int rc = zmq_bind(self->pull, self->ingress) + zmq_bind(self->xpub, self->egress);
    assert(rc == 0);
    loop_add_socket(self->loop, self->pull, on_pull, self);
    loop_add_socket(self->loop, self->xpub, on_xpub, self);
}

void
fake_broker_stop(fake_broker_t *self)
{
    loop_remove_socket(self->loop, self->pull);
    loop_remove_socket(self->loop, self->xpub);
    zmq_close(self->pull);
    zmq_close(self->xpub);
    zmq_ctx_term(self->context);
    self->pull = NULL;
    self->xpub = NULL;
    for (size_t i = 0; i < PARKED; i++) {
        release_parked(&self->parked[i]);
    }
}

fake_broker_t *
fake_broker_new(loop_t *loop, unsigned seed)
{
    fake_broker_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    self->loop = loop;
    self->random = seed;
    self->records = calloc(FAKE_RECORDS_MAX, sizeof(*self->records));
    self->streams = calloc(STREAMS, sizeof(*self->streams));
    assert(self->records != NULL && self->streams != NULL);
    id_make(self->epoch);
    char unique[33];
    id_random_hex(unique, 32);
    // Linux's abstract names: nothing to clean up.
    snprintf(self->ingress, sizeof(self->ingress), "ipc://@bus-in-%s", unique);
    snprintf(self->egress, sizeof(self->egress), "ipc://@bus-out-%s", unique);
    self->timer = loop_add_timer(loop, PARK_MS, 0, look_at_parked, self);
    fake_broker_start(self);
    return self;
}

void
fake_broker_replace_journal(fake_broker_t *self)
{
    for (size_t i = 0; i < self->count; i++) {
        free((char *) self->records[i].header.data);
        free((char *) self->records[i].body.data);
    }
    self->count = 0;
    self->stream_count = 0;
    id_make(self->epoch);
}

void
fake_broker_destroy(fake_broker_t **self_p)
{
    fake_broker_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    if (self->pull != NULL) {
        fake_broker_stop(self);
    }
    loop_cancel_timer(self->loop, self->timer);
    fake_broker_replace_journal(self);
    free(self->records);
    free(self->streams);
    free(self);
    *self_p = NULL;
}

const char *
fake_broker_ingress(const fake_broker_t *self)
{
    return self->ingress;
}

const char *
fake_broker_egress(const fake_broker_t *self)
{
    return self->egress;
}

fake_faults_t *
fake_broker_faults(fake_broker_t *self)
{
    return &self->faults;
}

void
fake_broker_forget_streams(fake_broker_t *self)
{
    for (size_t i = 0; i < self->stream_count; i++) {
        if (self->streams[i].name[0] != '\0') {
            self->streams[i].last = 0;
        }
    }
}

size_t
fake_broker_count(const fake_broker_t *self)
{
    return self->count;
}

const fake_record_t *
fake_broker_record(const fake_broker_t *self, size_t index)
{
    assert(index < self->count);
    return &self->records[index];
}

size_t
fake_broker_count_topic(const fake_broker_t *self, const char *topic)
{
    size_t count = 0;
    for (size_t i = 0; i < self->count; i++) {
        count += strcmp(self->records[i].topic, topic) == 0;
    }
    return count;
}

const fake_counts_t *
fake_broker_counts(const fake_broker_t *self)
{
    return &self->counts;
}

uint64_t
fake_broker_last_ack(const fake_broker_t *self)
{
    return self->last_ack;
}

// --- Waiting -------------------------------------------------------------------------------------

typedef struct {
    loop_t *loop;
    fake_done_fn *is_done;
    void *arg;
    uint64_t until_ms;
    bool done;
} waiting_t;

static void
look(void *arg)
{
    waiting_t *waiting = arg;
    waiting->done = waiting->is_done != NULL && waiting->is_done(waiting->arg);
    if (waiting->done || clock_boot_ms() >= waiting->until_ms) {
        loop_stop(waiting->loop);
    }
}

bool
fake_run(loop_t *loop, fake_done_fn *is_done, void *arg, unsigned timeout_ms)
{
    waiting_t waiting = {
        .loop = loop, .is_done = is_done, .arg = arg, .until_ms = clock_boot_ms() + timeout_ms};
    int timer = loop_add_timer(loop, 1, 0, look, &waiting);
    loop_run(loop);
    loop_cancel_timer(loop, timer);
    return waiting.done;
}

void
fake_run_for(loop_t *loop, unsigned ms)
{
    fake_run(loop, NULL, NULL, ms);
}
