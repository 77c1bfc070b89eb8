// hub.h - what all live streams share: ears on the bus of their own, and where the journal ends.
//
// The ears are a second client that exists while a stream does: subscriptions end with it. It hears
// what is only live, and a parked fetch of it says when the journal has grown; what is journaled
// each stream then reads from the journal itself, so nothing is lost or doubled however slow its
// client. Owner: the loop's thread.
#pragma once
#include "server.h"

enum {
    BRIDGE_HUB_STREAMS_MAX = 100,
    BRIDGE_HUB_STREAMS_IDENTITY = 20, // of them of one identity: it cannot have them all
    BRIDGE_HUB_PATTERNS_MAX = 256     // different ones while the ears exist
};

typedef struct bridge_stream bridge_stream_t;

bridge_hub_t *bridge_hub_new(bridge_t *bridge);
void bridge_hub_destroy(bridge_hub_t **self_p);

// Adds a stream, and makes the ears where it is the first. BUS_BUSY: too many.
BUS_CHECK bus_err_t bridge_hub_join(bridge_hub_t *self, bridge_stream_t *stream);
// Whether this identity has as many streams as it may.
bool bridge_hub_is_used_up(const bridge_hub_t *self, const char *role);
void bridge_hub_leave(bridge_hub_t *self, bridge_stream_t *stream);
// The last seq of the journal as far as known, and whether it is known yet.
bool bridge_hub_head(const bridge_hub_t *self, uint64_t *ret_head);
// A stream read further than the hub knew.
void bridge_hub_note_head(bridge_hub_t *self, uint64_t head);
// A few times a second: heartbeats, and the ears' end.
void bridge_hub_sweep(bridge_hub_t *self, uint64_t now_us);
// Ends every stream.
void bridge_hub_end(bridge_hub_t *self);
