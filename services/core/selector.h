// selector.h - which agent gets a task: epsilon-greedy, then UCB1; and what an answer is worth.
//
// Pure functions with the constants of docs/originals.md 3.5. What was learned is given to them;
// chance comes from a generator that can be seeded, so that a test can say what is chosen.
#pragma once
#include "proto/view.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    CORE_INPUT_TEXT,
    CORE_INPUT_PDF,
    CORE_INPUT_IMAGE,
    CORE_INPUT_AUDIO,
    CORE_INPUT_COUNT
} core_input_t;

// CORE_INPUT_COUNT for a word that is none.
core_input_t core_selector_input(bus_view_t word);
const char *core_selector_input_text(core_input_t input);

// Part of what a task costs and risks: 1.0 for text, more for what is harder; several inputs in one
// task count as CORE_SELECTOR_MULTI.
double core_selector_complexity(core_input_t input);
#define CORE_SELECTOR_MULTI 3.0

// --- Chance --------------------------------------------------------------------------------------

// SplitMix64 (Steele, Lea, Flood 2014): one word of state, any seed is a good one.
typedef struct {
    uint64_t state;
} core_random_t;

uint64_t core_selector_random(core_random_t *self);
// In [0, 1), 53 bits.
double core_selector_random_real(core_random_t *self);
// In [0, bound); bound above 0. Without bias.
uint64_t core_selector_random_below(core_random_t *self, uint64_t bound);

// --- Choosing ------------------------------------------------------------------------------------

// What an agent earned so far.
typedef struct {
    uint64_t count;    // answers, failures among them
    double reward_sum; // of them
} core_score_sum_t;

// The chance of a random choice for the next task, where `tasks` were finished before it.
double core_selector_epsilon(uint64_t tasks, double complexity);
// 0.5 for an agent that was never seen, towards 1 for one that earned much and often.
double core_selector_confidence(const core_score_sum_t *sum);

typedef struct {
    size_t index;  // of the chosen one
    bool explored; // by chance, not by what was learned
} core_selector_choice_t;

// Chooses among `count` candidates, at least one. `tasks`: finished so far.
core_selector_choice_t core_selector_choose(core_random_t *random,
                                            const core_score_sum_t *sums,
                                            size_t count,
                                            uint64_t tasks,
                                            double complexity);

// --- Rewards -------------------------------------------------------------------------------------

enum { CORE_SELECTOR_TERMS_MAX = 20 }; // keywords or sources that count: else a list buys a task

// status 200: 1; half for a hundred words; a tenth for each keyword, or source.
double core_selector_reward(int64_t status, uint64_t words, uint64_t terms);
