// pack.h - writing msgpack into a growing buffer, over msgpack-c.
//
// Owner: whoever made it; one thread. Memory running out ends the process (nothing here can go on).
// Counts come first, as in the format: pack_map(3) promises three pairs.
#pragma once
#include "view.h"
#include <stdint.h>

typedef struct pack pack_t;

pack_t *pack_new(void);
void pack_destroy(pack_t **self_p);

// Empties it, keeping its memory.
void pack_clear(pack_t *self);
// What was written so far; valid until the next write.
bus_view_t pack_view(const pack_t *self);
// Forgets everything after the first `size` bytes: undoes a value that was begun.
void pack_truncate(pack_t *self, size_t size);

void pack_nil(pack_t *self);
void pack_bool(pack_t *self, bool value);
void pack_int(pack_t *self, int64_t value);
void pack_uint(pack_t *self, uint64_t value);
void pack_real(pack_t *self, double value);
void pack_str(pack_t *self, bus_view_t text);
void pack_text(pack_t *self, const char *text);
void pack_bin(pack_t *self, bus_view_t bytes);
void pack_array(pack_t *self, uint32_t count);
void pack_map(pack_t *self, uint32_t count);
// Bytes that are whole msgpack already.
void pack_raw(pack_t *self, bus_view_t value);

// An array or a map whose count is known only at its end. `begin` writes a five-byte head and
// returns its place; `pack_count` writes the count there.
size_t pack_array_begin(pack_t *self);
size_t pack_map_begin(pack_t *self);
void pack_count(pack_t *self, size_t place, uint32_t count);

// A whole body that is an empty map.
#define PACK_EMPTY_MAP VIEW_LITERAL("\x80")

// A pair of a map: the key, then the value.
void pack_pair_text(pack_t *self, const char *key, const char *value);
void pack_pair_str(pack_t *self, const char *key, bus_view_t value); // nil where it is absent
void pack_pair_int(pack_t *self, const char *key, int64_t value);
void pack_pair_uint(pack_t *self, const char *key, uint64_t value);
void pack_pair_real(pack_t *self, const char *key, double value);
void pack_pair_bool(pack_t *self, const char *key, bool value);
void pack_pair_nil(pack_t *self, const char *key);
void pack_pair_raw(pack_t *self, const char *key, bus_view_t value);
// Microseconds since 1970, as text (rfc3339.h).
void pack_pair_rfc3339(pack_t *self, const char *key, uint64_t time_us);
