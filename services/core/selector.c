// selector.c - epsilon-greedy, then UCB1, as docs/originals.md 3.5 has it.
//
// Epsilon falls with each finished task, so chance rules at the beginning and never quite goes.
// Among the rest UCB1 takes what did best, plus a bonus for what was tried seldom; who was never
// tried comes first. The logarithm may differ in its last bit from one processor to another: what
// is chosen is a decision of a moment and is journaled with its outcome, never recomputed.
#include "selector.h"

#include <assert.h>
#include <math.h>

#define EPSILON_BASE 0.2
#define EPSILON_DECAY 0.995
#define EPSILON_MIN 0.05
#define EPSILON_MAX 0.8
#define CONFIDENCE_UNSEEN 0.5
#define WORDS_FULL 100.0 // words that earn the whole half

static const struct {
    const char *word;
    double complexity;
} inputs[CORE_INPUT_COUNT] = {
    [CORE_INPUT_TEXT] = {"text", 1.0},
    [CORE_INPUT_PDF] = {"pdf", 1.5},
    [CORE_INPUT_IMAGE] = {"image", 2.0},
    [CORE_INPUT_AUDIO] = {"audio", 2.5},
};

core_input_t
core_selector_input(bus_view_t word)
{
    for (unsigned i = 0; i < CORE_INPUT_COUNT; i++) {
        if (view_is(word, inputs[i].word)) {
            return (core_input_t) i;
        }
    }
    return CORE_INPUT_COUNT;
}

const char *
core_selector_input_text(core_input_t input)
{
    assert(input < CORE_INPUT_COUNT);
    return inputs[input].word;
}

double
core_selector_complexity(core_input_t input)
{
    assert(input < CORE_INPUT_COUNT);
    return inputs[input].complexity;
}

// --- Chance --------------------------------------------------------------------------------------

uint64_t
core_selector_random(core_random_t *self)
{
    self->state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t word = self->state;
    word = (word ^ (word >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ (word >> 27)) * UINT64_C(0x94d049bb133111eb);
    return word ^ (word >> 31);
}

double
core_selector_random_real(core_random_t *self)
{
    return (double) (core_selector_random(self) >> 11) * 0x1.0p-53;
}

uint64_t
core_selector_random_below(core_random_t *self, uint64_t bound)
{
    assert(bound > 0);
    uint64_t uneven = (0 - bound) % bound; // words below this would favour the small numbers
    uint64_t word;
    do {
        word = core_selector_random(self);
    } while (word < uneven);
    return word % bound;
}

// --- Choosing ------------------------------------------------------------------------------------

double
core_selector_epsilon(uint64_t tasks, double complexity)
{
    // The task that is to be chosen for counts: the original's counter goes up before it is used.
    double epsilon = EPSILON_BASE * pow(EPSILON_DECAY, (double) tasks + 1.0) * complexity;
    return fmin(EPSILON_MAX, fmax(EPSILON_MIN, epsilon));
}

static double
average(const core_score_sum_t *sum)
{
    return sum->reward_sum / (double) sum->count;
}

double
core_selector_confidence(const core_score_sum_t *sum)
{
    if (sum->count == 0) {
        return CONFIDENCE_UNSEEN;
    }
    double earned = fmin(1.0, fmax(0.0, average(sum)));
    return fmin(1.0, earned + log((double) sum->count + 1.0) / 10.0);
}

static double
upper_bound(const core_score_sum_t *sum, uint64_t tasks)
{
    if (sum->count == 0) {
        return INFINITY;
    }
    double total = tasks < 1 ? 1.0 : (double) tasks;
    return average(sum) + sqrt(2.0 * log(total) / (double) sum->count);
}

core_selector_choice_t
core_selector_choose(core_random_t *random,
                     const core_score_sum_t *sums,
                     size_t count,
                     uint64_t tasks,
                     double complexity)
{
    assert(count > 0);
    bool knows_any = false;
    for (size_t i = 0; i < count; i++) {
        knows_any = knows_any || sums[i].count > 0;
    }
    bool explores = core_selector_random_real(random) < core_selector_epsilon(tasks, complexity);
    if (explores || !knows_any) {
        return (core_selector_choice_t){.index = (size_t) core_selector_random_below(random, count),
                                        .explored = true};
    }
    size_t best = 0;
    double best_bound = upper_bound(&sums[0], tasks + 1);
    for (size_t i = 1; i < count; i++) {
        double bound = upper_bound(&sums[i], tasks + 1);
        if (bound > best_bound) { // the first on ties
            best = i;
            best_bound = bound;
        }
    }
    return (core_selector_choice_t){.index = best, .explored = false};
}

// --- Rewards -------------------------------------------------------------------------------------

double
core_selector_reward(int64_t status, uint64_t words, uint64_t terms)
{
    double reward = status == 200 ? 1.0 : 0.0;
    reward += 0.5 * fmin((double) words / WORDS_FULL, 1.0);
    uint64_t counted = terms < CORE_SELECTOR_TERMS_MAX ? terms : CORE_SELECTOR_TERMS_MAX;
    return reward + 0.1 * (double) counted;
}
