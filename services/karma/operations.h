// operations.h - the functions behind the rows of karma.c's tables.
//
// Each is called by the harness with its message decoded (service.h says when, and what it may do)
// and packs its answer. Refusals are returned with the error that is named here.
#pragma once
#include "runtime/service.h"
#include "tables.h"

// --- life_event.c -------------------------------------------------------------------------------

// karma.life_event: applies one action; answers the `data` of docs/originals.md 1.5.
// BUS_INVALID_REQUEST "Invalid action.", BUS_FORBIDDEN for effective_at without test helpers,
// BUS_VALIDATION_FAILED for an effective_at that is no time.
bus_err_t karma_life_event(service_apply_t *self, const void *message);

// --- test_helpers.c -----------------------------------------------------------------------------

// karma.config: keeps what this Karma was started with.
bus_err_t karma_test_helpers_config(service_apply_t *self, const void *message);
// karma.test.create_user, karma.test.delete_user, karma.test.fix_timestamps. All BUS_FORBIDDEN
// unless the configuration enables them.
bus_err_t karma_test_helpers_create(service_apply_t *self, const void *message);
bus_err_t karma_test_helpers_delete(service_apply_t *self, const void *message);
bus_err_t karma_test_helpers_fix(service_apply_t *self, const void *message);

// --- profile.c ----------------------------------------------------------------------------------

// req.karma.profile: as of the user's last action (a question has no journal clock, and must not
// decay with the wall's: the same journal gives the same answer). BUS_USER_NOT_FOUND.
bus_err_t karma_profile(service_query_t *self, const void *message);
// req.karma.policy: the best action of each role, and the Q-table.
bus_err_t karma_profile_policy(service_query_t *self, const void *message);

// --- replay.c -----------------------------------------------------------------------------------

// req.karma.replay: applies the user's kept events to a new ledger and compares.
// BUS_USER_NOT_FOUND; BUS_PAYLOAD_TOO_LARGE above KARMA_REPLAY_MAX actions.
bus_err_t karma_replay(service_query_t *self, const void *message);

enum {
    // Actions of a user that is replayed: it runs in the service's loop, some microseconds each.
    KARMA_REPLAY_MAX = 1000000
};
