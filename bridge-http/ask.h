// ask.h - a request asks the bus, and waits without holding anybody up.
//
// Nothing is sent before the broker is there: what was not sent can be refused as
// SERVICE_UNAVAILABLE with certainty. What was sent and not answered in time is TIMEOUT, and may
// yet take effect.
#pragma once
#include "answer.h"

typedef enum {
    BRIDGE_ASK_QUESTION, // 503 at once without the broker or the service
    BRIDGE_ASK_RECORD,   // done when journaled
    BRIDGE_ASK_COMMAND,  // done when its owner replied; journaled only: 202
    BRIDGE_ASK_READ,     // the same, but a journaled read: 504, never 202
    BRIDGE_ASK_REFUSAL   // a command whose `then` is called once it is journaled: with its owner's
                         // reply, or without a body where the owner is not there or too slow
} bridge_ask_kind_t;

typedef struct {
    bridge_ask_kind_t kind;
    const char *topic;    // copied
    bus_view_t body;      // whole msgpack; copied
    bool idem;            // carries the Idempotency-Key, if there is one
    bridge_then_fn *then; // what to answer on success; NULL: the reply's body as it is
    bridge_then_fn *late; // what to answer where nobody did in time; NULL: as its kind has it
    unsigned wait_ms;     // for the answer; 0: BRIDGE_WAIT_MS
} bridge_ask_t;

// Asks; then `then` is called, or an error was answered. One at a time for a request.
void bridge_ask(bridge_request_t *self, const bridge_ask_t *ask);
// Forgets what it asked: the request is ending.
void bridge_ask_cancel(bridge_request_t *self);

// Refuses with 403, after the attempt was journaled for the audit (bucket.refused). Bucket's reply
// says what it made of it (decision, rule, violation_type, escalation); without one the answer
// names the entry that there will be. An identity that is refused too often gets 429 instead.
typedef struct {
    bus_err_t err;
    const char *message;    // a literal
    const char *violation;  // a word of refusal.def, or a violation: it counts as one; NULL: not
    const char *operation;  // what was tried
    bus_view_t requester;   // as claimed; absent: the caller's address
    bus_view_t product;     // that it was about, or absent
    bus_view_t artifact_id; // likewise
    bool says_success;      // adds success: false, as write-event's callers know it
} bridge_ask_refusal_t;
void bridge_ask_refuse(bridge_request_t *self, const bridge_ask_refusal_t *refusal);

// The broker is there: sends what waited for it. And a few times a second: gives up what waited too
// long.
void bridge_ask_connected(bridge_t *bridge);
void bridge_ask_sweep(bridge_t *bridge, uint64_t now_us);
