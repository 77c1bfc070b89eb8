// refusal.h - what was refused, kept: nobody tries a door without a trace.
#pragma once
#include "proto/schema.h"
#include "runtime/service.h"
#include "tables.h"

typedef struct {
    bus_view_t requester_id; // as claimed
    bus_view_t operation;
    bus_err_t err;
    bus_view_t details; // whole msgpack, or absent
} bucket_refusal_t;

// Records the refusal of the record being applied and refuses it: returns refusal->err, or what the
// store returned.
BUS_CHECK bus_err_t bucket_refusal_record(service_apply_t *apply,
                                          const bucket_refusal_t *refusal,
                                          const char *message);

// Applies bucket.refused: what the bridge refused at its own door.
BUS_CHECK bus_err_t bucket_refusal_apply(service_apply_t *apply, const void *message);
