// denials.h - requests without a good token, told to the audit log: counted by address, and said
// once a minute each, so that a flood of them cannot fill it. Owner: the loop's thread.
#pragma once
#include "server.h"

typedef struct bridge_denials bridge_denials_t;

enum {
    BRIDGE_DENIALS_ADDRESSES_MAX = 64, // told apart; further ones are `others`, together
    BRIDGE_DENIALS_PAUSE_US = 60 * 1000000
};

bridge_denials_t *bridge_denials_new(bridge_t *bridge);
void bridge_denials_destroy(bridge_denials_t **self_p);
// The request was answered 401.
void bridge_denials_note(bridge_denials_t *self, const bridge_request_t *request);
// A few times a second: says what was counted since it was last said.
void bridge_denials_sweep(bridge_denials_t *self, uint64_t now_us);
