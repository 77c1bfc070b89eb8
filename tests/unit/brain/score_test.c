// score_test.c - the originals' formula, by numbers worked out by hand.
#include "brain/learn.h"
#include "brain/score.h"
#include "proto/pack.h"
#include "proto/transcode.h"
#include <criterion/criterion.h>
#include <math.h>

Test(score, is_a_half_before_anything_was_tried)
{
    const brain_score_t none = {.samples = 0};
    cr_assert_eq(brain_score_of(&none), 0.5);
    cr_assert_str_eq(brain_score_advice(0.5), "keep");
}

Test(score, is_half_success_three_tenths_quality_two_tenths_speed)
{
    const struct {
        brain_sample_t samples[3];
        unsigned count;
        double score;
    } rows[] = {
        // .5 * 1 + .3 * 1 + .2 / (1 + 0)
        {{{true, 1, 0}}, 1, 1.0},
        // .5 * 1 + .3 * .5 + .2 / (1 + 1)
        {{{true, 0.5, 1}}, 1, 0.75},
        // .5 * 0 + .3 * .5 + .2 / (1 + .1)
        {{{false, 0.5, 0.1}}, 1, 0.15 + 0.2 / 1.1},
        // .5 * 2/3 + .3 * (.9 + .6 + .3) / 3 + .2 / (1 + (1 + 2 + 6) / 3)
        {{{true, 0.9, 1}, {true, 0.6, 2}, {false, 0.3, 6}}, 3, 1.0 / 3 + 0.18 + 0.05},
        // .5 * 0 + .3 * 0 + .2 / (1 + 1e6)
        {{{false, 0, 1e6}}, 1, 0.2 / 1000001},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        brain_score_t score = {.samples = 0};
        for (unsigned j = 0; j < rows[i].count; j++) {
            brain_score_add(&score, rows[i].samples[j]);
        }
        cr_assert_float_eq(brain_score_of(&score), rows[i].score, 1e-12, "row %zu", i);
    }
}

Test(score, advises_strictly_beyond_its_bounds)
{
    cr_assert_str_eq(brain_score_advice(0.9), "keep");
    cr_assert_str_eq(brain_score_advice(0.9000001), "increase_usage");
    cr_assert_str_eq(brain_score_advice(0.4), "keep");
    cr_assert_str_eq(brain_score_advice(0.3999999), "decrease_usage");
}

// --- What counts as a sample ---------------------------------------------------------------------

static bool
sample(const char *status, const char *result, brain_sample_t *ret_sample)
{
    BUS_AUTO(pack_destroy) pack_t *packed = pack_new();
    cr_assert_eq(transcode_from_json(view_from_text(result), packed, NULL, 0), BUS_OK);
    const schema_task_done_t done = {
        .status = view_from_text(status),
        .run_us = {.has = true, .value = 90000000},
        .result = pack_view(packed),
    };
    return brain_learn_sample(&done, ret_sample);
}

Test(score, success_is_completed_and_not_said_to_remain)
{
    const struct {
        const char *status, *result;
        bool success;
        double quality;
    } rows[] = {
        {"completed", "{}", true, 0.5},
        {"completed", "{\"issue_resolved\":true,\"quality_score\":0.8}", true, 0.8},
        {"completed", "{\"issue_resolved\":false,\"quality_score\":1}", false, 1},
        {"completed", "{\"issue_resolved\":\"no\",\"quality_score\":\"good\"}", true, 0.5},
        {"completed", "{\"quality_score\":1.01}", true, 0.5},
        {"completed", "{\"quality_score\":-0.01}", true, 0.5},
        {"dead", "{\"issue_resolved\":true}", false, 0.5},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        brain_sample_t got;
        cr_assert(sample(rows[i].status, rows[i].result, &got));
        cr_assert_eq(got.success, rows[i].success, "row %zu", i);
        cr_assert_eq(got.quality, rows[i].quality, "row %zu", i);
        cr_assert_eq(got.minutes, 1.5);
    }
    brain_sample_t none;
    cr_assert_not(sample("cancelled", "{}", &none), "it never ran to its end");
}
