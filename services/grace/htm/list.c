// list.c - walking tasks by status.
#include "list.h"

#include "lease.h"
#include "over.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>

// One walk.
typedef struct {
    const htm_list_t *list;
    unsigned looked; // at so many
    bool is_ended;
    bus_err_t err;
} walk_state_t;

// Whether there is to be more.
static bool
show(void *arg, uint64_t seq)
{
    walk_state_t *self = arg;
    const htm_list_t *list = self->list;
    htm_task_t task;
    bus_err_t err = htm_task_load(list->txn, seq, &task);
    if (err == BUS_IO) {
        self->err = err;
        return false;
    }
    bool is_wanted = err == BUS_OK && (list->handler.size == 0 ||
                                       view_equal(list->handler, task.texts[HTM_TASK_HANDLER]));
    if (is_wanted && !list->fn(list->arg, &task)) {
        self->is_ended = true;
    }
    self->is_ended = self->is_ended || ++self->looked >= HTM_LIST_LOOKED_MAX;
    return !self->is_ended;
}

// --- Waiting -------------------------------------------------------------------------------------

typedef struct {
    htm_handler_t *handler;
    htm_place_t place;
} head_t;

// The first of each handler that is asked for.
static size_t
find_heads(const htm_list_t *list, head_t *heads)
{
    size_t count = 0;
    for (htm_handler_t *handler = htm_queue_next(list->state->queue, NULL); handler != NULL;
         handler = htm_queue_next(list->state->queue, handler)) {
        bool is_wanted = list->handler.size == 0 || view_equal(list->handler, handler->name);
        if (is_wanted && htm_queue_first(list->txn, handler, &heads[count].place) == BUS_OK) {
            heads[count++].handler = handler;
        }
    }
    return count;
}

static bus_err_t
walk_order(walk_state_t *self)
{
    const htm_list_t *list = self->list;
    head_t *heads = calloc((size_t) htm_queue_handlers(list->state->queue) + 1, sizeof *heads);
    assert(heads);
    size_t count = find_heads(list, heads);
    while (count > 0) {
        size_t first = 0;
        for (size_t i = 1; i < count; i++) {
            if (htm_queue_is_before(&heads[i].place, &heads[first].place)) {
                first = i;
            }
        }
        if (!show(self, heads[first].place.seq)) {
            break;
        }
        if (htm_queue_after(list->txn, heads[first].handler, &heads[first].place) != BUS_OK) {
            heads[first] = heads[--count];
        }
    }
    free(heads);
    return self->err;
}

static bus_err_t
walk_delayed(walk_state_t *self)
{
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_view_t key = VIEW_NONE;
    bus_view_t value = VIEW_NONE;
    bus_err_t err = store_cursor_open(self->list->txn, HTM_DELAYED, &cursor);
    if (err == BUS_OK) {
        err = store_first(cursor, &key, &value);
    }
    while (err == BUS_OK || err == BUS_CORRUPT) {
        uint64_t big;
        if (key.size == 2 * sizeof big) {
            memcpy(&big, key.data + sizeof big, sizeof big);
            if (!show(self, be64toh(big))) {
                return self->err;
            }
        }
        err = store_next(cursor, &key, &value);
    }
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

// --- Held and running ----------------------------------------------------------------------------

static bus_err_t
walk_held(walk_state_t *self)
{
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_view_t key = VIEW_NONE;
    bus_view_t value = VIEW_NONE;
    bus_err_t err = store_cursor_open(self->list->txn, HTM_HELD, &cursor);
    if (err == BUS_OK) {
        err = store_last(cursor, &key, &value);
    }
    while (err == BUS_OK || err == BUS_CORRUPT) {
        uint64_t seq;
        assert(key.size == sizeof seq);
        memcpy(&seq, key.data, sizeof seq);
        if (!show(self, seq)) {
            return self->err;
        }
        err = store_prev(cursor, &key, &value);
    }
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

static int
compare_down(const void *a_p, const void *b_p)
{
    const uint64_t *a = a_p, *b = b_p;
    return *a > *b ? -1 : *a < *b;
}

static bus_err_t
walk_running(walk_state_t *self)
{
    uint64_t count = 0;
    bus_err_t err = store_count(self->list->txn, HTM_RUNNING, &count);
    if (err != BUS_OK) {
        return err;
    }
    uint64_t *seqs = calloc((size_t) count + 1, sizeof *seqs);
    assert(seqs);
    htm_lease_t lease = {.worker_size = 0};
    size_t found = 0;
    while (found < count && htm_lease_next(self->list->txn, &lease) == BUS_OK) {
        seqs[found++] = lease.seq;
    }
    qsort(seqs, found, sizeof *seqs, compare_down);
    for (size_t i = 0; i < found && show(self, seqs[i]); i++) {
    }
    free(seqs);
    return self->err;
}

bus_err_t
htm_list_walk(const htm_list_t *list, htm_status_t status)
{
    walk_state_t self = {.list = list};
    bus_err_t err = BUS_OK;
    switch (status) {
    case HTM_IS_HELD:
        return walk_held(&self);
    case HTM_IS_WAITING:
        err = walk_order(&self);
        return err == BUS_OK && !self.is_ended ? walk_delayed(&self) : err;
    case HTM_IS_RUNNING:
        return walk_running(&self);
    case HTM_IS_COMPLETED:
    case HTM_IS_DEAD:
    case HTM_IS_CANCELLED:
        err = htm_over_walk(list->txn, status, show, &self);
        return err == BUS_OK ? self.err : err;
    case HTM_STATUS_COUNT:
        break;
    }
    return BUS_OK;
}
