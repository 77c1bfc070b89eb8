// ingress.c - the way in: three frames, checked, and handed on by the class of their topic.
//
// A turn takes at most DRAIN_MESSAGES or DRAIN_BYTES, so that answers and subscriptions get theirs,
// and what was gathered goes to the committer as soon as that is idle. Nothing that a peer sends
// can do more than be counted, told and dropped.
#include "access.h"
#include "proto/limits.h"
#include "proto/walk.h"
#include "router_state.h"
#include "runtime/clock.h"
#include <errno.h>

enum {
    FRAMES = 3,
    DRAIN_MESSAGES = 2000,
    DRAIN_BYTES = 1024 * 1024,
    // Below it a body is copied: libzmq's frames share the 8 KiB that they were received in, and
    // one that waits for a slow subscriber would hold all of it.
    BODY_COPIED_MAX = 8192,
};

// --- Receiving ----------------------------------------------------------------------------------

// Receives one message; of one with more frames than three the rest is thrown away. Returns how
// many frames it had, 0 where none is there.
static int
receive(void *socket, message_t *message)
{
    int count = 0;
    bool has_more = true;
    while (has_more) {
        zmq_msg_t spare;
        zmq_msg_t *frame = count < FRAMES ? &message->frames[count] : &spare;
        zmq_msg_init(frame);
        if (zmq_msg_recv(frame, socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(frame);
            break; // EAGAIN, and only before the first: libzmq gives messages whole
        }
        has_more = zmq_msg_more(frame);
        count++;
        if (count > FRAMES) {
            zmq_msg_close(frame);
            count = FRAMES + 1; // too many is too many: this cannot overflow
        }
    }
    return count;
}

static void
close_frames(message_t *message)
{
    for (int i = 0; i < FRAMES; i++) {
        zmq_msg_close(&message->frames[i]);
    }
}

// --- Checking -----------------------------------------------------------------------------------

static bool
is_publish(const message_t *message)
{
    return message->class_ == TOPIC_JOURNALED || message->class_ == TOPIC_LIVE ||
           view_is(message->topic, "$bus.batch");
}

static void
refuse(router_t *self, const message_t *message, bus_err_t err, const char *why)
{
    const refusal_t refusal = {.err = err, .why = why};
    refusal_send(self, &message->header, is_publish(message), &refusal);
}

// The body's size and form, by class.
static bus_err_t
check_body(const message_t *message, const char **reterr_why)
{
    size_t size_max =
        message->class_ == TOPIC_INBOX ? (size_t) INBOX_BODY_SIZE_MAX : (size_t) BODY_SIZE_MAX;
    if (message->body.size > size_max) {
        *reterr_why = "the body is over its limit";
        return BUS_PAYLOAD_TOO_LARGE;
    }
    if (message->class_ == TOPIC_BUS && control_checks_body(message->topic)) {
        return BUS_OK;
    }
    walk_mode_t mode = message->class_ == TOPIC_JOURNALED ? WALK_JSON : WALK_ANY;
    unsigned depth_max = message->class_ == TOPIC_INBOX ? INBOX_BODY_DEPTH_MAX : BODY_DEPTH_MAX;
    return walk_check(message->body, mode, depth_max, reterr_why);
}

// Everything that docs/protocol.md section 2 asks of a message. The header is decoded first: it
// says where a refusal goes.
static bus_err_t
check(router_t *self, message_t *message, int frame_count, const char **reterr_why)
{
    message->peer = NULL;
    message->is_renamed = false;
    message->class_ = TOPIC_LIVE;
    message->topic = egress_view(&message->frames[0]);
    message->header_bytes = egress_view(&message->frames[1]);
    message->body = egress_view(&message->frames[2]);
    bus_err_t header_err = header_decode(message->header_bytes, &message->header, reterr_why);
    bus_err_t err = warden_admit(self, message, reterr_why);
    if (err != BUS_OK) {
        return err;
    }
    if (frame_count != FRAMES) {
        *reterr_why = "a message has three frames";
        return BUS_MALFORMED_MESSAGE;
    }
    const char *topic_why = NULL;
    if (!topic_is_legal(message->topic, &topic_why)) {
        *reterr_why = topic_why;
        return BUS_INVALID_TOPIC;
    }
    message->class_ = topic_class(message->topic);
    if (message->header_bytes.size > HEADER_SIZE_MAX) {
        *reterr_why = "the header is over 4 KiB";
        return BUS_MALFORMED_MESSAGE;
    }
    if (header_err != BUS_OK) {
        return header_err;
    }
    err = access_say(message->topic, message->class_, &message->header, reterr_why);
    if (err == BUS_OK) {
        err = warden_may_say(self, message, reterr_why);
    }
    return err == BUS_OK ? check_body(message, reterr_why) : err;
}

// --- Handing on ---------------------------------------------------------------------------------

// A header for republishing in self->header, valid until the next: id, time and source are filled
// in where the peer left them out. `topic`: what was asked, of a request; else absent.
static bus_view_t
stamp_header(router_t *self, message_t *message, bool is_journaled, bus_view_t topic)
{
    header_stamp_t stamp = {.topic = topic, .journaled = is_journaled};
    header_t *header = &message->header;
    if (header->id.data == NULL) {
        id_make(message->made_id);
        header->id = view_from(message->made_id, ID_TEXT_SIZE - 1);
        stamp.id = header->id;
    }
    if (header->source.data == NULL) {
        header->source = VIEW_LITERAL("anonymous");
        stamp.source = header->source;
    }
    if (message->is_renamed) {
        stamp.source = header->source;
    }
    if (header->time == 0) {
        stamp.time = clock_wall_us();
    }
    pack_clear(self->header);
    header_restamp(message->header_bytes, &stamp, self->header);
    return pack_view(self->header);
}

static void
copy_if_small(zmq_msg_t *frame)
{
    if (zmq_msg_size(frame) <= BODY_COPIED_MAX) {
        zmq_msg_t copy;
        egress_frame(&copy, egress_view(frame));
        zmq_msg_move(frame, &copy);
        zmq_msg_close(&copy);
    }
}

static void
take_journaled(router_t *self, message_t *message)
{
    bus_view_t header = stamp_header(self, message, true, VIEW_NONE);
    size_t bytes = message->topic.size + header.size + message->body.size +
                   message->header_bytes.size; // an answer's texts are part of the header
    bus_err_t err = gather_reserve(self->gather, 1, bytes);
    if (err != BUS_OK) {
        refuse(self, message, err, NULL);
        return;
    }
    const batch_entry_t entry = {
        .kind = BATCH_RECORD,
        .topic = message->topic,
        .header_bytes = header,
        .body = message->body,
        .header = message->header,
    };
    gather_add(self->gather, &entry);
}

static void
take_live(router_t *self, message_t *message)
{
    zmq_msg_t header;
    egress_frame(&header, stamp_header(self, message, false, VIEW_NONE));
    copy_if_small(&message->frames[0]);
    copy_if_small(&message->frames[2]);
    answer_to_t to = answer_to_header(&message->header, true);
    if (message->header.ack != HEADER_ACK_NONE) {
        const answer_ack_t live = {.seq = 0};
        answer_ack(self->answer, &to, &live);
    }
    egress_publish(self->egress, TOPIC_LIVE, &message->frames[0], &header, &message->frames[2]);
}

typedef struct {
    const router_t *router;
    bool is_busy; // somebody could be asked, but for what waits there
} choice_t;

static bool
is_usable(void *arg, const peer_t *peer)
{
    choice_t *choice = arg;
    const router_t *self = choice->router;
    if (peer->inbox.size == 0 || !egress_is_live(self->egress, peer->inbox)) {
        return false;
    }
    bool is_busy = peer_waiting(self->peers, peer) >= PEER_WAITING_MAX;
    choice->is_busy |= is_busy;
    return !is_busy;
}

static void
take_request(router_t *self, message_t *message)
{
    bus_view_t asked = view_from(message->topic.data + sizeof("req.") - 1,
                                 message->topic.size - (sizeof("req.") - 1));
    choice_t choice = {.router = self};
    const peer_t *peer = peer_choose(self->peers, asked, is_usable, &choice);
    if (peer == NULL && choice.is_busy) {
        refuse(self, message, BUS_BUSY, "too many requests wait for this service");
        return;
    }
    if (peer == NULL) {
        refuse(self, message, BUS_NO_RESPONDERS, NULL);
        return;
    }
    if (!egress_has_room(self->egress, message->body.size)) {
        refuse(self, message, BUS_BUSY, EGRESS_NO_ROOM);
        return;
    }
    if (message->header.reply_to.size > 0) {
        peer_asked(
            self->peers, peer, message->header.reply_to, message->header.id, clock_boot_ms());
    }
    zmq_msg_t header;
    egress_frame(&header, stamp_header(self, message, false, message->topic));
    stats_add(&self->stats.out[TOPIC_REQUEST], zmq_msg_size(&header) + message->body.size);
    copy_if_small(&message->frames[2]);
    egress_answer(self->egress, peer->inbox, &header, &message->frames[2]);
}

static void
take_reply(router_t *self, message_t *message)
{
    peer_answered(self->peers, message->topic, message->header.re);
    if (!egress_is_live(self->egress, message->topic)) {
        self->stats.orphans++;
        return;
    }
    zmq_msg_t header;
    egress_frame(&header, stamp_header(self, message, false, VIEW_NONE));
    copy_if_small(&message->frames[2]);
    egress_answer(self->egress, message->topic, &header, &message->frames[2]);
}

static void
hand_on(router_t *self, message_t *message)
{
    stats_add(&self->stats.in[message->class_],
              message->topic.size + message->header_bytes.size + message->body.size);
    switch (message->class_) {
    case TOPIC_JOURNALED:
        take_journaled(self, message);
        return;
    case TOPIC_LIVE:
        take_live(self, message);
        return;
    case TOPIC_REQUEST:
        take_request(self, message);
        return;
    case TOPIC_BUS:
        control_handle(self, message);
        return;
    case TOPIC_INBOX:
        take_reply(self, message);
        return;
    }
}

// Takes one message. Its bytes, or 0 where none is there.
static size_t
take_message(router_t *self, void *socket)
{
    message_t message;
    int count = receive(socket, &message);
    if (count == 0) {
        return 0;
    }
    for (int i = count; i < FRAMES; i++) {
        zmq_msg_init(&message.frames[i]);
    }
    const char *why = NULL;
    bus_err_t err = check(self, &message, count, &why);
    size_t size = 1 + message.topic.size + message.header_bytes.size + message.body.size;
    if (err == BUS_OK) {
        hand_on(self, &message);
    } else {
        refuse(self, &message, err, why);
    }
    close_frames(&message);
    return size;
}

void
ingress_read(router_t *self)
{
    void *socket = gate_socket(self->gate, GATE_IN);
    size_t bytes = 0;
    for (int i = 0; i < DRAIN_MESSAGES && bytes < DRAIN_BYTES; i++) {
        size_t size = take_message(self, socket);
        if (size == 0) {
            break;
        }
        bytes += size;
    }
}
