// score.c - how well something went so far. See score.h.
#include "score.h"

void
brain_score_add(brain_score_t *self, brain_sample_t sample)
{
    self->samples++;
    self->successes += sample.success ? 1 : 0;
    self->quality += sample.quality;
    self->minutes += sample.minutes;
}

double
brain_score_of(const brain_score_t *self)
{
    if (self->samples == 0) {
        return BRAIN_SCORE_NONE;
    }
    double samples = (double) self->samples;
    return 0.5 * ((double) self->successes / samples) + 0.3 * (self->quality / samples) +
           0.2 / (1 + self->minutes / samples);
}

const char *
brain_score_advice(double score)
{
    if (score > BRAIN_SCORE_INCREASE) {
        return "increase_usage";
    }
    return score < BRAIN_SCORE_DECREASE ? "decrease_usage" : "keep";
}
