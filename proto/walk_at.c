// walk_at.c - what a body says at a path, for readers to whom it is all the same why it does not.
#include "walk.h"

bus_view_t
walk_text_at(bus_view_t map, const char *path)
{
    bus_view_t value, text;
    bool is_text =
        walk_find_path(map, path, &value) == BUS_OK && walk_as_str(value, &text) == BUS_OK;
    return is_text ? text : VIEW_NONE;
}

uint64_t
walk_uint_at(bus_view_t map, const char *path, uint64_t otherwise)
{
    bus_view_t value;
    uint64_t number;
    bool is_uint =
        walk_find_path(map, path, &value) == BUS_OK && walk_as_uint(value, &number) == BUS_OK;
    return is_uint ? number : otherwise;
}

double
walk_real_at(bus_view_t map, const char *path, double otherwise)
{
    bus_view_t value;
    double number;
    bool is_real =
        walk_find_path(map, path, &value) == BUS_OK && walk_as_real(value, &number) == BUS_OK;
    return is_real ? number : otherwise;
}

bool
walk_bool_at(bus_view_t map, const char *path, bool otherwise)
{
    bus_view_t value;
    bool boolean;
    bool is_bool =
        walk_find_path(map, path, &value) == BUS_OK && walk_as_bool(value, &boolean) == BUS_OK;
    return is_bool ? boolean : otherwise;
}

walk_items_t
walk_items(bus_view_t array)
{
    walk_items_t self = {.walk = walk_from(array)};
    walk_item_t head;
    if (walk_next(&self.walk, &head) == BUS_OK && head.type == WALK_ARRAY) {
        self.left = head.count;
    }
    return self;
}

walk_items_t
walk_items_at(bus_view_t map, const char *path)
{
    bus_view_t array;
    return walk_items(walk_find_path(map, path, &array) == BUS_OK ? array : VIEW_NONE);
}

bool
walk_items_next(walk_items_t *self, bus_view_t *ret_item)
{
    if (self->left == 0) {
        return false;
    }
    if (walk_skip(&self->walk, ret_item) != BUS_OK) {
        self->left = 0;
        return false;
    }
    self->left--;
    return true;
}
