// limit.h - how much a caller may ask for: token buckets, one pair a caller.
//
// A bucket holds twice a second's worth and fills by the clock that is passed in. The table is
// bounded: the caller who was away longest makes room, and a stranger starts with a full bucket, so
// the most that somebody gains by changing names is what a name is worth (and names are addresses,
// or one of the few that may write; see request.c). Owner: the loop's thread.
#pragma once
#include "proto/auto.h"
#include "proto/view.h"
#include <stdint.h>

typedef struct bridge_limit bridge_limit_t;

typedef enum {
    BRIDGE_LIMIT_READ,
    BRIDGE_LIMIT_WRITE,
    BRIDGE_LIMIT_REFUSAL // a 403 that is audited
} bridge_limit_kind_t;

enum {
    BRIDGE_LIMIT_WRITES = 1000, // a second
    BRIDGE_LIMIT_READS = 5000,
    BRIDGE_LIMIT_REFUSALS = 20,     // of one identity: what is above is 429, and not audited
    BRIDGE_LIMIT_BURST = 2,         // seconds' worth that a bucket holds
    BRIDGE_LIMIT_CALLERS_MAX = 4096 // addresses: an IPv4 /20's worth, 600 KiB
};

typedef struct {
    bool allowed;
    unsigned limit;         // a second
    unsigned remaining;     // whole tokens left
    unsigned reset_s;       // until the bucket is full again
    unsigned retry_after_s; // where it was not allowed: until there is one token
} bridge_limit_verdict_t;

bridge_limit_t *bridge_limit_new(void);
void bridge_limit_destroy(bridge_limit_t **self_p);

// Takes one token of `caller`'s at the time `now_us`, which never goes backwards.
bridge_limit_verdict_t bridge_limit_take(bridge_limit_t *self,
                                         bus_view_t caller,
                                         bridge_limit_kind_t kind,
                                         uint64_t now_us);
// Callers that are remembered.
size_t bridge_limit_count(const bridge_limit_t *self);
