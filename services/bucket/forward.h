// forward.h - telling Karma what was stored, each event exactly once. docs/contract.md section 2.
#pragma once
#include "proto/schema.h"
#include "runtime/service.h"
#include "tables.h"

// Says one karma.life_event for the event being applied, where the forwarding is on and the teller
// does not tell Karma itself. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t bucket_forward_event(service_apply_t *apply,
                                         const schema_core_event_t *event,
                                         bus_view_t event_type);

// Applies bucket.forwarding.set: the toggle, from this place in the journal on.
BUS_CHECK bus_err_t bucket_forward_set(service_apply_t *apply, const void *message);
