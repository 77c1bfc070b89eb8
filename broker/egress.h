// egress.h - the way out: who hears what, and every message that leaves the broker.
//
// Owner: the router; its thread. The XPUB is in manual mode: each subscription is looked at
// (access.h) and set or ignored right after it was received, which is what libzmq ties it to. A
// message is never waited for: who does not read loses live messages at its high-water mark, and
// only its own. What all of them leave unread is bounded in bytes (held.h): above the soft bound
// who does not read is cut (clog.h), above the hard one nobody gets what is not small.
#pragma once
#include "breach.h"
#include "gate.h"
#include "held.h"
#include "inbox.h"
#include "proto/auto.h"
#include "proto/topic.h"
#include "proto/view.h"
#include "stats.h"
#include "who.h"
#include <stdbool.h>
#include <zmq.h>

typedef struct egress egress_t;

// Called when somebody listens on an inbox (again).
typedef void(egress_inbox_fn)(void *arg, bus_view_t inbox);
// Called when a peer wanted to hear what it may not.
typedef void(egress_breach_fn)(void *arg,
                               const who_peer_t *peer,
                               breach_reason_t reason,
                               bus_view_t prefix);

// `stats` is borrowed. It has no socket yet.
egress_t *egress_new(stats_t *stats, egress_inbox_fn *fn, void *arg);
void egress_destroy(egress_t **self_p);
// Has subscriptions that come by CURVE follow the rules. `who` is borrowed.
void egress_guard(egress_t *self, who_t *who, egress_breach_fn *fn, void *arg);
// Speaks through the gate's XPUB. `gate` is borrowed.
void egress_attach(egress_t *self, gate_t *gate);

// What a refusal for want of room says.
#define EGRESS_NO_ROOM "the bus holds as much as it may for peers that do not read"

enum { EGRESS_INBOXES_MAX = 1024 }; // of one name behind CURVE: a part of INBOXES_MAX

// The connection with this descriptor has ended.
void egress_forget(egress_t *self, int fd);

// Reads what came up the XPUB, a bounded number of messages.
void egress_read(egress_t *self);

// What is held for peers that have not read it; borrowed. For the reader, which charges its pages.
held_t *egress_held(const egress_t *self);
// Whether so much is held that egress_look is to be called every CLOG_LOOK_MS.
bool egress_is_strained(const egress_t *self);
// Looks at every connection, and cuts those that do not read. After gate_read, so that no
// descriptor is another's already.
void egress_look(egress_t *self);
// Enough of looking.
void egress_look_away(egress_t *self);
// Whether a message of `size` bytes would be sent now. Who is told that it would not is refused, or
// loses it: that is counted.
bool egress_has_room(egress_t *self, size_t size);

// Publishes one message, or drops it where there is no room. The frames are taken, whatever
// happens.
void egress_publish(
    egress_t *self, topic_class_t class_, zmq_msg_t *topic, zmq_msg_t *header, zmq_msg_t *body);
// Sends an answer to an inbox, or drops it where there is no room. The frames are taken. False, and
// counted as an orphan, where nobody listens on it.
bool egress_answer(egress_t *self, bus_view_t inbox, zmq_msg_t *header, zmq_msg_t *body);
// The same for an answer that is charged already: there was room when it was made.
bool egress_pass(egress_t *self, bus_view_t inbox, zmq_msg_t *header, zmq_msg_t *body);
bool egress_is_live(const egress_t *self, bus_view_t inbox);
uint32_t egress_inboxes(const egress_t *self);

// Frames.
static inline bus_view_t
egress_view(zmq_msg_t *frame)
{
    return view_from(zmq_msg_data(frame), zmq_msg_size(frame));
}
// A frame with a copy of `bytes`.
void egress_frame(zmq_msg_t *ret_frame, bus_view_t bytes);
