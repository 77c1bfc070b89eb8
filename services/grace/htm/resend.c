// resend.c - hands out again what runs. See resend.h.
#include "resend.h"

#include "lease.h"
#include "say.h"

#include <assert.h>
#include <stdlib.h>

enum {
    SLICE_TASKS = 200,
    SLICE_BYTES = 2 * 1024 * 1024, // well below what a socket's queue holds
    SLICE_MS = 5,
    TOLD_US = 2000000, // what is younger was told as it was applied
};

struct htm_resend {
    service_t *service;
    const htm_state_t *state;
    htm_lease_t lease; // the last that was handed out
    htm_resend_which_t which;
    pack_t *body;
    int timer; // 0: nothing to do
};

static void on_timer(void *arg);

htm_resend_t *
htm_resend_new(service_t *service, const htm_state_t *state)
{
    htm_resend_t *self = calloc(1, sizeof *self);
    assert(self);
    self->service = service;
    self->state = state;
    self->body = pack_new();
    return self;
}

void
htm_resend_destroy(htm_resend_t **self_p)
{
    htm_resend_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    if (self->timer != 0) {
        loop_cancel_timer(service_loop(self->service), self->timer);
    }
    pack_destroy(&self->body);
    free(self);
    *self_p = NULL;
}

static bool
is_wanted(const htm_resend_t *self, const htm_task_t *task)
{
    const htm_state_t *state = self->state;
    const htm_worker_t *worker = htm_worker_find(state->workers, task->texts[HTM_TASK_WORKER]);
    if (worker != NULL && worker->is_recalled) {
        return true;
    }
    uint64_t started_us = task->row.started_us;
    bool was_told = started_us > state->first_us && started_us + TOLD_US > state->resumed_us;
    switch (self->which) {
    case HTM_RESEND_RECALLED:
        return false;
    case HTM_RESEND_UNTOLD:
        return !was_told;
    case HTM_RESEND_ALL:
        return started_us <= state->resumed_us;
    }
    return false;
}

// BUS_BUSY where the socket takes no more.
static bus_err_t
send_one(htm_resend_t *self, store_txn_t *txn, uint64_t seq, size_t *reterr_bytes)
{
    htm_task_t task;
    bus_view_t context;
    bus_err_t err = htm_task_load(txn, seq, &task);
    if (err == BUS_OK) {
        err = htm_task_context(txn, seq, &context);
    }
    if (err != BUS_OK || task.row.status != HTM_IS_RUNNING || !is_wanted(self, &task)) {
        return BUS_OK; // one that is damaged lapses
    }
    char topic[HTM_SAY_TOPIC_SIZE];
    htm_say_execute_topic(&task, topic);
    htm_say_pack_execute(&task, context, self->body);
    *reterr_bytes += pack_view(self->body).size;
    const client_message_t message = {
        .topic = topic,
        .body = pack_view(self->body),
        .trace_id = htm_task_text(&task, HTM_TASK_TRACE),
    };
    return client_send(service_client(self->service), &message, NULL, NULL, NULL);
}

// Whether there may be more.
static bool
send_slice(htm_resend_t *self, store_txn_t *txn)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < SLICE_TASKS && bytes < SLICE_BYTES; i++) {
        htm_lease_t next = self->lease;
        if (htm_lease_next(txn, &next) != BUS_OK) {
            return false;
        }
        if (send_one(self, txn, next.seq, &bytes) == BUS_BUSY) {
            return true;
        }
        self->lease = next;
    }
    return true;
}

static void
forget_recalls(htm_resend_t *self)
{
    const htm_workers_t *workers = self->state->workers;
    for (htm_worker_t *worker = htm_worker_next(workers, NULL); worker != NULL;
         worker = htm_worker_next(workers, worker)) {
        worker->is_recalled = false;
    }
}

static void
on_timer(void *arg)
{
    htm_resend_t *self = arg;
    BUS_AUTO(store_rollback) store_txn_t *txn = NULL;
    self->timer = 0;
    if (service_begin_read(self->service, &txn) != BUS_OK || send_slice(self, txn)) {
        self->timer = loop_add_timer(service_loop(self->service), SLICE_MS, 1, on_timer, self);
    } else {
        forget_recalls(self);
    }
}

void
htm_resend_begin(htm_resend_t *self, htm_resend_which_t which)
{
    bool is_under_way = self->timer != 0;
    self->lease = (htm_lease_t){.worker_size = 0};
    self->which = is_under_way && self->which > which ? self->which : which;
    if (!is_under_way) {
        self->timer = loop_add_timer(service_loop(self->service), SLICE_MS, 1, on_timer, self);
    }
}
