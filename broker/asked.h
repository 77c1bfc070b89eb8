// asked.h - which requests an instance has been handed and has not answered.
//
// Owner: the peer table; its thread. Pure memory; time is given to it. It may know of fewer than
// there are, never of more: two requests that fall into one place push each other out, and what is
// not answered for ASKED_MS is forgotten. So a queue that is counted as long is long.
#pragma once
#include "proto/auto.h"
#include "proto/view.h"
#include <stdint.h>

enum {
    ASKED_MAX = 32768,    // requests remembered, 24 bytes each: of 16 instances that are full
    ASKED_MS = 10 * 1000, // five times as long as an asker waits by default
};

typedef struct asked asked_t;

// For instances at places below `places`.
asked_t *asked_new(uint32_t places);
void asked_destroy(asked_t **self_p);

// The instance at `place` was handed the request `id`, to be answered to `reply_to`.
void asked_add(asked_t *self, bus_view_t reply_to, bus_view_t id, uint32_t place, uint64_t now_ms);
// An answer to `id` came for `reply_to`. Unknown ones are ignored.
void asked_answered(asked_t *self, bus_view_t reply_to, bus_view_t id);
// How many wait at the instance.
uint32_t asked_count(const asked_t *self, uint32_t place);
// The instance has begun anew, or is another: nothing waits there.
void asked_forget(asked_t *self, uint32_t place);
// Forgets what is too old; to be called each second.
void asked_expire(asked_t *self, uint64_t now_ms);
