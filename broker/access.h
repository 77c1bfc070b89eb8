// access.h - who may say and hear what: the place for rules.
//
// Open for now: whoever reaches the ipc sockets (a private folder) or loopback tcp may say and hear
// every application topic. What holds even so is here: the bus's own topics and name are its own,
// an inbox is heard by its owner alone. (broker.c refuses tcp beyond loopback.)
// Pure functions, any thread. Source: docs/protocol.md section 3.
#pragma once
#include "proto/auto.h"
#include "proto/error.h"
#include "proto/header.h"
#include "proto/topic.h"
#include "proto/view.h"
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
