// committer.c - receive a block, append it, send it back.
#include "committer.h"
#include "worker.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <zmq.h>

enum { BLOCKS_MAX = 16 }; // waiting for the router: it has one or two under way

struct committer {
    worker_t worker;
    journal_t *journal; // borrowed; this thread appends to it
};

static void
run(void *arg, void *socket)
{
    committer_t *self = arg;
    for (;;) {
        zmq_msg_t block;
        zmq_msg_init(&block);
        int size = worker_recv(&block, socket, 0);
        if (size < 0 && zmq_errno() == EINTR) {
            continue;
        }
        if (size <= 0) { // told to stop, or the context ended
            zmq_msg_close(&block);
            return;
        }
        journal_append(self->journal, zmq_msg_data(&block), zmq_msg_size(&block));
        while (worker_send(&block, socket, 0) < 0) {
            if (zmq_errno() != EINTR) {
                zmq_msg_close(&block);
                return;
            }
        }
    }
}

committer_t *
committer_new(void *context, journal_t *journal, void **ret_socket)
{
    committer_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    self->journal = journal;
    self->worker.run = run;
    self->worker.arg = self;
    worker_start(&self->worker, context, "committer", BLOCKS_MAX);
    *ret_socket = self->worker.socket;
    return self;
}

void
committer_destroy(committer_t **self_p)
{
    assert(self_p != NULL);
    committer_t *self = *self_p;
    if (self != NULL) {
        worker_stop(&self->worker);
        free(self);
        *self_p = NULL;
    }
}
