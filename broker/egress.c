// egress.c - subscriptions in, messages out.
//
// What libzmq 4.3.4 does in manual mode (xpub.cpp), and what follows from it:
// - It queues what came up with, beside it, the connections of the subscriptions among it.
//   ZMQ_SUBSCRIBE after a receive acts on the connection taken last. A message that is no
//   subscription (only an XSUB can send one) takes the next connection from the queue too early, so
//   every subscription behind it, until the queue is empty, would be set on a wrong connection:
//   one peer would hear another's inbox. Those are not set. Where they are all of the peer that
//   sent it, that is its own loss; where not, the socket is made anew and everyone subscribes
//   again.
// - When a connection ends, its subscriptions come once each as unsubscriptions, of no connection,
//   and those that were refused among them: whoever asked for another's inbox would end it by going
//   away. So they say nothing here; the gate tells which descriptor ended, hearing.h what it heard.
//   It is asked after each receive: what ended before that is known, and the descriptor is not
//   another's already.
#include "egress.h"
#include "access.h"
#include "clog.h"
#include "hearing.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    READ_MAX = 1024,             // messages of one egress_read
    REFUSED_LOG_EVERY_MS = 1000, // one line for all that was refused meanwhile
    CUT_LOG_EVERY_MS = 1000,     // the same for connections that were cut
    PRESSING_MS = 1000,          // so long after something was refused for want of room
    NO_CONNECTION = -1,
};

struct egress {
    gate_t *gate;        // borrowed
    void *socket;        // borrowed from it
    stats_t *stats;      // borrowed
    egress_inbox_fn *fn; // told of each subscription to an inbox
    void *arg;           // of fn
    who_t *who;          // borrowed; NULL: an open bus
    egress_breach_fn *breach_fn;
    void *breach_arg;
    inbox_table_t *inboxes; // the live ones
    zmq_msg_t *names;       // the topic frame of each live inbox, by its place
    hearing_t *hearing;     // what each connection asked to hear
    held_t *held;           // what has been sent and not been read
    clog_t *clog;           // who does not read
    uint64_t no_room_ms;    // boot clock when something was last refused for it; 0: never
    uint64_t cut_logged;    // boot ms of the last line about cut connections
    bool is_shifted; // a message that is no subscription came, and the queue was not empty since
    uint64_t refused_logged; // boot ms of the last line about refused subscriptions
    uint64_t refused_told;   // how many of them the log knows of
};

egress_t *
egress_new(stats_t *stats, egress_inbox_fn *fn, void *arg)
{
    egress_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    self->stats = stats;
    self->fn = fn;
    self->arg = arg;
    self->inboxes = inbox_table_new();
    self->names = calloc(INBOXES_MAX, sizeof(*self->names));
    assert(self->names != NULL);
    self->hearing = hearing_new();
    self->held = held_new();
    self->clog = clog_new();
    for (int i = 0; i < INBOXES_MAX; i++) {
        zmq_msg_init(&self->names[i]);
    }
    return self;
}

void
egress_destroy(egress_t **self_p)
{
    egress_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    for (int i = 0; i < INBOXES_MAX; i++) {
        zmq_msg_close(&self->names[i]);
    }
    free(self->names);
    hearing_destroy(&self->hearing);
    held_destroy(&self->held);
    clog_destroy(&self->clog);
    inbox_table_destroy(&self->inboxes);
    free(self);
    *self_p = NULL;
}

void
egress_guard(egress_t *self, who_t *who, egress_breach_fn *fn, void *arg)
{
    self->who = who;
    self->breach_fn = fn;
    self->breach_arg = arg;
}

void
egress_attach(egress_t *self, gate_t *gate)
{
    self->gate = gate;
    self->socket = gate_socket(gate, GATE_OUT);
}

void
egress_frame(zmq_msg_t *ret_frame, bus_view_t bytes)
{
    int rc = zmq_msg_init_size(ret_frame, bytes.size);
    assert(rc == 0);
    if (bytes.size > 0) {
        memcpy(zmq_msg_data(ret_frame), bytes.data, bytes.size);
    }
}

