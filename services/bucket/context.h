// context.h - what is known of an agent: how many events, when the last, of which types lately.
#pragma once
#include "proto/schema.h"
#include "runtime/service.h"
#include "tables.h"

enum { BUCKET_CONTEXT_TYPES = 10 }; // the last events whose types are told, as the original's

// Counts the record being applied into the agent's context. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t bucket_context_note(service_apply_t *apply,
                                        bus_view_t agent_id,
                                        bus_view_t event_type);

// Applies bucket.context.read: a read that is journaled so that it is audited.
BUS_CHECK bus_err_t bucket_context_read(service_apply_t *apply, const void *message);
