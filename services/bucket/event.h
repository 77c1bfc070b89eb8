// event.h - storing one event, with its indexes and its agent's context.
#pragma once
#include "proto/schema.h"
#include "runtime/service.h"
#include "tables.h"

// Applies core.event.<type>. Refuses BUS_UNAUTHORIZED_ACCESS (and records it) for a requester that
// may not write events.
BUS_CHECK bus_err_t bucket_event_apply(service_apply_t *apply, const void *message);

// The text of a loosely typed field where it is text of 1 to `size_max` bytes, else an absent view.
bus_view_t bucket_event_text(bus_view_t value, size_t size_max);
