// worker.c - starting and stopping a thread behind a PAIR.
#include "worker.h"
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

enum { TO_WORKER_MAX = 1000, ENDPOINT_SIZE = 64 };

static void *
run_thread(void *arg)
{
    worker_t *self = arg;
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    self->run(self->arg, self->far_socket);
    (void) zmq_send(
        self->far_socket, "", 0, 0); // the last word; fails only where the context ended
    zmq_close(self->far_socket);
    return NULL;
}

static void
set_option(void *socket, int option, int value)
{
    int rc = zmq_setsockopt(socket, option, &value, sizeof(value));
    assert(rc == 0);
}

void
worker_start(worker_t *self, void *context, const char *name, int messages_max)
{
    self->socket = zmq_socket(context, ZMQ_PAIR);
    self->far_socket = zmq_socket(context, ZMQ_PAIR);
    assert(self->socket != NULL && self->far_socket != NULL);
    set_option(self->socket, ZMQ_LINGER, 0);
    set_option(self->socket, ZMQ_SNDHWM, TO_WORKER_MAX);
    set_option(self->socket, ZMQ_RCVHWM, messages_max);
    set_option(self->far_socket, ZMQ_LINGER, 0);
    set_option(self->far_socket, ZMQ_SNDHWM, messages_max);
    set_option(self->far_socket, ZMQ_RCVHWM, TO_WORKER_MAX);
    char endpoint[ENDPOINT_SIZE];
    snprintf(endpoint, sizeof(endpoint), "inproc://%s-%p", name, self->socket);
    int rc = zmq_bind(self->socket, endpoint);
    assert(rc == 0);
    rc = zmq_connect(self->far_socket, endpoint);
    assert(rc == 0);
    // Handing the far socket over is safe: making a thread is a full fence.
    rc = pthread_create(&self->thread, NULL, run_thread, self);
    assert(rc == 0);
}

// Receives one frame and throws it away. *in_message: whether more of its message follow.
static bool
is_last_word(worker_t *self, bool *in_message)
{
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    bool is_last = false;
    if (zmq_msg_recv(&frame, self->socket, 0) >= 0) {
        is_last = !*in_message && zmq_msg_size(&frame) == 0;
        *in_message = zmq_msg_more(&frame) != 0;
    }
    zmq_msg_close(&frame);
    return is_last;
}

void
worker_stop(worker_t *self)
{
    bool is_sent = false;
    bool is_done = false;
    bool in_message = false;
    while (!is_done) {
        zmq_pollitem_t item = {.socket = self->socket, .events = ZMQ_POLLIN};
        if (!is_sent) {
            item.events |= ZMQ_POLLOUT;
        }
        if (zmq_poll(&item, 1, -1) < 0) {
            is_done = zmq_errno() != EINTR; // the context ended: the thread ends with it
            continue;
        }
        if ((item.revents & ZMQ_POLLOUT) != 0) {
            is_sent = zmq_send(self->socket, "", 0, ZMQ_DONTWAIT) == 0;
        }
        if ((item.revents & ZMQ_POLLIN) != 0) {
            is_done = is_last_word(self, &in_message);
        }
    }
    pthread_join(self->thread, NULL);
    zmq_close(self->socket);
    self->socket = NULL;
}

// The frame's memory is what travels, so its address names the hand-over on both sides. (A few
// bytes travel by copy: nobody else has touched those.)
int
worker_send(zmq_msg_t *frame, void *socket, int flags)
{
#ifdef __SANITIZE_THREAD__
    __tsan_release(zmq_msg_data(frame));
#endif
    return zmq_msg_send(frame, socket, flags);
}

int
worker_recv(zmq_msg_t *frame, void *socket, int flags)
{
    int size = zmq_msg_recv(frame, socket, flags);
#ifdef __SANITIZE_THREAD__
    if (size >= 0) {
        __tsan_acquire(zmq_msg_data(frame));
    }
#endif
    return size;
}
