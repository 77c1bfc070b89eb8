// seqs.c - a set of seqs that tells how many of them lie below another. See seqs.h.
#include "seqs.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BITS = 12, WORD_BITS = 64, WORDS = (1 << BLOCK_BITS) / WORD_BITS, ROOM_MIN = 4 };

void
htm_seqs_clear(htm_seqs_t *self)
{
    for (uint32_t i = 0; i < self->block_count; i++) {
        free(self->blocks[i].words);
    }
    free(self->blocks);
    *self = (htm_seqs_t){0};
}

// The place of the first block at or above `number`.
static uint32_t
place_of(const htm_seqs_t *self, uint64_t number)
{
    uint32_t low = 0, high = self->block_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (self->blocks[middle].number < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static htm_seqs_block_t *
find(const htm_seqs_t *self, uint64_t seq, uint32_t *ret_place)
{
    *ret_place = place_of(self, seq >> BLOCK_BITS);
    if (*ret_place == self->block_count || self->blocks[*ret_place].number != seq >> BLOCK_BITS) {
        return NULL;
    }
    return &self->blocks[*ret_place];
}

static htm_seqs_block_t *
insert(htm_seqs_t *self, uint32_t place, uint64_t number)
{
    if (self->block_count == self->block_room) {
        self->block_room = self->block_room == 0 ? ROOM_MIN : self->block_room * 2;
        self->blocks = realloc(self->blocks, self->block_room * sizeof *self->blocks);
        assert(self->blocks);
    }
    htm_seqs_block_t *block = self->blocks + place;
    memmove(block + 1, block, (self->block_count - place) * sizeof *block);
    *block = (htm_seqs_block_t){
        .number = number,
        .words = calloc(WORDS, sizeof *block->words),
    };
    assert(block->words);
    self->block_count++;
    return block;
}

static uint64_t *
word_of(const htm_seqs_block_t *block, uint64_t seq)
{
    return &block->words[(seq / WORD_BITS) % WORDS];
}

bool
htm_seqs_add(htm_seqs_t *self, uint64_t seq)
{
    uint32_t place;
    htm_seqs_block_t *block = find(self, seq, &place);
    if (block == NULL) {
        block = insert(self, place, seq >> BLOCK_BITS);
    }
    uint64_t bit = UINT64_C(1) << (seq % WORD_BITS);
    uint64_t *word = word_of(block, seq);
    if ((*word & bit) != 0) {
        return false;
    }
    *word |= bit;
    block->count++;
    self->count++;
    return true;
}

bool
htm_seqs_remove(htm_seqs_t *self, uint64_t seq)
{
    uint32_t place;
    htm_seqs_block_t *block = find(self, seq, &place);
    uint64_t bit = UINT64_C(1) << (seq % WORD_BITS);
    if (block == NULL || (*word_of(block, seq) & bit) == 0) {
        return false;
    }
    *word_of(block, seq) &= ~bit;
    self->count--;
    if (--block->count == 0) {
        free(block->words);
        self->block_count--;
        memmove(block, block + 1, (self->block_count - place) * sizeof *block);
    }
    return true;
}

static uint32_t
count_bits(uint64_t word)
{
    return (uint32_t) __builtin_popcountll(word);
}

uint32_t
htm_seqs_below(const htm_seqs_t *self, uint64_t seq)
{
    uint32_t place;
    const htm_seqs_block_t *block = find(self, seq, &place);
    uint32_t below = 0;
    for (uint32_t i = 0; i < place; i++) {
        below += self->blocks[i].count;
    }
    if (block != NULL) {
        unsigned last = (unsigned) (seq / WORD_BITS) % WORDS;
        for (unsigned i = 0; i < last; i++) {
            below += count_bits(block->words[i]);
        }
        below += count_bits(block->words[last] & ((UINT64_C(1) << (seq % WORD_BITS)) - 1));
    }
    return below;
}
