// resend.h - hands out again what runs: after a restart, because live messages may have been lost
// with the process that decided, and where a worker says ready again, because it may have been deaf
// for a while. The same attempt is the same job to its worker.
//
// Owner: the loop's thread.
#pragma once
#include "state.h"

typedef struct htm_resend htm_resend_t;

htm_resend_t *htm_resend_new(service_t *service, const htm_state_t *state);
void htm_resend_destroy(htm_resend_t **self_p);
// Hands out what started before the last task.clock with `resumed`, from the first lease on; goes
// on by itself, a slice a turn of the loop. `but_told`: not what this process handed out already.
// Otherwise it does so twice, a few seconds apart: workers come back to a new broker one by one.
void htm_resend_begin(htm_resend_t *self, bool but_told);
