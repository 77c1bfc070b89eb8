// record.c - reading the records that are arrays.
#include "record.h"

karma_record_t
karma_record_begin(bus_view_t bytes)
{
    return (karma_record_t){.walk = walk_from(bytes)};
}

uint64_t
karma_record_uint(karma_record_t *self)
{
    walk_item_t item;
    if (walk_next(&self->walk, &item) != BUS_OK || item.type != WALK_INT || item.integer < 0) {
        self->bad = true;
        return 0;
    }
    return (uint64_t) item.integer;
}

double
karma_record_real(karma_record_t *self)
{
    walk_item_t item;
    if (walk_next(&self->walk, &item) != BUS_OK || item.type != WALK_FLOAT) {
        self->bad = true;
        return 0.0;
    }
    return item.real;
}

double
karma_record_number(karma_record_t *self)
{
    walk_item_t item;
    if (walk_next(&self->walk, &item) == BUS_OK) {
        if (item.type == WALK_FLOAT) {
            return item.real;
        }
        if (item.type == WALK_INT && item.integer == 0) {
            return 0.0;
        }
    }
    self->bad = true;
    return 0.0;
}

uint32_t
karma_record_count(karma_record_t *self, uint32_t count_max)
{
    walk_item_t item;
    if (walk_next(&self->walk, &item) != BUS_OK || item.type != WALK_ARRAY ||
        item.count > count_max) {
        self->bad = true;
        return 0;
    }
    return item.count;
}

bus_view_t
karma_record_text(karma_record_t *self, size_t size_min, size_t size_max)
{
    walk_item_t item;
    if (walk_next(&self->walk, &item) != BUS_OK || item.type != WALK_STR ||
        item.bytes.size < size_min || item.bytes.size > size_max) {
        self->bad = true;
        return VIEW_NONE;
    }
    return item.bytes;
}

bool
karma_record_is_whole(const karma_record_t *self)
{
    return !self->bad && self->walk.at == self->walk.end;
}
