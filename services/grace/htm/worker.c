// worker.c - who takes tasks. See worker.h.
//
// A row: numbers of fixed size, then instance and handlers, each behind a byte with its size.
#include "worker.h"

#include "lease.h"
#include "runtime/log.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

enum { BUCKETS = 256 };

struct htm_workers {
    htm_worker_t *buckets[BUCKETS];
    uint32_t count;
    uint32_t slots;
};

typedef struct {
    uint64_t seq;
    uint64_t heard_us;
    uint64_t free_us;
    uint32_t slots;
    uint32_t is_silent;
    uint32_t handler_count;
    uint32_t unused; // 0: rows are hashed
} row_t;

#define ROW_SIZE_MAX                                                                               \
    (sizeof(row_t) + (size_t) (1 + HTM_WORKER_HANDLERS_MAX) * (1 + HTM_TASK_NAME_MAX))

// --- The registry --------------------------------------------------------------------------------

htm_workers_t *
htm_worker_registry_new(void)
{
    htm_workers_t *self = calloc(1, sizeof *self);
    assert(self);
    return self;
}

void
htm_worker_registry_clear(htm_workers_t *self)
{
    for (unsigned i = 0; i < BUCKETS; i++) {
        for (htm_worker_t *worker = self->buckets[i], *chain; worker != NULL; worker = chain) {
            chain = worker->chain;
            free(worker);
        }
    }
    *self = (htm_workers_t){.count = 0};
}

void
htm_worker_registry_destroy(htm_workers_t **self_p)
{
    if (*self_p != NULL) {
        htm_worker_registry_clear(*self_p);
        free(*self_p);
        *self_p = NULL;
    }
}

static htm_worker_t **
bucket_of(const htm_workers_t *self, bus_view_t name)
{
    size_t bucket = XXH3_64bits(name.data, name.size) % BUCKETS;
    return (htm_worker_t **) &self->buckets[bucket];
}

htm_worker_t *
htm_worker_find(const htm_workers_t *self, bus_view_t name)
{
    htm_worker_t *worker = *bucket_of(self, name);
    while (worker != NULL && !view_equal(worker->name, name)) {
        worker = worker->chain;
    }
    return worker;
}

htm_worker_t *
htm_worker_next(const htm_workers_t *self, const htm_worker_t *worker)
{
    if (worker != NULL && worker->chain != NULL) {
        return worker->chain;
    }
    htm_worker_t **bucket = (htm_worker_t **) self->buckets;
    if (worker != NULL) {
        bucket = bucket_of(self, worker->name) + 1;
    }
    while (bucket < self->buckets + BUCKETS && *bucket == NULL) {
        bucket++;
    }
    return bucket < self->buckets + BUCKETS ? *bucket : NULL;
}

uint32_t
htm_worker_count(const htm_workers_t *self)
{
    return self->count;
}

uint32_t
htm_worker_slots(const htm_workers_t *self)
{
    return self->slots;
}

// --- Who serves what -----------------------------------------------------------------------------

static void
serve(htm_handler_t *handler, htm_worker_t *worker)
{
    if (handler->worker_count == handler->worker_room) {
        handler->worker_room = handler->worker_room == 0 ? 4 : handler->worker_room * 2;
        handler->workers =
            reallocarray(handler->workers, handler->worker_room, sizeof(htm_worker_t *));
        assert(handler->workers);
    }
    handler->workers[handler->worker_count++] = worker;
}

static void
serve_no_more(htm_handler_t *handler, const htm_worker_t *worker)
{
    uint32_t place = 0;
    while (handler->workers[place] != worker) {
        place++;
        assert(place < handler->worker_count);
    }
    handler->workers[place] = handler->workers[--handler->worker_count];
}

static void
drop_handlers(htm_workers_t *self, htm_queue_t *queue, htm_worker_t *worker)
{
    for (uint32_t i = 0; i < worker->handler_count; i++) {
        htm_handler_t *handler = worker->handlers[i];
        serve_no_more(handler, worker);
        htm_queue_release(queue, &handler);
    }
    worker->handler_count = 0;
    self->slots -= worker->slots;
    worker->slots = 0;
}

// What it says once twice counts once.
static bool
serves(const htm_worker_t *worker, bus_view_t name)
{
    for (uint32_t i = 0; i < worker->handler_count; i++) {
        if (view_equal(worker->handlers[i]->name, name)) {
            return true;
        }
    }
    return false;
}

