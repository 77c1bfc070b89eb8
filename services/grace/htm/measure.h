// measure.h - how long the last starts took: from the record that made a start possible to the fact
// that it started, both by the journal's clock. Of this process alone; not part of the state.
#pragma once
#include "state.h"

enum { HTM_MEASURE_COUNT = 4096 }; // starts that percentiles are taken of

htm_measure_t *htm_measure_new(void);
void htm_measure_destroy(htm_measure_t **self_p);
// task.started
bus_err_t htm_measure_started(service_apply_t *apply, const void *message);
// Packs {count, p50_us, p90_us, p99_us, max_us} of the last HTM_MEASURE_COUNT.
void htm_measure_pack(const htm_measure_t *self, pack_t *out);
