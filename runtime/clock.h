// clock.h - times. Pure reads of the system's clocks; any thread.
#pragma once
#include "proto/auto.h"
#include "proto/error.h"
#include "proto/view.h"
#include <stdint.h>

// Microseconds of the boot clock (CLOCK_BOOTTIME): goes on in sleep, never steps.
uint64_t clock_boot_us(void);
// Microseconds since 1970 UTC by the wall clock, which may step.
uint64_t clock_wall_us(void);
// Milliseconds of the boot clock.
uint64_t clock_boot_ms(void);
// Milliseconds since this process was started (from /proc/self/stat), for boot_ms.
double clock_process_age_ms(void);

enum { CLOCK_TEXT_SIZE = 32 };
// Writes microseconds since 1970 as RFC 3339 UTC with six decimals and Z, NUL-terminated.
void clock_format(uint64_t time_us, char ret_text[CLOCK_TEXT_SIZE]);
// Reads RFC 3339 or ISO 8601 (T or a space, fraction optional, any offset; none means UTC; leap
// second 60 counts as 59.999999). BUS_VALIDATION_FAILED for anything else or before 1970 or after
// 9999.
BUS_CHECK bus_err_t clock_parse(bus_view_t text, uint64_t *ret_time_us);
