// worker_done.c - see worker_done.h. A list, the oldest first; it is short.
#include "worker_done.h"

#include "runtime/log.h"

#include <assert.h>
#include <stdlib.h>

typedef enum { TO_TELL, TELLING, TOLD } state_t;

typedef struct row {
    kernel_worker_done_t *owner;
    struct row *next;   // ended later
    bus_view_t task_id; // in `bytes`, as the next two
    bus_view_t trace_id;
    bus_view_t body;
    char *bytes;
    uint64_t attempt;
    uint64_t call; // while TELLING
    bool is_failure;
    state_t state;
} row_t;

struct kernel_worker_done {
    client_t *client; // borrowed
    size_t untold_max;
    row_t *first;
    size_t count;
    size_t untold; // of them: not TOLD
};

kernel_worker_done_t *
kernel_worker_done_new(client_t *client, size_t untold_max)
{
    kernel_worker_done_t *self = calloc(1, sizeof *self);
    assert(self);
    self->client = client;
    self->untold_max = untold_max;
    return self;
}

static void
remove_row(kernel_worker_done_t *self, row_t **at)
{
    row_t *row = *at;
    if (row->state == TELLING) {
        client_cancel(self->client, row->call);
    }
    *at = row->next;
    --self->count;
    self->untold -= row->state == TOLD ? 0 : 1;
    free(row->bytes);
    free(row);
}

void
kernel_worker_done_destroy(kernel_worker_done_t **self_p)
{
    kernel_worker_done_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    while (self->first != NULL) {
        remove_row(self, &self->first);
    }
    free(self);
    *self_p = NULL;
}

bool
kernel_worker_done_is_full(const kernel_worker_done_t *self)
{
    return self->untold >= self->untold_max;
}

static void
forget_oldest(kernel_worker_done_t *self)
{
    row_t **at = &self->first;
    while (*at != NULL && self->count - self->untold > KERNEL_WORKER_DONE_KEPT) {
        if ((*at)->state == TOLD) {
            remove_row(self, at);
        } else {
            at = &(*at)->next;
        }
    }
}

static void
set_told(row_t *row)
{
    row->state = TOLD;
    --row->owner->untold;
    forget_oldest(row->owner);
}

static void
on_answer(void *arg, const client_answer_t *answer)
{
    row_t *row = arg;
    if (answer->event == CLIENT_ACKED) {
        set_told(row);
    } else if (error_retry(answer->err) || answer->err == BUS_ABORTED) {
        row->state = TO_TELL;
    } else {
        log_error("task_end_refused", "error=%s", error_text(answer->err));
        set_told(row); // it would be refused again; its lease tells HTM
    }
}

static void
tell(row_t *row)
{
    client_message_t message = {.topic = row->is_failure ? "task.failed" : "task.completed",
                                .body = row->body,
                                .trace_id = row->trace_id,
                                .want = CLIENT_WANT_ACK};
    row->state = TELLING;
    bus_err_t err = client_send(row->owner->client, &message, on_answer, row, &row->call);
    if (err == BUS_BUSY) {
        row->state = TO_TELL;
    } else if (err != BUS_OK) {
        log_error("task_end_not_sent", "error=%s", error_text(err));
        set_told(row);
    }
}

void
kernel_worker_done_add(kernel_worker_done_t *self,
                       const kernel_worker_job_t *job,
                       bool is_failure,
                       bus_view_t body)
{
    row_t *row = calloc(1, sizeof *row);
    assert(row);
    row->bytes = malloc(job->task_id.size + job->trace_id.size + body.size);
    assert(row->bytes);
    char *at = row->bytes;
    row->owner = self;
    row->task_id = view_keep(job->task_id, &at);
    row->trace_id = view_keep(job->trace_id, &at);
    row->body = view_keep(body, &at);
    row->attempt = job->attempt;
    row->is_failure = is_failure;
    row_t **end = &self->first;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = row;
    ++self->count;
    ++self->untold;
    tell(row);
}

bool
kernel_worker_done_tell_again(kernel_worker_done_t *self, bus_view_t task_id, uint64_t attempt)
{
    row_t **at = &self->first;
    while (*at != NULL && !view_equal((*at)->task_id, task_id)) {
        at = &(*at)->next;
    }
    if (*at == NULL) {
        return false;
    }
    row_t *row = *at;
    if (row->is_failure && (row->state == TOLD || attempt != row->attempt)) {
        remove_row(self, at); // a retry, or a dead letter that begins anew: what failed is over
        return false;
    }
    if (row->state == TOLD) {
        ++self->untold;
        tell(row);
    }
    return true;
}

void
kernel_worker_done_tell_rest(kernel_worker_done_t *self)
{
    row_t *row = self->first;
    while (row != NULL) {
        row_t *next = row->next; // telling may forget the oldest that is told: it, at most
        if (row->state == TO_TELL) {
            tell(row);
        }
        row = next;
    }
}
