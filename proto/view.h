// view.h - bytes that belong to someone else: a frame, an LMDB page, a literal.
//
// A view is valid only while its owner lives; copy the bytes to keep them. `data` is NULL where the
// thing is absent, which is not the same as present and empty.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

typedef struct {
    const char *data;
    size_t size; // bytes
} bus_view_t;

#define VIEW_NONE ((bus_view_t){.data = NULL, .size = 0})

// A view of a string literal or an array, without its NUL.
#define VIEW_LITERAL(text) ((bus_view_t){.data = (text), .size = sizeof(text) - 1})

static inline bus_view_t
view_from(const void *data, size_t size)
{
    return (bus_view_t){.data = data, .size = size};
}

// `text` may be NULL, which gives an absent view.
static inline bus_view_t
view_from_text(const char *text)
{
    return (bus_view_t){.data = text, .size = text == NULL ? 0 : strlen(text)};
}

static inline bool
view_equal(bus_view_t a, bus_view_t b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool
view_is(bus_view_t a, const char *text)
{
    size_t size = strlen(text);
    return a.data != NULL && a.size == size && memcmp(a.data, text, size) == 0;
}

static inline bool
view_starts(bus_view_t a, bus_view_t prefix)
{
    return a.size >= prefix.size &&
           (prefix.size == 0 || memcmp(a.data, prefix.data, prefix.size) == 0);
}

// Copies it as a C string: as much as fits in `size` bytes with the NUL. False where not all did.
static inline bool
view_copy(bus_view_t self, char *ret_text, size_t size)
{
    size_t copied = self.size < size ? self.size : size - 1;
    if (copied > 0) {
        memcpy(ret_text, self.data, copied);
    }
    ret_text[copied] = '\0';
    return copied == self.size;
}

// Copies its bytes to *at_p, which then stands behind them, and returns the copy; an absent one
// stays absent.
static inline bus_view_t
view_keep(bus_view_t self, char **at_p)
{
    if (self.data == NULL) {
        return VIEW_NONE;
    }
    bus_view_t kept = view_from(*at_p, self.size);
    if (self.size > 0) {
        memcpy(*at_p, self.data, self.size);
    }
    *at_p += self.size;
    return kept;
}
