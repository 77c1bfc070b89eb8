// supervise_bus.h - `bhiv up` as a peer: the service `supervisor`, that restarts a part on request.
//
// Owner: the main thread. Nothing blocks but the destroying, half a second at most. Without a
// broker nobody asks, and nothing else changes: the supervisor never waits for one.
#pragma once
#include "runtime/loop.h"
#include "supervise.h"

typedef struct cli_supervise_bus cli_supervise_bus_t;

// A part, as it is told.
typedef struct {
    const char *name;
    pid_t pid;          // 0: not running
    bool is_ready;      // in this life
    uint64_t boot_ms;   // from its fork to its ready line; 0: not ready
    uint64_t uptime_ms; // since its fork; 0: not running
    unsigned restarts;  // deaths after which it was started again
} cli_supervise_part_t;

// What the supervisor does for whoever asks.
typedef struct {
    void *arg;
    // The part at `index`; false behind the last.
    bool (*part)(void *arg, size_t index, cli_supervise_part_t *ret_part);
    // Stops the part, with SIGKILL if need be, and starts it again, without a wait.
    void (*restart)(void *arg, size_t index);
} cli_supervise_acts_t;

// NULL where the endpoints make no sense.
cli_supervise_bus_t *cli_supervise_bus_new(loop_t *loop,
                                           const char *ingress,
                                           const char *egress,
                                           const cli_supervise_acts_t *acts);
// Who waits is answered BUS_ABORTED.
void cli_supervise_bus_destroy(cli_supervise_bus_t **self_p);

// The part at `index` is ready, in a new life: answers who waits for that.
void cli_supervise_bus_ready(cli_supervise_bus_t *self, size_t index);
