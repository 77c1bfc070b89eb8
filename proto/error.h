// error.h - the one error enum, from error.def. Pure functions, any thread.
#pragma once
#include <stdbool.h>

typedef enum {
    BUS_OK = 0,
#define ERROR(name, wire, http, retry, meaning) BUS_##name,
#include "error.def"
#undef ERROR
    BUS_ERROR_COUNT
} bus_err_t;

// The stable upper-case word that stands in `error_code`; "OK" for BUS_OK.
const char *error_text(bus_err_t err);
// The HTTP status that the bridge answers it with; 200 for BUS_OK.
int error_http(bus_err_t err);
// Whether the same message may succeed later.
bool error_retry(bus_err_t err);
// One sentence for a person.
const char *error_meaning(bus_err_t err);
// The error with this wire text (not NUL-terminated), or BUS_INTERNAL for an unknown one.
bus_err_t error_from_text(const char *text, unsigned long size);
