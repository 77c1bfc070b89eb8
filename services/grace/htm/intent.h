// intent.h - layer3.intent.task: what somebody wants becomes a task, once governance let it.
//
// Each applies one message, and returns what service_refuse does or what the store did.
#pragma once
#include "state.h"

// layer3.intent.task
bus_err_t htm_intent_apply(service_apply_t *apply, const void *message);
// governance.gate: intents from here on wait for a verdict, or no longer do. Those that wait go on
// waiting for theirs.
bus_err_t htm_intent_gate(service_apply_t *apply, const void *message);
// governance.verdict: an intent that waits may run, or is cancelled. Others are not touched.
bus_err_t htm_intent_verdict(service_apply_t *apply, const void *message);
