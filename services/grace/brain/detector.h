// detector.h - notices that the mean of a series moved to the worse: Page's test on what it
// learned.
//
// E. S. Page, "Continuous inspection schemes", Biometrika 41 (1954): the cumulative sum
//    S(t) = max(0, S(t-1) + z(t) - DELTA), an alarm where S > LAMBDA.
// z is a sample's distance from the running mean in running standard deviations, towards the worse
// (D. V. Hinkley, Biometrika 58 (1971), with the mean estimated; D. M. Hawkins, "Self-starting
// cusum charts", The Statistician 36 (1987), with the deviation estimated too).
//
// - DELTA 0.5: the best reference value for a shift of one deviation (half of it). LAMBDA 8: of
//   steady normal series one in twenty raises a false alarm within 1,000 samples (with the usual 5
//   it is two of three, because mean and deviation are learned from few); a shift of two deviations
//   is seen after some 6 samples, of one after some 23. Measured in tests/unit/brain.
// - It speaks only from its 21st sample on: the first BRAIN_DETECTOR_FIRST are kept, and mean and
//   deviation begin with them clipped at their median plus and minus 3 scaled median deviations
//   (Hampel, 1974), so that an outlier among them does not blind it.
// - A later sample counts for 3 deviations at most, in the sum and in what is learned: one outlier,
//   or two in a row, raise no alarm.
// - The deviation is never taken as less than `floor`, what a difference must be to matter: a
//   constant series has none of its own.
// - What is not finite, or beyond BRAIN_DETECTOR_SAMPLE_MAX, is no sample. After an alarm it begins
// anew, at the new level.
//
// A value; pure functions, deterministic: IEEE doubles, no contraction (-ffp-contract=off).
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { BRAIN_DETECTOR_FIRST = 20 };
#define BRAIN_DETECTOR_DELTA 0.5
#define BRAIN_DETECTOR_LAMBDA 8.0
#define BRAIN_DETECTOR_CLIP 3.0
#define BRAIN_DETECTOR_SAMPLE_MAX 1e15 // its square, summed up, stays finite
#define BRAIN_DETECTOR_NAME "page"     // as brain.drift names it

typedef struct {
    uint64_t count;                     // samples since it began
    double first[BRAIN_DETECTOR_FIRST]; // until there are so many; then 0
    double mean;                        // both of the clipped samples
    double squares;                     // sum of squared distances from it (Welford)
    double sum;                         // Page's
} brain_detector_t;

typedef struct {
    double floor; // smallest deviation that matters, above 0, in the metric's unit
    bool is_high; // whether more is worse
} brain_detector_side_t;

// Takes a sample; true: the mean has moved to the worse. All zero is one that begins; after an
// alarm the caller clears it (it needs mean and count for its words).
bool brain_detector_take(brain_detector_t *self, brain_detector_side_t side, double sample);
// Of what was learned so far: with fewer than BRAIN_DETECTOR_FIRST samples 0.
double brain_detector_deviation(const brain_detector_t *self, double floor);
// The value beyond which a sample adds to the sum.
double brain_detector_limit(const brain_detector_t *self, brain_detector_side_t side);