static void
take_handlers(htm_workers_t *self,
              htm_queue_t *queue,
              htm_worker_t *worker,
              const htm_worker_word_t *word)
{
    for (uint32_t i = 0; i < word->handler_count; i++) {
        if (!serves(worker, word->handlers[i])) {
            htm_handler_t *handler = htm_queue_require(queue, word->handlers[i]);
            serve(handler, worker);
            worker->handlers[worker->handler_count++] = handler;
            htm_queue_look_at(queue, handler);
        }
    }
    worker->slots = word->slots;
    self->slots += word->slots;
}

static htm_worker_t *
enter(htm_workers_t *self, bus_view_t name)
{
    htm_worker_t *worker = calloc(1, sizeof *worker);
    assert(worker);
    assert(name.size > 0 && name.size <= sizeof worker->name_text);
    memcpy(worker->name_text, name.data, name.size);
    worker->name = view_from(worker->name_text, name.size);
    htm_worker_t **bucket = bucket_of(self, name);
    worker->chain = *bucket;
    *bucket = worker;
    self->count++;
    return worker;
}

// Makes it as told, in memory.
static htm_worker_t *
set(htm_workers_t *self, htm_queue_t *queue, const htm_worker_word_t *word)
{
    htm_worker_t *worker = htm_worker_find(self, word->name);
    if (worker == NULL) {
        worker = enter(self, word->name);
        worker->free_us = word->at_us;
    }
    drop_handlers(self, queue, worker);
    take_handlers(self, queue, worker, word);
    assert(word->instance.size <= sizeof worker->instance_text);
    if (word->instance.size > 0) {
        memcpy(worker->instance_text, word->instance.data, word->instance.size);
    }
    worker->instance = view_from(worker->instance_text, word->instance.size);
    worker->seq = word->seq;
    htm_worker_hear(worker, word->at_us);
    return worker;
}

bus_err_t
htm_worker_put(htm_workers_t *self,
               htm_queue_t *queue,
               store_txn_t *txn,
               const htm_worker_word_t *word)
{
    return htm_worker_save(txn, set(self, queue, word));
}

bus_err_t
htm_worker_remove(htm_workers_t *self,
                  htm_queue_t *queue,
                  store_txn_t *txn,
                  htm_worker_t **worker_p)
{
    htm_worker_t *worker = *worker_p;
    *worker_p = NULL;
    bus_err_t err = htm_tables_drop(txn, HTM_WORKERS, worker->name);
    drop_handlers(self, queue, worker);
    htm_worker_t **link = bucket_of(self, worker->name);
    while (*link != worker) {
        assert(*link != NULL);
        link = &(*link)->chain;
    }
    *link = worker->chain;
    self->count--;
    free(worker);
    return err;
}

// --- Rows ----------------------------------------------------------------------------------------

static size_t
add_text(char *row, size_t at, bus_view_t text)
{
    row[at++] = (char) text.size;
    if (text.size > 0) {
        memcpy(row + at, text.data, text.size);
    }
    return at + text.size;
}

bus_err_t
htm_worker_save(store_txn_t *txn, const htm_worker_t *worker)
{
    char value[ROW_SIZE_MAX];
    const row_t row = {
        .seq = worker->seq,
        .heard_us = worker->heard_us,
        .free_us = worker->free_us,
        .slots = worker->slots,
        .is_silent = worker->is_silent,
        .handler_count = worker->handler_count,
    };
    memcpy(value, &row, sizeof row);
    size_t at = add_text(value, sizeof row, worker->instance);
    for (uint32_t i = 0; i < worker->handler_count; i++) {
        at = add_text(value, at, worker->handlers[i]->name);
    }
    return store_put(txn, HTM_WORKERS, worker->name, view_from(value, at));
}

static bool
read_text(bus_view_t value, size_t *at, bus_view_t *ret_text)
{
    if (*at >= value.size) {
        return false;
    }
    size_t size = (uint8_t) value.data[(*at)++];
    if (size > HTM_TASK_NAME_MAX || *at + size > value.size) {
        return false;
    }
    *ret_text = view_from(value.data + *at, size);
    *at += size;
    return true;
}

