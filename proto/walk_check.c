// walk_check.c - the check that every body passes once, before anything else looks at it.
//
// It is in the broker's hot loop. Containers are a small stack of "how many values are still to
// come", never recursion. The keys of the maps that are open lie on one stack of their own: a map
// of a few keys compares each new key with those before it, a larger one sorts its keys when it
// closes, so that the whole stays close to linear whatever a peer nests.
#include "walk_item.h"
#include <assert.h>
#include <math.h>
#include <stdlib.h>

enum {
    OPEN_MAX = 64,          // open containers: above every limit that callers pass
    COMPARED_KEYS_MAX = 16, // up to here comparing every pair of keys beats sorting them
    KEYS_ON_STACK = 64,     // keys of open maps before the heap is needed
};

// A key of a map that is still open.
typedef struct {
    uint64_t start;  // its first bytes, zeros behind: what tells most keys apart
    uint32_t offset; // where it begins in the body
    uint32_t size;   // bytes
} check_key_t;

// A container that is still open.
typedef struct {
    uint64_t left; // values still to come; in a map an even number means a key is next
    size_t keys;   // JSON maps: where its keys begin on the key stack
    bool is_map;
    bool is_sorted; // it has too many keys to compare them pairwise
} check_open_t;

typedef struct {
    const uint8_t *base; // the body
    const uint8_t *end;
    const char *why;   // what is wrong, NULL so far
    check_key_t *keys; // of all open maps, the innermost map's last: `few`, or on the heap
    size_t key_count;
    size_t key_capacity;
    check_key_t few[KEYS_ON_STACK];
} check_t;

static void
check_grow(check_t *self)
{
    size_t capacity = self->key_capacity * 2;
    bool was_few = self->keys == self->few;
    check_key_t *keys = realloc(was_few ? NULL : self->keys, capacity * sizeof(*keys));
    assert(keys != NULL);
    if (was_few) {
        memcpy(keys, self->few, sizeof(self->few));
    }
    self->keys = keys;
    self->key_capacity = capacity;
}

static void
check_clear(check_t *self)
{
    if (self->keys != self->few) {
        free(self->keys);
    }
}

// The first bytes of `text`, zeros behind, as one number.
static inline uint64_t
start_of(const check_t *self, bus_view_t text)
{
    uint64_t start = 0;
    if (self->end - (const uint8_t *) text.data < (ptrdiff_t) sizeof(start)) {
        memcpy(&start, text.data, text.size);
        return start;
    }
    // One load of eight bytes that are there, then only the text's own of them.
    memcpy(&start, text.data, sizeof(start));
    if (text.size < sizeof(start)) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        start &= ((uint64_t) 1 << (8 * text.size)) - 1;
#else
        start &= ~(UINT64_MAX >> (8 * text.size));
#endif
    }
    return start;
}

// Whether `text` is UTF-8; `start` is its start_of. Nearly all texts are ASCII: those are seen
// here, eight bytes at a time, the last eight perhaps twice.
static inline bool
is_utf8(bus_view_t text, uint64_t start)
{
    const uint64_t high_bits = 0x8080808080808080;
    uint64_t all = start;
    uint64_t eight;
    if (text.size > sizeof(eight)) {
        for (size_t i = sizeof(eight); i < text.size - sizeof(eight); i += sizeof(eight)) {
            memcpy(&eight, text.data + i, sizeof(eight));
            all |= eight;
        }
        memcpy(&eight, text.data + text.size - sizeof(eight), sizeof(eight));
        all |= eight;
    }
    return (all & high_bits) == 0 || walk_utf8(text);
}

// Any order will do that puts equal keys side by side.
static int
compare_keys(const void *a_, const void *b_, void *base_)
{
    const check_key_t *a = a_;
    const check_key_t *b = b_;
    const uint8_t *base = base_;
    if (a->size != b->size) {
        return a->size < b->size ? -1 : 1;
    }
    if (a->start != b->start) {
        return a->start < b->start ? -1 : 1;
    }
    return a->size <= sizeof(a->start) ? 0 : memcmp(base + a->offset, base + b->offset, a->size);
}

static inline bool
keys_equal(const check_t *check, const check_key_t *a, const check_key_t *b)
{
    return a->size == b->size && a->start == b->start &&
           (a->size <= sizeof(a->start) ||
            memcmp(check->base + a->offset, check->base + b->offset, a->size) == 0);
}

static const char duplicate_key[] = "a map has the same key twice";

