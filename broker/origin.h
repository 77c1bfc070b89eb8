// origin.h - which record a pseq of a stream became: what a duplicate is answered with.
//
// Owner: the stream that it belongs to. An append costs nothing here until the stream's first
// duplicate; then the chain of trailers is walked back, as far as the pseq that is asked for and
// not further, and what was found is kept while the stream goes on.
#pragma once
#include "proto/auto.h"
#include "proto/error.h"
#include "runtime/store.h"
#include <stdint.h>

typedef struct origin origin_t;

// `pseq` and `seq`: the stream's last.
origin_t *origin_new(uint64_t pseq, uint64_t seq);
void origin_destroy(origin_t **self_p);

// The stream went on: `pseq` is the one after the last.
void origin_push(origin_t *self, uint64_t pseq, uint64_t seq);

// *ret_seq: the record that `pseq` became (a group's last), or 0 where that is more than
// PSEQ_MEMORY back, trimmed or unreadable. Reads at most *steps_p records of table `log`, and takes
// them off *steps_p: BUS_BUSY where that is not enough, and another call goes on. BUS_IO.
BUS_CHECK bus_err_t origin_find(origin_t *self,
                                store_txn_t *txn,
                                unsigned log,
                                uint64_t pseq,
                                uint64_t *steps_p,
                                uint64_t *ret_seq);
