// journal_trace.c - one hash a record, in blocks.
#include "journal_trace.h"
#include "journal_inner.h"
#include <assert.h>

static uint64_t
first_of(uint64_t seq)
{
    return seq - seq % JOURNAL_TRACE_SPAN;
}

void
journal_trace_clear(journal_trace_block_t *self)
{
    memset(self, 0, sizeof(*self)); // RECORD_TRACE_UNKNOWN
}

bus_err_t
journal_trace_note(journal_trace_block_t *self, store_txn_t *txn, uint64_t seq, uint32_t hash)
{
    assert(hash != RECORD_TRACE_UNKNOWN);
    self->hashes[seq % JOURNAL_TRACE_SPAN] = hash;
    if (seq % JOURNAL_TRACE_SPAN != JOURNAL_TRACE_SPAN - 1) {
        return BUS_OK;
    }
    bus_view_t block = view_from(self->hashes, sizeof(self->hashes));
    bus_err_t err = store_append(txn, TABLE_TRACES, STORE_U64(first_of(seq)), block);
    journal_trace_clear(self);
    return err == BUS_CONFLICT ? BUS_CORRUPT : err; // a block above the head
}

bus_err_t
journal_trace_trim(store_txn_t *txn, uint64_t seq)
{
    if (seq % JOURNAL_TRACE_SPAN != JOURNAL_TRACE_SPAN - 1) {
        return BUS_OK;
    }
    bus_err_t err = store_del(txn, TABLE_TRACES, STORE_U64(first_of(seq)));
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

// --- The reader's side --------------------------------------------------------------------------

void
journal_trace_search(journal_trace_search_t *self, store_txn_t *txn, bus_view_t trace_id)
{
    self->txn = txn;
    self->hash = record_trace_hash(trace_id);
    self->first = UINT64_MAX;
    self->is_known = false;
}

static bus_err_t
read_block(journal_trace_search_t *self, uint64_t first)
{
    bus_view_t value;
    bus_err_t err = store_get(self->txn, TABLE_TRACES, STORE_U64(first), &value);
    if (err != BUS_OK && err != BUS_NOT_FOUND && err != BUS_CORRUPT) {
        return err;
    }
    self->first = first;
    self->is_known = err == BUS_OK && value.size == sizeof(self->block.hashes);
    if (self->is_known) {
        memcpy(self->block.hashes, value.data, sizeof(self->block.hashes));
    }
    return BUS_OK;
}

// The first one from `seq` on in the block at hand that may be it, or the block's end.
static uint64_t
look(const journal_trace_search_t *self, uint64_t seq)
{
    if (!self->is_known) {
        return seq;
    }
    uint64_t at = seq - self->first;
    while (at < JOURNAL_TRACE_SPAN && self->block.hashes[at] != self->hash &&
           self->block.hashes[at] != RECORD_TRACE_UNKNOWN) {
        at++;
    }
    return self->first + at;
}

bus_err_t
journal_trace_next(journal_trace_search_t *self,
                   uint64_t from,
                   uint64_t head,
                   uint32_t *steps_p,
                   uint64_t *ret_seq)
{
    uint64_t seq = from;
    while (seq <= head) {
        if (first_of(seq) != self->first) {
            if (*steps_p == 0) {
                break;
            }
            --*steps_p;
            bus_err_t err = read_block(self, first_of(seq));
            if (err != BUS_OK) {
                return err;
            }
        }
        uint64_t found = look(self, seq);
        if (found < self->first + JOURNAL_TRACE_SPAN) {
            *ret_seq = found <= head ? found : head + 1;
            return BUS_OK;
        }
        seq = found;
    }
    *ret_seq = seq <= head ? seq : head + 1;
    return BUS_OK;
}
