// committer.h - the thread that makes batches durable.
//
// Speaks over one inproc PAIR pair. Router -> committer: one frame, a batch block. Committer ->
// router: the same block, its results filled in. An empty frame stops it. While it commits batch N
// the router gathers N + 1.
#pragma once
#include "journal.h"

typedef struct committer committer_t;

// Starts the thread. `context`: the ZeroMQ context of the router. *ret_socket: the router's end, a
// raw PAIR that committer_destroy closes.
committer_t *committer_new(void *context, journal_t *journal, void **ret_socket);
// Stops the thread after what it has been given, and joins it.
void committer_destroy(committer_t **self_p);
