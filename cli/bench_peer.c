// bench_peer.c - the load generator's end of the bus: raw sockets and preencoded frames.
//
// A message costs it two small copies and two patched numbers, so that what is measured is the
// server. See bench.h.
#include "bench.h"

#include "proto/header.h"
#include "proto/pack.h"
#include "runtime/clock.h"
#include "runtime/id.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum {
    HWM = 16384,
    WAIT_MS = 10000, // longer than any commit that still makes sense
    WELCOME_MS = 5000,
    HEADER_SIZE_LIMIT = 512,
    FETCH_RECORDS = 2000, // a page: what services ask for is of this kind
    FETCH_BYTES = 1024 * 1024
};

struct cli_bench_peer {
    void *context;
    void *push;
    void *inbox;
    void *topics;   // NULL: hears nothing
    bool has_rules; // it has a certificate
    char name[CLI_BENCH_REPLY_SIZE + 1];
    char stream[ID_TEXT_SIZE];
    const char *topic;
    char header[HEADER_SIZE_LIMIT]; // as it goes out; id and pseq are patched
    size_t header_size;
    size_t pseq_at; // 0: has none
    char body[CLI_BENCH_BODY_SIZE];
    pack_t *pack;
    pack_t *batch;
    size_t batch_first;  // where in `batch` the first id is
    size_t batch_stride; // to the next
    uint32_t batch_count;
    zmq_msg_t answer; // the last one's body
    zmq_msg_t answer_header;
};

static void
set_int(void *socket, int option, int value)
{
    int rc = zmq_setsockopt(socket, option, &value, sizeof value);
    assert(rc == 0);
}

static void *
connect_socket(void *context, int type, const char *endpoint, const cert_t *cert)
{
    void *socket = zmq_socket(context, type);
    assert(socket);
    set_int(socket, ZMQ_SNDHWM, HWM);
    set_int(socket, ZMQ_RCVHWM, HWM);
    set_int(socket, ZMQ_LINGER, 0);
    set_int(socket, ZMQ_SNDTIMEO, WAIT_MS);
    set_int(socket, ZMQ_RCVTIMEO, WAIT_MS);
    cert_apply(cert, socket, endpoint);
    int rc = zmq_connect(socket, endpoint);
    assert(rc == 0); // the endpoint is ours
    return socket;
}

// 256 bytes of a plausible event: some twenty items of several kinds.
static void
make_body(cli_bench_peer_t *self)
{
    enum { FILL = 118 };
    char fill[FILL + 1];
    memset(fill, 'x', FILL);
    fill[FILL] = '\0';
    pack_clear(self->pack);
    pack_map(self->pack, 8);
    pack_pair_text(self->pack, "requester_id", "bench");
    pack_pair_text(self->pack, "event_type", "bench");
    pack_pair_text(self->pack, "agent_id", "agent_0001");
    pack_pair_int(self->pack, "attempt", 3);
    pack_pair_bool(self->pack, "ok", true);
    pack_pair_real(self->pack, "score", 0.75);
    pack_text(self->pack, "result");
    pack_map(self->pack, 2);
    pack_pair_int(self->pack, "status", 200);
    pack_pair_int(self->pack, "ms", 12);
    pack_pair_text(self->pack, "text", fill);
    bus_view_t whole = pack_view(self->pack);
    size_t missing = CLI_BENCH_BODY_SIZE - whole.size;
    // The fill's head has two bytes (str 8) whatever its length from 32 to 255.
    pack_truncate(self->pack, whole.size - FILL - 2);
    char text[CLI_BENCH_BODY_SIZE];
    memset(text, 'x', sizeof text);
    pack_str(self->pack, view_from(text, FILL + missing));
    whole = pack_view(self->pack);
    assert(whole.size == CLI_BENCH_BODY_SIZE);
    memcpy(self->body, whole.data, whole.size);
}

static bool
wait_for_welcome(cli_bench_peer_t *self)
{
    cli_bench_answer_t answer;
    set_int(self->inbox, ZMQ_RCVTIMEO, WELCOME_MS);
    bool welcomed = cli_bench_peer_hear(self, true, &answer);
    set_int(self->inbox, ZMQ_RCVTIMEO, WAIT_MS);
    return welcomed;
}

// A subscription is made when what it is for comes back: a message to oneself.
static bool
wait_for_topics(cli_bench_peer_t *self, const char *topic)
{
    int patience_ms = 2;
    set_int(self->topics, ZMQ_RCVTIMEO, patience_ms);
    cli_bench_peer_prepare(self, topic, CLI_BENCH_ACK_EACH, false);
    bool heard = false;
    cli_bench_answer_t answer;
    for (uint64_t try = 1; try * (uint64_t) patience_ms < WELCOME_MS && !heard; ++try) {
        if (!cli_bench_peer_say(self, try) || !cli_bench_peer_hear(self, true, &answer)) {
            return false;
        }
        heard = cli_bench_peer_listen(self, true);
    }
    while (cli_bench_peer_listen(self, true)) { // the others that were on their way
    }
    set_int(self->topics, ZMQ_RCVTIMEO, WAIT_MS);
    return heard;
}

