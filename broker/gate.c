// gate.c - socket options, binding, and the count of connections.
#include "gate.h"
#include "runtime/clock.h"
#include "runtime/hangup.h"
#include "runtime/log.h"
#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <zmq.h>

enum {
    BACKLOG = 1024,      // connections that the kernel holds for us
    LINGER_MS = 500,     // so that the last acks leave
    HANDSHAKE_MS = 5000, // a connection that says nothing
    // Pings, so that a silent peer is noticed. Without a TTL: a subscriber that is slow to read
    // would give its connection up by it, and libzmq then ends that process (docs/adr/0018).
    HEARTBEAT_MS = 2000,
    HEARTBEAT_TIMEOUT_MS = 10000,
    MONITOR_HWM = 65536,         // events that may wait: the I/O thread blocks on a full monitor
    REFUSED_LOG_EVERY_MS = 1000, // one line for all that were refused meanwhile
    // By ZAP; for want of CURVE; or the peer saw that it has none, and went first.
    HANDSHAKE_FAILED = ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                       ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL,
    CROWD_MIN = 256, // so many connections are worth giving their memory back after them
    TRIMS = 6        // times, after 1, 2, 4, … ticks: libzmq is not done with them at once
};

typedef struct {
    void *socket;         // NULL: not open
    void *monitor;        // PAIR on which its events arrive
    uint64_t connections; // accepted and not closed
    bool *is_open;        // GATE_FDS_MAX of them, by descriptor
} door_t;

struct gate {
    void *context;                     // borrowed
    stats_t *stats;                    // borrowed
    const gate_endpoints_t *endpoints; // borrowed
    zap_t *zap;                        // borrowed; NULL: an open bus
    gate_closed_fn *closed_fn;         // told of each end
    void *closed_arg;
    door_t doors[2];
    uint64_t limit;          // connections; one more is ended at once
    uint64_t refused_logged; // boot ms of the last line about those; 0: none yet
    uint64_t crowd;          // most connections since memory was given back last
    uint64_t ticked;         // connections at the last tick
    unsigned trims;          // times that memory is still to be given back
    unsigned trim_in;        // ticks until the next of these
};

// Half of the descriptors: the other half is for everything else, and for those that libzmq accepts
// between two looks at the monitors.
static uint64_t
connection_limit(void)
{
    struct rlimit limit = {.rlim_cur = 1024, .rlim_max = 1024};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        struct rlimit raised = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0) {
            limit = raised;
        }
    }
    uint64_t half = limit.rlim_cur / 2;
    return half < GATE_CONNECTIONS_MAX ? half : GATE_CONNECTIONS_MAX;
}

gate_t *
gate_new(const gate_options_t *options)
{
    hangup_defer();
    gate_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    self->context = options->context;
    self->endpoints = options->endpoints;
    self->stats = options->stats;
    self->zap = options->zap;
    self->closed_fn = options->closed_fn;
    self->closed_arg = options->closed_arg;
    self->limit = connection_limit();
    for (int i = 0; i < 2; i++) {
        self->doors[i].is_open = calloc(GATE_FDS_MAX, sizeof(self->doors[i].is_open[0]));
        assert(self->doors[i].is_open != NULL);
    }
    return self;
}

static void
close_door(door_t *door)
{
    if (door->socket != NULL) {
        zmq_socket_monitor(door->socket, NULL, 0);
        zmq_close(door->socket);
        zmq_close(door->monitor);
        door->socket = NULL;
        door->monitor = NULL;
        door->connections = 0;
    }
}

void
gate_destroy(gate_t **self_p)
{
    gate_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    close_door(&self->doors[GATE_IN]);
    close_door(&self->doors[GATE_OUT]);
    free(self->doors[GATE_IN].is_open);
    free(self->doors[GATE_OUT].is_open);
    free(self);
    *self_p = NULL;
}

static void
set_option(void *socket, int option, int value)
{
    int rc = zmq_setsockopt(socket, option, &value, sizeof(value));
    assert(rc == 0);
}

static void
set_options(void *socket, gate_door_t which)
{
    const bool is_in = which == GATE_IN;
    int64_t size_max = is_in ? GATE_FRAME_SIZE_MAX : GATE_SUBSCRIPTION_SIZE_MAX;
    int rc = zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &size_max, sizeof(size_max));
    assert(rc == 0);
    set_option(socket, ZMQ_RCVHWM, GATE_IN_HWM);
    set_option(socket, ZMQ_SNDHWM, GATE_HWM);
    set_option(socket, ZMQ_LINGER, LINGER_MS);
    set_option(socket, ZMQ_BACKLOG, BACKLOG);
    set_option(socket, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS);
    set_option(socket, ZMQ_HEARTBEAT_IVL, HEARTBEAT_MS);
    set_option(socket, ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS);
    set_option(socket, ZMQ_TCP_KEEPALIVE, 1);
    if (!is_in) {
        set_option(socket, ZMQ_XPUB_MANUAL, 1);
    }
}

static void
watch(gate_t *self, gate_door_t which)
{
    door_t *door = &self->doors[which];
    char address[64];
    snprintf(address, sizeof(address), "inproc://broker.monitor.%d", which);
    int events = ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_ACCEPT_FAILED | ZMQ_EVENT_DISCONNECTED;
    if (self->zap != NULL) {
        events |= HANDSHAKE_FAILED;
    }
    int rc = zmq_socket_monitor(door->socket, address, events);
    assert(rc == 0);
    door->monitor = zmq_socket(self->context, ZMQ_PAIR);
    assert(door->monitor != NULL);
    set_option(door->monitor, ZMQ_RCVHWM, MONITOR_HWM);
    set_option(door->monitor, ZMQ_LINGER, 0);
    rc = zmq_connect(door->monitor, address);
    assert(rc == 0);
}

