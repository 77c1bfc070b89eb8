// resend.h - hands out again what runs: after a restart of ours or the broker's, because live
// messages may have been lost on the way, and where a worker says ready again, because it may have
// been deaf for a while. The same attempt is the same job to its worker.
//
// Owner: the loop's thread.
#pragma once
#include "state.h"

typedef struct htm_resend htm_resend_t;

typedef enum {
    HTM_RESEND_RECALLED, // what workers have that said ready again
    HTM_RESEND_UNTOLD,   // that, and what this process did not hand out itself: it is new
    HTM_RESEND_ALL       // whatever started before the last task.clock with `resumed`
} htm_resend_which_t;

htm_resend_t *htm_resend_new(service_t *service, const htm_state_t *state);
void htm_resend_destroy(htm_resend_t **self_p);
// Begins with the first lease; goes on by itself, a slice a turn of the loop.
void htm_resend_begin(htm_resend_t *self, htm_resend_which_t which);
