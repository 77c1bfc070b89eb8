// kb_block.h - postings as bytes: one block of the index. Inner to kb_index.c and kb_walk.c.
#pragma once
#include "kb_index.h"
#include "kb_text.h"

// A block's head, as it is stored; the postings follow, each as three LEB128 numbers: passage less
// the one before (the first: 0), frequency, words.
typedef struct {
    uint32_t count;
    uint16_t frequency_max;
    uint16_t words_min;
    uint64_t last; // passage
} core_kb_block_head_t;

enum {
    CORE_KB_BLOCK_POSTING_MAX = 16, // bytes of one: 10 + 3 + 3
    CORE_KB_BLOCK_SIZE_MAX =
        (int) sizeof(core_kb_block_head_t) + CORE_KB_INDEX_BLOCK * CORE_KB_BLOCK_POSTING_MAX,
    CORE_KB_BLOCK_KEY_MAX = CORE_KB_TEXT_TERM_MAX + 1 + 8
};

// A block being made.
typedef struct {
    core_kb_block_head_t head;
    uint64_t first; // passage
    size_t size;    // bytes in use, with the head
    uint8_t bytes[CORE_KB_BLOCK_SIZE_MAX];
} core_kb_block_t;

void core_kb_block_clear(core_kb_block_t *self);
// Adds a posting behind the others; it must not be full.
void core_kb_block_add(core_kb_block_t *self, const core_kb_posting_t *posting);
// Writes the head; what is to be stored, valid until the block changes.
bus_view_t core_kb_block_seal(core_kb_block_t *self);
// Takes a stored block, to add to it. BUS_CORRUPT where it is none.
BUS_CHECK bus_err_t core_kb_block_load(core_kb_block_t *self, uint64_t first, bus_view_t stored);

// Reading a stored block.
typedef struct {
    core_kb_block_head_t head;
    const uint8_t *at; // the next posting
    const uint8_t *end;
    uint32_t left;
    uint64_t passage; // of the posting before it; at first the block's
} core_kb_block_reader_t;
// BUS_CORRUPT where it is no block.
BUS_CHECK bus_err_t core_kb_block_read(core_kb_block_reader_t *self,
                                       uint64_t first,
                                       bus_view_t stored);
// BUS_NOT_FOUND behind the last, BUS_CORRUPT.
BUS_CHECK bus_err_t core_kb_block_next(core_kb_block_reader_t *self,
                                       core_kb_posting_t *ret_posting);

// The key of a block, or with `first` 0 of the totals.
typedef struct {
    uint8_t bytes[CORE_KB_BLOCK_KEY_MAX];
    size_t size;
} core_kb_block_key_t;
bus_view_t core_kb_block_key(core_kb_block_key_t *self, bus_view_t term, uint64_t first);
// Whether `key` is of this term; its first passage.
bool core_kb_block_key_first(bus_view_t key, bus_view_t term, uint64_t *ret_first);
