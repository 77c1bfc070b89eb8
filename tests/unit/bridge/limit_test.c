// limit_test.c - token buckets, on a clock of the test's own.
#include "bridge-http/limit.h"
#include <criterion/criterion.h>
#include <stdio.h>

enum { SECOND = 1000000 };

static unsigned
take_all(bridge_limit_t *limit, const char *name, bridge_limit_kind_t kind, uint64_t now_us)
{
    unsigned taken = 0;
    while (bridge_limit_take(limit, view_from_text(name), kind, now_us).allowed) {
        taken++;
    }
    return taken;
}

Test(limit, a_burst_is_twice_a_seconds_worth_and_a_second_fills_one)
{
    BUS_AUTO(bridge_limit_destroy) bridge_limit_t *limit = bridge_limit_new();
    cr_assert_eq(take_all(limit, "a", BRIDGE_LIMIT_WRITE, 5 * SECOND), 2000);
    cr_assert_eq(take_all(limit, "a", BRIDGE_LIMIT_READ, 5 * SECOND), 10000);
    cr_assert_eq(take_all(limit, "a", BRIDGE_LIMIT_WRITE, 6 * SECOND), 1000);
    cr_assert_eq(take_all(limit, "a", BRIDGE_LIMIT_WRITE, 60 * SECOND), 2000);
}

Test(limit, says_what_is_left_and_when_to_come_back)
{
    BUS_AUTO(bridge_limit_destroy) bridge_limit_t *limit = bridge_limit_new();
    bridge_limit_verdict_t verdict =
        bridge_limit_take(limit, VIEW_LITERAL("a"), BRIDGE_LIMIT_WRITE, SECOND);
    cr_assert(verdict.allowed && verdict.limit == 1000 && verdict.remaining == 1999);
    cr_assert_eq(verdict.reset_s, 1);
    take_all(limit, "a", BRIDGE_LIMIT_WRITE, SECOND);
    verdict = bridge_limit_take(limit, VIEW_LITERAL("a"), BRIDGE_LIMIT_WRITE, SECOND);
    cr_assert(!verdict.allowed && verdict.remaining == 0 && verdict.retry_after_s == 1);
    cr_assert_eq(verdict.reset_s, 3);
    verdict = bridge_limit_take(limit, VIEW_LITERAL("a"), BRIDGE_LIMIT_WRITE, SECOND + 1000);
    cr_assert(verdict.allowed);
}

Test(limit, callers_do_not_share)
{
    BUS_AUTO(bridge_limit_destroy) bridge_limit_t *limit = bridge_limit_new();
    cr_assert_eq(take_all(limit, "a", BRIDGE_LIMIT_WRITE, SECOND), 2000);
    cr_assert_eq(take_all(limit, "b", BRIDGE_LIMIT_WRITE, SECOND), 2000);
    cr_assert_eq(take_all(limit, "a", BRIDGE_LIMIT_WRITE, SECOND), 0);
}

Test(limit, the_table_is_bounded_and_whoever_was_away_longest_makes_room)
{
    BUS_AUTO(bridge_limit_destroy) bridge_limit_t *limit = bridge_limit_new();
    cr_assert_eq(take_all(limit, "kept", BRIDGE_LIMIT_WRITE, SECOND), 2000);
    cr_assert_eq(take_all(limit, "gone", BRIDGE_LIMIT_WRITE, SECOND), 2000);
    for (int i = 0; i < 3 * BRIDGE_LIMIT_CALLERS_MAX; i++) {
        char name[32];
        snprintf(name, sizeof(name), "caller %d", i);
        bridge_limit_take(limit, view_from_text(name), BRIDGE_LIMIT_WRITE, SECOND);
        if (i % 1000 == 0) {
            bridge_limit_take(limit, VIEW_LITERAL("kept"), BRIDGE_LIMIT_WRITE, SECOND);
        }
    }
    cr_assert_eq(bridge_limit_count(limit), BRIDGE_LIMIT_CALLERS_MAX);
    cr_assert_eq(take_all(limit, "kept", BRIDGE_LIMIT_WRITE, SECOND), 0);
    cr_assert_eq(take_all(limit, "gone", BRIDGE_LIMIT_WRITE, SECOND), 2000);
}

Test(limit, a_name_of_any_length_is_taken)
{
    BUS_AUTO(bridge_limit_destroy) bridge_limit_t *limit = bridge_limit_new();
    char name[1000];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    cr_assert_eq(take_all(limit, name, BRIDGE_LIMIT_WRITE, SECOND), 2000);
    cr_assert_eq(take_all(limit, "", BRIDGE_LIMIT_WRITE, SECOND), 2000);
}