cli_bench_peer_t *
cli_bench_peer_new(const cli_endpoints_t *bus, const char *subscription)
{
    BUS_AUTO(cli_bench_peer_destroy) cli_bench_peer_t *self = calloc(1, sizeof *self);
    assert(self);
    self->pack = pack_new();
    self->batch = pack_new();
    zmq_msg_init(&self->answer);
    zmq_msg_init(&self->answer_header);
    char unique[CLI_BENCH_REPLY_SIZE - sizeof "_inbox.bench." + 2];
    id_random_hex(unique, sizeof unique - 1);
    snprintf(self->name, sizeof self->name, "_inbox.bench.%s", unique);
    assert(strlen(self->name) == CLI_BENCH_REPLY_SIZE);
    make_body(self);
    const cert_t *cert = cli_connect_cert(bus);
    self->has_rules = cert != NULL;
    self->context = zmq_ctx_new();
    assert(self->context);
    self->push = connect_socket(self->context, ZMQ_PUSH, bus->ingress, cert);
    self->inbox = connect_socket(self->context, ZMQ_SUB, bus->egress, cert);
    int rc = zmq_setsockopt(self->inbox, ZMQ_SUBSCRIBE, self->name, CLI_BENCH_REPLY_SIZE);
    assert(rc == 0);
    bool ready = wait_for_welcome(self);
    if (ready && subscription != NULL) {
        self->topics = connect_socket(self->context, ZMQ_SUB, bus->egress, cert);
        rc = zmq_setsockopt(self->topics, ZMQ_SUBSCRIBE, subscription, strlen(subscription));
        assert(rc == 0);
        ready = wait_for_topics(self, subscription);
    }
    if (!ready) {
        return NULL;
    }
    cli_bench_peer_t *made = self;
    self = NULL; // the caller's now
    return made;
}

void
cli_bench_peer_destroy(cli_bench_peer_t **self_p)
{
    cli_bench_peer_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    zmq_msg_close(&self->answer);
    zmq_msg_close(&self->answer_header);
    zmq_close(self->push);
    zmq_close(self->inbox);
    if (self->topics != NULL) {
        zmq_close(self->topics);
    }
    zmq_ctx_term(self->context);
    pack_destroy(&self->pack);
    pack_destroy(&self->batch);
    free(self);
    *self_p = NULL;
}

// --- Saying ------------------------------------------------------------------------------------

static void
write_number(char *id, uint64_t number)
{
    static const char digits[] = "0123456789abcdef";
    for (int i = CLI_BENCH_ID_SIZE - 1; i >= CLI_BENCH_ID_SIZE - CLI_BENCH_COUNTER_DIGITS; --i) {
        id[i] = digits[number & 15];
        number >>= 4;
    }
}

static void
write_big_endian(char *at, uint64_t number)
{
    for (int i = 7; i >= 0; --i) {
        at[i] = (char) (number & 0xff);
        number >>= 8;
    }
}

void
cli_bench_peer_prepare(cli_bench_peer_t *self,
                       const char *topic,
                       cli_bench_ack_t ack,
                       bool has_pseq)
{
    self->topic = topic;
    id_make(self->stream);
    char id[CLI_BENCH_ID_SIZE + 1];
    id_random_hex(id, CLI_BENCH_ID_SIZE);
    pack_t *pack = self->pack;
    pack_clear(pack);
    pack_map(pack, has_pseq ? 6 : 4);
    pack_pair_text(pack, "id", id);
    pack_pair_text(pack, "reply_to", self->name);
    if (ack == CLI_BENCH_ACK_LAST) {
        pack_pair_text(pack, "ack", "last");
    } else {
        pack_pair_bool(pack, "ack", ack == CLI_BENCH_ACK_EACH);
    }
    pack_pair_text(pack, "source", "bench");
    self->pseq_at = 0;
    if (has_pseq) {
        pack_pair_text(pack, "pstream", self->stream);
        pack_pair_uint(pack, "pseq", UINT64_MAX); // nine bytes, to be patched
        self->pseq_at = pack_view(pack).size - sizeof(uint64_t);
    }
    bus_view_t header = pack_view(pack);
    assert(header.size <= sizeof self->header);
    assert(memcmp(header.data + CLI_BENCH_ID_AT, id, CLI_BENCH_ID_SIZE) == 0);
    assert(memcmp(header.data + CLI_BENCH_REPLY_AT, self->name, CLI_BENCH_REPLY_SIZE) == 0);
    memcpy(self->header, header.data, header.size);
    self->header_size = header.size;
}

static bool
send_frame(void *socket, const void *bytes, size_t size, int flags)
{
    return zmq_send(socket, bytes, size, flags) == (int) size;
}

