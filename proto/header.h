// header.h - the second frame of a message: its decoding, checking, encoding and stamping.
//
// A decoded header owns nothing: its strings are views into the frame. Source: docs/protocol.md
// section 2. Pure functions, any thread.
#pragma once
#include "auto.h"
#include "error.h"
#include "pack.h"
#include "view.h"
#include <stdint.h>

typedef enum { HEADER_ACK_NONE, HEADER_ACK_EACH, HEADER_ACK_LAST } header_ack_t;

typedef struct {
    bus_view_t id;       // 1 to 64 bytes
    bus_view_t source;   // 1 to 64 bytes
    bus_view_t trace_id; // 1 to 128 bytes
    bus_view_t reply_to; // an inbox, 1 to 128 bytes; needs id
    bus_view_t pstream;  // 0 to 64 bytes; absent is ""
    bus_view_t idem;     // the caller and its Idempotency-Key
    bus_view_t re;       // the id that this answers
    bus_view_t status;   // "success" or "error"
    bus_view_t topic;    // of a handed-out request: what was asked
    uint64_t time;       // microseconds since 1970 UTC; 0: absent
    uint64_t pseq;       // from 1; 0: absent
    uint64_t cause_seq;  // 0: absent
    uint64_t cause_n;
    uint64_t seq, at, prev; // the broker's; 0: absent. A peer's own are to be dropped.
    header_ack_t ack;
    bool is_ack; // an answer's `ack: true`: it comes from the broker, not from the owner
} header_t;

// Decodes and checks. An empty map is a legal header. Unknown keys are skipped (they stay in the
// bytes). Returns BUS_MALFORMED_MESSAGE with *reterr_why (a literal that names the key); even then
// *ret_header holds what could be read before, so that a refusal can reach reply_to.
BUS_CHECK bus_err_t header_decode(bus_view_t bytes, header_t *ret_header, const char **reterr_why);

// Encodes every field that is present, in the order of the struct.
void header_encode(const header_t *self, pack_t *out);

// What the broker adds to, or puts in place of, a peer's keys.
typedef struct {
    bus_view_t id;     // absent: the peer's stays
    bus_view_t source; // absent: the peer's stays
    bus_view_t topic;  // of a handed-out request
    uint64_t time;     // 0: the peer's stays
    bool journaled;    // adds seq, at, prev as nine-byte integers, all zero, at the very end
} header_stamp_t;

// Where the three stamped integers (0xcf and eight bytes each) lie, counted from the end of the
// encoded header.
enum { HEADER_SEQ_BACK = 35, HEADER_AT_BACK = 23, HEADER_PREV_BACK = 9 };

// Encodes the peer's header `bytes` again for republishing: a peer's seq, at and prev dropped, the
// stamp's fields added or replaced, every other key, unknown ones too, copied as it stands.
// `bytes` passed header_decode.
void header_restamp(bus_view_t bytes, const header_stamp_t *stamp, pack_t *out);

// Writes the broker's three integers into a header that was stamped as journaled.
// `end`: one past the header's last byte.
void header_place(uint8_t *end, uint64_t seq, uint64_t at, uint64_t prev);
