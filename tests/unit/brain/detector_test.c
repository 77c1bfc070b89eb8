// detector_test.c - Page's test: against an independent model, and what it is worth as measured.
#include "brain/detector.h"
#include <criterion/criterion.h>
#include <math.h>

static const brain_detector_side_t up = {.floor = 0.5, .is_high = true};
static const brain_detector_side_t down = {.floor = 0.5, .is_high = false};

// The series of the model: x' = (1103515245 x + 12345) mod 2^31, as a share of 2^31.
static double
next_uniform(uint64_t *state)
{
    *state = (*state * 1103515245 + 12345) % 2147483648;
    return (double) *state / 2147483648.0;
}

typedef struct {
    const char *name;
    uint64_t seed;
    unsigned count;
    double base, width;
    unsigned from; // where the shift begins; count: nowhere
    double shift;
    double floor;
    bool is_high;
    bool has_outliers;
    // Computed by a model in Python that keeps every clipped sample and asks its `statistics`.
    int alarm; // place of the sample; -1: none
    uint64_t samples;
    double mean, deviation, sum;
} vector_t;

static const vector_t vectors[] = {
    // clang-format off
    {"steady", 1, 60, 80, 10, 60, 0, 0.5, true, false,
     -1, 60, 85.30938292682792, 2.8743446431536412, 0},
    {"to the worse", 2, 60, 80, 10, 40, 8, 0.5, true, false,
     45, 45, 85.75335388193007, 3.710255147810561, 8.061596831615171},
    {"to the better", 2, 60, 80, 10, 40, -8, 0.5, true, false,
     -1, 60, 82.39090279463335, 4.827919145021927, 0},
    {"down, where less is worse", 2, 60, 80, 10, 40, -8, 0.5, false, false,
     43, 43, 84.54962057157516, 3.413893534786605, 8.543949815935932},
    {"less than matters", 3, 80, 80, 1, 30, 0.9, 5, true, false,
     -1, 80, 81.04956234036945, 5, 0},
    {"outliers among the first", 4, 60, 80, 10, 60, 0, 0.5, true, true,
     -1, 60, 84.62642272794619, 3.7495720325422646, 0.3801829481880835},
    // clang-format on
};

Test(detector, agrees_with_the_model)
{
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        const vector_t *vector = &vectors[i];
        brain_detector_t detector = {.count = 0};
        brain_detector_side_t side = {.floor = vector->floor, .is_high = vector->is_high};
        uint64_t state = vector->seed;
        int alarm = -1;
        for (unsigned j = 0; j < vector->count && alarm < 0; j++) {
            double x = vector->base + vector->width * next_uniform(&state);
            x += j >= vector->from ? vector->shift : 0;
            x = vector->has_outliers && j == 3 ? 5000 : x;
            x = vector->has_outliers && j == 11 ? -900 : x;
            alarm = brain_detector_take(&detector, side, x) ? (int) j : -1;
        }
        cr_expect_eq(alarm, vector->alarm, "%s: %d", vector->name, alarm);
        cr_expect_eq(detector.count, vector->samples, "%s", vector->name);
        cr_expect_float_eq(detector.mean, vector->mean, 1e-9, "%s", vector->name);
        cr_expect_float_eq(brain_detector_deviation(&detector, vector->floor),
                           vector->deviation,
                           1e-9,
                           "%s",
                           vector->name);
        cr_expect_float_eq(detector.sum, vector->sum, 1e-9, "%s", vector->name);
    }
}

Test(detector, says_nothing_before_its_twenty_first_sample)
{
    brain_detector_t detector = {.count = 0};
    for (int i = 0; i < 20; i++) {
        cr_assert_not(brain_detector_take(&detector, up, i < 10 ? 1 : 1e9));
        cr_assert_eq(detector.count, (uint64_t) i + 1);
    }
    cr_assert_eq(detector.sum, 0);
}

Test(detector, takes_a_constant_series_for_steady_and_sees_it_leave)
{
    brain_detector_t detector = {.count = 0};
    for (int i = 0; i < 10000; i++) {
        cr_assert_not(brain_detector_take(&detector, up, 80));
    }
    cr_assert_eq(brain_detector_deviation(&detector, up.floor), up.floor);
    cr_assert_float_eq(brain_detector_limit(&detector, up), 80.25, 1e-9);
    brain_detector_t other = detector;
    int delay = 0, better = 0;
    while (!brain_detector_take(&detector, up, 90) && delay < 100) {
        delay++;
    }
    cr_assert_eq(delay, 3, "%d", delay); // 2.5 a sample: the fourth is over 8
    while (!brain_detector_take(&other, up, 70) && better < 100) {
        better++;
    }
    cr_assert_eq(better, 100, "less is not worse");
}

