// observe.h - what the brain goes by: drills' results, telemetry, anomalies, broken promises.
//
// Each applies one message, and says in consequence what it calls for. BUS_FULL, BUS_IO; a drill's
// also what service_refuse returns.
#pragma once
#include "runtime/service.h"

// Applies stress.<suite>.completed. Only its summary counts, so one as the originals sent it,
// {test_id, summary}, will do; without a summary it is refused.
BUS_CHECK bus_err_t brain_observe_drill(service_apply_t *apply, const void *message);
// Applies brain.observation: telemetry, or how full the queue is.
BUS_CHECK bus_err_t brain_observe_live(service_apply_t *apply, const void *message);
// Applies hunter.anomaly.detected: one investigation for each type.
BUS_CHECK bus_err_t brain_observe_anomalies(service_apply_t *apply, const void *message);
// Applies task.sla.warning and task.sla.breached: a breach is looked into.
BUS_CHECK bus_err_t brain_observe_sla(service_apply_t *apply, const void *message);
