// access.h - who may say and hear what.
//
// Whoever reaches the ipc sockets (a private folder), or loopback tcp of an open bus, may say and
// hear every application topic. What holds even so is here: the bus's own topics and name are its
// own, an inbox is heard as a whole alone. Who came by CURVE may what its name's rules (rules.h)
// say, and nothing else. (broker.c refuses tcp beyond loopback without CURVE.)
// Pure functions, any thread. Source: docs/protocol.md section 3.
#pragma once
#include "breach.h"
#include "proto/auto.h"
#include "proto/error.h"
#include "proto/header.h"
#include "proto/topic.h"
#include "proto/view.h"
#include "who.h"
#include <stdbool.h>

typedef enum {
    ACCESS_REFUSED, // hears nothing of it
    ACCESS_ALL,     // the empty prefix: every application topic, see ACCESS_ALL_PREFIXES
    ACCESS_PREFIX,  // as asked
    ACCESS_INBOX,   // a whole inbox, where the inbox table has room for it
} access_grant_t;

// The one-character prefixes that the empty subscription is granted as: every byte that an
// application topic can start with, `$` and `_` being the bus's.
#define ACCESS_ALL_PREFIXES "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-"

// What a subscription to `prefix` is granted as.
access_grant_t access_hear(bus_view_t prefix);

// Whether a peer may publish this message, of a legal topic. BUS_INVALID_TOPIC: the topic is not
// for peers; BUS_UNAUTHORIZED_ACCESS: it speaks as the bus; BUS_MALFORMED_MESSAGE: it says to an
// inbox what is no reply. *reterr_why is a literal.
BUS_CHECK bus_err_t access_say(bus_view_t topic,
                               topic_class_t class_,
                               const header_t *header,
                               const char **reterr_why);

// --- Under rules --------------------------------------------------------------------------------
//
// Of a peer that came by CURVE, beside what holds for all. *reterr_reason says what was tried.

// Whether an inbox is the peer's own: `_inbox.<name>.<unique>`.
bool access_is_own_inbox(const who_peer_t *peer, bus_view_t inbox);
// Whether it may hear what begins with `prefix`, which access_hear grants.
bool access_may_hear(const who_peer_t *peer, bus_view_t prefix, breach_reason_t *reterr_reason);
// Whether it may say on `topic`, of class `class_`. What is said to the broker is checked by what
// it is (control.c), but for the questions $bus.stats and $bus.peers.
bool access_may_say(const who_peer_t *peer,
                    bus_view_t topic,
                    topic_class_t class_,
                    breach_reason_t *reterr_reason);
// Whether it may bring this key along: services know a key's first message again by the key alone,
// so it begins with the peer's own name and a `|`, but of those who say anything for anybody.
#define ACCESS_IDEM_WHY "idem is not your own: <certificate's name>|<key>"
bool access_is_own_idem(const who_peer_t *peer, bus_view_t idem);
// Whether it may read by this name: its own, that of a service of its, or one of either with
// something behind a `-` or `.`. One that ends in a UUID it may read by, too, where `is_kept` is
// false: nobody else can know it, unless the broker remembers it and shows it ($bus.stats).
bool access_may_consume(const who_peer_t *peer, bus_view_t consumer, bool is_kept);
