// help.h - what every test of proto needs: messages written as JSON, and bytes that end where they
// end.
#pragma once
#include "proto/auto.h"
#include "proto/pack.h"
#include "proto/text.h"
#include "proto/transcode.h"
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

// A copy in memory of its own, exactly as long, so that ASan sees a read behind it.
static inline bus_view_t
exact(bus_view_t bytes)
{
    char *copy = malloc(bytes.size > 0 ? bytes.size : 1);
    cr_assert_not_null(copy);
    memcpy(copy, bytes.data, bytes.size);
    return view_from(copy, bytes.size);
}

static inline void
exact_free(bus_view_t *copy)
{
    free((void *) (uintptr_t) copy->data);
}

// Puts the msgpack of a JSON text in the place of what `out` holds.
static inline bus_view_t
from_json(pack_t *out, const char *json)
{
    char why[200] = "";
    pack_clear(out);
    cr_assert_eq(transcode_from_json(view_from_text(json), out, why, sizeof(why)),
                 BUS_OK,
                 "%s: %s",
                 json,
                 why);
    return pack_view(out);
}

#define assert_text(view, expected)                                                                \
    do {                                                                                           \
        bus_view_t got_ = (view);                                                                  \
        cr_assert(view_is(got_, expected),                                                         \
                  "got '%.*s', not '%s'",                                                          \
                  (int) got_.size,                                                                 \
                  got_.data == NULL ? "" : got_.data,                                              \
                  expected);                                                                       \
    } while (0)

// A small generator with a seed: the same numbers in every run.
static inline uint64_t
next_random(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15; // splitmix64
    uint64_t z = *state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}
