// kb_index.c - the inverted index, changed. It is read in kb_walk.c.
#include "kb_index.h"

#include "kb_block.h"
#include "runtime/log.h"
#include "tables.h"

// Two neighbours become one block where a removal leaves them this small, so that a term whose
// passages come and go is not scattered over blocks of one posting.
enum { MERGE_MAX = CORE_KB_INDEX_BLOCK / 2 };

typedef struct {
    store_txn_t *txn;
    store_cursor_t *cursor; // of CORE_KB_INDEX
    bus_view_t term;
    core_kb_block_key_t key;
} place_t;

static bus_view_t
key_of(place_t *self, uint64_t first)
{
    return core_kb_block_key(&self->key, self->term, first);
}

// --- Totals --------------------------------------------------------------------------------------

static void
count_in(core_kb_term_t *term, const core_kb_block_head_t *head, uint64_t first)
{
    term->passages += head->count;
    term->tail = first;
    if (head->frequency_max > term->frequency_max) {
        term->frequency_max = head->frequency_max;
    }
    if (head->words_min < term->words_min) {
        term->words_min = head->words_min;
    }
}

// The totals by the blocks themselves.
static bus_err_t
recount(place_t *self, core_kb_term_t *ret_term)
{
    log_error("kb_index_damaged", "term_size=%zu", self->term.size);
    *ret_term = (core_kb_term_t){.words_min = UINT16_MAX};
    bus_view_t key = VIEW_NONE;
    bus_view_t stored;
    uint64_t first;
    bus_err_t err = store_seek(self->cursor, key_of(self, 1), &key, &stored);
    while ((err == BUS_OK || err == BUS_CORRUPT) &&
           core_kb_block_key_first(key, self->term, &first)) {
        core_kb_block_reader_t reader;
        if (err == BUS_OK && core_kb_block_read(&reader, first, stored) == BUS_OK) {
            count_in(ret_term, &reader.head, first);
        }
        err = store_next(self->cursor, &key, &stored);
    }
    return err == BUS_IO ? err : BUS_OK;
}

static bus_err_t
find(store_txn_t *txn, bus_view_t key, core_kb_term_t *ret_term)
{
    bus_view_t stored;
    bus_err_t err = store_get(txn, CORE_KB_INDEX, key, &stored);
    if (err == BUS_OK && stored.size != sizeof *ret_term) {
        return BUS_CORRUPT;
    }
    if (err == BUS_OK) {
        memcpy(ret_term, stored.data, sizeof *ret_term);
    }
    return err;
}

bus_err_t
core_kb_index_find(store_txn_t *txn, bus_view_t term, core_kb_term_t *ret_term)
{
    core_kb_block_key_t key;
    return find(txn, core_kb_block_key(&key, term, 0), ret_term);
}

// For a change: zeros for a new term.
static bus_err_t
find_or_begin(place_t *self, core_kb_term_t *ret_term)
{
    bus_err_t err = find(self->txn, key_of(self, 0), ret_term);
    if (err == BUS_NOT_FOUND) {
        *ret_term = (core_kb_term_t){.words_min = UINT16_MAX};
        return BUS_OK;
    }
    return err == BUS_CORRUPT ? recount(self, ret_term) : err;
}

static bus_err_t
put_totals(place_t *self, const core_kb_term_t *term)
{
    return store_put(self->txn, CORE_KB_INDEX, key_of(self, 0), view_from(term, sizeof *term));
}

static bus_err_t
put_block(place_t *self, core_kb_block_t *block)
{
    return store_put(
        self->txn, CORE_KB_INDEX, key_of(self, block->first), core_kb_block_seal(block));
}

// --- Adding --------------------------------------------------------------------------------------

// The block that is added to: the term's last, or a new one.
static bus_err_t
open_tail(place_t *self, const core_kb_term_t *term, core_kb_block_t *block)
{
    core_kb_block_clear(block);
    if (term->passages == 0) {
        return BUS_OK;
    }
    bus_view_t stored;
    bus_err_t err = store_get(self->txn, CORE_KB_INDEX, key_of(self, term->tail), &stored);
    if (err == BUS_OK) {
        err = core_kb_block_load(block, term->tail, stored);
    }
    return err == BUS_CORRUPT || err == BUS_NOT_FOUND ? BUS_OK : err; // goes on behind the damage
}

