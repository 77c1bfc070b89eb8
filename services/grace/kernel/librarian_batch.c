// librarian_batch.c - several documents, one after the other. See librarian_batch.h.
#include "librarian_batch.h"
#include "librarian_ingest_self.h"

#include <assert.h>
#include <stdlib.h>

struct kernel_librarian_batch {
    kernel_librarian_batch_t *next;
    kernel_librarian_t *owner;
    const kernel_librarian_batch_kind_t *kind;
    void *own;
    kernel_librarian_done_fn *fn;
    void *arg;
    int timer; // its next turn; 0: a document is under way
};

static void step(void *arg);

static void
step_soon(kernel_librarian_batch_t *self)
{
    self->timer = loop_add_timer(service_loop(self->owner->service), 0, 1, step, self);
}

static void
batch_free(kernel_librarian_batch_t *self)
{
    if (self->timer != 0) {
        loop_cancel_timer(service_loop(self->owner->service), self->timer);
    }
    self->kind->destroy(self->own);
    free(self);
}

static void
end(kernel_librarian_batch_t *self)
{
    BUS_AUTO(pack_destroy) pack_t *result = pack_new();
    self->kind->pack(self->own, result);
    const kernel_librarian_outcome_t outcome = {
        .err = BUS_OK, .status = "completed", .result = pack_view(result)};
    kernel_librarian_batch_t **place = &self->owner->batches;
    while (*place != self) {
        place = &(*place)->next;
    }
    *place = self->next;
    self->fn(self->arg, &outcome);
    batch_free(self);
}

static void
on_done(void *arg, const kernel_librarian_outcome_t *outcome)
{
    kernel_librarian_batch_t *self = arg;
    self->kind->take(self->own, outcome);
    step_soon(self);
}

static void
step(void *arg)
{
    kernel_librarian_batch_t *self = arg;
    kernel_librarian_ask_t ask = {.text = VIEW_NONE};
    self->timer = 0;
    if (!self->kind->next(self->own, &ask)) {
        end(self);
        return;
    }
    bus_err_t err = kernel_librarian_ingest(self->owner, &ask, on_done, self);
    if (err != BUS_OK) {
        const kernel_librarian_outcome_t outcome = {.err = err, .why = error_meaning(err)};
        on_done(self, &outcome);
    }
}

bus_err_t
kernel_librarian_batch_start(kernel_librarian_t *self,
                             const kernel_librarian_batch_kind_t *kind,
                             void *own,
                             kernel_librarian_done_fn *fn,
                             void *arg)
{
    unsigned count = 0;
    for (const kernel_librarian_batch_t *at = self->batches; at != NULL; at = at->next) {
        count++;
    }
    if (count >= KERNEL_LIBRARIAN_BATCHES_MAX) {
        kind->destroy(own);
        return BUS_BUSY;
    }
    kernel_librarian_batch_t *batch = calloc(1, sizeof *batch);
    assert(batch);
    *batch = (kernel_librarian_batch_t){
        .next = self->batches, .owner = self, .kind = kind, .own = own, .fn = fn, .arg = arg};
    self->batches = batch;
    step_soon(batch);
    return BUS_OK;
}

void
kernel_librarian_batch_clear(kernel_librarian_t *self)
{
    kernel_librarian_batch_t *next = NULL;
    for (kernel_librarian_batch_t *at = self->batches; at != NULL; at = next) {
        next = at->next;
        batch_free(at);
    }
    self->batches = NULL;
}
