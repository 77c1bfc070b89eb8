// score.h - how well something went so far, in one number.
//
//    .5 * success rate + .3 * average quality + .2 / (1 + average minutes)
//
// The originals' formula. A result that names no quality counts as 0.5: it says neither good nor
// bad (their average left it out, so that one good document outweighed a hundred silent ones; ours
// is of all samples). Without a sample the score is 0.5.
#pragma once
#include "proto/view.h"
#include <stdbool.h>
#include <stdint.h>

#define BRAIN_SCORE_NONE 0.5
#define BRAIN_SCORE_INCREASE 0.9  // above it: increase_usage
#define BRAIN_SCORE_DECREASE 0.4  // below it: decrease_usage
#define BRAIN_SCORE_RECOMMEND 0.7 // above it: recommended
#define BRAIN_SCORE_QUALITY 0.5   // where a result names none

typedef struct {
    uint64_t samples;
    uint64_t successes;
    double quality; // summed up
    double minutes; // summed up
} brain_score_t;

typedef struct {
    bool success;
    double quality; // 0 to 1
    double minutes; // from 0
} brain_sample_t;

void brain_score_add(brain_score_t *self, brain_sample_t sample);
double brain_score_of(const brain_score_t *self);
// increase_usage, decrease_usage or keep.
const char *brain_score_advice(double score);
