// router.h - the thread that owns every socket: takes messages in, hands them on, answers.
//
// Runs in the loop's thread, which is the process's main one. It never touches the disk: what is to
// be durable goes to the committer in batches, what is read comes from the reader.
#pragma once
#include "gate.h"
#include "journal.h"
#include "proto/auto.h"
#include "proto/error.h"
#include "runtime/loop.h"
#include <stdint.h>

typedef struct router router_t;

typedef struct {
    loop_t *loop;       // borrowed
    void *context;      // ZeroMQ's; borrowed
    journal_t *journal; // open; nothing else uses it until the router is destroyed; borrowed
    const gate_endpoints_t *endpoints; // where to listen; borrowed
    zap_t *zap;                        // keeps tcp; borrowed; NULL: an open bus
    const char *dir;                   // with zap: where certificates and rules are; borrowed
    uint64_t pending_bytes;            // see gather.h; 0: the default
    bool is_trimming;                  // retention is set
} router_options_t;

// Binds, starts committer and reader, and adds itself to the loop. BUS_CONFLICT where an address is
// in use, BUS_IO; *reterr_problem says what is wrong where. BUS_FORBIDDEN where certificates or
// rules cannot be read: that is logged already, with all that is wrong.
BUS_CHECK bus_err_t router_new(const router_options_t *options,
                               router_t **ret_self,
                               gate_problem_t *reterr_problem);
// Stops both threads and closes the sockets; what was answered still leaves, for up to 500 ms.
void router_destroy(router_t **self_p);

// Takes nothing in any more, makes durable and answers what was taken, then stops the loop: after
// at most ROUTER_STOP_MS, whatever is left.
void router_stop(router_t *self);
enum { ROUTER_STOP_MS = 3500 };

// Reads certificates and rules again: whoever is no longer what it was is cut. Nothing on an open
// bus.
void router_reload(router_t *self);

// Where the first peer would connect, and the journal's last seq, for the lines that say so.
const char *router_ingress(const router_t *self);
uint64_t router_head(const router_t *self);
