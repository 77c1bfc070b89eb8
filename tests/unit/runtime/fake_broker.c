// fake_broker.c - see fake_broker.h. One array of records, one of streams, one of peers; no limits
// but asserted ones.
#include "fake_self.h"

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
    fake_copy_view(self->peers[at].service, hello.service);
    fake_copy_view(self->peers[at].instance, hello.instance);
    fake_copy_view(self->peers[at].inbox, hello.inbox);
    const stream_t *stream = fake_find_stream(self, asked->source, VIEW_LITERAL(""));
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
    fake_answer(self, asked, false, false, pack_view(out));
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
            fake_publish(self, view_from_text(peer->inbox), pack_view(out), body);
            return;
        }
    }
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    schema_pack_error(out, BUS_NO_RESPONDERS, NULL, VIEW_NONE, 0);
    fake_answer(self, header, true, false, pack_view(out));
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
        fake_append(self, topic.bytes, inner, value, 0);
    }
    fake_find_stream(self, header->source, header->pstream)->last = header->pseq;
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    pack_map(out, 5);
    pack_pair_uint(out, "seq", self->count);
    pack_pair_uint(out, "at", clock_wall_us());
    pack_pair_bool(out, "duplicate", false);
    pack_pair_uint(out, "first", first);
    pack_pair_uint(out, "count", head.count);
    fake_answer(self, header, false, true, pack_view(out));
}

static void
on_bus(fake_broker_t *self, bus_view_t topic, const header_t *header, bus_view_t body)
{
    static const uint8_t empty_map[] = {0x80};
    if (view_is(topic, "$bus.hello")) {
        on_hello(self, header, body);
    } else if (view_is(topic, "$bus.fetch")) {
        fake_on_fetch(self, header, body);
    } else if (view_is(topic, "$bus.batch")) {
        on_batch(self, header, body);
    } else if (view_is(topic, "$bus.stats")) {
        fake_answer(self, header, false, false, view_from(empty_map, sizeof(empty_map)));
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
    fake_publish(self, topic, header_bytes, body);
    if (header->ack == HEADER_ACK_EACH) {
        fake_ack(self, header, 0, 0, false);
    }
}

static void
on_message(fake_broker_t *self, bus_view_t topic, bus_view_t header_bytes, bus_view_t body)
{
    header_t header;
    const char *why;
    self->counts.in++;
    if (fake_happens(self, self->faults.lose_in, &self->faults.lose_next)) {
        return;
    }
    bus_err_t err = header_decode(header_bytes, &header, &why);
    assert(err == BUS_OK);
    switch (topic_class(topic)) {
    case TOPIC_JOURNALED:
        fake_on_journaled(self, topic, &header, header_bytes, body);
        break;
    case TOPIC_LIVE:
        on_live(self, topic, &header, header_bytes, body);
        break;
    case TOPIC_INBOX:
        if (!self->faults.mute_replies) {
            fake_publish(self, topic, header_bytes, body);
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
welcome(fake_broker_t *self, bus_view_t inbox)
{
    BUS_AUTO(pack_destroy) pack_t *header = pack_new();
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    header_encode(&(header_t){.source = VIEW_LITERAL("$bus"), .re = VIEW_LITERAL("welcome")},
                  header);
    pack_map(body, 3);
    pack_pair_text(body, "epoch", self->epoch);
    pack_pair_text(body, "boot", self->boot);
    pack_pair_uint(body, "head", self->count);
    self->counts.welcomes++;
    fake_publish(self, inbox, pack_view(header), pack_view(body));
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
    if (self->faults.mute_welcomes) {
        assert(self->unwelcomed_count < PEERS);
        fake_copy_view(self->unwelcomed[self->unwelcomed_count++], topic);
        return;
    }
    welcome(self, topic);
}

void
fake_broker_welcome(fake_broker_t *self)
{
    self->faults.mute_welcomes = false;
    for (size_t i = 0; i < self->unwelcomed_count; i++) {
        welcome(self, view_from_text(self->unwelcomed[i]));
    }
    self->unwelcomed_count = 0;
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
        fake_release_parked(&self->parked[i]);
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
    self->timer = loop_add_timer(loop, PARK_MS, 0, fake_look_at_parked, self);
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
fake_broker_last_from(const fake_broker_t *self)
{
    return self->last_from;
}

uint64_t
fake_broker_last_ack(const fake_broker_t *self)
{
    return self->last_ack;
}
