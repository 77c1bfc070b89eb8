// link.h - one HTTP connection, and how long its client may take.
//
// libmicrohttpd's own timeout counts idleness, so four bytes a second live for ever; here a request
// has its time from its first byte to its last, and an answer has its time to be read. What is late
// is told so (408) where nothing was answered yet, and cut. Owner: the port's list.
#pragma once
#include "server.h"

typedef enum {
    BRIDGE_LINK_IDLE,      // between requests, or before the first
    BRIDGE_LINK_RECEIVING, // a request is arriving
    BRIDGE_LINK_WORKING,   // it is here, and being answered
    BRIDGE_LINK_SENDING,   // its answer is being sent
    BRIDGE_LINK_STREAMING, // its answer has no end
    BRIDGE_LINK_CUT        // told to go
} bridge_link_state_t;

enum {
    BRIDGE_LINK_SEND_MS = 60000,  // for a client to read an answer
    BRIDGE_LINK_LINGER_MS = 2000, // for a client to read a refusal while it is still sending
    BRIDGE_LINK_ADDRESS_SIZE = 64
};

struct bridge_link {
    bridge_link_t *next, *prev; // in the port's list
    bridge_port_t *port;
    struct MHD_Connection *http;
    int fd; // libmicrohttpd's
    bridge_link_state_t state;
    uint64_t deadline_us; // of RECEIVING, SENDING and CUT
    uint64_t seen_bytes; // received by the kernel when it was last IDLE; UINT64_MAX: not looked yet
    char address[BRIDGE_LINK_ADDRESS_SIZE]; // the peer's, without its port
};

bridge_link_t *bridge_link_new(bridge_port_t *port, struct MHD_Connection *http);
void bridge_link_destroy(bridge_link_t **self_p);

void bridge_link_enter(bridge_link_t *self, bridge_link_state_t state);

// Answers past libmicrohttpd, straight on the socket, and says that nothing more comes. The caller
// goes on swallowing what the client sends, for BRIDGE_LINK_LINGER_MS: closing at once would reset
// the connection, and the client would lose the answer. `status` 0: the error's own.
void bridge_link_refuse(bridge_link_t *self, bus_err_t err, int status, const char *why);

// Looks at every connection of the port: call a few times a second.
void bridge_link_sweep(bridge_port_t *port, uint64_t now_us);
