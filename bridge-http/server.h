// server.h - the bridge's inside: the process, its five ports and what its files share.
//
// One thread, one loop. libmicrohttpd runs in that loop: each port's epoll descriptor is one of its
// descriptors. A request that asks the bus suspends its connection, and the bus's answer resumes
// it.
#pragma once
#include "bridge.h"
#include "limit.h"
#include "runtime/client.h"
#include "runtime/loop.h"
#include "tls.h"
#include <microhttpd.h>

typedef struct bridge bridge_t;
typedef struct bridge_port bridge_port_t;
typedef struct bridge_request bridge_request_t;
typedef struct bridge_link bridge_link_t;
typedef struct bridge_metrics bridge_metrics_t;
typedef struct bridge_health bridge_health_t;
typedef struct bridge_journal bridge_journal_t;
typedef struct bridge_hub bridge_hub_t;
typedef struct bridge_probe bridge_probe_t;
typedef struct bridge_core_wait bridge_core_wait_t;
typedef struct bridge_trace_recent bridge_trace_recent_t;
typedef struct bridge_tokens bridge_tokens_t;
typedef struct bridge_denials bridge_denials_t;

typedef enum {
    BRIDGE_KARMA,
    BRIDGE_BUCKET,
    BRIDGE_CORE,
    BRIDGE_WORKFLOW,
    BRIDGE_CONSOLE,
    BRIDGE_PORT_COUNT
} bridge_port_id_t;

enum {
    BRIDGE_HELD_BYTES_MAX = 512 * 1024 * 1024, // bodies and answers of all connections together
    BRIDGE_HELD_BYTES_SMALL = 64 * 1024,       // an answer of at most this is always given
    BRIDGE_CONNECTIONS_MAX = 1000,             // a port
    BRIDGE_CONNECTIONS_ADDRESS = 200, // of them from one address, where tokens are asked for
    BRIDGE_WAIT_MS = 5000,            // for the bus to answer (docs/contract.md section 1)
    BRIDGE_STOP_MS = 3000,            // what is being handled may take this long at the end
    BRIDGE_REQUEST_TIMEOUT_MS = 10000 // for a request to arrive
};

struct bridge_port {
    bridge_t *bridge;
    bridge_port_id_t id;
    struct MHD_Daemon *daemon; // NULL: this port is off
    bridge_link_t *links;      // its connections
    char *openapi;             // its document, made at start
    bool turn_is_due;          // a timer will run the daemon again at once
    bool is_quiet;             // takes no connections any more
};

struct bridge {
    const bridge_options_t *options;
    loop_t *loop;
    client_t *client;
    bridge_port_t ports[BRIDGE_PORT_COUNT];
    bridge_limit_t *limit;   // NULL: no rate limits
    bridge_tokens_t *tokens; // NULL: none are asked for
    bridge_denials_t *denials;
    bridge_tls_t tls; // of all ports
    bridge_metrics_t *metrics;
    bridge_health_t *health;
    bridge_journal_t *journal;
    bridge_hub_t *hub;
    bridge_probe_t *probe;
    bridge_trace_recent_t *recent;  // requests that were answered
    unsigned traces_shown;          // requests for a trace that are being answered
    bridge_core_wait_t *core_waits; // requests that wait for an agent of Core
    bridge_request_t *waiting;      // requests that wait for the broker to be there, newest first
    unsigned active;                // requests that were handed to a handler and are not answered
    uint64_t held_bytes;            // of bodies and answers, until each request's end
    uint64_t owner_signed_us; // signed_at of the owner's last command: the next one's is later
    bool knows_ahead;         // an ack told ahead_us
    int64_t ahead_us;         // the journal's time is the boot clock and so much
    bool is_stopping;
    uint64_t stop_us; // when to stop whatever is still going on
    uint64_t started_us;
    uint64_t request_timeout_us;
    uint64_t ready_port; // that the ready line names
    bool said_ready;
};

// Whether the bus can be asked now. False while stopping, too: libmicrohttpd still hands over what
// arrives on open connections then, and the client may be gone already.
bool bridge_is_connected(const bridge_t *self);

// "karma", "bucket", "core", "workflow", "console".
const char *bridge_server_port_name(bridge_port_id_t id);

// Listens on `port_number` of options->http_bind. Returns 0, or the process's exit status after
// having said why.
int bridge_server_listen(bridge_port_t *port, uint64_t port_number);
// Lets the daemon do what it can now, and comes back while it has more to do.
void bridge_server_turn(bridge_port_t *port);
// Lets it do so soon: a connection of it was resumed.
void bridge_server_kick(bridge_port_t *port);
// Takes no new connections.
void bridge_server_quiet(bridge_port_t *port);
// Ends every connection. No request waits any more: all were answered or given up.
void bridge_server_close(bridge_port_t *port);