static bus_err_t
add_term(place_t *self, const core_kb_gathered_t *gathered, core_kb_block_t *block)
{
    core_kb_term_t term;
    bus_err_t err = find_or_begin(self, &term);
    if (err == BUS_OK) {
        err = open_tail(self, &term, block);
    }
    for (size_t i = 0; err == BUS_OK && i < gathered->count; i++) {
        if (block->head.count == CORE_KB_INDEX_BLOCK) {
            err = put_block(self, block);
            core_kb_block_clear(block);
        }
        core_kb_block_add(block, &gathered->postings[i]);
    }
    if (err == BUS_OK) {
        err = put_block(self, block);
    }
    if (err == BUS_OK) {
        // The tail's bounds hold for what was in it before, too.
        uint64_t passages = term.passages + gathered->count;
        count_in(&term, &block->head, block->first);
        for (size_t i = 0; i < gathered->count; i++) {
            const core_kb_posting_t *posting = &gathered->postings[i];
            term.frequency_max =
                posting->frequency > term.frequency_max ? posting->frequency : term.frequency_max;
            term.words_min = posting->words < term.words_min ? posting->words : term.words_min;
        }
        term.passages = passages;
        err = put_totals(self, &term);
    }
    return err;
}

bus_err_t
core_kb_index_add(store_txn_t *txn, const core_kb_gather_t *gather, size_t count)
{
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_err_t err = store_cursor_open(txn, CORE_KB_INDEX, &cursor);
    core_kb_block_t block;
    for (size_t i = 0; err == BUS_OK && i < count; i++) {
        core_kb_gathered_t gathered = core_kb_gather_at(gather, i);
        place_t place = {.txn = txn, .cursor = cursor, .term = gathered.term};
        err = add_term(&place, &gathered, &block);
    }
    return err;
}

// --- Removing ------------------------------------------------------------------------------------

// What a removal takes from a term.
typedef struct {
    uint64_t first; // passages
    uint64_t last;
    uint64_t removed; // postings
    bool damaged;     // a block could not be read, and went
} removal_t;

// The block before the first at or above `from`. BUS_NOT_FOUND where the term has none; BUS_CORRUPT
// where it is damaged; BUS_IO.
static bus_err_t
find_before(place_t *self, uint64_t from, uint64_t *ret_first, bus_view_t *ret_stored)
{
    bus_view_t key = VIEW_NONE;
    bus_err_t err = store_seek(self->cursor, key_of(self, from), &key, ret_stored);
    if (err == BUS_IO) {
        return err;
    }
    err = err == BUS_NOT_FOUND ? store_last(self->cursor, &key, ret_stored)
                               : store_prev(self->cursor, &key, ret_stored);
    if (err == BUS_OK || err == BUS_CORRUPT) {
        bool is_block = core_kb_block_key_first(key, self->term, ret_first) && *ret_first > 0;
        return is_block ? err : BUS_NOT_FOUND;
    }
    return err;
}

// The first block at or above `from`; errors as above.
static bus_err_t
find_from(place_t *self, uint64_t from, uint64_t *ret_first, bus_view_t *ret_stored)
{
    bus_view_t key = VIEW_NONE;
    bus_err_t err = store_seek(self->cursor, key_of(self, from), &key, ret_stored);
    if (err == BUS_OK || err == BUS_CORRUPT) {
        return core_kb_block_key_first(key, self->term, ret_first) ? err : BUS_NOT_FOUND;
    }
    return err;
}

static bus_err_t
drop_block(place_t *self, removal_t *removal, uint64_t first)
{
    removal->damaged = true;
    return store_del(self->txn, CORE_KB_INDEX, key_of(self, first));
}

