// trace.h - which trace a request belongs to. Pure but for the id that bridge_trace_choose makes.
#pragma once
#include "proto/limits.h"
#include "proto/view.h"

enum { BRIDGE_TRACE_TEXT_SIZE = NAME_SIZE_MAX + 1 };

// Whether `text` can be a trace id: 1 to 128 printable characters, without quotes and backslashes,
// so that it can stand in a header and a log line as it is.
bool bridge_trace_is_legal(bus_view_t text);

// The trace-id of a W3C traceparent ("00-<32 hex>-<16 hex>-<2 hex>"), or an absent view where it is
// malformed or all zeros.
bus_view_t bridge_trace_from_parent(bus_view_t traceparent);

// The first of them that is legal: the body's, X-Trace-Id, traceparent's; else a new one of 32 hex
// digits, that sorts behind those made before. Any may be absent.
void bridge_trace_choose(bus_view_t body,
                         bus_view_t header,
                         bus_view_t traceparent,
                         char ret_text[BRIDGE_TRACE_TEXT_SIZE]);
