// who.h - which certificate a message came by, and what its name may do.
//
// Owner: the router; its thread. The certificates of <dir>/certs and the rules of <dir>/access.zpl,
// in memory: ZAP (zap.h) lets a key in, and this says whose it is. It is asked for each message, so
// that a revoked name says nothing more even over a connection that is still open.
#pragma once
#include "gate.h"
#include "keyring.h"
#include "proto/auto.h"
#include "proto/error.h"
#include "proto/view.h"
#include "rules.h"
#include "runtime/cert.h"
#include "runtime/grant.h"
#include <stdbool.h>
#include <zmq.h>

enum {
    WHO_MAX = 4096,      // certificates: half of PEERS_MAX
    WHO_FDS_MAX = 65536, // descriptors that are told apart: more than GATE_CONNECTIONS_MAX
};

typedef struct {
    char name[CERT_NAME_MAX + 1]; // "": a stranger
    char key[CERT_KEY_SIZE];
    rules_set_t *rules; // owned; of a stranger empty
} who_peer_t;

typedef struct who who_t;

// `dir`: the system's folder. `grants` takes what changes. Both borrowed. It knows nobody yet.
who_t *who_new(const char *dir, grant_log_t *grants);
void who_destroy(who_t **self_p);

// Ends the connection; called for each of a name that is gone, or whose key or rules are others.
typedef void(who_cut_fn)(void *arg, gate_door_t door, int fd);
// Reads certificates again, and `with_rules`, or the first time, the rules: their file is looked at
// only where somebody says that it is finished, and so never keeps a revocation from counting. What
// is another than before is noted as a grant, and that rules were read. Where something cannot be
// read what was known stays. `fn` may be NULL. BUS_INVALID_REQUEST, BUS_IO: `reterr_problem` says
// what is wrong where. Peers from before are no longer valid.
BUS_CHECK bus_err_t who_load(who_t *self,
                             who_cut_fn *fn,
                             void *arg,
                             bool with_rules,
                             char reterr_problem[RULES_PROBLEM_SIZE]);
// Whether the folder of certificates has changed since they were read.
bool who_is_stale(const who_t *self);

// Who sent a message. NULL: trusted, it came by ipc. A name without rights, or "" of a stranger,
// is still somebody. Valid until who_load.
const who_peer_t *who_of(who_t *self, gate_door_t door, zmq_msg_t *frame);
// The descriptor is another's from now on.
void who_forget(who_t *self, gate_door_t door, int fd);
uint32_t who_count(const who_t *self);
// The keys that are known, sorted by name, for the keeper of the gate. The caller frees them.
keyring_key_t *who_keys(const who_t *self);
