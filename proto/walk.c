// walk.c - reading msgpack where it lies: item by item, by key, and as the types of C.
#include "walk_item.h"

bus_err_t
walk_next(walk_t *self, walk_item_t *ret_item)
{
    walk_item_t item;
    if (!walk_item_read(self, &item)) {
        return BUS_MALFORMED_MESSAGE;
    }
    *ret_item = item;
    return BUS_OK;
}

bus_err_t
walk_skip(walk_t *self, bus_view_t *ret_value)
{
    walk_t walk = *self;
    // Cannot overflow: each container adds at most the bytes that are left.
    for (uint64_t left = 1; left > 0; left--) {
        walk_item_t item;
        if (!walk_item_read(&walk, &item)) {
            return BUS_MALFORMED_MESSAGE;
        }
        if (item.type == WALK_ARRAY) {
            left += item.count;
        } else if (item.type == WALK_MAP) {
            left += 2 * (uint64_t) item.count;
        }
    }
    if (ret_value != NULL) {
        *ret_value = view_from(self->at, (size_t) (walk.at - self->at));
    }
    *self = walk;
    return BUS_OK;
}

// The value of the key `key`, or BUS_NOT_FOUND.
static bus_err_t
find_view(bus_view_t map, bus_view_t key, bus_view_t *ret_value)
{
    walk_t walk = walk_from(map);
    walk_item_t head;
    if (!walk_item_read(&walk, &head) || head.type != WALK_MAP) {
        return BUS_NOT_FOUND;
    }
    for (uint32_t i = 0; i < head.count; i++) {
        bus_view_t name;
        bus_view_t value;
        walk_item_t item;
        if (walk_skip(&walk, &name) != BUS_OK || walk_skip(&walk, &value) != BUS_OK) {
            return BUS_NOT_FOUND;
        }
        walk_t name_walk = walk_from(name);
        if (walk_item_read(&name_walk, &item) && item.type == WALK_STR &&
            view_equal(item.bytes, key)) {
            *ret_value = value;
            return BUS_OK;
        }
    }
    return BUS_NOT_FOUND;
}

walk_pairs_t
walk_pairs(bus_view_t map)
{
    walk_pairs_t self = {.walk = walk_from(map)};
    walk_item_t head;
    if (walk_next(&self.walk, &head) == BUS_OK && head.type == WALK_MAP) {
        self.left = head.count;
        self.is_whole = true;
    }
    return self;
}

bus_err_t
walk_pairs_next(walk_pairs_t *self, bus_view_t *ret_key, bus_view_t *ret_value)
{
    if (!self->is_whole) {
        return BUS_MALFORMED_MESSAGE;
    }
    if (self->left == 0) {
        return BUS_NOT_FOUND;
    }
    bus_view_t key;
    if (walk_skip(&self->walk, &key) != BUS_OK || walk_skip(&self->walk, ret_value) != BUS_OK) {
        self->is_whole = false;
        return BUS_MALFORMED_MESSAGE;
    }
    self->left--;
    if (walk_as_str(key, ret_key) != BUS_OK) {
        *ret_key = VIEW_NONE;
    }
    return BUS_OK;
}

bus_err_t
walk_find(bus_view_t map, const char *key, bus_view_t *ret_value)
{
    return find_view(map, view_from_text(key), ret_value);
}

bus_err_t
walk_find_path(bus_view_t map, const char *path, bus_view_t *ret_value)
{
    bus_view_t value = map;
    for (;;) {
        size_t size = strcspn(path, ".");
        if (find_view(value, view_from(path, size), &value) != BUS_OK) {
            return BUS_NOT_FOUND;
        }
        if (path[size] == '\0') {
            *ret_value = value;
            return BUS_OK;
        }
        path += size + 1;
    }
}

// The value's first item, or WALK_NIL, which no reader below takes, where there is none.
static walk_item_t
item_of(bus_view_t value)
{
    walk_t walk = walk_from(value);
    walk_item_t item;
    return walk_item_read(&walk, &item) ? item : (walk_item_t){.type = WALK_NIL};
}

bus_err_t
walk_as_str(bus_view_t value, bus_view_t *ret_text)
{
    walk_item_t item = item_of(value);
    if (item.type != WALK_STR) {
        return BUS_NOT_FOUND;
    }
    *ret_text = item.bytes;
    return BUS_OK;
}

bus_err_t
walk_as_int(bus_view_t value, int64_t *ret_integer)
{
    walk_item_t item = item_of(value);
    if (item.type != WALK_INT) {
        return BUS_NOT_FOUND;
    }
    *ret_integer = item.integer;
    return BUS_OK;
}

bus_err_t
walk_as_uint(bus_view_t value, uint64_t *ret_integer)
{
    walk_item_t item = item_of(value);
    if (item.type == WALK_UINT) {
        *ret_integer = item.unsigned_;
        return BUS_OK;
    }
    if (item.type != WALK_INT || item.integer < 0) {
        return BUS_NOT_FOUND;
    }
    *ret_integer = (uint64_t) item.integer;
    return BUS_OK;
}

bus_err_t
walk_as_bool(bus_view_t value, bool *ret_boolean)
{
    walk_item_t item = item_of(value);
    if (item.type != WALK_BOOL) {
        return BUS_NOT_FOUND;
    }
    *ret_boolean = item.boolean;
    return BUS_OK;
}

bus_err_t
walk_as_real(bus_view_t value, double *ret_real)
{
    walk_item_t item = item_of(value);
    if (item.type == WALK_FLOAT) {
        *ret_real = item.real;
    } else if (item.type == WALK_INT) {
        *ret_real = (double) item.integer;
    } else if (item.type == WALK_UINT) {
        *ret_real = (double) item.unsigned_;
    } else {
        return BUS_NOT_FOUND;
    }
    return BUS_OK;
}