static bool
send_message(cli_bench_peer_t *self, const char *topic, uint64_t number, bus_view_t body)
{
    write_number(self->header + CLI_BENCH_ID_AT, number);
    if (self->pseq_at != 0) {
        write_big_endian(self->header + self->pseq_at, number);
    }
    return send_frame(self->push, topic, strlen(topic), ZMQ_SNDMORE) &&
           send_frame(self->push, self->header, self->header_size, ZMQ_SNDMORE) &&
           send_frame(self->push, body.data, body.size, 0);
}

bool
cli_bench_peer_say(cli_bench_peer_t *self, uint64_t number)
{
    return send_message(self, self->topic, number, view_from(self->body, CLI_BENCH_BODY_SIZE));
}

// All of a batch but the numbers in its ids.
static void
make_batch(cli_bench_peer_t *self, uint32_t count)
{
    char id[CLI_BENCH_ID_SIZE + 1];
    id_random_hex(id, CLI_BENCH_ID_SIZE);
    pack_clear(self->batch);
    pack_array(self->batch, count);
    size_t head = pack_view(self->batch).size;
    for (uint32_t i = 0; i < count; ++i) {
        size_t begin = pack_view(self->batch).size;
        pack_array(self->batch, 3);
        pack_text(self->batch, self->topic);
        pack_map(self->batch, 2);
        pack_pair_text(self->batch, "id", id);
        self->batch_first = pack_view(self->batch).size - CLI_BENCH_ID_SIZE - begin + head;
        pack_pair_text(self->batch, "source", "bench");
        pack_raw(self->batch, view_from(self->body, CLI_BENCH_BODY_SIZE));
        self->batch_stride = pack_view(self->batch).size - begin;
    }
    self->batch_count = count;
}

bool
cli_bench_peer_say_batch(cli_bench_peer_t *self, uint64_t number, uint32_t count)
{
    if (self->batch_count != count) {
        make_batch(self, count);
    }
    bus_view_t body = pack_view(self->batch);
    char *ids = (char *) body.data + self->batch_first; // our own bytes
    for (uint32_t i = 0; i < count; ++i) {
        write_number(ids + i * self->batch_stride, (number - 1) * count + i + 1);
    }
    return send_message(self, "$bus.batch", number, body);
}

bool
cli_bench_peer_say_fetch(cli_bench_peer_t *self, uint64_t number, uint64_t from)
{
    pack_t *pack = self->pack;
    pack_clear(pack);
    pack_map(pack, 5);
    pack_pair_text(pack, "consumer", self->name + strlen("_inbox."));
    pack_text(pack, "filters");
    pack_array(pack, 1);
    // Whoever has a certificate reads what its rules cover.
    pack_text(pack, self->has_rules ? CLI_BENCH_DURABLE : "");
    pack_pair_uint(pack, "max", FETCH_RECORDS);
    pack_pair_uint(pack, "max_bytes", FETCH_BYTES);
    pack_pair_uint(pack, "from", from); // last: the bare server reads it there
    return send_message(self, "$bus.fetch", number, pack_view(pack));
}

// --- Hearing -----------------------------------------------------------------------------------

static bool
receive(void *socket, zmq_msg_t *frame, bool wait)
{
    int rc = zmq_msg_recv(frame, socket, wait ? 0 : ZMQ_DONTWAIT);
    while (rc < 0 && errno == EINTR) {
        rc = zmq_msg_recv(frame, socket, wait ? 0 : ZMQ_DONTWAIT);
    }
    return rc >= 0;
}

static bus_view_t
frame_view(zmq_msg_t *frame)
{
    return view_from(zmq_msg_data(frame), zmq_msg_size(frame));
}

static uint64_t
read_number(bus_view_t id)
{
    char digits[CLI_BENCH_COUNTER_DIGITS + 1] = "";
    if (id.size == CLI_BENCH_ID_SIZE) {
        memcpy(digits, id.data + id.size - CLI_BENCH_COUNTER_DIGITS, CLI_BENCH_COUNTER_DIGITS);
    }
    return strtoull(digits, NULL, 16);
}

bool
cli_bench_peer_hear(cli_bench_peer_t *self, bool wait, cli_bench_answer_t *ret_answer)
{
    if (!receive(self->inbox, &self->answer, wait) ||
        !receive(self->inbox, &self->answer_header, true) ||
        !receive(self->inbox, &self->answer, true)) {
        return false;
    }
    header_t header;
    const char *why = NULL;
    if (header_decode(frame_view(&self->answer_header), &header, &why) != BUS_OK) {
        return false;
    }
    ret_answer->number = read_number(header.re);
    ret_answer->is_error = view_is(header.status, "error");
    ret_answer->body = frame_view(&self->answer);
    return true;
}

bool
cli_bench_peer_listen(cli_bench_peer_t *self, bool wait)
{
    return receive(self->topics, &self->answer, wait) &&
           receive(self->topics, &self->answer, true) && receive(self->topics, &self->answer, true);
}
