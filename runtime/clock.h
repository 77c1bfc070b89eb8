// clock.h - times. Pure reads of the system's clocks; any thread.
#pragma once
#include <stdint.h>

// Microseconds of the boot clock (CLOCK_BOOTTIME): goes on in sleep, never steps.
uint64_t clock_boot_us(void);
// Microseconds since 1970 UTC by the wall clock, which may step.
uint64_t clock_wall_us(void);
// Milliseconds of the boot clock.
uint64_t clock_boot_ms(void);
// Milliseconds since this process was started (from /proc/self/stat), for boot_ms.
double clock_process_age_ms(void);
