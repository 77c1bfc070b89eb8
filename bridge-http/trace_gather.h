// trace_gather.h - asks everybody who knows something of a trace, at once, and makes the tree.
//
// First the journal, page by page, Bucket's events, Workflow's executions and the bridge's recent
// requests; then, of the seqs that are known by then, the audit log's places and what Karma made of
// them. Each question has BRIDGE_TRACE_GATHER_WAIT_MS; who is not there is said to be absent, and
// is no error. Owner: the loop's thread; for the bridge, and for `bhiv trace`.
#pragma once
#include "identity.h"
#include "runtime/client.h"
#include "runtime/loop.h"
#include "trace_tree.h"

enum { BRIDGE_TRACE_GATHER_WAIT_MS = 500 };

typedef struct bridge_trace_gather bridge_trace_gather_t;

// A page of the journal: records of the trace alone, from `from` on. Calls `fn` once, later.
typedef struct {
    const char *trace_id;
    uint64_t from;
    uint32_t max;
} bridge_trace_page_t;
typedef bus_err_t(bridge_trace_read_fn)(void *arg,
                                        const bridge_trace_page_t *page,
                                        client_page_fn *fn,
                                        void *fn_arg);

// Called once, with a whole msgpack map {trace_id, …of bridge_trace_tree_pack, journal {first,
// head, damaged: records passed by}, sources [{source, state: answered|absent|late|failed,
// error_code?, since?}…]}, and how many steps there are; with an absent view where the client was
// destroyed meanwhile. The last thing that a gathering does: it may be destroyed in it.
typedef void(bridge_trace_done_fn)(void *arg, bus_view_t tree, uint32_t count);

typedef struct {
    loop_t *loop;
    client_t *client;
    const char *trace_id; // copied: 1 to 128 bytes
    bridge_trace_read_fn *read;
    void (*cancel)(void *read_arg); // forgets the page that is being read
    void *read_arg;
    const bridge_identity_t *identity; // who is shown it: a part, where that is limited; NULL: all
    bus_view_t requests;               // what req.bridge.requests would answer; absent: it is asked
    bridge_trace_done_fn *done;
    void *arg;
} bridge_trace_gather_options_t;

bridge_trace_gather_t *bridge_trace_gather_new(const bridge_trace_gather_options_t *options);
// Asks; `done` may be called before it returns. Once.
void bridge_trace_gather_start(bridge_trace_gather_t *self);
// Where `done` was not called, it will not be.
void bridge_trace_gather_destroy(bridge_trace_gather_t **self_p);
