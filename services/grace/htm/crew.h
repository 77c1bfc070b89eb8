// crew.h - workers come, go, and say something.
//
// Each applies one message, and returns what service_refuse does or what the store did.
#pragma once
#include "state.h"

// task.worker.ready
bus_err_t htm_crew_ready(service_apply_t *apply, const void *message);
// task.worker.gone. HTM's own in consequence of a record are passed over.
bus_err_t htm_crew_gone(service_apply_t *apply, const void *message);
// task.renew
bus_err_t htm_crew_renew(service_apply_t *apply, const void *message);

// A worker said something: where it was silent it is one as any other again. `name` may be absent.
// BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t htm_crew_hear(service_apply_t *apply, bus_view_t name);
