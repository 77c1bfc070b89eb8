// bridge.h - the HTTP bridge: routes as table rows, JSON in, msgpack on the bus, JSON out.
#pragma once
#include "runtime/cert.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct {
    const char *dir;     // the system's folder: owner.token is read from here
    const cert_t *cert;  // who we are on tcp, see client.h; NULL: plain
    const char *ingress; // the broker's endpoints
    const char *egress;
    const char *http_bind; // address to listen on, "127.0.0.1"
    uint64_t karma_port;   // 0: that port is off
    uint64_t bucket_port;
    uint64_t core_port;
    uint64_t workflow_port;
    uint64_t console_port;
    bool karma_test_helpers; // POST /v1/test/… and effective_at
    bool allow_anonymous;    // may listen beyond loopback without credentials
    bool secure;             // asks for tokens: those of <dir>/tokens, unless `tokens` is set
    const char *tokens;      // asks for tokens: those of this file; NULL: as `secure` has it
    const char *tls_cert;    // PEM files; both or neither
    const char *tls_key;
    uint64_t address_connections; // from one address, a port; 0: as server.h has it
    bool dev;                     // no rate limits
    uint64_t request_timeout_ms;  // until a request's last byte is here; 0: 10,000
} bridge_options_t;

// Runs the bridge until SIGTERM or SIGINT. Prints `ready http://<address>:<port>` (https where it
// speaks TLS; the console's, or the first that is on) when it listens and has found the broker, or
// after a second without one: the bus may come later. Returns the process's exit status: 0; 75
// address in use; 78 where it would serve anonymously beyond loopback, or tokens, certificate or
// key cannot be used.
int bridge_run(const bridge_options_t *options);
