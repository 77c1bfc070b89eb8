// asked.c - one place a request, by its hash.
#include "asked.h"
#include "runtime/id.h"
#include <assert.h>
#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

typedef struct {
    uint64_t hash;     // of reply_to and id; 0: the slot is free
    uint64_t asked_ms; // boot clock
    uint32_t place;    // of the instance
    uint32_t era;      // of the instance
} slot_t;

typedef struct {
    uint32_t count; // slots of this era
    uint32_t era;   // how often it began anew: older slots are nobody's
} instance_t;

struct asked {
    slot_t *slots;         // ASKED_MAX of them
    instance_t *instances; // by place
    uint32_t places;       // of them
    uint64_t seed;         // of the hash: nobody outside can choose ids that push others out
};

_Static_assert((ASKED_MAX & (ASKED_MAX - 1)) == 0, "a slot is the low bits of a hash");

asked_t *
asked_new(uint32_t places)
{
    asked_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    self->slots = calloc(ASKED_MAX, sizeof(*self->slots));
    self->instances = calloc(places, sizeof(*self->instances));
    assert(self->slots != NULL && self->instances != NULL);
    self->places = places;
    id_random(&self->seed, sizeof(self->seed));
    return self;
}

void
asked_destroy(asked_t **self_p)
{
    asked_t *self = *self_p;
    if (self != NULL) {
        free(self->slots);
        free(self->instances);
        free(self);
        *self_p = NULL;
    }
}

static uint64_t
hash_of(const asked_t *self, bus_view_t reply_to, bus_view_t id)
{
    uint64_t seed = XXH3_64bits_withSeed(reply_to.data, reply_to.size, self->seed);
    uint64_t hash = XXH3_64bits_withSeed(id.data, id.size, seed);
    return hash == 0 ? 1 : hash;
}

static void
free_slot(asked_t *self, slot_t *slot)
{
    instance_t *instance = &self->instances[slot->place];
    if (slot->hash != 0 && slot->era == instance->era) {
        instance->count--;
    }
    slot->hash = 0;
}

void
asked_add(asked_t *self, bus_view_t reply_to, bus_view_t id, uint32_t place, uint64_t now_ms)
{
    assert(place < self->places && reply_to.size > 0 && id.size > 0);
    uint64_t hash = hash_of(self, reply_to, id);
    slot_t *slot = &self->slots[hash % ASKED_MAX];
    free_slot(self, slot);
    instance_t *instance = &self->instances[place];
    *slot = (slot_t){.hash = hash, .asked_ms = now_ms, .place = place, .era = instance->era};
    instance->count++;
}

void
asked_answered(asked_t *self, bus_view_t reply_to, bus_view_t id)
{
    if (reply_to.size == 0 || id.size == 0) {
        return;
    }
    uint64_t hash = hash_of(self, reply_to, id);
    slot_t *slot = &self->slots[hash % ASKED_MAX];
    if (slot->hash == hash) {
        free_slot(self, slot);
    }
}

uint32_t
asked_count(const asked_t *self, uint32_t place)
{
    assert(place < self->places);
    return self->instances[place].count;
}

void
asked_forget(asked_t *self, uint32_t place)
{
    assert(place < self->places);
    self->instances[place].count = 0;
    self->instances[place].era++;
}

void
asked_expire(asked_t *self, uint64_t now_ms)
{
    for (uint32_t i = 0; i < ASKED_MAX; i++) {
        slot_t *slot = &self->slots[i];
        if (slot->hash != 0 && now_ms - slot->asked_ms >= ASKED_MS) {
            free_slot(self, slot);
        }
    }
}