// --- Subscriptions ------------------------------------------------------------------------------

static void
set_prefix(egress_t *self, int option, bus_view_t prefix)
{
    int rc = zmq_setsockopt(self->socket, option, prefix.data, prefix.size);
    assert(rc == 0);
}

static void
set_all(egress_t *self, int option)
{
    for (const char *prefix = ACCESS_ALL_PREFIXES; *prefix != '\0'; prefix++) {
        set_prefix(self, option, view_from(prefix, 1));
    }
}

static void
refuse_subscription(egress_t *self, bus_view_t prefix, const char *why)
{
    self->stats->subscriptions_refused++;
    uint64_t now_ms = clock_boot_ms();
    if (self->refused_logged != 0 && now_ms - self->refused_logged < REFUSED_LOG_EVERY_MS) {
        return;
    }
    char text[160];
    log_warning("subscription_refused",
                "why=%s prefix=%s refused=%llu",
                why,
                log_escape(prefix, text, sizeof(text)),
                (unsigned long long) (self->stats->subscriptions_refused - self->refused_told));
    self->refused_logged = now_ms;
    self->refused_told = self->stats->subscriptions_refused;
}

// `heard`: the connection's own. `peer`: who asked, or NULL.
static void
grant_inbox(egress_t *self, bus_view_t name, hearing_prefix_t *heard, const who_peer_t *peer)
{
    if (heard->inbox == HEARING_NO_INBOX) {
        bool has_many = peer != NULL && inbox_count_of(self->inboxes, view_from_text(peer->name)) >=
                                            EGRESS_INBOXES_MAX;
        int place = INBOX_NONE;
        bus_err_t err = has_many ? BUS_BUSY : inbox_add(self->inboxes, name, &place);
        if (err != BUS_OK) {
            refuse_subscription(self, name, err == BUS_BUSY ? "inboxes_max" : "covers_another");
            return;
        }
        heard->inbox = place;
        zmq_msg_t *frame = &self->names[place];
        zmq_msg_close(frame);
        egress_frame(frame, name);
    }
    set_prefix(self, ZMQ_SUBSCRIBE, name);
    self->stats->subscriptions++;
    self->fn(self->arg, name);
}

static void
subscribe(egress_t *self, bus_view_t prefix, hearing_prefix_t *heard, const who_peer_t *peer)
{
    switch (access_hear(prefix)) {
    case ACCESS_REFUSED:
        refuse_subscription(self, prefix, "not_allowed");
        return;
    case ACCESS_ALL:
        set_all(self, ZMQ_SUBSCRIBE);
        self->stats->subscriptions++;
        return;
    case ACCESS_PREFIX:
        set_prefix(self, ZMQ_SUBSCRIBE, prefix);
        self->stats->subscriptions++;
        return;
    case ACCESS_INBOX:
        grant_inbox(self, prefix, heard, peer);
        return;
    }
}

static void
unsubscribe(egress_t *self, bus_view_t prefix, int fd)
{
    int32_t inbox;
    if (!hearing_remove(self->hearing, fd, prefix, &inbox)) {
        return; // it never asked for that
    }
    if (inbox != HEARING_NO_INBOX) {
        inbox_release(self->inboxes, inbox);
    }
    access_grant_t grant = access_hear(prefix);
    if (grant == ACCESS_ALL) {
        set_all(self, ZMQ_UNSUBSCRIBE);
    } else if (grant != ACCESS_REFUSED) {
        set_prefix(self, ZMQ_UNSUBSCRIBE, prefix);
    }
}

// The descriptor of the connection that a message came by, or NO_CONNECTION.
static int
connection_of(zmq_msg_t *message)
{
    int fd = zmq_msg_get(message, ZMQ_SRCFD);
    return fd < 0 ? NO_CONNECTION : fd;
}

