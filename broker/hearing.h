// hearing.h - what each connection has asked to hear, by its descriptor.
//
// Owner: the router's egress; its thread. libzmq keeps a subscription until it is taken back or its
// connection ends, also one that was refused, and tells nobody which connection's ended. So it is
// known here: how much a connection makes libzmq keep, whether it takes back what it had asked
// for, and on which inboxes it listened when it ended.
#pragma once
#include "proto/auto.h"
#include "proto/view.h"
#include <stdint.h>

enum {
    HEARING_FDS_MAX = 65536,     // descriptors that are told apart: more than GATE_CONNECTIONS_MAX
    HEARING_PREFIXES_MAX = 4096, // of a connection
    HEARING_BYTES_MAX = 64 * 1024, // of them together: libzmq's trie takes some 50 for each
    HEARING_NO_INBOX = -1,
};

typedef struct {
    uint64_t hash; // of the prefix
    int32_t inbox; // its place where it was granted as one, or HEARING_NO_INBOX
    uint32_t size; // bytes of the prefix
} hearing_prefix_t;

typedef struct hearing hearing_t;

hearing_t *hearing_new(void);
void hearing_destroy(hearing_t **self_p);

// The prefix of the connection, put in (with no inbox) where it is missing. NULL where that would
// be more than a connection may have, or the descriptor is none. Valid until the next call.
hearing_prefix_t *hearing_require(hearing_t *self, int fd, bus_view_t prefix);
// Takes one out. False where the connection never asked for it; else *ret_inbox is its inbox.
bool hearing_remove(hearing_t *self, int fd, bus_view_t prefix, int32_t *ret_inbox);
uint32_t hearing_count(const hearing_t *self, int fd);

// Called with each inbox that a connection listened on.
typedef void(hearing_inbox_fn)(void *arg, int32_t inbox);
// The connection has ended.
void hearing_forget(hearing_t *self, int fd, hearing_inbox_fn *fn, void *arg);
