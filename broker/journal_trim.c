// journal_trim.c - deleting from the front of the log, in small commits.
#include "journal_trim.h"
#include "journal_inner.h"
#include "record.h"
#include <assert.h>

// Whether the first record may go, by what is kept of bytes and of time.
static bool
is_past(const journal_t *self, bus_view_t value, uint64_t now)
{
    if (self->retention_bytes > 0 && self->state.bytes > self->retention_bytes) {
        return true;
    }
    // One that cannot be read has no age: it is kept until the journal is over its bytes. Nor is
    // age known where the clock jumped: the owner's next start says that it is right.
    return self->retention_us > 0 && !self->clock_jumped && value.data != NULL &&
           record_at(value) + self->retention_us < now;
}

static bus_err_t
trim(journal_t *self, store_txn_t *txn, uint64_t floor, uint32_t *ret_count)
{
    journal_state_t *state = &self->state;
    uint64_t now = journal_inner_now(self);
    while (*ret_count < JOURNAL_TRIM_MAX && state->first < floor && state->first <= state->head) {
        bus_view_t value = VIEW_NONE;
        bus_err_t err = store_get(txn, TABLE_LOG, STORE_U64(state->first), &value);
        if (err == BUS_CORRUPT) {
            value = VIEW_NONE;
        } else if (err != BUS_OK && err != BUS_NOT_FOUND) {
            return err;
        }
        if (!is_past(self, value, now)) {
            return BUS_OK;
        }
        uint64_t size = value.size; // the view dies with the record
        err = store_del(txn, TABLE_LOG, STORE_U64(state->first));
        if (err == BUS_OK || err == BUS_NOT_FOUND) {
            err = journal_trace_trim(txn, state->first);
        }
        if (err != BUS_OK) {
            return err;
        }
        state->first++;
        state->bytes = state->first > state->head ? 0 : state->bytes - size;
        *ret_count += 1;
    }
    return BUS_OK;
}

static bus_err_t
trim_and_commit(journal_t *self, uint64_t floor, uint32_t *ret_count)
{
    BUS_AUTO(store_rollback) store_txn_t *txn = NULL;
    bus_err_t err = store_begin(self->store, STORE_RESERVE, &txn);
    if (err == BUS_OK) {
        err = trim(self, txn, floor, ret_count);
    }
    if (err != BUS_OK || *ret_count == 0) {
        return err;
    }
    err = journal_inner_put_state(self, txn);
    return err == BUS_OK ? journal_inner_commit(self, &txn) : err;
}

void
journal_trim(journal_t *self, batch_item_t *item)
{
    item->count = 0;
    bus_err_t err = BUS_OK;
    if (self->retention_bytes > 0 || self->retention_us > 0) {
        // A backup that was killed while it read would pin what goes now.
        (void) store_reap_readers(self->store);
        err = trim_and_commit(self, item->seq, &item->count);
    }
    if (err != BUS_OK) {
        item->err = err == BUS_FULL ? BUS_JOURNAL_FULL : BUS_IO;
        item->count = 0;
        self->is_stale = store_is_failed(self->store) || journal_inner_load(self) != BUS_OK;
    }
    item->first = self->state.first;
    item->expected = self->state.bytes;
}
