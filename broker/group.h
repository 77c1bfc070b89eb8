// group.h - the body of a $bus.batch: many messages, taken whole or not at all.
//
// Owner: the router; its thread. Reading checks everything and stamps the headers; what was read is
// valid until the next read and as long as the body's frame.
#pragma once
#include "proto/auto.h"
#include "proto/error.h"
#include "proto/header.h"
#include "proto/view.h"
#include "who.h"
#include <stdint.h>

typedef struct group group_t;

group_t *group_new(void);
void group_destroy(group_t **self_p);

// Which of its messages is wrong, and how.
typedef struct {
    uint32_t index;   // UINT32_MAX: the batch as a whole
    const char *why;  // a literal
    bus_view_t topic; // of BUS_UNAUTHORIZED_ACCESS: what it may not say on
} group_problem_t;

// Reads `body`, the array that `outer` came with. Messages without id or time get one, without a
// source the outer's. `peer`: who sent it, by CURVE, whose name is then the source of all of them;
// NULL: trusted. BUS_INVALID_TOPIC where a topic is not journaled or not for peers,
// BUS_UNAUTHORIZED_ACCESS where its rules do not let `peer` publish it, BUS_PAYLOAD_TOO_LARGE where
// there are more than BATCH_COUNT_MAX, else BUS_VALIDATION_FAILED.
BUS_CHECK bus_err_t group_read(group_t *self,
                               bus_view_t body,
                               const header_t *outer,
                               const who_peer_t *peer,
                               group_problem_t *reterr_problem);

typedef struct {
    bus_view_t topic;
    bus_view_t header; // stamped as journaled
    bus_view_t body;
    bus_view_t trace_id; // its own; may be absent
    uint64_t cause_seq;
    uint64_t cause_n;
} group_record_t;

// What messages said of themselves that is not theirs to say, where `peer` was given.
typedef struct {
    uint32_t sources;  // messages of another source than the peer's
    uint32_t stamps;   // messages with seq, at or prev
    bus_view_t source; // of the last of those; may be absent
} group_claims_t;
// Of the last group_read, whether it was good or not.
group_claims_t group_claims(const group_t *self);

uint32_t group_count(const group_t *self);
// Bytes of all topics, headers and bodies.
size_t group_bytes(const group_t *self);
group_record_t group_record(const group_t *self, uint32_t index);
