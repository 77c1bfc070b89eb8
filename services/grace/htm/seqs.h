// seqs.h - a set of seqs that tells how many of them lie below another: in memory.
//
// Blocks of 4,096 seqs as bitmaps, in an array sorted by block. Seqs mostly come at its end.
// Counting looks at the blocks below, and at one bitmap: 100,000 waiting tasks among half a million
// seqs are some hundred blocks.
#pragma once
#include <stdbool.h>
#include <stdint.h>

typedef struct {
    uint64_t number; // seq / 4096
    uint64_t *words; // a bit a seq
    uint32_t count;  // seqs in it
} htm_seqs_block_t;

typedef struct {
    htm_seqs_block_t *blocks; // sorted
    uint32_t block_count;
    uint32_t block_room;
    uint32_t count; // seqs in the set
} htm_seqs_t;

// An empty set is all zero. Memory running out ends the process.
void htm_seqs_clear(htm_seqs_t *self);
// False: it was there.
bool htm_seqs_add(htm_seqs_t *self, uint64_t seq);
// False: it was not there.
bool htm_seqs_remove(htm_seqs_t *self, uint64_t seq);
// How many are below `seq`.
uint32_t htm_seqs_below(const htm_seqs_t *self, uint64_t seq);
