// issue_test.c - when something may be done about an issue, as pure arithmetic.
#include "brain/issue.h"
#include <criterion/criterion.h>

#define S UINT64_C(1000000)

static const brain_config_t config = {.cooldown_us = 60 * S, .depth_max = 3};

static brain_issue_t
opened(uint64_t at)
{
    brain_issue_t issue = {.open_at = 0};
    brain_issue_open(&issue, at, 3600 * S, VIEW_LITERAL("t"));
    return issue;
}

Test(issue, may_be_acted_on_when_nothing_was_done_yet)
{
    const brain_issue_t issue = {.open_at = 0};
    cr_assert_eq(brain_issue_decide(&issue, &config, S, 0), BRAIN_ISSUE_ACT);
    cr_assert_eq(brain_issue_decide(&issue, &config, S, 2), BRAIN_ISSUE_ACT);
    cr_assert_eq(brain_issue_decide(&issue, &config, S, 3), BRAIN_ISSUE_TOO_DEEP);
}

Test(issue, waits_while_one_is_open_and_gives_it_up_when_its_sla_is_over)
{
    brain_issue_t issue = opened(100 * S);
    cr_assert_eq(brain_issue_decide(&issue, &config, 100 * S, 0), BRAIN_ISSUE_IS_OPEN);
    cr_assert_eq(brain_issue_decide(&issue, &config, 3699 * S, 0), BRAIN_ISSUE_IS_OPEN);
    cr_assert_eq(brain_issue_decide(&issue, &config, 3700 * S, 0), BRAIN_ISSUE_ACT);
}

Test(issue, cools_down_from_its_end)
{
    brain_issue_t issue = opened(100 * S);
    brain_issue_end(&issue, 500 * S);
    cr_assert_eq(brain_issue_decide(&issue, &config, 500 * S, 0), BRAIN_ISSUE_COOLS_DOWN);
    cr_assert_eq(brain_issue_decide(&issue, &config, 560 * S - 1, 0), BRAIN_ISSUE_COOLS_DOWN);
    cr_assert_eq(brain_issue_decide(&issue, &config, 560 * S, 0), BRAIN_ISSUE_ACT);
}

Test(issue, cools_down_twice_as_long_for_each_beyond_depth_max_in_a_row)
{
    const struct {
        uint64_t row, cooldowns;
    } rows[] = {{0, 1}, {1, 1}, {2, 1}, {3, 2}, {4, 4}, {5, 8}, {8, 64}, {9, 64}, {1000000, 64}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const brain_issue_t issue = {.row = rows[i].row};
        cr_assert_eq(brain_issue_pause_us(&issue, &config),
                     rows[i].cooldowns * config.cooldown_us,
                     "%llu in a row",
                     (unsigned long long) rows[i].row);
    }
}

Test(issue, ends_its_row_when_nothing_was_seen_for_ten_cooldowns)
{
    brain_issue_t issue = opened(100 * S);
    brain_issue_see(&issue, &config, 100 * S);
    brain_issue_see(&issue, &config, 700 * S - 1);
    cr_assert_eq(issue.row, 1);
    brain_issue_see(&issue, &config, 1300 * S);
    cr_assert_eq(issue.row, 0);
    cr_assert_eq(issue.seen, 3);
    cr_assert_eq(issue.acted, 1);
}

Test(issue, is_kept_by_its_intent_and_its_type)
{
    brain_issue_key_t key;
    cr_assert(view_is(brain_issue_key(&key, "a", VIEW_NONE), "a"));
    cr_assert(view_is(brain_issue_key(&key, "a", VIEW_LITERAL("b")), "a b"));
    char long_name[65];
    memset(long_name, 'x', 64);
    long_name[64] = '\0';
    cr_assert_eq(brain_issue_key(&key, long_name, view_from(long_name, 64)).size, 129);
}
