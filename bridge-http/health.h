// health.h - what the bridge knows of the services and the broker: asked every second in the
// background, so that no health answer ever waits.
#pragma once
#include "proto/text.h"
#include "server.h"

bridge_health_t *bridge_health_new(bridge_t *bridge);
void bridge_health_destroy(bridge_health_t **self_p);

// Asks everybody who is not being asked already: call once a second.
void bridge_health_refresh(bridge_health_t *self);
// Forgets what is being asked: the client is about to go.
void bridge_health_stop(bridge_health_t *self);

// Whether Bucket answered in the last seconds: an answer of its is worth waiting for.
bool bridge_health_has_bucket(const bridge_health_t *self);
// What Bucket last said of itself under `key`, or an absent view; it lives until the loop turns.
bus_view_t bridge_health_of_bucket(const bridge_health_t *self, const char *key);

// The same of the Workflow Executor; absent where it was not heard lately.
bus_view_t bridge_health_of_workflow(const bridge_health_t *self, const char *key);

// What HTM last said of its queue (req.htm.status); absent where it was not heard lately.
bus_view_t bridge_health_of_queue(const bridge_health_t *self, const char *key);
// Who is on the bus, as $bus.peers last answered; absent where it did not lately.
bus_view_t bridge_health_peers(const bridge_health_t *self);

void bridge_health_write_metrics(const bridge_health_t *self, text_t *out);
