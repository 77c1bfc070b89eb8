// gather.c - one batch that fills, a short queue of full ones, one in commit.
#include "gather.h"
#include <assert.h>
#include <stdlib.h>
#include <zmq.h>

// What an item needs beside its payload: its struct, the msgpack heads, the journal's trailer and
// the padding, rounded up.
enum { ITEM_OVERHEAD = sizeof(batch_item_t) + 128 };

struct gather {
    batch_t *filling;      // takes items
    zmq_msg_t *full;       // a ring of blocks that wait
    size_t full_room;      // places in the ring: enough for pending_max
    size_t full_first;     // the oldest one's place
    size_t full_count;     // how many wait
    uint64_t full_bytes;   // of those
    uint64_t commit_bytes; // of the block in commit; 0: none
    uint64_t pending_max;  // bytes
};

gather_t *
gather_new(uint64_t pending_max)
{
    gather_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    self->filling = batch_new();
    self->pending_max = pending_max == 0 ? GATHER_PENDING_DEFAULT : pending_max;
    if (self->pending_max < GATHER_PENDING_MIN) {
        self->pending_max = GATHER_PENDING_MIN;
    }
    // A block is closed only when the next item would not fit, so each is more than half full.
    self->full_room = (size_t) (self->pending_max / (BATCH_BYTES_MAX / 2)) + 4;
    self->full = calloc(self->full_room, sizeof(*self->full));
    assert(self->full != NULL);
    return self;
}

void
gather_destroy(gather_t **self_p)
{
    gather_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    for (size_t i = 0; i < self->full_count; i++) {
        zmq_msg_close(&self->full[(self->full_first + i) % self->full_room]);
    }
    free(self->full);
    batch_destroy(&self->filling);
    free(self);
    *self_p = NULL;
}

// Closes the batch that fills and begins another.
static void
close_block(gather_t *self)
{
    assert(self->full_count < self->full_room);
    size_t place = (self->full_first + self->full_count) % self->full_room;
    self->full_bytes += batch_bytes(self->filling);
    batch_release(self->filling, &self->full[place]);
    self->full_count++;
}

bus_err_t
gather_reserve(gather_t *self, uint32_t count, size_t bytes)
{
    size_t needed = bytes + (size_t) count * ITEM_OVERHEAD;
    assert(needed <= BATCH_BYTES_MAX / 2 && count <= BATCH_ITEMS_MAX);
    if (gather_bytes(self) + needed > self->pending_max) {
        return BUS_BUSY;
    }
    if (batch_bytes(self->filling) + needed > BATCH_BYTES_MAX ||
        batch_count(self->filling) + count > BATCH_ITEMS_MAX) {
        close_block(self);
    }
    return BUS_OK;
}

void
gather_add(gather_t *self, const batch_entry_t *entry)
{
    batch_add(self->filling, entry);
}

bool
gather_take(gather_t *self, void *ret_msg)
{
    if (self->commit_bytes > 0) {
        return false;
    }
    if (self->full_count == 0) {
        if (batch_is_empty(self->filling)) {
            return false;
        }
        self->commit_bytes = batch_bytes(self->filling);
        batch_release(self->filling, ret_msg);
        return true;
    }
    zmq_msg_t *oldest = &self->full[self->full_first];
    self->commit_bytes = zmq_msg_size(oldest);
    self->full_bytes -= self->commit_bytes;
    zmq_msg_init(ret_msg);
    zmq_msg_move(ret_msg, oldest);
    zmq_msg_close(oldest);
    self->full_first = (self->full_first + 1) % self->full_room;
    self->full_count--;
    return true;
}

void
gather_done(gather_t *self)
{
    assert(self->commit_bytes > 0);
    self->commit_bytes = 0;
}

bool
gather_is_empty(const gather_t *self)
{
    return gather_bytes(self) == 0;
}

uint64_t
gather_bytes(const gather_t *self)
{
    return batch_bytes(self->filling) + self->full_bytes + self->commit_bytes;
}
