// seqs_test.c - counting what lies below.
#include "htm/seqs.h"
#include <criterion/criterion.h>
#include <stdlib.h>

Test(seqs, of_nothing_has_nothing_below)
{
    htm_seqs_t set = {0};
    cr_assert_eq(htm_seqs_below(&set, UINT64_MAX), 0);
    cr_assert_not(htm_seqs_remove(&set, 7));
    htm_seqs_clear(&set);
}

Test(seqs, counts_at_the_edges_of_words_and_blocks)
{
    htm_seqs_t set = {0};
    const uint64_t seqs[] = {0, 1, 63, 64, 4095, 4096, 4097, 8191, 1000000, UINT64_MAX};
    for (unsigned i = 0; i < 10; i++) {
        cr_assert(htm_seqs_add(&set, seqs[i]));
        cr_assert_not(htm_seqs_add(&set, seqs[i]), "twice is once");
    }
    for (unsigned i = 0; i < 10; i++) {
        cr_assert_eq(htm_seqs_below(&set, seqs[i]), i);
    }
    cr_assert_eq(set.count, 10);
    htm_seqs_clear(&set);
}

Test(seqs, counts_as_an_array_does)
{
    enum { RANGE = 50000, STEPS = 20000 };
    htm_seqs_t set = {0};
    bool *there = calloc(RANGE, sizeof *there);
    unsigned random = 12345;
    for (unsigned i = 0; i < STEPS; i++) {
        random = random * 1664525 + 1013904223;
        unsigned seq = (random >> 8) % RANGE;
        if (i % 3 == 2) {
            cr_assert_eq(htm_seqs_remove(&set, seq), there[seq]);
            there[seq] = false;
        } else {
            cr_assert_eq(htm_seqs_add(&set, seq), !there[seq]);
            there[seq] = true;
        }
    }
    unsigned below = 0;
    for (unsigned i = 0; i < RANGE; i++) {
        if (i % 97 == 0) {
            cr_assert_eq(htm_seqs_below(&set, i), below);
        }
        below += there[i];
    }
    cr_assert_eq(set.count, below);
    for (unsigned i = 0; i < RANGE; i++) {
        (void) htm_seqs_remove(&set, i);
    }
    cr_assert_eq(set.count + set.block_count, 0);
    htm_seqs_clear(&set);
    free(there);
}
