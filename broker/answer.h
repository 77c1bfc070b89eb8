// answer.h - what the broker says to an inbox: acks, errors, and the bodies of $bus.* operations.
//
// Owner: the router; its thread. Every answer is best effort: where nobody listens on the inbox it
// is counted and gone, and the peer, when it comes back, asks again.
#pragma once
#include "batch.h"
#include "egress.h"
#include "proto/auto.h"
#include "proto/error.h"
#include "proto/header.h"
#include "proto/pack.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct answer answer_t;

// `egress` is borrowed.
answer_t *answer_new(egress_t *egress);
void answer_destroy(answer_t **self_p);

// Which message is answered. Without reply_to or id nothing is sent.
typedef struct {
    bus_view_t reply_to;
    bus_view_t id;
    bus_view_t trace_id; // optional
    bool is_ack;         // to a publish, not to a request
} answer_to_t;

static inline answer_to_t
answer_to_header(const header_t *header, bool is_ack)
{
    return (answer_to_t){header->reply_to, header->id, header->trace_id, is_ack};
}
static inline answer_to_t
answer_to_item(const batch_item_t *item, bool is_ack)
{
    return (answer_to_t){batch_piece(item, item->reply_to),
                         batch_piece(item, item->id),
                         batch_piece(item, item->trace_id),
                         is_ack};
}

typedef struct {
    uint64_t seq;
    uint64_t at;
    bool duplicate;
    uint64_t first; // of a batch
    uint32_t count; // of a batch; 0: it is none
} answer_ack_t;
// {seq, at, duplicate}, and {first, count} for a batch.
void answer_ack(answer_t *self, const answer_to_t *to, const answer_ack_t *ack);

// An error body. `message` NULL: the error's own; `details`: whole msgpack, or absent.
// retry_after follows from the error.
void answer_error(
    answer_t *self, const answer_to_t *to, bus_err_t err, const char *message, bus_view_t details);

// Status success and this body.
void answer_body(answer_t *self, const answer_to_t *to, bus_view_t body);
