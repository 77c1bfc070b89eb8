// selector_test.c - who gets a task, and what an answer is worth: known answers from
// docs/originals.md 3.5.
#include "core/selector.h"
#include <criterion/criterion.h>
#include <math.h>

#define NEAR(a, b) cr_assert(fabs((a) - (b)) < 1e-12, "%.17g is not %.17g", (a), (b))

Test(selector, draws_what_splitmix64_draws)
{
    core_random_t random = {.state = 1234567};
    cr_assert_eq(core_selector_random(&random), UINT64_C(6457827717110365317));
    cr_assert_eq(core_selector_random(&random), UINT64_C(3203168211198807973));
    cr_assert_eq(core_selector_random(&random), UINT64_C(9817491932198370423));
    cr_assert_eq(core_selector_random(&random), UINT64_C(4593380528125082431));
    cr_assert_eq(core_selector_random(&random), UINT64_C(16408922859458223821));
}

Test(selector, draws_below_a_bound_without_favour)
{
    core_random_t random = {.state = 5};
    unsigned seen[3] = {0};
    for (unsigned i = 0; i < 30000; i++) {
        uint64_t drawn = core_selector_random_below(&random, 3);
        cr_assert_lt(drawn, 3);
        seen[drawn]++;
    }
    for (unsigned i = 0; i < 3; i++) {
        cr_assert(seen[i] > 9700 && seen[i] < 10300, "%u", seen[i]);
    }
    for (unsigned i = 0; i < 1000; i++) {
        double real = core_selector_random_real(&random);
        cr_assert(real >= 0 && real < 1);
    }
}

Test(selector, explores_less_with_each_task_and_more_where_it_is_hard)
{
    NEAR(core_selector_epsilon(0, 1.0), 0.2 * 0.995);
    NEAR(core_selector_epsilon(99, 1.0), 0.2 * pow(0.995, 100));
    NEAR(core_selector_epsilon(0, core_selector_complexity(CORE_INPUT_PDF)), 0.3 * 0.995);
    NEAR(core_selector_epsilon(0, core_selector_complexity(CORE_INPUT_IMAGE)), 0.4 * 0.995);
    NEAR(core_selector_epsilon(0, core_selector_complexity(CORE_INPUT_AUDIO)), 0.5 * 0.995);
    NEAR(core_selector_epsilon(0, CORE_SELECTOR_MULTI), 0.6 * 0.995);
    NEAR(core_selector_epsilon(100000, 1.0), 0.05); // never below
    NEAR(core_selector_epsilon(0, 10.0), 0.8);      // never above
}

Test(selector, knows_the_four_inputs_by_name)
{
    cr_assert_eq(core_selector_input(VIEW_LITERAL("text")), CORE_INPUT_TEXT);
    cr_assert_eq(core_selector_input(VIEW_LITERAL("audio")), CORE_INPUT_AUDIO);
    cr_assert_eq(core_selector_input(VIEW_LITERAL("video")), CORE_INPUT_COUNT);
    cr_assert_eq(core_selector_input(VIEW_NONE), CORE_INPUT_COUNT);
    cr_assert_str_eq(core_selector_input_text(CORE_INPUT_IMAGE), "image");
}

Test(selector, is_half_confident_of_a_stranger)
{
    NEAR(core_selector_confidence(&(core_score_sum_t){0, 0}), 0.5);
    NEAR(core_selector_confidence(&(core_score_sum_t){1, 0.25}), 0.25 + log(2) / 10);
    NEAR(core_selector_confidence(&(core_score_sum_t){4, -8}), log(5) / 10);
    NEAR(core_selector_confidence(&(core_score_sum_t){100, 250}), 1.0);
}

// The choice where nothing is left to chance.
static size_t
choose_greedily(const core_score_sum_t *sums, size_t count, uint64_t tasks)
{
    core_random_t random = {.state = 1};
    core_selector_choice_t choice;
    do {
        choice = core_selector_choose(&random, sums, count, tasks, 1.0);
    } while (choice.explored);
    return choice.index;
}

Test(selector, takes_who_was_never_tried_first)
{
    const core_score_sum_t sums[] = {{5, 10}, {0, 0}, {0, 0}};
    cr_assert_eq(choose_greedily(sums, 3, 5), 1);
}

Test(selector, weighs_what_was_earned_against_how_seldom_it_was_tried)
{
    // avg + sqrt (2 ln n / count) with n = 20: 1.0 + 0.774 against 0.2 + 1.094, and 0.9 + 1.415.
    const core_score_sum_t sums[] = {{10, 10}, {5, 1}, {3, 2.7}};
    cr_assert_eq(choose_greedily(sums, 2, 19), 0);
    cr_assert_eq(choose_greedily(sums, 3, 19), 2);
    const core_score_sum_t equal[] = {{4, 4}, {4, 4}};
    cr_assert_eq(choose_greedily(equal, 2, 8), 0, "the first of equals");
}

Test(selector, chooses_by_chance_where_nothing_is_known)
{
    core_random_t random = {.state = 3};
    const core_score_sum_t sums[4] = {{0, 0}, {0, 0}, {0, 0}, {0, 0}};
    unsigned seen[4] = {0};
    for (unsigned i = 0; i < 400; i++) {
        core_selector_choice_t choice = core_selector_choose(&random, sums, 4, 0, 1.0);
        cr_assert(choice.explored);
        seen[choice.index]++;
    }
    for (unsigned i = 0; i < 4; i++) {
        cr_assert_gt(seen[i], 60);
    }
}

Test(selector, chooses_the_same_from_the_same_seed)
{
    const core_score_sum_t sums[] = {{10, 10}, {5, 1}, {3, 2.7}};
    core_random_t one = {.state = 99};
    core_random_t other = {.state = 99};
    for (uint64_t i = 0; i < 200; i++) {
        cr_assert_eq(core_selector_choose(&one, sums, 3, i, 2.0).index,
                     core_selector_choose(&other, sums, 3, i, 2.0).index);
    }
}

// Three agents whose answers succeed with another chance each, worth 1.25 where they do.
Test(selector, prefers_the_best_of_three_agents_after_a_while)
{
    static const double chances[3] = {0.4, 0.9, 0.6};
    for (uint64_t seed = 1; seed <= 20; seed++) {
        core_random_t random = {.state = seed};
        core_score_sum_t sums[3] = {{0, 0}, {0, 0}, {0, 0}};
        unsigned best = 0;
        for (uint64_t task = 0; task < 2000; task++) {
            size_t index = core_selector_choose(&random, sums, 3, task, 1.0).index;
            bool succeeds = core_selector_random_real(&random) < chances[index];
            sums[index].count++;
            sums[index].reward_sum += succeeds ? core_selector_reward(200, 50, 0) : 0;
            best += task >= 1500 && index == 1 ? 1 : 0;
        }
        cr_assert_gt(best, 400, "seed %u: %u of the last 500", (unsigned) seed, best);
    }
}

Test(selector, rewards_success_words_and_terms)
{
    NEAR(core_selector_reward(200, 0, 0), 1.0);
    NEAR(core_selector_reward(500, 0, 0), 0.0);
    NEAR(core_selector_reward(404, 50, 0), 0.25);
    NEAR(core_selector_reward(200, 50, 3), 1.55);
    NEAR(core_selector_reward(200, 1000, 0), 1.5); // a hundred words are enough
    NEAR(core_selector_reward(200, 0, 1000), 3.0); // and twenty terms
}
