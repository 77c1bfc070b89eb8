// broker.h - the broker: one PULL, one XPUB, a journal. See docs/protocol.md.
#pragma once
#include <stdbool.h>
#include <stdint.h>

typedef struct {
    const char *dir;        // the system's folder: ipc sockets bus.in and bus.out, store in broker/
    const char *tcp_bind;   // address for tcp, "127.0.0.1"; NULL or "": no tcp
    uint64_t tcp_in;        // port of the PULL, 0: none
    uint64_t tcp_out;       // port of the XPUB, 0: none
    uint64_t journal_bytes; // the most that the journal may hold; 0: 256 GiB
    uint64_t retention_bytes; // 0: keeps everything
    uint64_t retention_ms;    // 0: keeps everything
    bool is_secure;           // CURVE on tcp, by <dir>/certs; rules by <dir>/access.zpl
    uint64_t pending_bytes;   // journaled messages pending before BUSY; 0: 64 MiB
} broker_options_t;

// Runs the broker until SIGTERM or SIGINT. Prints `ready <ingress endpoint>` when peers can
// connect. Returns the process's exit status: 0; 70 the gate's keeper let a stranger in, or has
// gone; 74 I/O; 75 address in use or journal locked; 78 configuration, certificates or rules.
int broker_run(const broker_options_t *options);