static bus_err_t
bind_endpoint(void *socket, const char *endpoint, gate_problem_t *reterr_problem)
{
    if (endpoint[0] == '\0' || zmq_bind(socket, endpoint) == 0) {
        return BUS_OK;
    }
    int cause = zmq_errno();
    *reterr_problem = (gate_problem_t){.where = endpoint, .why = zmq_strerror(cause)};
    return cause == EADDRINUSE ? BUS_CONFLICT : BUS_IO;
}

bus_err_t
gate_open(gate_t *self, gate_door_t which, gate_problem_t *reterr_problem)
{
    door_t *door = &self->doors[which];
    door->socket = zmq_socket(self->context, which == GATE_IN ? ZMQ_PULL : ZMQ_XPUB);
    assert(door->socket != NULL);
    set_options(door->socket, which);
    watch(self, which);
    bus_err_t err = bind_endpoint(door->socket, self->endpoints->ipc[which], reterr_problem);
    if (self->zap != NULL) {
        zap_protect(self->zap, door->socket); // ipc is bound, and stays as it is
    }
    if (err == BUS_OK) {
        err = bind_endpoint(door->socket, self->endpoints->tcp[which], reterr_problem);
    }
    return err;
}

void *
gate_socket(const gate_t *self, gate_door_t which)
{
    return self->doors[which].socket;
}

void *
gate_monitor(const gate_t *self, gate_door_t which)
{
    return self->doors[which].monitor;
}

// Ends a connection that is one too many. Its descriptor stays libzmq's, which sees the end and
// closes it.
static void
refuse(gate_t *self, int fd)
{
    shutdown(fd, SHUT_RDWR);
    self->stats->connections_refused++;
    uint64_t now_ms = clock_boot_ms();
    if (self->refused_logged == 0 || now_ms - self->refused_logged >= REFUSED_LOG_EVERY_MS) {
        self->refused_logged = now_ms;
        log_warning("connections_refused",
                    "open=%llu limit=%llu refused=%llu",
                    (unsigned long long) gate_connections(self),
                    (unsigned long long) self->limit,
                    (unsigned long long) self->stats->connections_refused);
    }
}

static void
mark(door_t *door, uint32_t fd, bool is_open)
{
    if (fd < GATE_FDS_MAX) {
        door->is_open[fd] = is_open;
    }
}

// One event: a frame of {u16 event, u32 value}, then the address. False where there is none.
static bool
read_event(gate_t *self, door_t *door)
{
    uint8_t bytes[6];
    if (zmq_recv(door->monitor, bytes, sizeof(bytes), ZMQ_DONTWAIT) < 0) {
        return false;
    }
    uint8_t address[1];
    zmq_recv(door->monitor, address, sizeof(address), ZMQ_DONTWAIT);
    uint16_t event;
    uint32_t value; // the descriptor
    memcpy(&event, bytes, sizeof(event));
    memcpy(&value, bytes + sizeof(event), sizeof(value));
    if (event == ZMQ_EVENT_ACCEPTED) {
        door->connections++;
        mark(door, value, true);
        self->stats->connections_accepted++;
        uint64_t now = gate_connections(self);
        self->crowd = now > self->crowd ? now : self->crowd;
        if (now > self->limit) {
            refuse(self, (int) value);
        }
    } else if (event == ZMQ_EVENT_DISCONNECTED && door->connections > 0) {
        door->connections--;
        mark(door, value, false);
        self->stats->connections_closed++;
        self->closed_fn(self->closed_arg, (gate_door_t) (door - self->doors), (int) value);
    } else if ((event & HANDSHAKE_FAILED) != 0) {
        self->stats->handshakes_refused++;
        if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH && self->zap != NULL) {
            zap_heard(self->zap);
        }
    }
    return true;
}

void
gate_read(gate_t *self)
{
    for (int i = 0; i < 2; i++) {
        door_t *door = &self->doors[i];
        while (door->monitor != NULL && read_event(self, door)) {
        }
    }
}

bool
gate_is_open(const gate_t *self, gate_door_t door, int fd)
{
    return fd >= 0 && fd < GATE_FDS_MAX && self->doors[door].is_open[fd];
}

// libzmq's buffers of a connection are small and lie between others: malloc keeps them, some 60 KiB
// each, until it is told that the crowd has gone.
void
gate_tick(gate_t *self)
{
    gate_read(self);
    uint64_t now = gate_connections(self);
    bool is_calm = now == self->ticked;
    if (is_calm && self->crowd >= CROWD_MIN && now < self->crowd / 4) {
        self->crowd = now;
        self->trims = TRIMS;
        self->trim_in = 1;
    }
    if (self->trims > 0 && --self->trim_in == 0) {
        (void) malloc_trim(0);
        self->trims--;
        self->trim_in = 1U << (TRIMS - self->trims);
    }
    self->ticked = now;
}

uint64_t
gate_connections(const gate_t *self)
{
    return self->doors[GATE_IN].connections + self->doors[GATE_OUT].connections;
}

const char *
gate_endpoint(const gate_t *self, gate_door_t which)
{
    return self->endpoints->ipc[which][0] != '\0' ? self->endpoints->ipc[which]
                                                  : self->endpoints->tcp[which];
}
