// inbox.h - the inboxes that somebody listens on, and the rule that none of them covers another.
//
// Owner: the router's egress; its thread. Pure memory, no sockets: what the XPUB says is told to
// it. A subscription is a prefix, so `_inbox.a.1` would hear `_inbox.a.12` too: while one of them
// is live the other is refused. The set is therefore prefix-free, and in sorted order an inbox that
// covers another, or is covered, can only be its neighbour: two comparisons decide.
//
// One inbox may be held by two connections for a while (a peer that came back before its old
// connection was seen to end), so connections are counted; which they are, hearing.h knows.
#pragma once
#include "proto/auto.h"
#include "proto/error.h"
#include "proto/view.h"
#include <stdint.h>

enum {
    INBOXES_MAX = 16384, // two a peer, for PEERS_MAX of them
    INBOX_NONE = -1,
};

typedef struct inbox_table inbox_table_t;

inbox_table_t *inbox_table_new(void);
void inbox_table_destroy(inbox_table_t **self_p);

// Takes a connection that listens on a whole inbox (topic_is_inbox): *ret_place is where it is,
// below INBOXES_MAX and the same while it is live. BUS_CONFLICT where it covers another live one or
// is covered by it, BUS_BUSY where INBOXES_MAX are live; then nothing changed.
BUS_CHECK bus_err_t inbox_add(inbox_table_t *self, bus_view_t name, int *ret_place);
// Takes a connection off a live inbox. True where nobody listens on it any more.
bool inbox_release(inbox_table_t *self, int place);
// The place of a live inbox, or INBOX_NONE.
int inbox_find(const inbox_table_t *self, bus_view_t name);
uint32_t inbox_count(const inbox_table_t *self);
// How many live ones are `_inbox.<name>.` and something.
uint32_t inbox_count_of(const inbox_table_t *self, bus_view_t name);
