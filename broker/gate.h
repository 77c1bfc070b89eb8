// gate.h - the listening ends of the two sockets, and how many connections may come in.
//
// Owner: the router; its thread. Makes sockets with every option that libzmq leaves open by
// default, binds them, and counts connections by their monitors. libzmq 4.3.4 aborts the process
// when accept on an ipc socket finds no free descriptor, and spins on tcp: so both are unbound well
// before that and bound again when connections have gone. Who comes meanwhile is refused by the
// kernel and tries again.
#pragma once
#include "proto/auto.h"
#include "proto/error.h"
#include "stats.h"
#include "zap.h"
#include <stdbool.h>
#include <stdint.h>

enum {
    GATE_CONNECTIONS_MAX = 32768, // three a peer, for PEERS_MAX of them, and more
    GATE_HWM = 16384, // messages queued to a peer, see held.h for their bytes: at 1 KiB each some
                      // 20 MiB for one that stopped
    // Messages read ahead from a peer, which waits meanwhile. They may be of 4 MiB each, and libzmq
    // has no bound in bytes: a connection that sends nothing else, of msgpack that is slow to
    // check, is read ahead by 1 GiB. Fewer cost throughput of small ones. Subscriptions, too, which
    // libzmq keeps as it reads them, before they can be refused.
    GATE_IN_HWM = 256,
    GATE_FRAME_SIZE_MAX = 4 * 1024 * 1024 + 8192, // INBOX_BODY_SIZE_MAX and room to say it is over
    GATE_FDS_MAX = 65536,                         // descriptors that are told apart
    GATE_SUBSCRIPTION_SIZE_MAX = 1024,            // TOPIC_SIZE_MAX, and a handshake's metadata
};

typedef struct gate gate_t;

typedef enum { GATE_IN, GATE_OUT } gate_door_t;

// Where each socket is bound. Empty text: not there.
typedef struct {
    char ipc[2][256]; // by gate_door_t, "ipc://…"
    char tcp[2][256]; // "tcp://…"
} gate_endpoints_t;

// A connection ended: its descriptor may be another's from now on.
typedef void(gate_closed_fn)(void *arg, gate_door_t door, int fd);

typedef struct {
    void *context;                     // ZeroMQ's; borrowed
    const gate_endpoints_t *endpoints; // borrowed
    stats_t *stats;                    // borrowed
    zap_t *zap;                        // keeps tcp; borrowed; NULL: an open bus
    gate_closed_fn *closed_fn;
    void *closed_arg;
} gate_options_t;

// Raises the limit of descriptors as far as it goes.
gate_t *gate_new(const gate_options_t *options);
// Closes both sockets; what they still hold leaves within the linger (500 ms).
void gate_destroy(gate_t **self_p);

// Which address could not be bound, and why. Both outlive the gate: the one is of its places, the
// other libzmq's.
typedef struct {
    const char *where;
    const char *why;
} gate_problem_t;

// Makes and binds the socket of a door: a PULL, or an XPUB in manual mode. BUS_CONFLICT where an
// address is in use, BUS_IO for anything else.
BUS_CHECK bus_err_t gate_open(gate_t *self, gate_door_t door, gate_problem_t *reterr_problem);
void *gate_socket(const gate_t *self, gate_door_t door);
// The socket on which the door's connections are told: gate_read when it has something.
void *gate_monitor(const gate_t *self, gate_door_t door);

// Counts who came and went, and ends who is too many. To be called often: until then they are open.
void gate_read(gate_t *self);
// Whether the descriptor is a connection of that door, as far as gate_read has heard.
bool gate_is_open(const gate_t *self, gate_door_t door, int fd);
// Once a second: the same, and gives back the memory of a crowd that has gone.
void gate_tick(gate_t *self);
uint64_t gate_connections(const gate_t *self);
// The first endpoint of a door that is there, for people.
const char *gate_endpoint(const gate_t *self, gate_door_t door);
