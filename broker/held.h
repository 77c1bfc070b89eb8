// held.h - how many bytes libzmq holds for peers that have not read them yet.
//
// libzmq 4.3.4 bounds what waits for a peer by messages alone, of up to 4 MiB each. So a message on
// its way out is charged here, and taken off when libzmq frees it: once the last peer has it, or
// has lost it. A charged frame is the same memory in another frame, nothing is copied.
//
// Any thread: the router charges what it sends, the reader its pages while they are still on their
// way to the router, libzmq's own thread takes off.
#pragma once
#include "proto/auto.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <zmq.h>

enum {
    HELD_SOFT = 128 * 1024 * 1024, // above it connections are looked at, see clog.h
    HELD_MAX = 256 * 1024 * 1024,  // above it nothing that is not small is sent any more
    // A smaller message is charged this much, but only as often as makes it right on average, by a
    // dice that no sender can foresee: most cost one look at it. And it is sent in any case:
    // GATE_HWM of them are 64 MiB.
    HELD_GRAIN = 4096,
    HELD_EACH = 256, // of a message besides its bytes: three zmq_msg_t in a queue, allocations
};

typedef struct held held_t;

held_t *held_new(void);
// Messages that are still charged may outlive it.
void held_destroy(held_t **self_p);

uint64_t held_bytes(const held_t *self);
static inline bool
held_is_full(const held_t *self)
{
    return held_bytes(self) >= HELD_MAX;
}

// Charges a message of `size` bytes. `frame` is one of its frames, and from now on stands for it.
void held_charge(held_t *self, zmq_msg_t *frame, size_t size);
