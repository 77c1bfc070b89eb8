// presence.h - who is on the bus: agents for the registry, and whether Bucket and Karma can be
// asked.
//
// Owner: the loop's thread. The broker's list is the one truth: news of a peer only makes it be
// asked for again.
#pragma once
#include "registry.h"
#include "runtime/service.h"

typedef struct core_presence core_presence_t;

typedef enum { CORE_PEER_BUCKET, CORE_PEER_KARMA, CORE_PEER_COUNT } core_peer_t;

// The registry has the list that was asked for at `asked_us` (boot clock).
typedef void(core_presence_looked_fn)(void *arg, uint64_t asked_us);

// Asks at once, and from then on.
BUS_CHECK bus_err_t core_presence_new(service_t *service,
                                      core_registry_t *registry,
                                      core_presence_looked_fn *looked,
                                      void *arg,
                                      core_presence_t **ret_self);
// Tells nobody any more. The client may go after it.
void core_presence_destroy(core_presence_t **self_p);

// Whether an optional read of it makes sense: it lives, and did not lately let one time out.
bool core_presence_can_ask(const core_presence_t *self, core_peer_t peer);
// It let a read time out: it is left alone for a while. True: it was not yet.
bool core_presence_timed_out(core_presence_t *self, core_peer_t peer);
