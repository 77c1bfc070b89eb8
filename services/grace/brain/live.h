// live.h - what is heard outside the journal: telemetry, and how full the queue is.
//
// It decides nothing by itself: what counts is journaled first, as brain.observation or
// brain.clock, and decided where that is applied. At most one of each a second, whatever comes; a
// telemetry message that the next overtakes is not journaled.
//
// Owner: the loop's thread. Nothing blocks.
#pragma once
#include "tables.h"

// Subscribes; the service outlives it.
brain_live_t *brain_live_new(service_t *service);
void brain_live_destroy(brain_live_t **self_p);
// What is due? See service_definition_t.tick.
void brain_live_tick(brain_live_t *self, service_query_t *query);
// Packs {known, queued?, running?}, for req.brain.status. `self` may be NULL.
void brain_live_pack(const brain_live_t *self, pack_t *out);

// Picks the metrics' means out of layer3.telemetry.stream's summary, as one map; returns how many.
// A number stands for its own mean. Pure.
uint32_t brain_live_pick(bus_view_t summary, pack_t *out);
// Sums up HTM's queue_sizes or queue_depths: all but "running" wait. False: there is nothing to sum
// up. Pure.
bool brain_live_sum(bus_view_t sizes, int64_t *ret_queued, int64_t *ret_running);
