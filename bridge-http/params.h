// params.h - what a request may do, and what it gives as parameters.
#pragma once
#include "request.h"

// The parameters of path and query as one msgpack map, checked against route->query: into `out`,
// and decoded into `ret_struct` (of its size; may be NULL). False: it answered.
bool bridge_params_read(bridge_request_t *self, pack_t *out, void *ret_struct);

// Every parameter of path and query as text, as one map: what is said, whatever the row knows of.
// What is not percent-encoded UTF-8 is left out.
void bridge_params_pack_all(const bridge_request_t *self, pack_t *out);

// The body decoded as `schema` into `ret_struct` (may be NULL where only the check matters). False:
// it answered.
bool bridge_params_decode(bridge_request_t *self,
                          const schema_t *schema,
                          bus_view_t body,
                          void *ret_struct);

// Whether it may go on to its handler: access of its row, and what workflow_executor may not read.
// False: it answered, or is waiting for the audit of its refusal.
bool bridge_params_may(bridge_request_t *self);

// Whether something said on `topic` with `body` (whole msgpack) needs more than the request has:
// for what lets people say any topic. False: as above.
bool bridge_params_may_say(bridge_request_t *self, bus_view_t topic, bus_view_t body);

// Whether it may ask a question through a door that takes events too: not as workflow_executor.
// False: it is waiting for the audit of its refusal.
bool bridge_params_may_ask(bridge_request_t *self);
