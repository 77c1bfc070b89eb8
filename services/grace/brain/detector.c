// detector.c - Page's test on what it learned. See detector.h.
#include "detector.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAD_SCALE 1.4826 // makes the median deviation of a normal series its standard deviation

static int
compare(const void *a, const void *b)
{
    double x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

// Of BRAIN_DETECTOR_FIRST values, which it puts in order.
static double
median(double *values)
{
    qsort(values, BRAIN_DETECTOR_FIRST, sizeof values[0], compare);
    return (values[BRAIN_DETECTOR_FIRST / 2 - 1] + values[BRAIN_DETECTOR_FIRST / 2]) / 2;
}

static double
clip(double value, double low, double high)
{
    return value < low ? low : value > high ? high : value;
}

// Welford's update, for the `count`-th sample.
static void
learn(brain_detector_t *self, double sample, uint64_t count)
{
    double distance = sample - self->mean;
    self->mean += distance / (double) count;
    self->squares += distance * (sample - self->mean);
}

// The first samples are there: what they say, outliers clipped.
static void
begin(brain_detector_t *self, double floor)
{
    double sorted[BRAIN_DETECTOR_FIRST], distances[BRAIN_DETECTOR_FIRST];
    memcpy(sorted, self->first, sizeof sorted);
    double middle = median(sorted);
    for (unsigned i = 0; i < BRAIN_DETECTOR_FIRST; i++) {
        distances[i] = fabs(self->first[i] - middle);
    }
    double reach = BRAIN_DETECTOR_CLIP * fmax(MAD_SCALE * median(distances), floor);
    for (unsigned i = 0; i < BRAIN_DETECTOR_FIRST; i++) {
        learn(self, clip(self->first[i], middle - reach, middle + reach), i + 1);
    }
    memset(self->first, 0, sizeof self->first);
}

double
brain_detector_deviation(const brain_detector_t *self, double floor)
{
    if (self->count < BRAIN_DETECTOR_FIRST) {
        return 0;
    }
    return fmax(sqrt(self->squares / (double) (self->count - 1)), floor);
}

double
brain_detector_limit(const brain_detector_t *self, brain_detector_side_t side)
{
    double reach = BRAIN_DETECTOR_DELTA * brain_detector_deviation(self, side.floor);
    return side.is_high ? self->mean + reach : self->mean - reach;
}

bool
brain_detector_take(brain_detector_t *self, brain_detector_side_t side, double sample)
{
    if (!(fabs(sample) <= BRAIN_DETECTOR_SAMPLE_MAX)) { // NaN, too
        return false;
    }
    if (self->count < BRAIN_DETECTOR_FIRST) {
        self->first[self->count++] = sample;
        if (self->count == BRAIN_DETECTOR_FIRST) {
            begin(self, side.floor);
        }
        return false;
    }
    double deviation = brain_detector_deviation(self, side.floor);
    double z = clip((sample - self->mean) / deviation, -BRAIN_DETECTOR_CLIP, BRAIN_DETECTOR_CLIP);
    double towards_worse = side.is_high ? z : -z;
    self->sum = fmax(0, self->sum + towards_worse - BRAIN_DETECTOR_DELTA);
    if (self->sum > BRAIN_DETECTOR_LAMBDA) {
        return true;
    }
    learn(self, self->mean + z * deviation, ++self->count);
    return false;
}
