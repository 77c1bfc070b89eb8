// loop.h - the one event loop of a process: sockets, descriptors, timers, signals.
//
// Owner: the main thread, which makes it before any other thread or ZeroMQ socket exists: it blocks
// SIGTERM, SIGINT, SIGHUP, SIGCHLD and SIGPIPE for the whole process and reads them from a
// signalfd, so that none is lost between a flag and a poll. Handlers run in that thread and do not
// block; one that has more to read than its bound simply returns, and is called again.
#pragma once
#include "proto/auto.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct loop loop_t;
typedef void(loop_fn)(void *arg);
typedef void(loop_signal_fn)(void *arg, int signal_number);

loop_t *loop_new(void);
void loop_destroy(loop_t **self_p);

// Calls `fn` whenever a message can be received on the raw ZeroMQ socket `socket`.
void loop_add_socket(loop_t *self, void *socket, loop_fn *fn, void *arg);
void loop_remove_socket(loop_t *self, void *socket);

// Calls `fn` whenever `fd` has one of `events` (POLLIN, POLLOUT), or an error.
void loop_add_fd(loop_t *self, int fd, short events, loop_fn *fn, void *arg);
void loop_remove_fd(loop_t *self, int fd);

// Calls `fn` after `delay_ms`, `times` times (0: until cancelled). Returns its id, above 0. A timer
// that has fired its last time is gone.
int loop_add_timer(loop_t *self, unsigned delay_ms, unsigned times, loop_fn *fn, void *arg);
void loop_cancel_timer(loop_t *self, int timer_id);

// What is to be done for SIGHUP and SIGCHLD (once a delivery, which may stand for several). SIGTERM
// and SIGINT end the loop unless `fn` is set for them with loop_on_stop.
void loop_on_signal(loop_t *self, loop_signal_fn *fn, void *arg);
// Called for SIGTERM and SIGINT instead of ending the loop: whoever sets it calls loop_stop later.
void loop_on_stop(loop_t *self, loop_signal_fn *fn, void *arg);

// Runs until loop_stop or SIGTERM or SIGINT. Returns the signal that ended it, or 0.
int loop_run(loop_t *self);
void loop_stop(loop_t *self);

// Restores the signal mask that loop_new found, and SIGQUIT's default: for a child between fork and
// exec.
void loop_child_signals(void);
