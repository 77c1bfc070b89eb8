// probe.h - how long an event of Bucket's takes to reach Karma's ledger: a sample of them,
// followed.
//
// Of the events that are written through this bridge, one at a time is followed, one a second at
// most: its life event is looked for in the journal, then Karma is asked until it has applied it.
// So what is measured is an upper bound, some tens of milliseconds above the truth. What is not
// forwarded (`karma: "direct"`, the toggle off) is no sample.
#pragma once
#include "server.h"

bridge_probe_t *bridge_probe_new(bridge_t *bridge);
void bridge_probe_destroy(bridge_probe_t **self_p);
// Forgets what it asked: the client is about to go.
void bridge_probe_stop(bridge_probe_t *self);

// An event was journaled at `seq`; `started_us` is when its request came.
void bridge_probe_follow(bridge_probe_t *self, uint64_t seq, uint64_t started_us);

typedef struct {
    uint64_t samples; // events that were followed to their end, or that never arrived
    uint64_t within;  // of them in Karma's ledger within 500 ms
} bridge_probe_counts_t;
bridge_probe_counts_t bridge_probe_counts(const bridge_probe_t *self);
