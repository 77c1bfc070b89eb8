// walk.h - reading msgpack where it lies.
//
// A walk is a position in bytes that someone else owns. Nothing is copied or allocated, nothing
// recurses, and a length that a peer claims is compared with what is there before it is used
// (msgpack-c 4.0.0 would ask malloc for it). Check a body once with walk_check; after that, walking
// it cannot fail, and callers may assert it.
// Source: the msgpack specification, and docs/protocol.md section 2 for the limits.
#pragma once
#include "auto.h"
#include "error.h"
#include "view.h"
#include <stdint.h>

typedef enum {
    WALK_NIL,
    WALK_BOOL,
    WALK_INT,   // fits int64
    WALK_UINT,  // above INT64_MAX: legal msgpack, not legal in a journaled body
    WALK_FLOAT, // float32 or float64
    WALK_STR,
    WALK_BIN,
    WALK_EXT,
    WALK_ARRAY,
    WALK_MAP
} walk_type_t;

typedef struct {
    walk_type_t type;
    union {
        bool boolean;
        int64_t integer;    // WALK_INT
        uint64_t unsigned_; // WALK_UINT
        double real;
        bus_view_t bytes; // WALK_STR, WALK_BIN, WALK_EXT
        uint32_t count;   // items of an array, pairs of a map; they follow in the walk
    };
} walk_item_t;

typedef struct {
    const uint8_t *at;
    const uint8_t *end;
} walk_t;

typedef enum {
    WALK_ANY,  // any msgpack: live bodies
    WALK_JSON, // JSON's model: string keys, no duplicate keys, int64, finite floats, UTF-8, no bin
               // or ext
} walk_mode_t;

static inline walk_t
walk_from(bus_view_t bytes)
{
    const uint8_t *at = (const uint8_t *) bytes.data;
    return (walk_t){.at = at, .end = bytes.size == 0 ? at : at + bytes.size};
}

// Whether `bytes` are exactly one value within `depth_max` nested containers and the mode's rules.
// Returns BUS_MALFORMED_MESSAGE, and then says why in *reterr_why (a literal). May allocate to
// compare the keys of a map with more than a handful of them: at most 16 bytes a key.
BUS_CHECK bus_err_t walk_check(bus_view_t bytes,
                               walk_mode_t mode,
                               unsigned depth_max,
                               const char **reterr_why);

// Whether `text` is valid UTF-8 (no surrogates, no overlong forms, U+0000 allowed).
bool walk_utf8(bus_view_t text);
// How many bytes at its start are valid UTF-8: the whole size where all of it is.
size_t walk_utf8_size(bus_view_t text);

// Reads one item and steps behind it (for a container: behind its head, onto its first member).
// Returns BUS_MALFORMED_MESSAGE at the end or on a broken item, and then has not moved.
BUS_CHECK bus_err_t walk_next(walk_t *self, walk_item_t *ret_item);

// Steps over one whole value with everything in it; *ret_value (may be NULL) is its bytes.
BUS_CHECK bus_err_t walk_skip(walk_t *self, bus_view_t *ret_value);

// The pairs of a map, in their order.
typedef struct {
    walk_t walk;   // at the next pair
    uint32_t left; // to come
    bool is_whole; // it is a map, and nothing broke off yet
} walk_pairs_t;

// Begins. What is no map has no pairs, and its first step says so.
walk_pairs_t walk_pairs(bus_view_t map);
// The next pair; a key that is no text is an absent view. BUS_NOT_FOUND behind the last;
// BUS_MALFORMED_MESSAGE where it is no map or breaks off, which a checked one never does.
BUS_CHECK bus_err_t walk_pairs_next(walk_pairs_t *self, bus_view_t *ret_key, bus_view_t *ret_value);

// The value of `key` in the map that `map` is. BUS_NOT_FOUND where it is absent or `map` is none.
BUS_CHECK bus_err_t walk_find(bus_view_t map, const char *key, bus_view_t *ret_value);

// The same, through nested maps: a path like "result.status".
BUS_CHECK bus_err_t walk_find_path(bus_view_t map, const char *path, bus_view_t *ret_value);

// Reading one whole value as a type. BUS_NOT_FOUND where it is of another.
BUS_CHECK bus_err_t walk_as_str(bus_view_t value, bus_view_t *ret_text);
BUS_CHECK bus_err_t walk_as_int(bus_view_t value, int64_t *ret_integer);
BUS_CHECK bus_err_t walk_as_uint(bus_view_t value, uint64_t *ret_integer);
BUS_CHECK bus_err_t walk_as_bool(bus_view_t value, bool *ret_boolean);
// Takes integers too.
BUS_CHECK bus_err_t walk_as_real(bus_view_t value, double *ret_real);

// What `map` says at a path, or at a key: VIEW_NONE, or `otherwise`, where nothing stands there,
// something of another type does, or `map` is absent. For readers to whom these are the same.
bus_view_t walk_text_at(bus_view_t map, const char *path);
uint64_t walk_uint_at(bus_view_t map, const char *path, uint64_t otherwise);
double walk_real_at(bus_view_t map, const char *path, double otherwise); // takes integers too
bool walk_bool_at(bus_view_t map, const char *path, bool otherwise);

// The items of an array, in their order.
typedef struct {
    walk_t walk;   // at the next one
    uint32_t left; // to come; at first: how many the array says it has
} walk_items_t;

// Begins. What is no array, or is absent, has no items.
walk_items_t walk_items(bus_view_t array);
walk_items_t walk_items_at(bus_view_t map, const char *path);
// The next item, whole. False behind the last, and where the array breaks off, which a checked one
// never does.
bool walk_items_next(walk_items_t *self, bus_view_t *ret_item);
