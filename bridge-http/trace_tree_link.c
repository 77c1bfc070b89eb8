// trace_tree_link.c - each step finds its parent. Seqs only grow along causes, and what is no
// record hangs on one or on a request, so there are no circles; nothing recurses.
#include "trace_tree_inner.h"
#include <assert.h>
#include <stdlib.h>

// --- Parents ------------------------------------------------------------------------------------

static uint32_t
place_of(const bridge_trace_tree_t *self, const bridge_trace_step_t *step)
{
    return (uint32_t) (step - self->steps);
}

// The record `seq`, where that can have caused this one.
static uint32_t
find_cause(const bridge_trace_tree_t *self, const bridge_trace_step_t *step, uint64_t seq)
{
    const bridge_trace_step_t *cause = seq == 0 || (step->is_record && seq >= step->seq)
                                           ? NULL
                                           : bridge_trace_tree_find(self, seq);
    return cause == NULL ? BRIDGE_TRACE_NONE : place_of(self, cause);
}

// The agent that worked on the task: the last one.
static uint32_t
find_agent(const bridge_trace_tree_t *self, uint64_t task)
{
    for (uint32_t i = self->count; i > 0 && task != 0; i--) {
        if (self->steps[i - 1].kind == BRIDGE_TRACE_AGENT && self->steps[i - 1].task == task) {
            return i - 1;
        }
    }
    return BRIDGE_TRACE_NONE;
}

// The request that made this record.
static uint32_t
find_request(const bridge_trace_tree_t *self, const bridge_trace_step_t *step)
{
    for (uint32_t i = 0; i < self->count && step->is_record; i++) {
        if (self->steps[i].kind == BRIDGE_TRACE_HTTP && self->steps[i].seq == step->seq) {
            return i;
        }
    }
    return BRIDGE_TRACE_NONE;
}

// The last request that had begun by then. What it made is not before it, and the journal's clock
// may be behind the wall's a little.
static uint32_t
find_earlier(const bridge_trace_tree_t *self, uint64_t at)
{
    enum { APART_US = 5000 };
    uint32_t found = BRIDGE_TRACE_NONE;
    for (uint32_t i = 0; i < self->count; i++) {
        const bridge_trace_step_t *step = &self->steps[i];
        bool is_later = found == BRIDGE_TRACE_NONE || step->at >= self->steps[found].at;
        if (step->kind == BRIDGE_TRACE_HTTP && step->at <= at + APART_US && is_later) {
            found = i;
        }
    }
    return found;
}

static void
find_parent(const bridge_trace_tree_t *self, bridge_trace_step_t *step)
{
    if (step->kind == BRIDGE_TRACE_HTTP) {
        return;
    }
    const struct {
        const char *by;
        uint32_t place;
    } found[] = {
        {"cause", find_cause(self, step, step->cause_seq)},
        {"execution", find_cause(self, step, step->execution)},
        {"task",
         step->kind == BRIDGE_TRACE_AGENT ? BRIDGE_TRACE_NONE : find_agent(self, step->task)},
        {"seq", find_request(self, step)},
        {"time", find_earlier(self, step->at)},
    };
    for (size_t i = 0; i < sizeof(found) / sizeof(found[0]); i++) {
        if (found[i].place != BRIDGE_TRACE_NONE) {
            step->parent = found[i].place;
            step->parent_by = found[i].by;
            return;
        }
    }
}

// --- In order -----------------------------------------------------------------------------------

typedef struct {
    uint64_t at;
    uint64_t seq;
    uint32_t step;
} moment_t;

static int
compare_moments(const void *a, const void *b)
{
    const moment_t *left = a;
    const moment_t *right = b;
    if (left->at != right->at) {
        return left->at < right->at ? -1 : 1;
    }
    if (left->seq != right->seq) {
        return left->seq < right->seq ? -1 : 1;
    }
    return left->step < right->step ? -1 : left->step > right->step;
}

uint32_t
bridge_trace_tree_link(bridge_trace_tree_t *self)
{
    uint32_t first = BRIDGE_TRACE_NONE;
    uint32_t last = BRIDGE_TRACE_NONE;
    moment_t *moments = calloc(self->count + 1, sizeof(*moments));
    assert(moments != NULL);
    for (uint32_t i = 0; i < self->count; i++) {
        bridge_trace_step_t *step = &self->steps[i];
        moments[i] = (moment_t){.at = step->at, .seq = step->seq, .step = i};
        step->parent = step->first_child = step->last_child = step->next = BRIDGE_TRACE_NONE;
        find_parent(self, step);
        self->has_trimmed = self->has_trimmed || (step->is_record && step->seq < self->first) ||
                            (step->cause_seq > 0 && step->cause_seq < self->first);
    }
    qsort(moments, self->count, sizeof(*moments), compare_moments);
    for (uint32_t i = 0; i < self->count; i++) {
        uint32_t place = moments[i].step;
        bridge_trace_step_t *parent = self->steps[place].parent == BRIDGE_TRACE_NONE
                                          ? NULL
                                          : &self->steps[self->steps[place].parent];
        uint32_t *last_p = parent == NULL ? &last : &parent->last_child;
        if (*last_p != BRIDGE_TRACE_NONE) {
            self->steps[*last_p].next = place;
        } else {
            *(parent == NULL ? &first : &parent->first_child) = place;
        }
        *last_p = place;
    }
    free(moments);
    return first;
}

uint32_t
bridge_trace_tree_step_on(const bridge_trace_tree_t *self, uint32_t place)
{
    if (self->steps[place].first_child != BRIDGE_TRACE_NONE) {
        return self->steps[place].first_child;
    }
    while (place != BRIDGE_TRACE_NONE && self->steps[place].next == BRIDGE_TRACE_NONE) {
        place = self->steps[place].parent;
    }
    return place == BRIDGE_TRACE_NONE ? BRIDGE_TRACE_NONE : self->steps[place].next;
}
