// queue.c - who starts next. See queue.h.
#include "queue.h"

#include "runtime/log.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>
#include <xxhash.h>

enum {
    BUCKETS = 1024, // as many as handlers
    TAIL = 1 + 8 + 8,
    KEY_SIZE_MAX = 1 + HTM_TASK_NAME_MAX + TAIL,
};

struct htm_queue {
    htm_handler_t *buckets[BUCKETS];
    htm_handler_t *handlers; // all
    htm_handler_t *todo;     // to be looked at
    uint32_t count;
};

// --- Keys ----------------------------------------------------------------------------------------

static bus_view_t
key_make(uint8_t key[KEY_SIZE_MAX], bus_view_t name, const htm_place_t *place)
{
    assert(name.size > 0 && name.size <= HTM_TASK_NAME_MAX);
    uint64_t deadline = htobe64(place->deadline_us);
    uint64_t seq = htobe64(place->seq);
    uint8_t *tail = key + 1 + name.size;
    key[0] = (uint8_t) name.size;
    memcpy(key + 1, name.data, name.size);
    tail[0] = (uint8_t) place->rank;
    memcpy(tail + 1, &deadline, sizeof deadline);
    memcpy(tail + 1 + sizeof deadline, &seq, sizeof seq);
    return view_from(key, 1 + name.size + TAIL);
}

// False: it is no key of ours.
static bool
key_read(bus_view_t key, bus_view_t *ret_name, htm_place_t *ret_place)
{
    size_t size = key.size > 0 ? (uint8_t) key.data[0] : 0;
    if (size == 0 || size > HTM_TASK_NAME_MAX || key.size != 1 + size + TAIL) {
        return false;
    }
    const char *tail = key.data + 1 + size;
    uint64_t deadline, seq;
    memcpy(&deadline, tail + 1, sizeof deadline);
    memcpy(&seq, tail + 1 + sizeof deadline, sizeof seq);
    *ret_name = view_from(key.data + 1, size);
    *ret_place = (htm_place_t){
        .rank = (htm_rank_t) tail[0],
        .deadline_us = be64toh(deadline),
        .seq = be64toh(seq),
    };
    return (uint8_t) tail[0] < HTM_RANK_COUNT;
}

static htm_place_t
place_of(const htm_task_t *task)
{
    return (htm_place_t){
        .rank = (htm_rank_t) task->row.rank,
        .deadline_us = htm_task_deadline(task),
        .seq = task->row.seq,
    };
}

// --- Handlers ------------------------------------------------------------------------------------

htm_queue_t *
htm_queue_new(void)
{
    htm_queue_t *self = calloc(1, sizeof *self);
    assert(self);
    return self;
}

static void
free_handler(htm_handler_t *handler)
{
    for (unsigned i = 0; i < HTM_RANK_COUNT; i++) {
        htm_seqs_clear(&handler->waiting[i]);
    }
    free(handler->workers);
    free(handler);
}

void
htm_queue_clear(htm_queue_t *self)
{
    for (htm_handler_t *handler = self->handlers, *next; handler != NULL; handler = next) {
        next = handler->next;
        free_handler(handler);
    }
    *self = (htm_queue_t){.count = 0};
}

void
htm_queue_destroy(htm_queue_t **self_p)
{
    if (*self_p != NULL) {
        htm_queue_clear(*self_p);
        free(*self_p);
        *self_p = NULL;
    }
}

static htm_handler_t **
bucket_of(const htm_queue_t *self, bus_view_t name)
{
    size_t bucket = XXH3_64bits(name.data, name.size) % BUCKETS;
    return (htm_handler_t **) &self->buckets[bucket];
}

htm_handler_t *
htm_queue_find(const htm_queue_t *self, bus_view_t name)
{
    htm_handler_t *handler = *bucket_of(self, name);
    while (handler != NULL && !view_equal(handler->name, name)) {
        handler = handler->chain;
    }
    return handler;
}

