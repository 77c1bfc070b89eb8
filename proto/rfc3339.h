// rfc3339.h - times as text: RFC 3339, and what of ISO 8601 people send. Pure functions.
#pragma once
#include "auto.h"
#include "error.h"
#include "view.h"
#include <stdint.h>

enum { RFC3339_SIZE = 32 }; // of a text, with its NUL
// Writes microseconds since 1970 as RFC 3339 UTC with six decimals and Z, NUL-terminated.
void rfc3339_format(uint64_t time_us, char ret_text[RFC3339_SIZE]);
// Reads RFC 3339 or ISO 8601 (T or a space, fraction optional, any offset; none means UTC; leap
// second 60 counts as 59.999999). BUS_VALIDATION_FAILED for anything else or before 1970 or after
// 9999.
BUS_CHECK bus_err_t rfc3339_parse(bus_view_t text, uint64_t *ret_time_us);
