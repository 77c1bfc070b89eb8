// tokens.h - the tokens that this bridge takes: their file, read again whenever it is another.
//
// A file that cannot be read, or is damaged, lets nobody in but the owner: an old list would let in
// whom a new one revokes. Owner: the loop's thread; looking costs one stat.
#pragma once
#include "identity.h"
#include "server.h"

typedef struct bridge_tokens bridge_tokens_t;

// `path` is the file, which need not be there yet; `dir` the system's folder with the owner's
// credential. NULL after having said why: the file is damaged, or others may read it.
bridge_tokens_t *bridge_tokens_new(const char *path, const char *dir);
void bridge_tokens_destroy(bridge_tokens_t **self_p);

// Who sends `given`, the text behind `Bearer `; not set where it is no token that is good. It takes
// the same time for a token that is wrong, unknown, expired or revoked.
bridge_identity_t bridge_tokens_identify(bridge_tokens_t *self, bus_view_t given);
// A few times a second: looks at the file, and tells the audit log what is another in it.
void bridge_tokens_sweep(bridge_tokens_t *self, bridge_t *bridge, uint64_t now_us);
// Whether what let this identity in is still good: for what lasts longer than a request.
bool bridge_tokens_is_good(bridge_tokens_t *self, const bridge_identity_t *identity);
