// scope.h - what an identity that may not see everything is shown of what services answer.
//
// Lists are sifted, single things are looked at before they are shown, and what is somebody else's
// is answered as if it were not there. Where a request has no such identity nothing is done.
#pragma once
#include "request.h"

// What is to be done with the reply to a question; NULL: it is answered as it is.
bridge_then_fn *bridge_scope_filter(const bridge_request_t *request);

// Where what is asked for does not itself say whose it is (a proof, a place in the journal, a task
// of the queue), looks that up first, and then calls the route's handler, or answers that there is
// no such thing. False: there is nothing to look up.
bool bridge_scope_looks(bridge_request_t *request);
// Whether bridge_scope_looks looks anything up for this row: what it says is said by it alone.
bool bridge_scope_is_looked_at(const bridge_route_t *route);