Test(detector, minds_its_direction)
{
    brain_detector_t detector = {.count = 0};
    for (int i = 0; i < 30; i++) {
        cr_assert_not(brain_detector_take(&detector, down, 0.9));
    }
    cr_assert_lt(brain_detector_limit(&detector, down), detector.mean);
    brain_detector_t other = detector;
    for (int i = 0; i < 30; i++) {
        cr_assert_not(brain_detector_take(&other, down, 9));
    }
    bool has_spoken = false;
    for (int i = 0; i < 10; i++) {
        has_spoken = has_spoken || brain_detector_take(&detector, down, -9);
    }
    cr_assert(has_spoken);
}

Test(detector, is_not_moved_by_one_outlier_or_two_nor_by_what_is_no_number)
{
    brain_detector_t detector = {.count = 0};
    uint64_t state = 5;
    for (int i = 0; i < 100; i++) {
        cr_assert_not(brain_detector_take(&detector, up, 80 + next_uniform(&state)));
    }
    const brain_detector_t before = detector;
    const double none[] = {NAN, INFINITY, -INFINITY, 1e16, -1e300};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        cr_assert_not(brain_detector_take(&detector, up, none[i]));
        cr_assert_arr_eq(&detector, &before, sizeof before);
    }
    detector.sum = 0;
    cr_assert_not(brain_detector_take(&detector, up, 1e12));
    cr_assert_not(brain_detector_take(&detector, up, 1e12));
    cr_assert_lt(detector.mean, before.mean + 1);
    cr_assert(isfinite(detector.squares));
}

Test(detector, stays_finite_whatever_numbers_come)
{
    brain_detector_t detector = {.count = 0};
    for (int i = 0; i < 100; i++) {
        if (brain_detector_take(&detector, up, i % 2 == 0 ? 1e15 : -1e15)) {
            detector = (brain_detector_t){.count = 0};
        }
    }
    cr_assert(isfinite(detector.mean) && isfinite(detector.squares) && isfinite(detector.sum));
}

// --- What it is worth: seeded normal series ------------------------------------------------------

static double
next_normal(uint64_t *state)
{
    // xorshift64* (Vigna), two uniforms, Box and Muller.
    double u[2];
    for (int i = 0; i < 2; i++) {
        *state ^= *state >> 12;
        *state ^= *state << 25;
        *state ^= *state >> 27;
        u[i] =
            ((double) ((*state * UINT64_C(2685821657736338717)) >> 11) + 0.5) / 9007199254740992.0;
    }
    return sqrt(-2 * log(u[0])) * cos(2 * acos(-1) * u[1]);
}

static const brain_detector_side_t fine = {.floor = 1e-9, .is_high = true};

// Samples until it speaks; `most` where it does not. The shift comes behind `steady` samples.
static unsigned
run(uint64_t *state, unsigned steady, double shift, unsigned most)
{
    brain_detector_t detector = {.count = 0};
    for (unsigned i = 0; i < most; i++) {
        double x = next_normal(state) + (i >= steady ? shift : 0);
        if (brain_detector_take(&detector, fine, x)) {
            return i + 1;
        }
    }
    return most;
}

Test(detector, raises_few_false_alarms)
{
    uint64_t state = UINT64_C(88172645463325252);
    unsigned alarms = 0;
    for (int i = 0; i < 1000; i++) {
        alarms += run(&state, 1020, 0, 1020) < 1020 ? 1 : 0;
    }
    // What detector.h promises: one series in twenty within 1,000 samples.
    cr_assert(alarms >= 20 && alarms <= 80, "%u of 1,000 series", alarms);
}

Test(detector, sees_a_shift_soon)
{
    const struct {
        double shift;
        double delay_max; // in the mean, samples
    } rows[] = {{1, 28}, {2, 7}, {3, 5}};
    uint64_t state = UINT64_C(1181783497276652981);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unsigned seen = 0, missed = 0;
        double delay = 0;
        for (int j = 0; j < 500; j++) {
            unsigned at = run(&state, 60, rows[i].shift, 260);
            missed += at == 260 ? 1 : 0;
            seen += at > 60 && at < 260 ? 1 : 0;
            delay += at > 60 && at < 260 ? at - 60 : 0;
        }
        cr_assert_gt(seen, 450, "%u seen", seen);
        cr_assert_lt(missed, rows[i].shift > 1.5 ? 1u : 50u, "%u missed", missed);
        cr_assert_lt(delay / seen, rows[i].delay_max, "%g for %g", delay / seen, rows[i].shift);
    }
}