static bool
read_row(bus_view_t name, bus_view_t value, row_t *row, htm_worker_word_t *ret_word)
{
    if (name.size > HTM_TASK_NAME_MAX || value.size < sizeof *row) {
        return false;
    }
    memcpy(row, value.data, sizeof *row);
    *ret_word = (htm_worker_word_t){
        .name = name,
        .slots = row->slots,
        .handler_count = row->handler_count,
        .seq = row->seq,
        .at_us = row->heard_us,
    };
    size_t at = sizeof *row;
    if (row->handler_count > HTM_WORKER_HANDLERS_MAX ||
        !read_text(value, &at, &ret_word->instance)) {
        return false;
    }
    for (uint32_t i = 0; i < row->handler_count; i++) {
        if (!read_text(value, &at, &ret_word->handlers[i]) || ret_word->handlers[i].size == 0) {
            return false;
        }
    }
    return true;
}

static bus_err_t
load_workers(htm_workers_t *self, htm_queue_t *queue, store_txn_t *txn)
{
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_view_t key = VIEW_NONE;
    bus_view_t value = VIEW_NONE;
    bus_err_t err = store_cursor_open(txn, HTM_WORKERS, &cursor);
    if (err == BUS_OK) {
        err = store_first(cursor, &key, &value);
    }
    while (err == BUS_OK || err == BUS_CORRUPT) {
        row_t row;
        htm_worker_word_t word;
        if (err == BUS_OK && read_row(key, value, &row, &word)) {
            htm_worker_t *worker = set(self, queue, &word);
            worker->free_us = row.free_us;
            worker->is_silent = row.is_silent != 0;
        } else {
            log_error("worker_unreadable", "error=%s", error_text(BUS_CORRUPT));
        }
        err = store_next(cursor, &key, &value);
    }
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

static bus_err_t
load_leases(const htm_workers_t *self, htm_queue_t *queue, store_txn_t *txn)
{
    htm_lease_t lease = {.worker_size = 0};
    bus_err_t err;
    while ((err = htm_lease_next(txn, &lease)) == BUS_OK) {
        htm_worker_t *worker = htm_worker_find(self, view_from(lease.worker, lease.worker_size));
        if (worker != NULL) {
            worker->busy++;
        }
        htm_task_t task;
        err = htm_task_load(txn, lease.seq, &task);
        if (err == BUS_OK) {
            htm_queue_require(queue, task.texts[HTM_TASK_HANDLER])->running[task.row.rank]++;
        } else if (err != BUS_CORRUPT && err != BUS_NOT_FOUND) {
            return err;
        }
    }
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

bus_err_t
htm_worker_load(htm_workers_t *self, htm_queue_t *queue, store_txn_t *txn)
{
    bus_err_t err = load_workers(self, queue, txn);
    return err == BUS_OK ? load_leases(self, queue, txn) : err;
}

// --- Choosing ------------------------------------------------------------------------------------

uint32_t
htm_worker_free(const htm_worker_t *worker)
{
    if (worker->is_silent) {
        return worker->busy == 0 && worker->slots > 0 ? 1 : 0;
    }
    return worker->busy < worker->slots ? worker->slots - worker->busy : 0;
}

void
htm_worker_hear(htm_worker_t *worker, uint64_t at_us)
{
    worker->heard_us = at_us;
    worker->is_silent = false;
}

static bool
is_before(bus_view_t a, bus_view_t b)
{
    int order = memcmp(a.data, b.data, a.size < b.size ? a.size : b.size);
    return order != 0 ? order < 0 : a.size < b.size;
}

// Whether `a`, with slots left, is to be chosen before `b`.
static bool
is_better(const htm_worker_t *a, const htm_worker_t *b)
{
    if (a->is_silent != b->is_silent) {
        return b->is_silent;
    }
    uint32_t left_a = htm_worker_free(a), left_b = htm_worker_free(b);
    return left_a != left_b ? left_a > left_b : is_before(a->name, b->name);
}

htm_worker_t *
htm_worker_choose(const htm_handler_t *handler)
{
    htm_worker_t *best = NULL;
    for (uint32_t i = 0; i < handler->worker_count; i++) {
        htm_worker_t *worker = handler->workers[i];
        if (htm_worker_free(worker) > 0 && (best == NULL || is_better(worker, best))) {
            best = worker;
        }
    }
    return best;
}
