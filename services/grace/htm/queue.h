// queue.h - who starts next, by handler: priority, then deadline, then arrival.
//
// The order is HTM_ORDER on disk; in memory, for each handler, what waits, runs, and who serves it.
// Memory is made of the tables at open and after an undone batch, and is changed with them. A
// handler is known while something of it waits or runs, or a worker serves it.
//
// Owner: the service's thread.
#pragma once
#include "seqs.h"
#include "task.h"

// Handlers known at once: beyond it tasks for new ones are refused. What was accepted always finds
// its place.
enum { HTM_QUEUE_HANDLERS_MAX = 1024 };

typedef struct htm_worker htm_worker_t;
typedef struct htm_queue htm_queue_t;

// Where a task stands.
typedef struct {
    htm_rank_t rank;
    uint64_t deadline_us;
    uint64_t seq;
} htm_place_t;

typedef struct htm_handler {
    struct htm_handler *chain;          // in the queue's hash
    struct htm_handler *prev, *next;    // of all
    struct htm_handler *todo;           // the next that is to be looked at
    bool is_todo;                       // it is among them
    bus_view_t name;                    // into `text`
    htm_seqs_t waiting[HTM_RANK_COUNT]; // those in HTM_ORDER
    bool knows_first;                   // `first` is the first of them
    htm_place_t first;
    uint32_t running[HTM_RANK_COUNT]; // by the priority with which they started
    htm_worker_t **workers;           // that serve it, in no order
    uint32_t worker_count;
    uint32_t worker_room;
    char text[HTM_TASK_NAME_MAX];
} htm_handler_t;

htm_queue_t *htm_queue_new(void);
void htm_queue_destroy(htm_queue_t **self_p);
// Forgets everything: workers, too, must be forgotten.
void htm_queue_clear(htm_queue_t *self);
// Reads HTM_ORDER into an empty queue. BUS_IO; a damaged row is left out.
BUS_CHECK bus_err_t htm_queue_load(htm_queue_t *self, store_txn_t *txn);

// NULL where nothing of it is known.
htm_handler_t *htm_queue_find(const htm_queue_t *self, bus_view_t name);
htm_handler_t *htm_queue_require(htm_queue_t *self, bus_view_t name);
// Forgets it where nothing of it is left.
void htm_queue_release(htm_queue_t *self, htm_handler_t **handler_p);
// How many are known.
uint32_t htm_queue_handlers(const htm_queue_t *self);
// All, in no order: NULL begins.
htm_handler_t *htm_queue_next(const htm_queue_t *self, const htm_handler_t *handler);

// Puts a waiting task in its place, and its handler among those to be looked at. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t htm_queue_push(htm_queue_t *self, store_txn_t *txn, const htm_task_t *task);
// Takes it out, by the priority and deadline that it was put in with. BUS_IO.
BUS_CHECK bus_err_t htm_queue_remove(htm_queue_t *self, store_txn_t *txn, const htm_task_t *task);
// The same for what stands there, whatever it is. The handler stays. BUS_IO.
BUS_CHECK bus_err_t htm_queue_drop(store_txn_t *txn,
                                   htm_handler_t *handler,
                                   const htm_place_t *place);

// The first of a handler. BUS_NOT_FOUND where none waits; BUS_IO.
BUS_CHECK bus_err_t htm_queue_first(store_txn_t *txn,
                                    htm_handler_t *handler,
                                    htm_place_t *ret_place);
// The first behind `place`, likewise.
BUS_CHECK bus_err_t htm_queue_after(store_txn_t *txn,
                                    const htm_handler_t *handler,
                                    htm_place_t *reterr_place);
bool htm_queue_is_before(const htm_place_t *a, const htm_place_t *b);
// How many tasks of lower priority than `rank` wait for the handler and came before `seq`.
uint64_t htm_queue_overtaken(const htm_handler_t *handler, htm_rank_t rank, uint64_t seq);

// Handlers to be looked at: something of theirs may start now.
void htm_queue_look_at(htm_queue_t *self, htm_handler_t *handler);
void htm_queue_look_at_all(htm_queue_t *self);
htm_handler_t *htm_queue_todo(const htm_queue_t *self);
// Nothing of it can start: no longer among them. It may be gone then.
void htm_queue_looked_at(htm_queue_t *self, htm_handler_t *handler);
