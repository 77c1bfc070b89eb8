// trace_recent.h - the requests that this bridge answered lately, by their trace.
//
// A ring in memory: requests are not journaled (what they change is), so this is a help to whoever
// looks at a trace soon, and gone with the process. Read requests that ask nobody are not in it.
// Owner: the bridge's loop.
#pragma once
#include "identity.h"
#include "proto/pack.h"
#include "runtime/client.h"
#include "server.h"
#include "trace.h"

enum {
    BRIDGE_TRACE_RECENT_MAX = 16384, // some 5 MiB once they are all used: a second under full load
    BRIDGE_TRACE_RECENT_PATH_SIZE = 120,
    BRIDGE_TRACE_RECENT_SHOWN_MAX = 500, // of one trace: the latest
};

bridge_trace_recent_t *bridge_trace_recent_new(void);
void bridge_trace_recent_destroy(bridge_trace_recent_t **self_p);

// Keeps the request, which was just answered.
void bridge_trace_recent_note(bridge_trace_recent_t *self, const bridge_request_t *request);

// Packs {since, requests: [{method, path, port, status, at, duration_us, seq?}…]} of the trace,
// oldest first; times in microseconds; `since` is that of the oldest request that is kept of any
// trace, or when it began to keep them. `identity`: only its own, where it is limited; NULL: all.
void bridge_trace_recent_pack(const bridge_trace_recent_t *self,
                              bus_view_t trace_id,
                              const bridge_identity_t *identity,
                              pack_t *out);

// Answers req.bridge.requests {trace_id}, and refuses what else is asked of a bridge. `arg` is the
// bridge_t. A client_heard_fn.
void bridge_trace_recent_on_request(void *arg, const client_heard_t *heard);
