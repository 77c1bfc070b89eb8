// inbox.c - the live inboxes: entries in fixed places, found by hash, and kept in sorted order for
// the prefix rule.
#include "inbox.h"
#include "names.h"
#include "proto/limits.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct {
    char name[NAME_SIZE_MAX]; // not terminated
    uint8_t size;             // bytes of the name
    uint32_t count;           // connections that listen
} entry_t;

struct inbox_table {
    entry_t *entries; // INBOXES_MAX places
    names_t *names;   // name -> place
    uint16_t *order;  // places in the order of their names
    uint16_t *free_;  // places that are free, the last one is next
    uint32_t count;   // live ones
};

_Static_assert(INBOXES_MAX <= UINT16_MAX, "places are 16 bits");
_Static_assert(NAME_SIZE_MAX <= UINT8_MAX, "sizes are 8 bits");

inbox_table_t *
inbox_table_new(void)
{
    inbox_table_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    self->entries = calloc(INBOXES_MAX, sizeof(*self->entries));
    self->order = calloc(INBOXES_MAX, sizeof(*self->order));
    self->free_ = calloc(INBOXES_MAX, sizeof(*self->free_));
    assert(self->entries != NULL && self->order != NULL && self->free_ != NULL);
    self->names = names_new(INBOXES_MAX);
    for (uint32_t i = 0; i < INBOXES_MAX; i++) {
        self->free_[i] = (uint16_t) (INBOXES_MAX - 1 - i);
    }
    return self;
}

void
inbox_table_destroy(inbox_table_t **self_p)
{
    inbox_table_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    names_destroy(&self->names);
    free(self->entries);
    free(self->order);
    free(self->free_);
    free(self);
    *self_p = NULL;
}

static bus_view_t
name_of(const inbox_table_t *self, uint32_t position)
{
    const entry_t *entry = &self->entries[self->order[position]];
    return view_from(entry->name, entry->size);
}

static int
compare(bus_view_t a, bus_view_t b)
{
    int result = memcmp(a.data, b.data, a.size < b.size ? a.size : b.size);
    if (result != 0) {
        return result;
    }
    return a.size < b.size ? -1 : a.size > b.size;
}

// The first position whose name is not below `name`.
static uint32_t
position_of(const inbox_table_t *self, bus_view_t name)
{
    uint32_t low = 0;
    uint32_t high = self->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (compare(name_of(self, middle), name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bus_err_t
inbox_add(inbox_table_t *self, bus_view_t name, int *ret_place)
{
    assert(name.size > 0 && name.size <= NAME_SIZE_MAX);
    uint32_t place = names_find(self->names, name);
    if (place != NAMES_NONE) {
        self->entries[place].count++;
        *ret_place = (int) place;
        return BUS_OK;
    }
    if (self->count == INBOXES_MAX) {
        return BUS_BUSY;
    }
    uint32_t position = position_of(self, name);
    if ((position < self->count && view_starts(name_of(self, position), name)) ||
        (position > 0 && view_starts(name, name_of(self, position - 1)))) {
        return BUS_CONFLICT;
    }
    place = self->free_[INBOXES_MAX - 1 - self->count];
    bool added = names_add(self->names, name, place);
    assert(added);
    entry_t *entry = &self->entries[place];
    memcpy(entry->name, name.data, name.size);
    entry->size = (uint8_t) name.size;
    entry->count = 1;
    memmove(self->order + position + 1,
            self->order + position,
            (self->count - position) * sizeof(self->order[0]));
    self->order[position] = (uint16_t) place;
    self->count++;
    *ret_place = (int) place;
    return BUS_OK;
}

bool
inbox_release(inbox_table_t *self, int place)
{
    entry_t *entry = &self->entries[place];
    assert(entry->count > 0);
    if (--entry->count > 0) {
        return false;
    }
    bus_view_t name = view_from(entry->name, entry->size);
    uint32_t position = position_of(self, name);
    assert(position < self->count && self->order[position] == place);
    names_remove(self->names, name);
    self->count--;
    memmove(self->order + position,
            self->order + position + 1,
            (self->count - position) * sizeof(self->order[0]));
    self->free_[INBOXES_MAX - 1 - self->count] = (uint16_t) place;
    return true;
}

int
inbox_find(const inbox_table_t *self, bus_view_t name)
{
    uint32_t place = names_find(self->names, name);
    return place == NAMES_NONE ? INBOX_NONE : (int) place;
}

uint32_t
inbox_count(const inbox_table_t *self)
{
    return self->count;
}

uint32_t
inbox_count_of(const inbox_table_t *self, bus_view_t name)
{
    char text[NAME_SIZE_MAX];
    int size = snprintf(text, sizeof(text), "_inbox.%.*s.", (int) name.size, name.data);
    assert(size > 0 && (size_t) size < sizeof(text));
    uint32_t first = position_of(self, view_from(text, (size_t) size));
    text[size - 1] = '.' + 1; // behind all that go on after the dot
    return position_of(self, view_from(text, (size_t) size)) - first;
}
