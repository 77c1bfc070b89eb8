// record.c - reading a stored record without decoding it: the store has checked its checksum, so it
// is what we wrote, and what we wrote is asserted.
#include "record.h"
#include "proto/header.h"
#include "proto/walk.h"
#include <assert.h>
#include <xxhash.h>

enum { TRACE_NONE = 1, TRACE_FIRST = 2 }; // of what stands for trace ids

_Static_assert(sizeof(record_trailer_t) == RECORD_TRAILER_SIZE, "the trailer has no padding");

bus_view_t
record_message(bus_view_t value)
{
    assert(value.size > RECORD_TRAILER_SIZE);
    return view_from(value.data, value.size - RECORD_TRAILER_SIZE);
}

void
record_trailer(bus_view_t value, record_trailer_t *ret_trailer)
{
    assert(value.size > RECORD_TRAILER_SIZE);
    memcpy(ret_trailer, value.data + value.size - RECORD_TRAILER_SIZE, RECORD_TRAILER_SIZE);
}

bus_view_t
record_topic(bus_view_t value)
{
    const uint8_t *bytes = (const uint8_t *) value.data;
    assert(value.size > RECORD_TRAILER_SIZE + 2 && bytes[0] == 0x93);
    // A fixstr up to 31 bytes, else a str8: a topic has 255 at most.
    size_t head = bytes[1] == 0xd9 ? 3 : 2;
    size_t size = bytes[1] == 0xd9 ? bytes[2] : bytes[1] & 0x1f;
    assert(head + size < value.size);
    return view_from(bytes + head, size);
}

// The header's bytes.
static bus_view_t
header_of(bus_view_t value)
{
    bus_view_t topic = record_topic(value);
    bus_view_t message = record_message(value);
    const char *header = topic.data + topic.size;
    walk_t walk = walk_from(view_from(header, (size_t) (message.data + message.size - header)));
    bus_view_t bytes;
    bus_err_t err = walk_skip(&walk, &bytes);
    assert(err == BUS_OK);
    return bytes;
}

uint64_t
record_at(bus_view_t value)
{
    bus_view_t header = header_of(value);
    const uint8_t *at = (const uint8_t *) header.data + header.size - HEADER_AT_BACK;
    assert(at[0] == 0xcf);
    uint64_t time = 0;
    for (int i = 1; i <= 8; i++) {
        time = time << 8 | at[i];
    }
    return time;
}

bus_view_t
record_trace_id(bus_view_t value)
{
    bus_view_t text;
    bus_view_t trace_id;
    bus_err_t err = walk_find(header_of(value), "trace_id", &text);
    return err == BUS_OK && walk_as_str(text, &trace_id) == BUS_OK ? trace_id : VIEW_NONE;
}

uint32_t
record_trace_hash(bus_view_t trace_id)
{
    if (trace_id.size == 0) {
        return TRACE_NONE;
    }
    uint32_t hash = (uint32_t) XXH3_64bits(trace_id.data, trace_id.size);
    return hash < TRACE_FIRST ? hash + TRACE_FIRST : hash;
}
