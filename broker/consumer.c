// consumer.c - a packed array, found by name; at most CONSUMERS_MAX of them, so that going through
// all is nothing for once a second.
#include "consumer.h"
#include "names.h"
#include "proto/limits.h"
#include <assert.h>
#include <stdlib.h>

typedef struct {
    char name[ID_SIZE_MAX]; // not terminated
    size_t size;            // bytes of the name
    uint64_t next;          // the seq that its latest fetch goes on from; 0: not heard yet
    uint64_t ack;           // below it the consumer has everything durable
    bool is_stored;         // the journal has this ack
} entry_t;

struct consumer_table {
    entry_t entries[CONSUMERS_MAX];
    names_t *names; // -> entries
};

consumer_table_t *
consumer_table_new(void)
{
    consumer_table_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    self->names = names_new(CONSUMERS_MAX);
    return self;
}

void
consumer_table_destroy(consumer_table_t **self_p)
{
    consumer_table_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    names_destroy(&self->names);
    free(self);
    *self_p = NULL;
}

bool
consumer_fits(const consumer_table_t *self, bus_view_t name)
{
    return names_count(self->names) < CONSUMERS_MAX || names_find(self->names, name) != NAMES_NONE;
}

bus_err_t
consumer_heard(consumer_table_t *self, bus_view_t name, uint64_t next, uint64_t ack, bool is_stored)
{
    assert(name.size > 0 && name.size <= ID_SIZE_MAX);
    uint32_t place = names_find(self->names, name);
    if (place == NAMES_NONE) {
        place = names_count(self->names);
        if (!names_add(self->names, name, place)) {
            return BUS_FULL;
        }
        entry_t *entry = &self->entries[place];
        *entry = (entry_t){.size = name.size, .next = next, .ack = ack, .is_stored = is_stored};
        memcpy(entry->name, name.data, name.size);
        return BUS_OK;
    }
    entry_t *entry = &self->entries[place];
    entry->next = next;
    if (ack > entry->ack) {
        entry->ack = ack;
        entry->is_stored = is_stored;
    }
    return BUS_OK;
}

static bus_view_t
name_of(const entry_t *entry)
{
    return view_from(entry->name, entry->size);
}

void
consumer_forget(consumer_table_t *self, bus_view_t name)
{
    uint32_t place = names_find(self->names, name);
    if (place == NAMES_NONE) {
        return;
    }
    names_remove(self->names, name);
    uint32_t last = names_count(self->names);
    if (place != last) { // the last one takes its place
        self->entries[place] = self->entries[last];
        bus_view_t moved = name_of(&self->entries[place]);
        names_remove(self->names, moved);
        bool added = names_add(self->names, moved, place);
        assert(added);
    }
}

void
consumer_store(consumer_table_t *self, consumer_store_fn *fn, void *arg)
{
    for (uint32_t i = 0; i < names_count(self->names); i++) {
        entry_t *entry = &self->entries[i];
        if (!entry->is_stored) {
            entry->is_stored = fn(arg, name_of(entry), entry->ack);
        }
    }
}

void
consumer_not_stored(consumer_table_t *self, bus_view_t name)
{
    uint32_t place = names_find(self->names, name);
    if (place != NAMES_NONE) {
        self->entries[place].is_stored = false;
    }
}

uint64_t
consumer_floor(const consumer_table_t *self)
{
    uint64_t floor = UINT64_MAX;
    for (uint32_t i = 0; i < names_count(self->names); i++) {
        floor = self->entries[i].ack < floor ? self->entries[i].ack : floor;
    }
    return floor;
}

uint32_t
consumer_count(const consumer_table_t *self)
{
    return names_count(self->names);
}

void
consumer_pack(const consumer_table_t *self, uint64_t head, pack_t *out)
{
    pack_array(out, names_count(self->names));
    for (uint32_t i = 0; i < names_count(self->names); i++) {
        const entry_t *entry = &self->entries[i];
        pack_map(out, 4);
        pack_pair_str(out, "consumer", name_of(entry));
        pack_pair_uint(out, "next", entry->next);
        pack_pair_uint(out, "ack", entry->ack);
        pack_pair_uint(out, "lag", head + 1 > entry->ack ? head + 1 - entry->ack : 0);
    }
}
