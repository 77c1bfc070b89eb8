// trace_recent.c - a ring of requests. Looking for a trace compares a hash in each: some ten
// microseconds for all.
#include "trace_recent.h"
#include "proto/schema.h"
#include "request.h"
#include "runtime/clock.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct {
    uint64_t hash; // of the trace_id
    uint64_t at;   // when it came, microseconds by the journal's clock where that is known
    uint64_t duration_us;
    uint64_t seq; // where it was journaled; 0: not
    int status;
    bridge_method_t method;
    bridge_port_id_t port;
    char role[TOKEN_ROLE_SIZE_MAX + 1]; // whose it was, where that is known
    unsigned products;                  // that its token was for
    char trace_id[BRIDGE_TRACE_TEXT_SIZE];
    char path[BRIDGE_TRACE_RECENT_PATH_SIZE]; // cut there, without the query
} entry_t;

struct bridge_trace_recent {
    uint64_t began_at; // wall clock, microseconds
    uint64_t count;    // ever noted: the next one's place is count % BRIDGE_TRACE_RECENT_MAX
    entry_t entries[BRIDGE_TRACE_RECENT_MAX];
};

bridge_trace_recent_t *
bridge_trace_recent_new(void)
{
    bridge_trace_recent_t *self = calloc(1, sizeof(*self)); // pages that are not used cost nothing
    assert(self != NULL);
    self->began_at = clock_wall_us();
    return self;
}

void
bridge_trace_recent_destroy(bridge_trace_recent_t **self_p)
{
    free(*self_p);
    *self_p = NULL;
}

// FNV-1a.
static uint64_t
hash_of(bus_view_t text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < text.size; i++) {
        hash = (hash ^ (uint8_t) text.data[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

// What polls, and what shows what others did, would only push the rest out.
static bool
is_of_interest(const bridge_request_t *request)
{
    const bridge_route_t *route = request->route;
    if (route == NULL || request->is_stream) {
        return false;
    }
    return route->method != BRIDGE_GET || (route->topic[0] != '\0' && route->topic[0] != '$');
}

void
bridge_trace_recent_note(bridge_trace_recent_t *self, const bridge_request_t *request)
{
    if (!is_of_interest(request) || request->trace_id[0] == '\0') {
        return;
    }
    bus_view_t path = request->path.path;
    uint64_t duration_us = clock_boot_us() - request->started_us;
    entry_t *entry = &self->entries[self->count++ % BRIDGE_TRACE_RECENT_MAX];
    entry->hash = hash_of(view_from_text(request->trace_id));
    entry->at = request->bridge->knows_ahead
                    ? request->started_us + (uint64_t) request->bridge->ahead_us
                    : clock_wall_us() - duration_us;
    entry->duration_us = duration_us;
    entry->seq = request->seq;
    entry->status = request->status;
    entry->method = request->route->method;
    entry->port = request->port->id;
    entry->products = request->identity.products;
    (void) snprintf(entry->role, sizeof(entry->role), "%s", request->identity.role);
    (void) snprintf(entry->trace_id, sizeof(entry->trace_id), "%s", request->trace_id);
    (void) snprintf(entry->path, sizeof(entry->path), "%.*s", (int) path.size, path.data);
}

static void
pack_entry(const entry_t *entry, pack_t *out)
{
    pack_map(out, entry->seq > 0 ? 7 : 6);
    pack_pair_text(out, "method", bridge_route_method_text(entry->method));
    pack_pair_text(out, "path", entry->path);
    pack_pair_text(out, "port", bridge_server_port_name(entry->port));
    pack_pair_int(out, "status", entry->status);
    pack_pair_uint(out, "at", entry->at);
    pack_pair_uint(out, "duration_us", entry->duration_us);
    if (entry->seq > 0) {
        pack_pair_uint(out, "seq", entry->seq);
    }
}

void
bridge_trace_recent_pack(const bridge_trace_recent_t *self,
                         bus_view_t trace_id,
                         const bridge_identity_t *identity,
                         pack_t *out)
{
    uint64_t kept = self->count < BRIDGE_TRACE_RECENT_MAX ? self->count : BRIDGE_TRACE_RECENT_MAX;
    uint64_t oldest = self->count - kept;
    bool is_full = kept == BRIDGE_TRACE_RECENT_MAX;
    uint64_t hash = hash_of(trace_id);
    uint64_t found[BRIDGE_TRACE_RECENT_SHOWN_MAX];
    uint32_t count = 0;
    for (uint64_t i = self->count; i > oldest && count < BRIDGE_TRACE_RECENT_SHOWN_MAX; i--) {
        const entry_t *entry = &self->entries[(i - 1) % BRIDGE_TRACE_RECENT_MAX];
        bool is_own = identity != NULL && strcmp(entry->role, identity->role) == 0 &&
                      (entry->products & ~identity->products) == 0; // a path may name a product's
        bool is_shown = identity == NULL || !bridge_identity_is_limited(identity) || is_own;
        if (is_shown && entry->hash == hash &&
            view_equal(view_from_text(entry->trace_id), trace_id)) {
            found[count++] = (i - 1) % BRIDGE_TRACE_RECENT_MAX;
        }
    }
    pack_map(out, 2);
    pack_pair_uint(out,
                   "since",
                   is_full ? self->entries[oldest % BRIDGE_TRACE_RECENT_MAX].at : self->began_at);
    pack_text(out, "requests");
    pack_array(out, count);
    for (uint32_t i = count; i > 0; i--) {
        pack_entry(&self->entries[found[i - 1]], out);
    }
}

void
bridge_trace_recent_on_request(void *arg, const client_heard_t *heard)
{
    bridge_t *bridge = arg;
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    schema_trace_query_t asked = {.trace_id = VIEW_NONE};
    schema_problems_t problems;
    bus_err_t err = BUS_NOT_FOUND;
    if (view_is(heard->header.topic, "req.bridge.requests")) {
        err = schema_decode(&SCHEMA_trace_query, heard->body, &asked, &problems);
    }
    if (err == BUS_OK) {
        bridge_trace_recent_pack(bridge->recent, asked.trace_id, NULL, body);
    } else {
        schema_pack_error(body, err, NULL, VIEW_NONE, 0);
    }
    client_reply(bridge->client, &heard->header, err, pack_view(body));
}
