// client_link.c - the sockets of a client, with every limit set: libzmq's own defaults are 1,000
// messages, no end to connecting and lingering for ever.
//
// A broker that the network has lost is noticed by tcp's own probes. libzmq's heartbeats are left
// off: a socket that is slow to be read would give its connection up by them, and libzmq then ends
// the process (docs/adr/0018).
#include "client_link.h"
#include "hangup.h"
#include "proto/limits.h"
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HIGH_WATER = 32768, // two answers for each outstanding call, twice over
    HANDSHAKE_MS = 5000,
    CONNECT_MS = 3000, // then it is tried anew: the kernel alone would wait for minutes
    LOST_MS = 10000,   // what was sent and tcp has no word of
    PROBE_AFTER_S = 5, // without a word of either side, by tcp
    PROBE_EVERY_S = 2,
    PROBES = 3,
    RECONNECT_MS = 20,
    RECONNECT_MAX_MS = 500,    // a broker that comes back is found within this
    LINGER_MS = 500,           // for a bye and what nobody awaits an answer to
    MESSAGE_SLACK = 64 * 1024, // above an inbox's body: its header and its envelope
};

static void
set_int(void *socket, int option, int value)
{
    int rc = zmq_setsockopt(socket, option, &value, sizeof(value));
    assert(rc == 0);
}

static void *
open_socket(client_link_t *self, int type)
{
    void *socket = zmq_socket(self->context, type);
    assert(socket != NULL);
    set_int(socket, ZMQ_SNDHWM, HIGH_WATER);
    set_int(socket, ZMQ_RCVHWM, HIGH_WATER);
    set_int(socket, ZMQ_LINGER, type == ZMQ_PUSH ? LINGER_MS : 0);
    set_int(socket, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS);
    set_int(socket, ZMQ_CONNECT_TIMEOUT, CONNECT_MS);
    set_int(socket, ZMQ_TCP_MAXRT, LOST_MS);
    set_int(socket, ZMQ_TCP_KEEPALIVE, 1);
    set_int(socket, ZMQ_TCP_KEEPALIVE_IDLE, PROBE_AFTER_S);
    set_int(socket, ZMQ_TCP_KEEPALIVE_INTVL, PROBE_EVERY_S);
    set_int(socket, ZMQ_TCP_KEEPALIVE_CNT, PROBES);
    set_int(socket, ZMQ_RECONNECT_IVL, RECONNECT_MS);
    set_int(socket, ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS);
    int64_t size_max = INBOX_BODY_SIZE_MAX + MESSAGE_SLACK;
    int rc = zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &size_max, sizeof(size_max));
    assert(rc == 0);
    return socket;
}

// A PAIR on which libzmq tells of `socket`'s connection.
static void *
open_news(client_link_t *self, void *socket, const char *name)
{
    int rc = zmq_socket_monitor(socket,
                                name,
                                ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED |
                                    ZMQ_EVENT_HANDSHAKE_FAILED_AUTH);
    assert(rc == 0);
    void *news = zmq_socket(self->context, ZMQ_PAIR);
    assert(news != NULL);
    set_int(news, ZMQ_LINGER, 0);
    rc = zmq_connect(news, name);
    assert(rc == 0);
    return news;
}

bus_err_t
client_link_init(client_link_t *self, const char *ingress, const char *egress, const cert_t *cert)
{
    hangup_defer();
    *self = (client_link_t){
        .context = zmq_ctx_new(), .ingress = ingress, .egress = egress, .cert = cert};
    assert(self->context != NULL);
    self->push = open_socket(self, ZMQ_PUSH);
    self->inbox = open_socket(self, ZMQ_SUB);
    self->push_news = open_news(self, self->push, "inproc://push-news");
    self->inbox_news = open_news(self, self->inbox, "inproc://inbox-news");
    cert_apply(cert, self->push, ingress);
    cert_apply(cert, self->inbox, egress);
    if (zmq_connect(self->push, ingress) != 0 || zmq_connect(self->inbox, egress) != 0) {
        client_link_clear(self);
        return BUS_INVALID_REQUEST;
    }
    return BUS_OK;
}

static void
close_socket(void **socket_p)
{
    if (*socket_p != NULL) {
        int rc = zmq_close(*socket_p);
        assert(rc == 0);
        *socket_p = NULL;
    }
}

void
client_link_clear(client_link_t *self)
{
    if (self->context == NULL) {
        return;
    }
    zmq_socket_monitor(self->push, NULL, 0);
    zmq_socket_monitor(self->inbox, NULL, 0);
    close_socket(&self->push_news);
    close_socket(&self->inbox_news);
    close_socket(&self->topics);
    close_socket(&self->inbox);
    close_socket(&self->push);
    while (zmq_ctx_term(self->context) != 0 && errno == EINTR) {
    }
    self->context = NULL;
}

void
client_link_hear(void *socket, bus_view_t prefix)
{
    int rc = zmq_setsockopt(socket, ZMQ_SUBSCRIBE, prefix.data, prefix.size);
    assert(rc == 0);
}

