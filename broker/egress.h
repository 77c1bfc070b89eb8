// egress.h - the way out: who hears what, and every message that leaves the broker.
//
// Owner: the router; its thread. The XPUB is in manual mode: each subscription is looked at
// (access.h) and set or ignored right after it was received, which is what libzmq ties it to. A
// message is never waited for: who does not read loses live messages at its high-water mark, and
// only its own.
#pragma once
#include "inbox.h"
#include "proto/auto.h"
#include "proto/topic.h"
#include "proto/view.h"
#include "stats.h"
#include <stdbool.h>
#include <zmq.h>

typedef struct egress egress_t;

// Called when somebody listens on an inbox (again).
typedef void(egress_inbox_fn)(void *arg, bus_view_t inbox);

// `stats` is borrowed. It has no socket yet.
egress_t *egress_new(stats_t *stats, egress_inbox_fn *fn, void *arg);
void egress_destroy(egress_t **self_p);
// Speaks through this XPUB, which is borrowed.
void egress_attach(egress_t *self, void *socket);

enum { EGRESS_SUBSCRIPTIONS_MAX = 4096 }; // of a connection: libzmq keeps a trie of them

// The connection with this descriptor has ended.
void egress_forget(egress_t *self, int fd);

// Reads what came up the XPUB, a bounded number of messages.
void egress_read(egress_t *self);

// Publishes one message. The frames are taken, whatever happens.
void egress_publish(
    egress_t *self, topic_class_t class_, zmq_msg_t *topic, zmq_msg_t *header, zmq_msg_t *body);
// Sends an answer to an inbox. The frames are taken. False, and counted as an orphan, where nobody
// listens on it.
bool egress_answer(egress_t *self, bus_view_t inbox, zmq_msg_t *header, zmq_msg_t *body);
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
