// stream.h - where each publisher's pseq stream stands, in memory and in the journal's transaction.
//
// Owner: the journal, in the thread that appends. All streams are in memory (at most STREAMS_MAX);
// what a commit changed is written with stream_map_flush, each stream once. There is no undoing: on
// a failure the journal loads the whole map again from the store.
//
// A stream named "" belongs to a publisher that stores its counter: it is kept for ever. The others
// are names for one run of a publisher: they go when unused for 24 h, and, where the map is full,
// the least recently used one goes when it was unused for STREAM_IDLE_US, longer than anyone
// retries. Beyond that a new stream is refused BUSY. The ones kept for ever have half of the map at
// most.
#pragma once
#include "origin.h"
#include "proto/auto.h"
#include "proto/error.h"
#include "proto/limits.h"
#include "proto/view.h"
#include "runtime/store.h"
#include <stdbool.h>
#include <stdint.h>

#define STREAM_KEPT_US (24 * UINT64_C(3600000000)) // docs/protocol.md section 5
#define STREAM_IDLE_US (10 * UINT64_C(60000000))

enum {
    STREAM_KEY_SIZE_MAX = 1 + 2 * ID_SIZE_MAX, // size of the source, source, pstream
    STREAM_EXPIRE_MAX = 64,   // removed in one commit, so that a commit's work is bounded
    STREAM_ORIGINS_MAX = 64,  // streams whose duplicates' places are remembered: 64 KiB each
    STREAM_STEPS_MAX = 262144 // records walked back in one commit to answer duplicates
};

// Where a stream stands. As it lies in the store.
typedef struct {
    uint64_t pseq;      // the last that was journaled; 0: none yet
    uint64_t seq;       // of its (last) record
    uint64_t at;        // when it was last used
    uint64_t cause_seq; // of that record
    uint64_t cause_n;
} stream_state_t;

typedef struct stream stream_t;
struct stream {
    stream_state_t state;
    stream_t *next;  // in its hash bucket
    stream_t *newer; // by use; of the streams that may go
    stream_t *older;
    stream_t *next_dirty; // changed in this commit
    origin_t *origin;     // NULL until a duplicate asked
    uint64_t asked;       // when the origin was last asked for, to drop the one least so
    uint64_t hash;        // of the key
    bool is_dirty;
    bool is_kept; // named "": never goes
    size_t key_size;
    char key[STREAM_KEY_SIZE_MAX];
};

typedef struct stream_map stream_map_t;

// `count_max`: STREAMS_MAX, or less in a test.
stream_map_t *stream_map_new(unsigned table, uint32_t count_max);
void stream_map_destroy(stream_map_t **self_p);
uint32_t stream_map_count(const stream_map_t *self);

// Forgets what is in memory and reads the table. BUS_CORRUPT, BUS_IO.
BUS_CHECK bus_err_t stream_map_load(stream_map_t *self, store_txn_t *txn);
// The journal is open since `at`: time before it does not count as time in which a stream was
// unused. So neither a clock that jumped nor a journal that was away forgets what publishers still
// ask for.
void stream_map_start(stream_map_t *self, uint64_t at);
// A commit begins: its bounds start anew.
void stream_map_begin(stream_map_t *self);
// The stream, or NULL. Valid until the next call that may remove streams.
stream_t *stream_map_find(stream_map_t *self, bus_view_t source, bus_view_t pstream);
// Makes one that does not exist, in place of an idle one where the map is full. BUS_BUSY, BUS_IO.
BUS_CHECK bus_err_t stream_map_add(stream_map_t *self,
                                   store_txn_t *txn,
                                   bus_view_t source,
                                   bus_view_t pstream,
                                   uint64_t at,
                                   stream_t **ret_stream);
// The stream is now at `state`, whose pseq is one more than before.
void stream_map_advance(stream_map_t *self, stream_t *stream, const stream_state_t *state);
// Where an earlier pseq went; see origin_find. Counts as a use.
BUS_CHECK bus_err_t stream_map_origin(stream_map_t *self,
                                      stream_t *stream,
                                      store_txn_t *txn,
                                      unsigned log,
                                      uint64_t pseq,
                                      uint64_t *ret_seq);
// Before a commit: removes what was unused too long and writes what changed. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t stream_map_flush(stream_map_t *self, store_txn_t *txn, uint64_t at);
