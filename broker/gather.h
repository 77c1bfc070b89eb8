// gather.h - what waits for the committer: batches in order, bounded by bytes.
//
// Owner: the router; its thread. Group commit is here: while one block is being made durable, the
// next ones fill up. A block never grows past BATCH_BYTES_MAX or BATCH_ITEMS_MAX, and a group is
// never split over two.
#pragma once
#include "batch.h"
#include "proto/auto.h"
#include "proto/error.h"
#include <stdint.h>

enum {
    GATHER_PENDING_DEFAULT = 64 * 1024 * 1024, // bytes gathered and in commit, before BUSY
    GATHER_PENDING_MIN = 8 * 1024 * 1024,      // room for the largest group
};

typedef struct gather gather_t;

// `pending_max` 0: GATHER_PENDING_DEFAULT.
gather_t *gather_new(uint64_t pending_max);
void gather_destroy(gather_t **self_p);

// Makes room for `count` items of together `bytes` payload that must stay in one block. BUS_BUSY
// where as much as may be pending is pending: none of them may be added then.
BUS_CHECK bus_err_t gather_reserve(gather_t *self, uint32_t count, size_t bytes);
// Adds one item, after gather_reserve.
void gather_add(gather_t *self, const batch_entry_t *entry);

// Gives the oldest block to the committer as a ZeroMQ message (a zmq_msg_t *, uninitialised
// before). False where nothing waits or one is in commit already.
BUS_CHECK bool gather_take(gather_t *self, void *ret_msg);
// The block that was taken came back.
void gather_done(gather_t *self);

bool gather_is_empty(const gather_t *self);  // nothing waits and nothing is in commit
uint64_t gather_bytes(const gather_t *self); // waiting and in commit
