// dispatch.h - who gets what: at the end of every record that the queue takes.
//
// After it no task waits that a free worker could have and may start, but where one record would
// start more than a record may: the next goes on. So what starts is a function of the tables.
#pragma once
#include "state.h"

enum {
    HTM_DISPATCH_MAX = 1000,                  // started by one record: what a batch may take
    HTM_DISPATCH_BYTES_MAX = 4 * 1024 * 1024, // and their contexts: what waits for its commit
};

// Starts what can start. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t htm_dispatch_run(service_apply_t *apply);
// Ends a record: starts what can start, and writes the totals. Returns `err`, or what the store
// returned.
bus_err_t htm_dispatch_finish(service_apply_t *apply, bus_err_t err);
// Whether more could start than the last record might: HTM says task.clock for it.
bool htm_dispatch_is_pending(const htm_state_t *state);
