// artifact_search.h - the artifacts of a product that have all of some tags, between two times, in
// the order in which they were written. Inner to artifact_query.c.
//
// Times are turned into journal seqs first (the journal's time never goes back), and the rest is
// done in the index alone: one walk over each tag, or over the product, leaping over each other.
// So its cost grows with the logarithm of what is stored and with what it steps over, which is
// bounded.
#pragma once
#include "index.h"

enum { BUCKET_ARTIFACT_STEPS_MAX = 100000 }; // of one question: about 50 ms of the service's loop

typedef struct {
    uint64_t from; // seqs [from, end)
    uint64_t end;
    unsigned walk_count;
    bucket_index_walk_t *walks[CHANNEL_TAGS_MAX]; // the rarest tag first
    uint64_t at[CHANNEL_TAGS_MAX];                // where each stands; 0: nowhere yet
    uint32_t steps;                               // left
    uint32_t damaged;                             // records that failed their check on the way
    bool has_count;
    uint64_t count; // of all that match, where a counter knows it
} bucket_artifact_search_t;

// Begins. BUS_IO.
BUS_CHECK bus_err_t bucket_artifact_search_open(store_txn_t *txn,
                                                const channel_query_t *asked,
                                                bucket_artifact_search_t *ret_self);
void bucket_artifact_search_close(bucket_artifact_search_t *self);
// The first match at or above `from`. BUS_NOT_FOUND behind the last; BUS_BUSY where the steps are
// used up: *ret_seq is where to go on. BUS_IO.
BUS_CHECK bus_err_t bucket_artifact_search_next(bucket_artifact_search_t *self,
                                                uint64_t from,
                                                uint64_t *ret_seq);
// How many match in all: from a counter, or by going through at most `count_max`.
// *ret_is_exact: false where there may be more. BUS_IO.
BUS_CHECK bus_err_t bucket_artifact_search_count(bucket_artifact_search_t *self,
                                                 uint64_t count_max,
                                                 uint64_t *ret_count,
                                                 bool *ret_is_exact);
