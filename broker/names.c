// names.c - open addressing with linear probing; a removed key closes its gap by shifting the ones
// behind it back, so that there are no tombstones and a full map of churning names stays as fast as
// a fresh one.
#include "names.h"
#include "runtime/id.h"
#include <assert.h>
#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum { SLOTS_MIN = 16 }; // a power of two

typedef struct {
    char *key;       // owned copy; NULL: the slot is free
    uint32_t size;   // bytes of the key
    uint32_t number; // what it stands for
    uint64_t hash;   // of the key
} slot_t;

struct names {
    slot_t *slots;       // slot_count of them, at most half of them taken
    uint32_t slot_count; // a power of two
    uint32_t count;      // keys held
    uint32_t count_max;  // most keys
    uint64_t seed;       // of the hash: nobody outside can choose names that collide
};

names_t *
names_new(uint32_t count_max)
{
    assert(count_max > 0 && count_max < UINT32_MAX / 4);
    names_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    self->slots = calloc(SLOTS_MIN, sizeof(*self->slots));
    assert(self->slots != NULL);
    self->slot_count = SLOTS_MIN;
    self->count_max = count_max;
    id_random(&self->seed, sizeof(self->seed));
    return self;
}

void
names_destroy(names_t **self_p)
{
    names_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    for (uint32_t i = 0; i < self->slot_count; i++) {
        free(self->slots[i].key);
    }
    free(self->slots);
    free(self);
    *self_p = NULL;
}

uint32_t
names_count(const names_t *self)
{
    return self->count;
}

// The slot that holds `key`, or the free one where it would go.
static uint32_t
slot_of(const names_t *self, bus_view_t key, uint64_t hash)
{
    uint32_t mask = self->slot_count - 1;
    uint32_t i = (uint32_t) hash & mask;
    while (self->slots[i].key != NULL) {
        const slot_t *slot = &self->slots[i];
        if (slot->hash == hash && slot->size == key.size &&
            memcmp(slot->key, key.data, key.size) == 0) {
            return i;
        }
        i = (i + 1) & mask;
    }
    return i;
}

static uint64_t
hash_of(const names_t *self, bus_view_t key)
{
    return XXH3_64bits_withSeed(key.data, key.size, self->seed);
}

uint32_t
names_find(const names_t *self, bus_view_t key)
{
    if (key.size == 0) {
        return NAMES_NONE;
    }
    const slot_t *slot = &self->slots[slot_of(self, key, hash_of(self, key))];
    return slot->key == NULL ? NAMES_NONE : slot->number;
}

static void
grow(names_t *self)
{
    slot_t *old = self->slots;
    uint32_t old_count = self->slot_count;
    self->slot_count = old_count * 2;
    self->slots = calloc(self->slot_count, sizeof(*self->slots));
    assert(self->slots != NULL);
    for (uint32_t i = 0; i < old_count; i++) {
        if (old[i].key != NULL) {
            bus_view_t key = view_from(old[i].key, old[i].size);
            self->slots[slot_of(self, key, old[i].hash)] = old[i];
        }
    }
    free(old);
}

bool
names_add(names_t *self, bus_view_t key, uint32_t number)
{
    assert(key.size > 0 && key.size < UINT32_MAX && number != NAMES_NONE);
    if (self->count == self->count_max) {
        return false;
    }
    if ((self->count + 1) * 2 > self->slot_count) {
        grow(self);
    }
    uint64_t hash = hash_of(self, key);
    slot_t *slot = &self->slots[slot_of(self, key, hash)];
    assert(slot->key == NULL);
    slot->key = malloc(key.size);
    assert(slot->key != NULL);
    memcpy(slot->key, key.data, key.size);
    slot->size = (uint32_t) key.size;
    slot->number = number;
    slot->hash = hash;
    self->count++;
    return true;
}

void
names_remove(names_t *self, bus_view_t key)
{
    uint32_t mask = self->slot_count - 1;
    uint32_t gap = slot_of(self, key, hash_of(self, key));
    assert(self->slots[gap].key != NULL);
    free(self->slots[gap].key);
    self->count--;
    // Whatever was pushed past the gap by a collision moves back into it.
    for (uint32_t i = (gap + 1) & mask; self->slots[i].key != NULL; i = (i + 1) & mask) {
        uint32_t home = (uint32_t) self->slots[i].hash & mask;
        if (((i - home) & mask) >= ((i - gap) & mask)) {
            self->slots[gap] = self->slots[i];
            gap = i;
        }
    }
    self->slots[gap] = (slot_t){.key = NULL};
}