// Ends the connection that a message came by. Its descriptor stays libzmq's, which sees the end.
static void
reset_connection(egress_t *self, int fd)
{
    if (fd != NO_CONNECTION) {
        shutdown(fd, SHUT_RDWR);
        self->stats->connections_reset++;
    }
}

static void
leave_inbox(void *arg, int32_t inbox)
{
    egress_t *self = arg;
    inbox_release(self->inboxes, inbox);
}

void
egress_forget(egress_t *self, int fd)
{
    hearing_forget(self->hearing, fd, leave_inbox, self);
    if (fd >= 0 && fd < CLOG_FDS_MAX) {
        clog_forget(self->clog, fd);
    }
}

// Whether whoever sent the subscription may hear that. A stranger, whom ZAP let in and we do not
// know, is cut.
static bool
may_hear(egress_t *self, const who_peer_t *peer, bus_view_t prefix, int fd)
{
    breach_reason_t reason = BREACH_CERTIFICATE;
    if (peer == NULL || access_hear(prefix) == ACCESS_REFUSED ||
        (peer->name[0] != '\0' && access_may_hear(peer, prefix, &reason))) {
        return true; // the second is refused by its form
    }
    self->breach_fn(self->breach_arg, peer, reason, prefix);
    if (reason == BREACH_CERTIFICATE) {
        reset_connection(self, fd);
    }
    return false;
}

static void
take_subscription(egress_t *self, zmq_msg_t *message, bus_view_t prefix, int fd)
{
    const who_peer_t *peer = self->who == NULL ? NULL : who_of(self->who, GATE_OUT, message);
    hearing_prefix_t *heard = hearing_require(self->hearing, fd, prefix);
    if (heard == NULL) {
        reset_connection(self, fd);
        refuse_subscription(self, prefix, "subscriptions_max");
    } else if (!may_hear(self, peer, prefix, fd)) {
        refuse_subscription(self, prefix, "not_allowed");
    } else {
        subscribe(self, prefix, heard, peer);
    }
}

static void
take_upstream(egress_t *self, zmq_msg_t *message)
{
    bus_view_t bytes = egress_view(message);
    int fd = connection_of(message);
    if (bytes.size == 0 || (bytes.data[0] != 0 && bytes.data[0] != 1) || zmq_msg_more(message)) {
        self->stats->upstream_dropped++;
        self->is_shifted = true;
        reset_connection(self, fd);
        return;
    }
    if (fd == NO_CONNECTION || !gate_is_open(self->gate, GATE_OUT, fd)) {
        return; // it has ended
    }
    bus_view_t prefix = view_from(bytes.data + 1, bytes.size - 1);
    if (self->is_shifted) {
        reset_connection(self, fd);
    } else if (bytes.data[0] == 1) {
        take_subscription(self, message, prefix, fd);
    } else {
        unsubscribe(self, prefix, fd);
    }
}

void
egress_read(egress_t *self)
{
    zmq_msg_t message;
    zmq_msg_init(&message);
    for (int i = 0; i < READ_MAX; i++) {
        if (zmq_msg_recv(&message, self->socket, ZMQ_DONTWAIT) < 0) {
            self->is_shifted = false; // the queue is empty: connections are right again
            break;
        }
        gate_read(self->gate); // who has ended by now
        take_upstream(self, &message);
    }
    zmq_msg_close(&message);
}

// --- What is not read ---------------------------------------------------------------------------

held_t *
egress_held(const egress_t *self)
{
    return self->held;
}

bool
egress_is_strained(const egress_t *self)
{
    return held_bytes(self->held) > HELD_SOFT;
}

bool
egress_has_room(egress_t *self, size_t size)
{
    if (size < HELD_GRAIN || !held_is_full(self->held)) {
        return true;
    }
    self->no_room_ms = clock_boot_ms();
    self->stats->held_dropped++;
    return false;
}

