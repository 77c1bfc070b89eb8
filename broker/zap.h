// zap.h - the keeper of the gate: zauth, proven before anything is bound, watched while it runs.
//
// libzmq lets everybody in where nothing answers at its ZAP address: it fails open. So a random key
// must be refused, and our own let in, before the first real socket is bound; and a question with a
// random key is put to the handler every ZAP_WATCH_MS for as long as the broker serves.
// Main thread.
#pragma once
#include "keyring.h"
#include "proto/auto.h"
#include "proto/error.h"
#include "runtime/cert.h"
#include "runtime/loop.h"

enum {
    ZAP_PROOF_MS = 5000, // a handshake on loopback, at start, on a machine that is busy
    ZAP_WATCH_MS = 1000,
    ZAP_SILENCE_MAX = 5, // questions without an answer to anybody, and it is gone
    ZAP_REFRESH_MS = 1000,
};

#define ZAP_FOLDER "gate" // of the system's folder: the certificates that come in now

typedef struct zap zap_t;

// Starts zauth over a folder of its own, <dir>/gate, and proves it. `own` is the broker's
// certificate, borrowed, and alone let in so far. Blocks for as long as two handshakes take.
// BUS_INTERNAL: it lets strangers in; BUS_TIMEOUT: it keeps everyone out, or says nothing; BUS_IO:
// its folder cannot be written. *reterr_why is a literal.
BUS_CHECK bus_err_t zap_new(const char *dir,
                            const cert_t *own,
                            zap_t **ret_self,
                            const char **reterr_why);
void zap_destroy(zap_t **self_p);

// The ZeroMQ context that it guards: czmq's, which ends with zap_close_context.
void *zap_context(void);
void zap_close_context(void);

// What is bound to the socket from here on is by CURVE alone; what was bound before stays as it is.
void zap_protect(const zap_t *self, void *socket);

// Lets exactly these in from now on, see keyring_set. Blocks until the handler has heard it,
// ZAP_REFRESH_MS at most: one that is dead is for zap_watch. BUS_IO with errno: not all of them.
BUS_CHECK bus_err_t zap_admit(zap_t *self, const keyring_key_t *keys, size_t count);

// A handshake was refused by the handler: it answers, however many wait for it before our question.
void zap_heard(zap_t *self);

// Called once, where a stranger was let in, or nobody answers any more. `why` is a literal.
typedef void(zap_failed_fn)(void *arg, const char *why);
// Asks from now on, by a timer of the loop, until zap_destroy. `loop` and `arg` are borrowed.
void zap_watch(zap_t *self, loop_t *loop, zap_failed_fn *fn, void *arg);
