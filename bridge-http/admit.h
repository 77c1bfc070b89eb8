// admit.h - who a request comes from, and whether it speaks for nobody else.
//
// Where the bridge asks for tokens: 401 without a good one, in the same words whatever is wrong
// with it; 403 where what it says of requester or product is not the identity's, audited. Where it
// does not, every request is let by.
#pragma once
#include "request.h"

// Finds the request's identity, as soon as its headers are here.
void bridge_admit_identify(bridge_request_t *request);
// Whether its body is to be kept: not that of somebody who will be answered 401.
bool bridge_admit_wants_body(const bridge_request_t *request);
// Whether it may come in. False: it answered 401, or 429 to an address that goes on trying.
bool bridge_admit_enter(bridge_request_t *request);
// Holds what body, parameters and headers claim against the identity, and puts its role in the
// body's requester_id where that is wanted and absent. False: it answers 403.
bool bridge_admit_bind(bridge_request_t *request);
// Whether it may say this on the bus past the endpoints: what an endpoint says in one step, what
// agents tell, and topics that nobody of ours has. False: it answers 403.
bool bridge_admit_publish(bridge_request_t *request, bus_view_t topic);

// Packs `body` with the identity's role as its requester_id. False: it goes as it is, because it
// names one, is no map, or the identity may speak for anybody.
bool bridge_admit_name(const bridge_request_t *request, bus_view_t body, pack_t *out);
