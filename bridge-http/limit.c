// limit.c - token buckets in a bounded hash table with a list by last use.
#include "limit.h"
#include <assert.h>
#include <stdlib.h>

enum {
    NAME_MAX_SIZE = 112,                  // an address and a requester
    SLOTS = BRIDGE_LIMIT_CALLERS_MAX * 2, // half empty at most: short probes
    NONE = 0x7fffffff,
    KINDS = 3,
};

typedef struct {
    char name[NAME_MAX_SIZE]; // cut there
    size_t name_size;
    double tokens[KINDS];
    uint64_t filled_us; // when the tokens were counted
    uint32_t newer;     // neighbours by last use
    uint32_t older;
    uint32_t chain; // next of the same hash
} caller_t;

struct bridge_limit {
    caller_t callers[BRIDGE_LIMIT_CALLERS_MAX];
    uint32_t heads[SLOTS]; // first of each hash
    uint32_t newest, oldest;
    uint32_t count;
};

static const unsigned rates[KINDS] = {[BRIDGE_LIMIT_READ] = BRIDGE_LIMIT_READS,
                                      [BRIDGE_LIMIT_WRITE] = BRIDGE_LIMIT_WRITES,
                                      [BRIDGE_LIMIT_REFUSAL] = BRIDGE_LIMIT_REFUSALS};

bridge_limit_t *
bridge_limit_new(void)
{
    bridge_limit_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    for (size_t i = 0; i < SLOTS; i++) {
        self->heads[i] = NONE;
    }
    self->newest = self->oldest = NONE;
    return self;
}

void
bridge_limit_destroy(bridge_limit_t **self_p)
{
    free(*self_p);
    *self_p = NULL;
}

static uint32_t
slot_of(bus_view_t name)
{
    uint64_t hash = 14695981039346656037U; // FNV-1a
    for (size_t i = 0; i < name.size; i++) {
        hash = (hash ^ (unsigned char) name.data[i]) * 1099511628211U;
    }
    return (uint32_t) (hash % SLOTS);
}

static void
unlink_use(bridge_limit_t *self, uint32_t index)
{
    caller_t *caller = &self->callers[index];
    *(caller->newer == NONE ? &self->newest : &self->callers[caller->newer].older) = caller->older;
    *(caller->older == NONE ? &self->oldest : &self->callers[caller->older].newer) = caller->newer;
}

static void
link_newest(bridge_limit_t *self, uint32_t index)
{
    caller_t *caller = &self->callers[index];
    caller->newer = NONE;
    caller->older = self->newest;
    *(self->newest == NONE ? &self->oldest : &self->callers[self->newest].newer) = index;
    self->newest = index;
}

static void
unlink_hash(bridge_limit_t *self, uint32_t index)
{
    const caller_t *caller = &self->callers[index];
    uint32_t *at = &self->heads[slot_of(view_from(caller->name, caller->name_size))];
    while (*at != index) {
        assert(*at != NONE);
        at = &self->callers[*at].chain;
    }
    *at = caller->chain;
}

// A place for somebody new: a fresh one, or that of whoever was away longest.
static uint32_t
make_room(bridge_limit_t *self)
{
    if (self->count < BRIDGE_LIMIT_CALLERS_MAX) {
        return self->count++;
    }
    uint32_t index = self->oldest;
    unlink_use(self, index);
    unlink_hash(self, index);
    return index;
}

static caller_t *
require_caller(bridge_limit_t *self, bus_view_t name, uint64_t now_us)
{
    uint32_t slot = slot_of(name);
    for (uint32_t i = self->heads[slot]; i != NONE; i = self->callers[i].chain) {
        if (view_equal(name, view_from(self->callers[i].name, self->callers[i].name_size))) {
            unlink_use(self, i);
            link_newest(self, i);
            return &self->callers[i];
        }
    }
    uint32_t index = make_room(self);
    caller_t *caller = &self->callers[index];
    memcpy(caller->name, name.data, name.size);
    caller->name_size = name.size;
    for (size_t kind = 0; kind < KINDS; kind++) {
        caller->tokens[kind] = (double) rates[kind] * BRIDGE_LIMIT_BURST;
    }
    caller->filled_us = now_us;
    caller->chain = self->heads[slot];
    self->heads[slot] = index;
    link_newest(self, index);
    return caller;
}

bridge_limit_verdict_t
bridge_limit_take(bridge_limit_t *self,
                  bus_view_t caller_name,
                  bridge_limit_kind_t kind,
                  uint64_t now_us)
{
    if (caller_name.size > NAME_MAX_SIZE) {
        caller_name.size = NAME_MAX_SIZE;
    }
    caller_t *caller = require_caller(self, caller_name, now_us);
    double seconds = (double) (now_us - caller->filled_us) / 1e6;
    caller->filled_us = now_us;
    for (size_t i = 0; i < KINDS; i++) {
        double full = (double) rates[i] * BRIDGE_LIMIT_BURST;
        double filled = caller->tokens[i] + seconds * rates[i];
        caller->tokens[i] = filled > full ? full : filled;
    }
    double *tokens = &caller->tokens[kind];
    bridge_limit_verdict_t verdict = {.allowed = *tokens >= 1.0, .limit = rates[kind]};
    *tokens -= verdict.allowed ? 1.0 : 0.0;
    verdict.remaining = (unsigned) *tokens;
    double missing = (double) rates[kind] * BRIDGE_LIMIT_BURST - *tokens;
    verdict.reset_s = (unsigned) (missing / rates[kind]) + 1;
    verdict.retry_after_s = verdict.allowed ? 0 : 1; // a token is never a second away
    return verdict;
}

size_t
bridge_limit_count(const bridge_limit_t *self)
{
    return self->count;
}
