// stream.h - one server-sent event stream: GET /events/stream.
//
// A bounded queue of text between the bus and a client. Journaled messages are read only while
// there is room, so a slow client is late, never short; live ones that find no room are counted,
// and the client is told how many.
#pragma once
#include "hub.h"

enum {
    BRIDGE_STREAM_EVENTS_MAX = 1000,          // waiting for the client
    BRIDGE_STREAM_BYTES_MAX = 1024 * 1024,    // the same; one event may pass it
    BRIDGE_STREAM_ROOM_BYTES = 256 * 1024,    // below this it reads on
    BRIDGE_STREAM_PAGE_RECORDS = 200,         // of one fetch
    BRIDGE_STREAM_HEARTBEAT_US = 15 * 1000000 // a comment, so that nobody takes it for dead
};

struct bridge_stream {
    bridge_stream_t *next, *prev; // in the hub
    bridge_hub_t *hub;
};

const char *bridge_stream_pattern(const bridge_stream_t *self);
// Whose it is; "" where nobody need say.
const char *bridge_stream_role(const bridge_stream_t *self);
// The journal has grown, or the ears are there: reads on.
void bridge_stream_wake(bridge_stream_t *self);
// A live message that fits its pattern.
void bridge_stream_hear(bridge_stream_t *self, const client_heard_t *heard);
void bridge_stream_sweep(bridge_stream_t *self, uint64_t now_us);
// The answer ends where the client is.
void bridge_stream_end(bridge_stream_t *self);
