// trace_tree_inner.h - the inside of a trace's tree, for trace_tree*.c alone.
#pragma once
#include "proto/limits.h"
#include "trace_tree.h"

enum {
    BRIDGE_TRACE_WHAT_SIZE = 256, // a topic, or a method and a path
    BRIDGE_TRACE_WORD_SIZE = 24,
};

#define BRIDGE_TRACE_NO_DURATION UINT64_MAX
#define BRIDGE_TRACE_NONE UINT32_MAX

typedef enum {
    BRIDGE_TRACE_HTTP,
    BRIDGE_TRACE_AGENT,
    BRIDGE_TRACE_EFFECT,
    BRIDGE_TRACE_KARMA,
    BRIDGE_TRACE_EVENT,
    BRIDGE_TRACE_BUS
} bridge_trace_kind_t;

typedef struct {
    size_t offset; // in `data`
    size_t size;   // 0: none
} bridge_trace_span_t;

typedef struct {
    bridge_trace_kind_t kind;
    uint64_t at;          // microseconds
    uint64_t duration_us; // BRIDGE_TRACE_NO_DURATION: not known
    uint64_t seq;         // of its record, or of the one that a request made; 0: none
    uint64_t cause_seq;   // 0: none
    uint64_t cause_n;
    uint64_t execution; // seq of the command that it is about; 0: none
    uint64_t task;      // hash of the task that it is about; 0: none
    int http_status;    // 0: none
    bool is_record;     // its seq is its own
    const char *known_by;
    char what[BRIDGE_TRACE_WHAT_SIZE];
    char source[ID_SIZE_MAX + 1];
    char status[BRIDGE_TRACE_WORD_SIZE];
    bridge_trace_span_t about; // a map
    bridge_trace_span_t karma; // a map
    uint32_t audit_first, audit_last;
    const char *parent_by;                          // how the parent was found; NULL: none
    uint32_t parent, first_child, last_child, next; // BRIDGE_TRACE_NONE: none
    uint32_t number, depth;
} bridge_trace_step_t;

typedef struct {
    bridge_trace_span_t place; // a map
    uint32_t next;
} bridge_trace_audit_t;

struct bridge_trace_tree {
    char trace_id[NAME_SIZE_MAX + 1];
    bridge_trace_step_t *steps;
    uint32_t count, room;
    bool is_truncated;
    uint64_t first;   // that the journal keeps
    bool has_trimmed; // a step or a cause is below that
    pack_t *data;     // what spans point into
    bridge_trace_audit_t *audits;
    uint32_t audit_count, audit_room;
    uint32_t by_seq[BRIDGE_TRACE_STEPS_MAX]; // steps that are records, by seq
    uint32_t by_seq_count;
};

// The step that is the record `seq`, or NULL.
bridge_trace_step_t *bridge_trace_tree_find(const bridge_trace_tree_t *self, uint64_t seq);

// trace_tree_link.c: gives every step its parent, its place among the parent's children (by time)
// and that it is known whether something is gone. Returns the first root, or BRIDGE_TRACE_NONE.
uint32_t bridge_trace_tree_link(bridge_trace_tree_t *self);
// The step behind `place` in the tree's order, or BRIDGE_TRACE_NONE.
uint32_t bridge_trace_tree_step_on(const bridge_trace_tree_t *self, uint32_t place);
