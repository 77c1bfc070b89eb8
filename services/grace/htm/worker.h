// worker.h - who takes tasks: rows of HTM_WORKERS, and the same in memory with what each has.
//
// A worker is known from its task.worker.ready until it is gone. What it has is HTM_RUNNING; how
// much that is, is counted in memory. Memory is made of the tables at open and after an undone
// batch, and is changed with them.
//
// Owner: the service's thread.
#pragma once
#include "queue.h"

enum {
    HTM_WORKER_HANDLERS_MAX = 32, // of one
    HTM_WORKERS_MAX = 1024,      // known at once: each is looked at for each of its handlers' tasks
    HTM_WORKER_SLOTS_MAX = 1024, // of one, as the schema says
    HTM_WORKER_SLOTS_ALL = 16384, // of all: what a restart renews in one record
};

struct htm_worker {
    htm_worker_t *chain; // in the registry's hash
    bus_view_t name;     // into `name_text`
    bus_view_t instance; // into `instance_text`; empty: not told
    uint32_t slots;
    uint32_t busy;     // of them; may be above, where it came back with fewer
    uint64_t seq;      // of its last ready
    uint64_t heard_us; // its last word
    uint64_t free_us;  // when it last came to have a free slot
    bool is_recalled;  // it said ready again: what it has is to be handed out once more
    bool is_silent;    // let a lease lapse and was not heard since it began
    uint32_t handler_count;
    htm_handler_t *handlers[HTM_WORKER_HANDLERS_MAX];
    char name_text[HTM_TASK_NAME_MAX];
    char instance_text[HTM_TASK_NAME_MAX];
};

typedef struct htm_workers htm_workers_t;

htm_workers_t *htm_worker_registry_new(void);
void htm_worker_registry_destroy(htm_workers_t **self_p);
// Forgets everything; before the queue does.
void htm_worker_registry_clear(htm_workers_t *self);
// Reads HTM_WORKERS and HTM_RUNNING into an empty registry, and `queue`. BUS_IO; a damaged row is
// left out.
BUS_CHECK bus_err_t htm_worker_load(htm_workers_t *self, htm_queue_t *queue, store_txn_t *txn);

htm_worker_t *htm_worker_find(const htm_workers_t *self, bus_view_t name);
// All, in no order: NULL begins.
htm_worker_t *htm_worker_next(const htm_workers_t *self, const htm_worker_t *worker);
// How many are known, and how many slots they have.
uint32_t htm_worker_count(const htm_workers_t *self);
uint32_t htm_worker_slots(const htm_workers_t *self);

// What one says of itself.
typedef struct {
    bus_view_t name;
    bus_view_t instance; // absent: not told
    uint32_t slots;
    uint32_t handler_count;
    bus_view_t handlers[HTM_WORKER_HANDLERS_MAX];
    uint64_t seq;
    uint64_t at_us;
} htm_worker_word_t;

// Makes it, or changes it to this; writes its row. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t htm_worker_put(htm_workers_t *self,
                                   htm_queue_t *queue,
                                   store_txn_t *txn,
                                   const htm_worker_word_t *word);
// Forgets it; NULL afterwards. What it had stays in HTM_RUNNING. BUS_IO.
BUS_CHECK bus_err_t htm_worker_remove(htm_workers_t *self,
                                      htm_queue_t *queue,
                                      store_txn_t *txn,
                                      htm_worker_t **worker_p);
// Writes its row. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t htm_worker_save(store_txn_t *txn, const htm_worker_t *worker);

// Slots that it has left. A silent one is tried with one task, so that one that went unseen does
// not use up many tasks' losses.
uint32_t htm_worker_free(const htm_worker_t *worker);
// It said something. The caller saves it.
void htm_worker_hear(htm_worker_t *worker, uint64_t at_us);
// Of those that serve the handler, the one with most slots left, then the first by name; a silent
// one where there is no other. NULL: none has any.
htm_worker_t *htm_worker_choose(const htm_handler_t *handler);