// Takes the next key of the map `open`; `start` is its start_of.
static inline void
check_add_key(check_t *self, const check_open_t *open, bus_view_t text, uint64_t start)
{
    const check_key_t key = {.start = start,
                             .offset = (uint32_t) ((const uint8_t *) text.data - self->base),
                             .size = (uint32_t) text.size};
    for (size_t i = open->is_sorted ? self->key_count : open->keys; i < self->key_count; i++) {
        if (keys_equal(self, &self->keys[i], &key)) {
            self->why = duplicate_key;
            return;
        }
    }
    if (self->key_count == self->key_capacity) {
        check_grow(self);
    }
    self->keys[self->key_count++] = key;
}

// The map `open` is complete: its keys leave the stack.
static inline void
check_close(check_t *self, const check_open_t *open)
{
    if (open->is_sorted) {
        check_key_t *keys = self->keys + open->keys;
        size_t count = self->key_count - open->keys;
        qsort_r(keys, count, sizeof(*keys), compare_keys, (void *) (uintptr_t) self->base);
        for (size_t i = 1; i < count; i++) {
            if (keys_equal(self, &keys[i - 1], &keys[i])) {
                self->why = duplicate_key;
                return;
            }
        }
    }
    self->key_count = open->keys;
}

// What JSON's model asks of an item, and of one that stands where `parent` wants a key.
static inline void
check_json(check_t *self, const check_open_t *parent, const walk_item_t *item)
{
    bool is_key = parent != NULL && parent->is_map && parent->left % 2 == 0;
    if (item->type == WALK_STR) {
        uint64_t start = start_of(self, item->bytes);
        if (!is_utf8(item->bytes, start)) {
            self->why = "a text is not UTF-8";
        } else if (is_key) {
            check_add_key(self, parent, item->bytes, start);
        }
    } else if (item->type == WALK_UINT) {
        self->why = "an integer is over 2^63-1";
    } else if (item->type == WALK_FLOAT && !isfinite(item->real)) {
        self->why = "a float is not finite";
    } else if (item->type == WALK_BIN || item->type == WALK_EXT) {
        self->why = "bin and ext have no place in JSON's model";
    } else if (is_key) {
        self->why = "a key is not a string";
    }
}

// Walks the whole value; leaves `self->why` where it is not as it must be. Inline, so that each
// mode gets a loop of its own.
static inline __attribute__((always_inline)) void
check_run(check_t *self, walk_mode_t mode, unsigned depth_max)
{
    check_open_t open[OPEN_MAX];
    unsigned depth = 0;
    walk_t walk = {.at = self->base, .end = self->end};
    do {
        walk_item_t item;
        if (!walk_item_read(&walk, &item)) {
            self->why = "an item is cut off, or is none";
            return;
        }
        check_open_t *parent = depth == 0 ? NULL : &open[depth - 1];
        if (mode == WALK_JSON) {
            check_json(self, parent, &item);
            if (self->why != NULL) {
                return;
            }
        }
        if (parent != NULL) {
            parent->left--;
        }
        if (item.type == WALK_ARRAY || item.type == WALK_MAP) {
            if (depth == depth_max) {
                self->why = "nested too deep";
                return;
            }
            bool is_map = item.type == WALK_MAP;
            open[depth++] = (check_open_t){.left = is_map ? 2 * (uint64_t) item.count : item.count,
                                           .keys = self->key_count,
                                           .is_map = is_map,
                                           .is_sorted = is_map && item.count > COMPARED_KEYS_MAX};
        }
        for (; depth > 0 && open[depth - 1].left == 0; depth--) {
            if (mode == WALK_JSON && open[depth - 1].is_map) {
                check_close(self, &open[depth - 1]);
            }
        }
    } while (depth > 0 && self->why == NULL);
    if (self->why == NULL && walk.at != walk.end) {
        self->why = "there is more than one value";
    }
}

bus_err_t
walk_check(bus_view_t bytes, walk_mode_t mode, unsigned depth_max, const char **reterr_why)
{
    assert(depth_max <= OPEN_MAX);
    check_t check;
    walk_t whole = walk_from(bytes);
    check.base = whole.at;
    check.end = whole.end;
    check.why = bytes.size > UINT32_MAX ? "over 4 GiB" : NULL;
    check.keys = check.few;
    check.key_count = 0;
    check.key_capacity = KEYS_ON_STACK;
    if (check.why == NULL && mode == WALK_JSON) {
        check_run(&check, WALK_JSON, depth_max);
    } else if (check.why == NULL) {
        check_run(&check, WALK_ANY, depth_max);
    }
    check_clear(&check);
    if (check.why == NULL) {
        return BUS_OK;
    }
    if (reterr_why != NULL) {
        *reterr_why = check.why;
    }
    return BUS_MALFORMED_MESSAGE;
}
