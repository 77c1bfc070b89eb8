// id.h - unique ids. Any thread; may read random bytes from the kernel, which does not block.
#pragma once
#include "proto/view.h"
#include <stdbool.h>
#include <stddef.h>

enum { ID_TEXT_SIZE = 37 }; // 36 characters and the NUL

// A UUIDv7 (RFC 9562): its text sorts by time, and within this process by order of making.
void id_make(char ret_text[ID_TEXT_SIZE]);
// `size` random bytes.
void id_random(void *ret_bytes, size_t size);
// Bytes as 2 * `size` lower-case hex digits and a NUL.
void id_hex(const void *bytes, size_t size, char *ret_text);
// `digits` random lower-case hex digits and a NUL.
void id_random_hex(char *ret_text, size_t digits);
// Whether it is lower-case hex digits alone; none at all are some, too.
bool id_is_hex(bus_view_t text);
// Whether it has the form of a UUID, in lower case.
bool id_is_uuid(bus_view_t text);