// Copies what stays of a stored block. BUS_CORRUPT.
static bus_err_t
filter(const removal_t *removal, uint64_t first, bus_view_t stored, core_kb_block_t *ret_block)
{
    core_kb_block_reader_t reader;
    core_kb_posting_t posting;
    core_kb_block_clear(ret_block);
    bus_err_t err = core_kb_block_read(&reader, first, stored);
    while (err == BUS_OK && (err = core_kb_block_next(&reader, &posting)) == BUS_OK) {
        bool goes = posting.passage >= removal->first && posting.passage <= removal->last;
        bool in_order = ret_block->head.count == 0 || posting.passage > ret_block->head.last;
        if (!in_order) {
            return BUS_CORRUPT;
        }
        if (!goes) {
            core_kb_block_add(ret_block, &posting);
        }
    }
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

static bus_err_t
cut_block(place_t *self, removal_t *removal, uint64_t first, bus_view_t stored)
{
    core_kb_block_t block;
    bus_err_t err = filter(removal, first, stored, &block);
    if (err != BUS_OK) {
        return drop_block(self, removal, first);
    }
    core_kb_block_reader_t reader;
    err = core_kb_block_read(&reader, first, stored);
    uint64_t removed = err == BUS_OK ? reader.head.count - block.head.count : 0;
    if (removed == 0) {
        return BUS_OK;
    }
    removal->removed += removed;
    if (block.head.count == 0 || block.first != first) {
        err = store_del(self->txn, CORE_KB_INDEX, key_of(self, first));
    }
    return err == BUS_OK && block.head.count > 0 ? put_block(self, &block) : err;
}

static bus_err_t
cut_blocks(place_t *self, removal_t *removal)
{
    uint64_t first = 0;
    bus_view_t stored;
    bus_err_t err = find_before(self, removal->first, &first, &stored);
    if (err == BUS_OK) { // a damaged one before the range may be left to its own passages
        err = cut_block(self, removal, first, stored);
    }
    uint64_t from = removal->first;
    while (err == BUS_OK || err == BUS_NOT_FOUND || err == BUS_CORRUPT) {
        err = find_from(self, from, &first, &stored);
        if ((err != BUS_OK && err != BUS_CORRUPT) || first > removal->last) {
            break;
        }
        from = first + 1;
        err = err == BUS_OK ? cut_block(self, removal, first, stored)
                            : drop_block(self, removal, first);
    }
    return store_forgive(err);
}

// Makes one block of those before and from `at` on, where both are small.
static bus_err_t
merge(place_t *self, uint64_t at)
{
    uint64_t before = 0;
    uint64_t behind = 0;
    bus_view_t stored;
    core_kb_block_t block;
    core_kb_block_clear(&block);
    bus_err_t err = find_before(self, at, &before, &stored);
    if (err == BUS_OK) {
        err = core_kb_block_load(&block, before, stored);
    }
    if (err == BUS_OK) {
        err = find_from(self, at, &behind, &stored);
    }
    core_kb_block_reader_t reader;
    if (err == BUS_OK) {
        err = core_kb_block_read(&reader, behind, stored);
    }
    if (err != BUS_OK || block.head.count + reader.head.count > MERGE_MAX) {
        return err == BUS_IO ? err : BUS_OK;
    }
    core_kb_posting_t posting;
    while ((err = core_kb_block_next(&reader, &posting)) == BUS_OK) {
        if (posting.passage <= block.head.last) {
            return BUS_OK; // damaged: left as it is
        }
        core_kb_block_add(&block, &posting);
    }
    if (err == BUS_CORRUPT) {
        return BUS_OK;
    }
    err = store_del(self->txn, CORE_KB_INDEX, key_of(self, behind));
    return err == BUS_OK ? put_block(self, &block) : err;
}

// The block that a removal was in, or before, with its two neighbours.
static bus_err_t
merge_around(place_t *self, const removal_t *removal)
{
    uint64_t first = 0;
    bus_view_t stored;
    bus_err_t err = merge(self, removal->first);
    if (err == BUS_OK) {
        err = find_before(self, removal->first, &first, &stored);
    }
    if (err == BUS_OK) {
        return merge(self, first);
    }
    return err == BUS_IO ? err : BUS_OK;
}

static bus_err_t
remove_term(place_t *self, removal_t *removal)
{
    core_kb_term_t term;
    bus_err_t err = find_or_begin(self, &term);
    if (err == BUS_OK) {
        err = cut_blocks(self, removal);
    }
    if (err == BUS_OK && removal->removed > 0) {
        err = merge_around(self, removal);
    }
    if (err != BUS_OK || (removal->removed == 0 && !removal->damaged)) {
        return err;
    }
    uint64_t tail = 0;
    bus_view_t stored;
    err = find_before(self, UINT64_MAX, &tail, &stored);
    if (err == BUS_NOT_FOUND) {
        err = store_del(self->txn, CORE_KB_INDEX, key_of(self, 0));
        return err == BUS_NOT_FOUND ? BUS_OK : err;
    }
    if (err == BUS_IO) {
        return err;
    }
    if (removal->damaged || term.passages <= removal->removed) {
        err = recount(self, &term);
    } else {
        err = BUS_OK;
        term.passages -= removal->removed;
        term.tail = tail;
    }
    return err == BUS_OK ? put_totals(self, &term) : err;
}

bus_err_t
core_kb_index_remove(
    store_txn_t *txn, const core_kb_gather_t *gather, size_t count, uint64_t first, uint64_t last)
{
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_err_t err = store_cursor_open(txn, CORE_KB_INDEX, &cursor);
    for (size_t i = 0; err == BUS_OK && i < count; i++) {
        place_t place = {.txn = txn, .cursor = cursor, .term = core_kb_gather_at(gather, i).term};
        removal_t removal = {.first = first, .last = last};
        err = remove_term(&place, &removal);
    }
    return err;
}
