// kb_walk.c - the inverted index, read: a walk over one term's postings that leaps.
#include "kb_block.h"
#include "kb_index.h"
#include "tables.h"

#include <assert.h>
#include <stdlib.h>

enum { BLOCK_STEPS = 8 }; // what finding a block costs, in postings decoded

struct core_kb_walk {
    store_cursor_t *cursor;
    char term[CORE_KB_TEXT_TERM_MAX];
    size_t term_size;
    core_kb_block_reader_t reader; // of the block that it stands in
    core_kb_posting_t posting;     // that it stands on; passage 0: none yet
    bool is_in_block;
    uint64_t steps;
    uint64_t damaged;
};

static bus_view_t
term_of(const core_kb_walk_t *self)
{
    return view_from(self->term, self->term_size);
}

bus_err_t
core_kb_index_walk_open(store_txn_t *txn, bus_view_t term, core_kb_walk_t **ret_self)
{
    assert(term.size > 0 && term.size <= CORE_KB_TEXT_TERM_MAX);
    core_kb_walk_t *self = calloc(1, sizeof *self);
    assert(self);
    memcpy(self->term, term.data, term.size);
    self->term_size = term.size;
    bus_err_t err = store_cursor_open(txn, CORE_KB_INDEX, &self->cursor);
    if (err != BUS_OK) {
        core_kb_index_walk_destroy(&self);
        return err;
    }
    *ret_self = self;
    return BUS_OK;
}

void
core_kb_index_walk_destroy(core_kb_walk_t **self_p)
{
    core_kb_walk_t *self = *self_p;
    if (self != NULL) {
        store_cursor_destroy(&self->cursor);
        free(self);
        *self_p = NULL;
    }
}

// Enters the block that a move of the cursor found, or a later one where that is damaged.
// BUS_NOT_FOUND where it is no block of the term's.
static bus_err_t
enter(core_kb_walk_t *self, bus_err_t err, bus_view_t key, bus_view_t stored)
{
    self->is_in_block = false;
    while (err == BUS_OK || err == BUS_CORRUPT) {
        uint64_t first;
        if (!core_kb_block_key_first(key, term_of(self), &first) || first == 0) {
            return BUS_NOT_FOUND;
        }
        if (err == BUS_OK && core_kb_block_read(&self->reader, first, stored) == BUS_OK) {
            self->is_in_block = true;
            self->steps += BLOCK_STEPS;
            return BUS_OK;
        }
        self->damaged++;
        err = store_next(self->cursor, &key, &stored);
    }
    return err;
}

static bus_err_t
enter_next(core_kb_walk_t *self)
{
    bus_view_t key = VIEW_NONE;
    bus_view_t stored = VIEW_NONE;
    bus_err_t err = store_next(self->cursor, &key, &stored);
    return enter(self, err, key, stored);
}

// Enters the block that `passage` is in, or would be, or the first behind it.
static bus_err_t
leap(core_kb_walk_t *self, uint64_t passage)
{
    core_kb_block_key_t wanted;
    bus_view_t key = VIEW_NONE;
    bus_view_t stored = VIEW_NONE;
    bus_err_t err =
        store_seek(self->cursor, core_kb_block_key(&wanted, term_of(self), passage), &key, &stored);
    uint64_t first;
    if (err == BUS_OK && core_kb_block_key_first(key, term_of(self), &first) && first == passage) {
        return enter(self, err, key, stored);
    }
    if (err == BUS_IO) {
        return err;
    }
    // Blocks are found by their first passage: the one before may reach as far.
    err = err == BUS_NOT_FOUND ? store_last(self->cursor, &key, &stored)
                               : store_prev(self->cursor, &key, &stored);
    bool is_block = (err == BUS_OK || err == BUS_CORRUPT) &&
                    core_kb_block_key_first(key, term_of(self), &first) && first > 0;
    if (is_block) {
        err = enter(self, err, key, stored);
        if (err != BUS_OK || self->reader.head.last >= passage) {
            return err;
        }
    }
    return err == BUS_IO ? err : enter_next(self);
}

// Brings it into a block that ends at or above `passage`.
static bus_err_t
find_block(core_kb_walk_t *self, uint64_t passage)
{
    bus_err_t err = BUS_OK;
    if (self->is_in_block && self->reader.head.last < passage) {
        err = enter_next(self); // mostly it is there
    }
    if (err == BUS_OK && (!self->is_in_block || self->reader.head.last < passage)) {
        err = leap(self, passage);
    }
    return err;
}

bus_err_t
core_kb_index_walk_seek(core_kb_walk_t *self, uint64_t passage, core_kb_posting_t *ret_posting)
{
    assert(passage > 0 && passage >= self->posting.passage);
    bus_err_t err = BUS_OK;
    while (err == BUS_OK && self->posting.passage < passage) {
        if (!self->is_in_block || self->reader.head.last < passage) {
            err = find_block(self, passage);
        }
        if (err != BUS_OK) {
            break;
        }
        self->steps++;
        err = core_kb_block_next(&self->reader, &self->posting);
        if (err != BUS_OK) { // it promised more than it has
            self->damaged++;
            err = enter_next(self);
        }
    }
    if (err == BUS_OK) {
        *ret_posting = self->posting;
    }
    return err;
}

uint64_t
core_kb_index_walk_steps(const core_kb_walk_t *self)
{
    return self->steps;
}

uint64_t
core_kb_index_walk_damaged(const core_kb_walk_t *self)
{
    return self->damaged;
}
