// answer.c - answers, encoded by hand where there is one for every message.
//
// An ack is the broker's most frequent message. Its header and body are a few constant runs of
// msgpack around an id and two integers: copying those costs a tenth of packing them pair by pair,
// and with seq below 2^32 the body fits into libzmq's message itself, without memory of its own.
#include "answer.h"
#include "proto/limits.h"
#include "proto/schema.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    RETRY_AFTER_S = 1, // what is pending is durable, or refused, long before
    // The constant runs below, the three texts' heads, id and trace_id.
    HEADER_BYTES_MAX = 64 + ID_SIZE_MAX + NAME_SIZE_MAX + 8,
    ACK_BYTES_MAX = 96,
};

struct answer {
    egress_t *egress; // borrowed
    pack_t *pack;     // bodies that are packed
};

answer_t *
answer_new(egress_t *egress)
{
    answer_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    self->egress = egress;
    self->pack = pack_new();
    return self;
}

void
answer_destroy(answer_t **self_p)
{
    answer_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    pack_destroy(&self->pack);
    free(self);
    *self_p = NULL;
}

// Appends a literal of msgpack.
#define PUT(at, literal) ((at) = put_bytes((at), (literal), sizeof(literal) - 1))

static uint8_t *
put_bytes(uint8_t *at, const char *bytes, size_t size)
{
    memcpy(at, bytes, size);
    return at + size;
}

// A text of at most 255 bytes.
static uint8_t *
put_text(uint8_t *at, bus_view_t text)
{
    if (text.size <= 31) {
        *at++ = (uint8_t) (0xa0 | text.size);
    } else {
        assert(text.size <= UINT8_MAX);
        *at++ = 0xd9;
        *at++ = (uint8_t) text.size;
    }
    return put_bytes(at, text.data, text.size);
}

// The shortest form of an unsigned integer, of two where it is over 127: 32 or 64 bits.
static uint8_t *
put_uint(uint8_t *at, uint64_t value)
{
    if (value <= 127) {
        *at++ = (uint8_t) value;
        return at;
    }
    int size = value <= UINT32_MAX ? 4 : 8;
    *at++ = size == 4 ? 0xce : 0xcf;
    for (int shift = (size - 1) * 8; shift >= 0; shift -= 8) {
        *at++ = (uint8_t) (value >> shift);
    }
    return at;
}

static void
make_header(zmq_msg_t *ret_frame, const answer_to_t *to, bool is_success)
{
    uint8_t bytes[HEADER_BYTES_MAX];
    bool has_trace = to->trace_id.data != NULL;
    uint8_t *at = bytes;
    *at++ = (uint8_t) (0x80 | (3 + (to->is_ack ? 1 : 0) + (has_trace ? 1 : 0)));
    PUT(at, "\xa2re");
    at = put_text(at, to->id);
    if (is_success) {
        PUT(at, "\xa6status\xa7success");
    } else {
        PUT(at,
            "\xa6status\xa5"
            "error");
    }
    if (to->is_ack) {
        PUT(at,
            "\xa3"
            "ack\xc3");
    }
    PUT(at, "\xa6source\xa4$bus");
    if (has_trace) {
        PUT(at, "\xa8trace_id");
        at = put_text(at, to->trace_id);
    }
    assert(at <= bytes + sizeof(bytes));
    egress_frame(ret_frame, view_from(bytes, (size_t) (at - bytes)));
}

static bool
is_wanted(const answer_to_t *to)
{
    return to->reply_to.size > 0 && to->id.size > 0;
}

void
answer_ack(answer_t *self, const answer_to_t *to, const answer_ack_t *ack)
{
    if (!is_wanted(to)) {
        return;
    }
    uint8_t bytes[ACK_BYTES_MAX];
    uint8_t *at = bytes;
    *at++ = ack->count > 0 ? 0x85 : 0x83;
    PUT(at, "\xa3seq");
    at = put_uint(at, ack->seq);
    PUT(at,
        "\xa2"
        "at");
    at = put_uint(at, ack->at);
    PUT(at,
        "\xa9"
        "duplicate");
    *at++ = ack->duplicate ? 0xc3 : 0xc2;
    if (ack->count > 0) {
        PUT(at,
            "\xa5"
            "first");
        at = put_uint(at, ack->first);
        PUT(at,
            "\xa5"
            "count");
        at = put_uint(at, ack->count);
    }
    assert(at <= bytes + sizeof(bytes));
    zmq_msg_t header;
    zmq_msg_t body;
    make_header(&header, to, true);
    egress_frame(&body, view_from(bytes, (size_t) (at - bytes)));
    egress_answer(self->egress, to->reply_to, &header, &body);
}

static void
send_packed(answer_t *self, const answer_to_t *to, bool is_success, bus_view_t bytes)
{
    zmq_msg_t header;
    zmq_msg_t body;
    make_header(&header, to, is_success);
    egress_frame(&body, bytes);
    egress_answer(self->egress, to->reply_to, &header, &body);
}

void
answer_error(
    answer_t *self, const answer_to_t *to, bus_err_t err, const char *message, bus_view_t details)
{
    if (!is_wanted(to)) {
        return;
    }
    pack_clear(self->pack);
    // A gap is closed by sending the missing one, not by waiting.
    unsigned retry_after = error_retry(err) && err != BUS_PSEQ_GAP ? RETRY_AFTER_S : 0;
    schema_pack_error(self->pack, err, message, details, retry_after);
    send_packed(self, to, false, pack_view(self->pack));
}

void
answer_body(answer_t *self, const answer_to_t *to, bus_view_t body)
{
    if (!egress_has_room(self->egress, body.size)) {
        answer_error(self, to, BUS_BUSY, EGRESS_NO_ROOM, VIEW_NONE);
    } else if (is_wanted(to)) {
        send_packed(self, to, true, body);
    }
}
