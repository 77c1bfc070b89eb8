// state.h - what the process keeps in memory: what it would otherwise read again for each record,
// and what it does beside applying.
//
// Owner: the service's thread. `totals`, `queue` and `workers` are as of the open transaction, and
// are made anew of the tables after a batch was undone.
#pragma once
#include "queue.h"
#include "runtime/service.h"
#include "worker.h"

typedef struct htm_live htm_live_t;
typedef struct htm_measure htm_measure_t;

typedef struct {
    htm_totals_t totals;
    htm_queue_t *queue;
    htm_workers_t *workers;
    htm_measure_t *measure; // how long the last starts took
    htm_live_t *live;       // timers, peers, telemetry; NULL before it starts, and in a rebuild
    pack_t *said;           // what is said in consequence
    uint64_t resumes;       // task.clock records with `resumed` that this process applied
    uint64_t resumed_us;    // when the last of them was journaled
    uint64_t first_us;      // when the first record that it applied was
    uint64_t recalls;       // workers that said ready again, with something in hand
} htm_state_t;
