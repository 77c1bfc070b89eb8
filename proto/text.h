// text.h - a growing text, for JSON, help pages and Prometheus output.
//
// Owner: whoever made it; one thread. Memory running out ends the process.
#pragma once
#include "view.h"
#include <stdarg.h>

typedef struct text text_t;
text_t *text_new(void);
void text_destroy(text_t **self_p);
void text_clear(text_t *self);
void text_add(text_t *self, bus_view_t bytes);
void text_add_format(text_t *self, const char *format, ...) __attribute__((format(printf, 2, 3)));
// What was written so far, with a NUL behind it that is not counted; valid until the next write.
bus_view_t text_view(const text_t *self);
