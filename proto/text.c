// text.c - a growing text: one allocation that doubles, always with a NUL behind it.
#include "text.h"
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_CAPACITY = 1024 };

struct text {
    char *data;      // `size` bytes and a NUL
    size_t size;     // bytes, without the NUL
    size_t capacity; // bytes allocated, always over `size`
};

// Makes room for `more` bytes and the NUL behind them.
static void
reserve(text_t *self, size_t more)
{
    assert(more < SIZE_MAX / 4 - self->size);
    size_t wanted = self->size + more + 1;
    if (wanted <= self->capacity) {
        return;
    }
    size_t capacity = self->capacity;
    while (capacity < wanted) {
        capacity *= 2;
    }
    char *data = realloc(self->data, capacity);
    assert(data != NULL);
    self->data = data;
    self->capacity = capacity;
}

text_t *
text_new(void)
{
    text_t *self = malloc(sizeof(*self));
    assert(self != NULL);
    *self = (text_t){.data = malloc(FIRST_CAPACITY), .capacity = FIRST_CAPACITY};
    assert(self->data != NULL);
    self->data[0] = '\0';
    return self;
}

void
text_destroy(text_t **self_p)
{
    text_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    free(self->data);
    free(self);
    *self_p = NULL;
}

void
text_clear(text_t *self)
{
    self->size = 0;
    self->data[0] = '\0';
}

void
text_add(text_t *self, bus_view_t bytes)
{
    if (bytes.size == 0) {
        return;
    }
    reserve(self, bytes.size);
    memcpy(self->data + self->size, bytes.data, bytes.size);
    self->size += bytes.size;
    self->data[self->size] = '\0';
}

void
text_add_format(text_t *self, const char *format, ...)
{
    va_list first;
    va_list second;
    va_start(first, format);
    va_copy(second, first);
    int size = vsnprintf(self->data + self->size, self->capacity - self->size, format, first);
    assert(size >= 0);
    if ((size_t) size >= self->capacity - self->size) {
        reserve(self, (size_t) size);
        size = vsnprintf(self->data + self->size, self->capacity - self->size, format, second);
        assert(size >= 0);
    }
    va_end(second);
    va_end(first);
    self->size += (size_t) size;
}

bus_view_t
text_view(const text_t *self)
{
    return view_from(self->data, self->size);
}
