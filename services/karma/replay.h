// replay.h - the replays that take longer than one turn of the loop. Owner: the service's thread.
//
// The question is karma_replay in operations.h.
#pragma once
#include "runtime/service.h"

typedef struct karma_replay karma_replay_t;

enum {
    KARMA_REPLAY_MAX = 1000000, // events of one user: 8 MB to know where they are
    KARMA_REPLAYS_MAX = 8       // at once, of that each; one more is BUS_BUSY
};

typedef struct {
    service_t *service;
    int timer; // runs while there are any
    size_t count;
    karma_replay_t *at[KARMA_REPLAYS_MAX]; // owned; the first has the next turn
} karma_replays_t;

// Forgets them, once their questions were answered for them (service_query_defer says when).
void karma_replay_clear(karma_replays_t *self);
