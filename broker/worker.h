// worker.h - a thread of the broker and the inproc PAIR pair to it.
//
// Owner: the router, which talks over `socket`. Never a deadlock, by two rules: the router sends to
// a worker with ZMQ_DONTWAIT only, and receives while it stops one; so a worker may block on a send
// to the router, which is how a router with too much to do slows it down.
//
// A frame that is handed over belongs to the receiver, bytes and all: nothing else is shared. The
// fences that make it so are libzmq's, which ThreadSanitizer does not see; worker_send and
// worker_recv tell it of exactly that order, and are zmq_msg_send and zmq_msg_recv otherwise.
#pragma once
#include <pthread.h>
#include <zmq.h>

typedef struct {
    void *socket;     // the router's end, closed by worker_stop
    void *far_socket; // the thread's
    pthread_t thread;
    void (*run)(void *arg, void *socket);
    void *arg;
} worker_t;

// Starts a thread that calls `run`, which serves its end of the pair until it receives an empty
// first frame or the context ends. All signals are blocked in it. `name`: of the inproc endpoint,
// which is made unique. `messages_max`: waiting to the router, besides as many at its end.
void worker_start(worker_t *self, void *context, const char *name, int messages_max);
// Sends the empty frame, throws away what the thread still sends, joins it.
void worker_stop(worker_t *self);

// A frame to or from the other end, by either thread: results and flags are those of ZeroMQ.
int worker_send(zmq_msg_t *frame, void *socket, int flags);
int worker_recv(zmq_msg_t *frame, void *socket, int flags);
