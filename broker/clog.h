// clog.h - which connections do not read.
//
// Owner: the router's egress; its thread. Only asked while the broker holds too much for its peers
// (held.h), every CLOG_LOOK_MS. Looking is a few system calls and never blocks.
#pragma once
#include "proto/auto.h"
#include <stdbool.h>
#include <stdint.h>

enum {
    CLOG_FDS_MAX = 65536, // descriptors that can be looked at: more than GATE_CONNECTIONS_MAX
    CLOG_LOOK_MS = 50,
    CLOG_STALLED_MS = 1000, // full and nothing read for so long: it stopped
    CLOG_FULL_MS = 5000,    // reads, but is behind all the time, while others are refused for it
};

typedef struct clog clog_t;

clog_t *clog_new(void);
void clog_destroy(clog_t **self_p);

// Looks at the connection, at `now_ms` (boot clock). True where it has been full and unread for
// CLOG_STALLED_MS of looks, or, `is_pressing`, full for CLOG_FULL_MS. Looks that are far apart
// begin anew: nobody is judged by a time in which nobody looked.
bool clog_look(clog_t *self, int fd, bool is_pressing, uint64_t now_ms);
// No more looks at it for now: its queue gets the size back that it came with.
void clog_rest(clog_t *self, int fd);
// The descriptor is another's from now on.
void clog_forget(clog_t *self, int fd);
