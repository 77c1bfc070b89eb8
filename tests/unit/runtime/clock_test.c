// clock_test.c - the clocks go on.
#include "runtime/clock.h"

#include <criterion/criterion.h>

Test(clock, boot_time_never_goes_back)
{
    uint64_t last_us = clock_boot_us();
    for (int i = 0; i < 100000; i++) {
        uint64_t now_us = clock_boot_us();
        cr_assert_geq(now_us, last_us);
        last_us = now_us;
    }
    cr_expect_leq(clock_boot_ms() - last_us / 1000, 1000);
}

Test(clock, wall_time_is_after_this_was_written)
{
    cr_expect_gt(clock_wall_us(), 1735689600000000); // 2025-01-01
}

Test(clock, knows_how_long_this_process_runs)
{
    double age_ms = clock_process_age_ms();
    cr_expect_geq(age_ms, 0);
    cr_expect_lt(age_ms, 60000);
    uint64_t start_us = clock_boot_us();
    while (clock_boot_us() - start_us < 30000) {
    }
    cr_expect_geq(clock_process_age_ms(), age_ms + 20);
}
