// grants.h - tokens that were made, revoked or are others now, as facts for the audit log
// (governance.access, see runtime/grant.h). What was not told yet when a bridge ends shows in the
// hash of the next one's first fact. Owner: the loop's thread.
#pragma once
#include "runtime/token.h"
#include "server.h"

typedef struct bridge_grants bridge_grants_t;

bridge_grants_t *bridge_grants_new(void);
void bridge_grants_destroy(bridge_grants_t **self_p);

// What the file has now; NULL: it cannot be read. Of the first list one fact, of each later one
// what is another in it. A token that expires is no change.
void bridge_grants_note(bridge_grants_t *self, const token_list_t *list);

// A few times a second: has the broker journal what was noted, one after the other.
void bridge_grants_sweep(bridge_grants_t *self, bridge_t *bridge, uint64_t now_us);
