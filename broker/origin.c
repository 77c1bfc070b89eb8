// origin.c - a ring of the last PSEQ_MEMORY places, filled backwards as far as it was asked for.
#include "origin.h"
#include "proto/limits.h"
#include "record.h"
#include <assert.h>
#include <stdlib.h>

struct origin {
    uint64_t high;              // the stream's last pseq
    uint64_t low;               // lowest pseq whose place is known
    bool is_at_end;             // nothing is known, nor to be found, below `low`
    uint64_t seqs[PSEQ_MEMORY]; // by pseq modulo PSEQ_MEMORY
};

origin_t *
origin_new(uint64_t pseq, uint64_t seq)
{
    origin_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    self->high = pseq;
    self->low = pseq;
    self->seqs[pseq % PSEQ_MEMORY] = seq;
    return self;
}

void
origin_destroy(origin_t **self_p)
{
    assert(self_p != NULL);
    free(*self_p);
    *self_p = NULL;
}

void
origin_push(origin_t *self, uint64_t pseq, uint64_t seq)
{
    assert(pseq == self->high + 1);
    self->high = pseq;
    self->seqs[pseq % PSEQ_MEMORY] = seq;
    if (self->high - self->low >= PSEQ_MEMORY) {
        self->low = self->high - PSEQ_MEMORY + 1;
    }
}

// Learns the place of the pseq below the lowest known one.
static bus_err_t
step_back(origin_t *self, store_txn_t *txn, unsigned log)
{
    bus_view_t value;
    uint64_t seq = self->seqs[self->low % PSEQ_MEMORY];
    bus_err_t err = store_get(txn, log, STORE_U64(seq), &value);
    if (err == BUS_NOT_FOUND || err == BUS_CORRUPT) {
        self->is_at_end = true; // trimmed, or unreadable: the chain ends here
        return BUS_OK;
    }
    if (err != BUS_OK) {
        return err;
    }
    record_trailer_t trailer;
    record_trailer(value, &trailer);
    if (trailer.stream_prev == 0) {
        self->is_at_end = true;
        return BUS_OK;
    }
    self->low--;
    self->seqs[self->low % PSEQ_MEMORY] = trailer.stream_prev;
    return BUS_OK;
}

bus_err_t
origin_find(origin_t *self,
            store_txn_t *txn,
            unsigned log,
            uint64_t pseq,
            uint64_t *steps_p,
            uint64_t *ret_seq)
{
    assert(pseq >= 1 && pseq <= self->high);
    *ret_seq = 0;
    if (self->high - pseq >= PSEQ_MEMORY) {
        return BUS_OK;
    }
    while (self->low > pseq && !self->is_at_end) {
        if (*steps_p == 0) {
            return BUS_BUSY;
        }
        *steps_p -= 1;
        bus_err_t err = step_back(self, txn, log);
        if (err != BUS_OK) {
            return err;
        }
    }
    if (self->low <= pseq) {
        *ret_seq = self->seqs[pseq % PSEQ_MEMORY];
    }
    return BUS_OK;
}
