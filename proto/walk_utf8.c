// walk_utf8.c - UTF-8, eight bytes of ASCII at a time.
#include "walk.h"

// The bytes of the character at `at`, or 0 where it is none. Unicode 15, table 3-7.
static inline size_t
utf8_character(const uint8_t *at, const uint8_t *end)
{
    size_t left = (size_t) (end - at);
    uint8_t lead = at[0];
    if (lead < 0x80) {
        return 1;
    }
    if (lead < 0xc2 || lead > 0xf4 || left < 2) {
        return 0;
    }
    if (lead < 0xe0) {
        return (at[1] & 0xc0) == 0x80 ? 2 : 0;
    }
    // The second byte's range keeps out overlong forms, surrogates and what is over U+10FFFF.
    uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    size_t size = lead < 0xf0 ? 3 : 4;
    if (left < size || at[1] < low || at[1] > high || (at[2] & 0xc0) != 0x80) {
        return 0;
    }
    return size == 4 && (at[3] & 0xc0) != 0x80 ? 0 : size;
}

// Whether all of it is ASCII: nearly every text is.
static inline bool
is_ascii(bus_view_t text)
{
    const uint64_t high_bits = 0x8080808080808080;
    uint64_t all = 0;
    uint64_t eight;
    if (text.size < sizeof(eight)) {
        for (size_t i = 0; i < text.size; i++) {
            all |= (uint8_t) text.data[i];
        }
        return (all & high_bits) == 0;
    }
    for (size_t i = 0; i < text.size - sizeof(eight); i += sizeof(eight)) {
        memcpy(&eight, text.data + i, sizeof(eight));
        all |= eight;
    }
    memcpy(&eight, text.data + text.size - sizeof(eight), sizeof(eight)); // some of them again
    return ((all | eight) & high_bits) == 0;
}

size_t
walk_utf8_size(bus_view_t text)
{
    if (is_ascii(text)) {
        return text.size;
    }
    walk_t walk = walk_from(text);
    while (walk.at != walk.end) {
        size_t size = utf8_character(walk.at, walk.end);
        if (size == 0) {
            break;
        }
        walk.at += size;
    }
    return text.size - (size_t) (walk.end - walk.at);
}

bool
walk_utf8(bus_view_t text)
{
    return walk_utf8_size(text) == text.size;
}