// Ends a connection that does not read: libzmq lets go of what waits for it. The peer comes back by
// itself, and learns by the welcome and by `prev` what it lost.
static void
cut(egress_t *self, int fd, uint64_t now_ms)
{
    shutdown(fd, SHUT_RDWR);
    egress_forget(self, fd); // it is on its way out
    self->stats->connections_clogged++;
    if (self->cut_logged == 0 || now_ms - self->cut_logged >= CUT_LOG_EVERY_MS) {
        self->cut_logged = now_ms;
        log_warning("connection_clogged",
                    "why=\"it does not read\" held_bytes=%llu cut=%llu",
                    (unsigned long long) held_bytes(self->held),
                    (unsigned long long) self->stats->connections_clogged);
    }
}

void
egress_look(egress_t *self)
{
    uint64_t now_ms = clock_boot_ms();
    bool is_pressing = self->no_room_ms != 0 && now_ms - self->no_room_ms < PRESSING_MS;
    for (int fd = 0; fd < CLOG_FDS_MAX; fd++) {
        if (hearing_count(self->hearing, fd) > 0 &&
            clog_look(self->clog, fd, is_pressing, now_ms)) {
            cut(self, fd, now_ms);
        }
    }
}

void
egress_look_away(egress_t *self)
{
    for (int fd = 0; fd < CLOG_FDS_MAX; fd++) {
        if (hearing_count(self->hearing, fd) > 0) {
            clog_rest(self->clog, fd);
        }
    }
}

// --- Messages out -------------------------------------------------------------------------------

static void
send_frame(void *socket, zmq_msg_t *frame, int flags)
{
    while (zmq_msg_send(frame, socket, flags | ZMQ_DONTWAIT) < 0) {
        // An XPUB drops for whoever is full and never says EAGAIN.
        assert(zmq_errno() == EINTR);
    }
}

static size_t
size_of(const zmq_msg_t *topic, const zmq_msg_t *header, const zmq_msg_t *body)
{
    return zmq_msg_size(topic) + zmq_msg_size(header) + zmq_msg_size(body);
}

static void
send_message(
    egress_t *self, topic_class_t class_, zmq_msg_t *topic, zmq_msg_t *header, zmq_msg_t *body)
{
    stats_add(&self->stats->out[class_], size_of(topic, header, body));
    send_frame(self->socket, topic, ZMQ_SNDMORE);
    send_frame(self->socket, header, ZMQ_SNDMORE);
    send_frame(self->socket, body, 0);
}

void
egress_publish(
    egress_t *self, topic_class_t class_, zmq_msg_t *topic, zmq_msg_t *header, zmq_msg_t *body)
{
    size_t size = size_of(topic, header, body);
    if (!egress_has_room(self, size)) {
        zmq_msg_close(topic);
        zmq_msg_close(header);
        zmq_msg_close(body);
        return;
    }
    held_charge(self->held, body, size);
    send_message(self, class_, topic, header, body);
}

bool
egress_answer(egress_t *self, bus_view_t inbox, zmq_msg_t *header, zmq_msg_t *body)
{
    size_t size = inbox.size + zmq_msg_size(header) + zmq_msg_size(body);
    if (!egress_has_room(self, size)) {
        zmq_msg_close(header);
        zmq_msg_close(body);
        return true;
    }
    held_charge(self->held, body, size);
    return egress_pass(self, inbox, header, body);
}

bool
egress_pass(egress_t *self, bus_view_t inbox, zmq_msg_t *header, zmq_msg_t *body)
{
    int place = inbox_find(self->inboxes, inbox);
    if (place == INBOX_NONE) {
        self->stats->orphans++;
        zmq_msg_close(header);
        zmq_msg_close(body);
        return false;
    }
    zmq_msg_t topic;
    zmq_msg_init(&topic);
    zmq_msg_copy(&topic, &self->names[place]); // shares the bytes
    send_message(self, TOPIC_INBOX, &topic, header, body);
    return true;
}

bool
egress_is_live(const egress_t *self, bus_view_t inbox)
{
    return inbox_find(self->inboxes, inbox) != INBOX_NONE;
}

uint32_t
egress_inboxes(const egress_t *self)
{
    return inbox_count(self->inboxes);
}
