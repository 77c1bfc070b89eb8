// trace_tree.h - the steps of one trace, as one tree: from journal records, requests that a bridge
// remembers, and what the services know of those records.
//
// A step's parent is what caused it: the record that its `cause` names; of what an executor tells
// the command that it names; of what Core tells of a task the agent that worked on it; of a
// journaled request that request. Where nothing of that is known it is the last request that had
// begun before (`parent_by: "time"`, which is a guess and says so), else the step is a root.
//
// Owner: whoever made it. Everything is copied. No sockets, disk or clock.
#pragma once
#include "proto/header.h"
#include "proto/pack.h"
#include "proto/view.h"
#include <stdint.h>

enum {
    BRIDGE_TRACE_STEPS_MAX = 2000, // shown; about a megabyte of JSON
};

typedef struct bridge_trace_tree bridge_trace_tree_t;

bridge_trace_tree_t *bridge_trace_tree_new(bus_view_t trace_id);
void bridge_trace_tree_destroy(bridge_trace_tree_t **self_p);

// Whether it has BRIDGE_TRACE_STEPS_MAX steps, and what came on was left out.
bool bridge_trace_tree_is_truncated(const bridge_trace_tree_t *self);
uint32_t bridge_trace_tree_count(const bridge_trace_tree_t *self);

// --- What is known, in any order but as said -----------------------------------------------------

// A record of the journal.
void bridge_trace_tree_add_record(bridge_trace_tree_t *self,
                                  bus_view_t topic,
                                  const header_t *header,
                                  bus_view_t body);
// The lowest seq that the journal keeps. After all records.
void bridge_trace_tree_set_first(bridge_trace_tree_t *self, uint64_t first);
// One of the requests of trace_recent.h. What is not of that shape is left out, here and below.
void bridge_trace_tree_add_request(bridge_trace_tree_t *self, bus_view_t request);
// An event as req.bucket.events has it. After all records: one that they have is known.
void bridge_trace_tree_add_event(bridge_trace_tree_t *self, bus_view_t event);
// An execution as req.workflow.status has it. After all records: it adds its status to them.
void bridge_trace_tree_add_execution(bridge_trace_tree_t *self, bus_view_t execution);
// A place of req.bucket.audit_places, and one of req.karma.applied. After all steps.
void bridge_trace_tree_add_place(bridge_trace_tree_t *self, bus_view_t place);
void bridge_trace_tree_add_karma(bridge_trace_tree_t *self, bus_view_t applied);

// --- What comes of it ---------------------------------------------------------------------------

// Packs the array of the seqs that steps have, each once.
void bridge_trace_tree_pack_seqs(const bridge_trace_tree_t *self, pack_t *out);
// Adds pairs to an open map, and returns how many: trace_id, began_at, ended_at, duration_ms,
// count, truncated, trimmed (some of it provably is gone), steps: in the tree's order, each parent
// before its children, and those by time.
unsigned bridge_trace_tree_pack(bridge_trace_tree_t *self, pack_t *out);