htm_handler_t *
htm_queue_require(htm_queue_t *self, bus_view_t name)
{
    htm_handler_t *handler = htm_queue_find(self, name);
    if (handler != NULL) {
        return handler;
    }
    handler = calloc(1, sizeof *handler);
    assert(handler);
    assert(name.size > 0 && name.size <= sizeof handler->text);
    memcpy(handler->text, name.data, name.size);
    handler->name = view_from(handler->text, name.size);
    htm_handler_t **bucket = bucket_of(self, name);
    handler->chain = *bucket;
    *bucket = handler;
    handler->next = self->handlers;
    if (self->handlers != NULL) {
        self->handlers->prev = handler;
    }
    self->handlers = handler;
    self->count++;
    return handler;
}

static bool
is_needed(const htm_handler_t *handler)
{
    for (unsigned i = 0; i < HTM_RANK_COUNT; i++) {
        if (handler->waiting[i].count > 0 || handler->running[i] > 0) {
            return true;
        }
    }
    return handler->worker_count > 0 || handler->is_todo;
}

void
htm_queue_release(htm_queue_t *self, htm_handler_t **handler_p)
{
    htm_handler_t *handler = *handler_p;
    *handler_p = NULL;
    if (handler == NULL || is_needed(handler)) {
        return;
    }
    htm_handler_t **link = bucket_of(self, handler->name);
    while (*link != handler) {
        assert(*link != NULL);
        link = &(*link)->chain;
    }
    *link = handler->chain;
    *(handler->prev != NULL ? &handler->prev->next : &self->handlers) = handler->next;
    if (handler->next != NULL) {
        handler->next->prev = handler->prev;
    }
    self->count--;
    free_handler(handler);
}

uint32_t
htm_queue_handlers(const htm_queue_t *self)
{
    return self->count;
}

htm_handler_t *
htm_queue_next(const htm_queue_t *self, const htm_handler_t *handler)
{
    return handler == NULL ? self->handlers : handler->next;
}

// --- The order -----------------------------------------------------------------------------------

