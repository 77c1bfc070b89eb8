// walk_item.h - reading one msgpack item: the inside of walk.h, for the .c files of proto alone.
//
// What is short and common is inline, because a body of 256 bytes is some twenty items and the
// broker reads every one of them. All return false where the item is cut off or is none; then the
// walk has not moved.
#pragma once
#include "walk.h"

// Reads an item whose lead byte is 0xc0 to 0xdf; `at` is behind that byte.
bool walk_item_long(walk_t *self, uint8_t lead, const uint8_t *at, walk_item_t *ret_item);

// `size` bytes of text or data at `at`, or false where there are fewer.
static inline bool
walk_item_bytes(
    walk_t *self, const uint8_t *at, uint64_t size, walk_type_t type, walk_item_t *ret_item)
{
    if ((uint64_t) (self->end - at) < size) {
        return false;
    }
    ret_item->type = type;
    ret_item->bytes = view_from(at, (size_t) size);
    self->at = at + size;
    return true;
}

// The head of a container. Each value takes a byte at least: a count above what is left is a lie,
// and found out before anybody acts on it.
static inline bool
walk_item_count(
    walk_t *self, const uint8_t *at, uint32_t count, walk_type_t type, walk_item_t *ret_item)
{
    uint64_t values = type == WALK_MAP ? 2 * (uint64_t) count : count;
    if ((uint64_t) (self->end - at) < values) {
        return false;
    }
    ret_item->type = type;
    ret_item->count = count;
    self->at = at;
    return true;
}

static inline bool
walk_item_number(walk_t *self, const uint8_t *at, walk_item_t item, walk_item_t *ret_item)
{
    *ret_item = item;
    self->at = at;
    return true;
}

// Reads any item.
static inline bool
walk_item_read(walk_t *self, walk_item_t *ret_item)
{
    const uint8_t *at = self->at;
    if (at == self->end) {
        return false;
    }
    uint8_t lead = *at++;
    if (lead < 0x80) {
        return walk_item_number(
            self, at, (walk_item_t){.type = WALK_INT, .integer = lead}, ret_item);
    }
    if (lead < 0x90) {
        return walk_item_count(self, at, lead & 0x0f, WALK_MAP, ret_item);
    }
    if (lead < 0xa0) {
        return walk_item_count(self, at, lead & 0x0f, WALK_ARRAY, ret_item);
    }
    if (lead < 0xc0) {
        return walk_item_bytes(self, at, lead & 0x1f, WALK_STR, ret_item);
    }
    if (lead < 0xe0) {
        return walk_item_long(self, lead, at, ret_item);
    }
    return walk_item_number(
        self, at, (walk_item_t){.type = WALK_INT, .integer = (int8_t) lead}, ret_item);
}
