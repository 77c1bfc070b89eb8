// kb_gather.h - the terms of some passages, brought together in memory before they go into the
// index: each term once, in the order of its bytes, with the passages that it stands in.
//
// Owner: whoever made it; one thread. Memory running out ends the process; what goes in is bounded
// by its caller (a document's part, CORE_KB_DOCUMENT_PART_MAX).
#pragma once
#include "proto/view.h"
#include <stdint.h>

// A term in a passage.
typedef struct {
    uint64_t passage;   // its number
    uint32_t frequency; // how often it stands there
    uint32_t words;     // of the whole passage
} core_kb_posting_t;

typedef struct {
    bus_view_t term;                   // lives as long as the gather
    const core_kb_posting_t *postings; // by passage; likewise
    size_t count;
} core_kb_gathered_t;

typedef struct core_kb_gather core_kb_gather_t;
core_kb_gather_t *core_kb_gather_new(void);
void core_kb_gather_destroy(core_kb_gather_t **self_p);

// Adds the words of a passage, whose number is not below those before it: one that comes again is
// longer by them. Returns how many there are.
uint32_t core_kb_gather_add(core_kb_gather_t *self, uint64_t passage, bus_view_t text);
// Ends the adding; returns how many terms there are.
size_t core_kb_gather_finish(core_kb_gather_t *self);
// The term at `index`, in the order of their bytes, once it is finished.
core_kb_gathered_t core_kb_gather_at(const core_kb_gather_t *self, size_t index);