bus_err_t
htm_queue_load(htm_queue_t *self, store_txn_t *txn)
{
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_view_t key = VIEW_NONE;
    bus_view_t value = VIEW_NONE;
    bus_err_t err = store_cursor_open(txn, HTM_ORDER, &cursor);
    if (err == BUS_OK) {
        err = store_first(cursor, &key, &value);
    }
    htm_handler_t *handler = NULL;
    while (err == BUS_OK || err == BUS_CORRUPT) {
        bus_view_t name;
        htm_place_t place;
        if (err == BUS_OK && key_read(key, &name, &place)) {
            if (handler == NULL || !view_equal(handler->name, name)) {
                handler = htm_queue_require(self, name);
            }
            (void) htm_seqs_add(&handler->waiting[place.rank], place.seq);
        } else {
            log_error("order_unreadable", "error=%s", error_text(BUS_CORRUPT));
        }
        err = store_next(cursor, &key, &value);
    }
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

bus_err_t
htm_queue_push(htm_queue_t *self, store_txn_t *txn, const htm_task_t *task)
{
    uint8_t key[KEY_SIZE_MAX];
    htm_place_t place = place_of(task);
    bus_view_t name = task->texts[HTM_TASK_HANDLER];
    bus_err_t err = store_put(txn, HTM_ORDER, key_make(key, name, &place), view_from("", 0));
    if (err == BUS_OK) {
        htm_handler_t *handler = htm_queue_require(self, name);
        (void) htm_seqs_add(&handler->waiting[place.rank], place.seq);
        if (handler->knows_first && htm_queue_is_before(&place, &handler->first)) {
            handler->first = place;
        }
        htm_queue_look_at(self, handler);
    }
    return err;
}

bus_err_t
htm_queue_drop(store_txn_t *txn, htm_handler_t *handler, const htm_place_t *place)
{
    uint8_t key[KEY_SIZE_MAX];
    (void) htm_seqs_remove(&handler->waiting[place->rank], place->seq);
    if (handler->first.seq == place->seq) {
        handler->knows_first = false;
    }
    return htm_tables_drop(txn, HTM_ORDER, key_make(key, handler->name, place));
}

bus_err_t
htm_queue_remove(htm_queue_t *self, store_txn_t *txn, const htm_task_t *task)
{
    htm_place_t place = place_of(task);
    htm_handler_t *handler = htm_queue_find(self, task->texts[HTM_TASK_HANDLER]);
    if (handler == NULL) {
        return BUS_OK; // its row was damaged
    }
    bus_err_t err = htm_queue_drop(txn, handler, &place);
    htm_queue_release(self, &handler);
    return err;
}

// The first of the handler's rows at or above `key`. One that is damaged is passed over.
static bus_err_t
seek(store_txn_t *txn, const htm_handler_t *handler, bus_view_t key, htm_place_t *ret_place)
{
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_view_t found = VIEW_NONE;
    bus_view_t value = VIEW_NONE;
    bus_err_t err = store_cursor_open(txn, HTM_ORDER, &cursor);
    if (err == BUS_OK) {
        err = store_seek(cursor, key, &found, &value);
    }
    while (err == BUS_OK || err == BUS_CORRUPT) {
        bus_view_t name;
        if (key_read(found, &name, ret_place)) {
            bool is_its = view_equal(name, handler->name);
            if (!is_its || err == BUS_OK) {
                return is_its ? BUS_OK : BUS_NOT_FOUND;
            }
        }
        err = store_next(cursor, &found, &value);
    }
    return err;
}

static bool
has_waiting(const htm_handler_t *handler)
{
    for (unsigned i = 0; i < HTM_RANK_COUNT; i++) {
        if (handler->waiting[i].count > 0) {
            return true;
        }
    }
    return false;
}

bus_err_t
htm_queue_first(store_txn_t *txn, htm_handler_t *handler, htm_place_t *ret_place)
{
    if (!has_waiting(handler)) {
        return BUS_NOT_FOUND;
    }
    if (!handler->knows_first) {
        uint8_t key[KEY_SIZE_MAX];
        const htm_place_t start = {.rank = HTM_CRITICAL};
        bus_err_t err = seek(txn, handler, key_make(key, handler->name, &start), &handler->first);
        if (err != BUS_OK) {
            return err;
        }
        handler->knows_first = true;
    }
    *ret_place = handler->first;
    return BUS_OK;
}

bus_err_t
htm_queue_after(store_txn_t *txn, const htm_handler_t *handler, htm_place_t *reterr_place)
{
    uint8_t key[KEY_SIZE_MAX];
    htm_place_t start = *reterr_place;
    start.seq++;
    return seek(txn, handler, key_make(key, handler->name, &start), reterr_place);
}

bool
htm_queue_is_before(const htm_place_t *a, const htm_place_t *b)
{
    if (a->rank != b->rank) {
        return a->rank < b->rank;
    }
    if (a->deadline_us != b->deadline_us) {
        return a->deadline_us < b->deadline_us;
    }
    return a->seq < b->seq;
}

uint64_t
htm_queue_overtaken(const htm_handler_t *handler, htm_rank_t rank, uint64_t seq)
{
    uint64_t count = 0;
    for (unsigned i = rank + 1; i < HTM_RANK_COUNT; i++) {
        count += htm_seqs_below(&handler->waiting[i], seq);
    }
    return count;
}

// --- What is to be looked at ---------------------------------------------------------------------

void
htm_queue_look_at(htm_queue_t *self, htm_handler_t *handler)
{
    if (!handler->is_todo) {
        handler->is_todo = true;
        handler->todo = self->todo;
        self->todo = handler;
    }
}

void
htm_queue_look_at_all(htm_queue_t *self)
{
    for (htm_handler_t *handler = self->handlers; handler != NULL; handler = handler->next) {
        htm_queue_look_at(self, handler);
    }
}

htm_handler_t *
htm_queue_todo(const htm_queue_t *self)
{
    return self->todo;
}

void
htm_queue_looked_at(htm_queue_t *self, htm_handler_t *handler)
{
    htm_handler_t **link = &self->todo;
    while (*link != handler) {
        assert(*link != NULL);
        link = &(*link)->todo;
    }
    *link = handler->todo;
    handler->is_todo = false;
    htm_queue_release(self, &handler);
}
