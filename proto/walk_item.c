// walk_item.c - the msgpack items whose size, count or value stands in bytes of its own.
#include "walk_item.h"
#include <assert.h>
#include <endian.h>

// What follows each lead byte from 0xc0 to 0xdf.
typedef enum {
    LEAD_NEVER,
    LEAD_NIL,
    LEAD_FALSE,
    LEAD_TRUE,
    LEAD_BIN,
    LEAD_EXT,
    LEAD_FIXEXT,
    LEAD_FLOAT32,
    LEAD_FLOAT64,
    LEAD_UINT,
    LEAD_INT,
    LEAD_STR,
    LEAD_ARRAY,
    LEAD_MAP
} lead_t;

static const struct {
    uint8_t kind;  // lead_t
    uint8_t width; // bytes of the integer behind it: a value, a size or a count
} leads[32] = {
    {LEAD_NIL, 0},     {LEAD_NEVER, 0},   {LEAD_FALSE, 0},  {LEAD_TRUE, 0},   {LEAD_BIN, 1},
    {LEAD_BIN, 2},     {LEAD_BIN, 4},     {LEAD_EXT, 1},    {LEAD_EXT, 2},    {LEAD_EXT, 4},
    {LEAD_FLOAT32, 4}, {LEAD_FLOAT64, 8}, {LEAD_UINT, 1},   {LEAD_UINT, 2},   {LEAD_UINT, 4},
    {LEAD_UINT, 8},    {LEAD_INT, 1},     {LEAD_INT, 2},    {LEAD_INT, 4},    {LEAD_INT, 8},
    {LEAD_FIXEXT, 0},  {LEAD_FIXEXT, 0},  {LEAD_FIXEXT, 0}, {LEAD_FIXEXT, 0}, {LEAD_FIXEXT, 0},
    {LEAD_STR, 1},     {LEAD_STR, 2},     {LEAD_STR, 4},    {LEAD_ARRAY, 2},  {LEAD_ARRAY, 4},
    {LEAD_MAP, 2},     {LEAD_MAP, 4},
};

// The big-endian integer of 0 to 8 bytes that `at` begins with; `left` bytes are there, `width` of
// them at least.
static inline uint64_t
load(const uint8_t *at, size_t left, unsigned width)
{
    uint64_t number = 0;
    if (left >= sizeof(number) && width > 0) {
        // One load, and then what is behind it shifted out: no branch on the width.
        memcpy(&number, at, sizeof(number));
        return be64toh(number) >> (64 - 8 * width);
    }
    for (unsigned i = 0; i < width; i++) {
        number = number << 8 | at[i];
    }
    return number;
}

static walk_item_t
item_from_uint(uint64_t value)
{
    if (value > INT64_MAX) {
        return (walk_item_t){.type = WALK_UINT, .unsigned_ = value};
    }
    return (walk_item_t){.type = WALK_INT, .integer = (int64_t) value};
}

// `width` bytes of two's complement.
static walk_item_t
item_from_int(uint64_t bits, unsigned width)
{
    assert(width >= 1 && width <= 8);
    unsigned shift = 64 - 8 * width;
    return (walk_item_t){.type = WALK_INT, .integer = (int64_t) (bits << shift) >> shift};
}

static walk_item_t
item_from_float32(uint64_t bits)
{
    uint32_t low = (uint32_t) bits;
    float value;
    memcpy(&value, &low, sizeof(value));
    return (walk_item_t){.type = WALK_FLOAT, .real = (double) value};
}

static walk_item_t
item_from_float64(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof(value));
    return (walk_item_t){.type = WALK_FLOAT, .real = value};
}

// An item whose lead byte is 0xc0 to 0xdf; `at` is behind that byte.
bool
walk_item_long(walk_t *self, uint8_t lead, const uint8_t *at, walk_item_t *ret_item)
{
    unsigned width = leads[lead - 0xc0].width;
    if (self->end - at < (ptrdiff_t) width) {
        return false;
    }
    uint64_t number = load(at, (size_t) (self->end - at), width);
    at += width;
    switch ((lead_t) leads[lead - 0xc0].kind) {
    case LEAD_NEVER:
        return false;
    case LEAD_NIL:
        return walk_item_number(self, at, (walk_item_t){.type = WALK_NIL}, ret_item);
    case LEAD_FALSE:
    case LEAD_TRUE:
        return walk_item_number(
            self, at, (walk_item_t){.type = WALK_BOOL, .boolean = lead == 0xc3}, ret_item);
    case LEAD_BIN:
        return walk_item_bytes(self, at, number, WALK_BIN, ret_item);
    case LEAD_FIXEXT:
        number = 1U << (lead - 0xd4);
        __attribute__((fallthrough));
    case LEAD_EXT: // a type byte, which is not part of the bytes, stands before them
        return self->end != at && walk_item_bytes(self, at + 1, number, WALK_EXT, ret_item);
    case LEAD_FLOAT32:
        return walk_item_number(self, at, item_from_float32(number), ret_item);
    case LEAD_FLOAT64:
        return walk_item_number(self, at, item_from_float64(number), ret_item);
    case LEAD_UINT:
        return walk_item_number(self, at, item_from_uint(number), ret_item);
    case LEAD_INT:
        return walk_item_number(self, at, item_from_int(number, width), ret_item);
    case LEAD_STR:
        return walk_item_bytes(self, at, number, WALK_STR, ret_item);
    case LEAD_ARRAY:
        return walk_item_count(self, at, (uint32_t) number, WALK_ARRAY, ret_item);
    case LEAD_MAP:
        return walk_item_count(self, at, (uint32_t) number, WALK_MAP, ret_item);
    }
    return false;
}
