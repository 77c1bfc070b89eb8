// record.h - how a journaled message lies in the journal's store.
//
// A value is the exact msgpack that a fetch serves, [topic, header, body], then a trailer of
// RECORD_TRAILER_SIZE bytes by which a stream's records can be walked backwards. Pure functions,
// any thread; views point into the value.
#pragma once
#include "proto/auto.h"
#include "proto/error.h"
#include "proto/view.h"
#include <stdint.h>

enum { RECORD_TRAILER_SIZE = 16 };

typedef struct {
    uint64_t stream_prev; // seq of the record of the stream's pseq before this one; 0: none
    uint32_t span;        // on the last record of a group: how many records it has; else 0 or 1
    uint32_t zero;        // for what comes
} record_trailer_t;

// The part that fetches serve: a value without its trailer.
bus_view_t record_message(bus_view_t value);
void record_trailer(bus_view_t value, record_trailer_t *ret_trailer);
// The topic at its front.
bus_view_t record_topic(bus_view_t value);
// The journal's time in its header, microseconds.
uint64_t record_at(bus_view_t value);
// The trace_id of its header; an absent view where it has none.
bus_view_t record_trace_id(bus_view_t value);

// What stands for a trace_id in journal_trace.h's table: never RECORD_TRACE_UNKNOWN; all records
// without one (an absent view) share a number of their own.
enum { RECORD_TRACE_UNKNOWN = 0 };
uint32_t record_trace_hash(bus_view_t trace_id);