void
client_link_open_topics(client_link_t *self)
{
    assert(self->topics == NULL);
    self->topics = open_socket(self, ZMQ_SUB);
    cert_apply(self->cert, self->topics, self->egress);
    int rc = zmq_connect(self->topics, self->egress);
    assert(rc == 0); // the inbox could connect to it
}

bus_err_t
client_link_send(client_link_t *self, bus_view_t topic, bus_view_t header, bus_view_t body)
{
    const bus_view_t views[CLIENT_LINK_FRAMES] = {topic, header, body};
    for (int i = 0; i < CLIENT_LINK_FRAMES; i++) {
        zmq_msg_t frame;
        int rc = zmq_msg_init_size(&frame, views[i].size);
        assert(rc == 0);
        memcpy(zmq_msg_data(&frame), views[i].data, views[i].size);
        int flags = ZMQ_DONTWAIT | (i + 1 < CLIENT_LINK_FRAMES ? ZMQ_SNDMORE : 0);
        do {
            rc = zmq_msg_send(&frame, self->push, flags);
        } while (rc < 0 && errno == EINTR);
        if (rc < 0) {
            zmq_msg_close(&frame);
            return BUS_BUSY; // after the first frame only where the connection died: libzmq drops
                             // all
        }
    }
    return BUS_OK;
}

// Receives one frame. False where none is there.
static bool
receive_frame(void *socket, zmq_msg_t *frame)
{
    int rc;
    do {
        rc = zmq_msg_recv(frame, socket, ZMQ_DONTWAIT);
    } while (rc < 0 && errno == EINTR);
    return rc >= 0;
}

// Receives one message of any number of frames and keeps the first three.
static bool
receive_any(void *socket, client_link_message_t *message, int *ret_count)
{
    int count = 0;
    bool more = true;
    while (more) {
        zmq_msg_t frame;
        zmq_msg_init(&frame);
        if (!receive_frame(socket, &frame)) {
            zmq_msg_close(&frame);
            return false; // only before the first: libzmq gives whole messages
        }
        more = zmq_msg_more(&frame) != 0;
        if (count < CLIENT_LINK_FRAMES) {
            zmq_msg_move(&message->frames[count], &frame);
        }
        zmq_msg_close(&frame);
        count++;
    }
    *ret_count = count;
    return true;
}

bool
client_link_receive(void *socket, client_link_message_t *ret_message)
{
    int count = 0;
    for (int i = 0; i < CLIENT_LINK_FRAMES; i++) {
        zmq_msg_init(&ret_message->frames[i]);
    }
    do {
        if (!receive_any(socket, ret_message, &count)) {
            client_link_release(ret_message);
            return false;
        }
    } while (count != CLIENT_LINK_FRAMES);
    zmq_msg_t *frames = ret_message->frames;
    ret_message->topic = view_from(zmq_msg_data(&frames[0]), zmq_msg_size(&frames[0]));
    ret_message->header = view_from(zmq_msg_data(&frames[1]), zmq_msg_size(&frames[1]));
    ret_message->body = view_from(zmq_msg_data(&frames[2]), zmq_msg_size(&frames[2]));
    return true;
}

void
client_link_release(client_link_message_t *message)
{
    for (int i = 0; i < CLIENT_LINK_FRAMES; i++) {
        zmq_msg_close(&message->frames[i]);
    }
}

// The next event of a monitor; 0 where there is none.
static unsigned
next_event(void *news)
{
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    uint16_t event = 0;
    if (receive_frame(news, &frame)) {
        assert(zmq_msg_size(&frame) >= sizeof(event)); // an event in 16 bits, its value in 32
        memcpy(&event, zmq_msg_data(&frame), sizeof(event));
        bool more = zmq_msg_more(&frame) != 0;
        while (more && receive_frame(news, &frame)) { // the endpoint
            more = zmq_msg_more(&frame) != 0;
        }
    }
    zmq_msg_close(&frame);
    return event;
}

client_link_news_t
client_link_news(client_link_t *self)
{
    client_link_news_t news = {.inbox_lost = false};
    for (unsigned event = next_event(self->inbox_news); event != 0;
         event = next_event(self->inbox_news)) {
        self->inbox_open = event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED;
        self->inbox_refused |= event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
        news.inbox_lost = news.inbox_lost || !self->inbox_open;
    }
    for (unsigned event = next_event(self->push_news); event != 0;
         event = next_event(self->push_news)) {
        if (event != ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
            self->push_lost = true;
            self->push_refused |= event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
        } else if (self->push_lost) {
            self->push_lost = false;
            news.push_restored = true;
        }
    }
    news.refused = self->inbox_refused || self->push_refused;
    return news;
}

// libzmq keeps what it gave up among its endpoints, and would not connect to it twice.
static void
connect_again(void *socket, const char *endpoint)
{
    (void) zmq_disconnect(socket, endpoint);
    int rc = zmq_connect(socket, endpoint);
    assert(rc == 0); // it could connect before
}

void
client_link_try_again(client_link_t *self)
{
    if (self->inbox_refused) {
        connect_again(self->inbox, self->egress);
    }
    if (self->inbox_refused && self->topics != NULL) {
        connect_again(self->topics, self->egress);
    }
    if (self->push_refused) {
        connect_again(self->push, self->ingress);
    }
    self->inbox_refused = false;
    self->push_refused = false;
}
