// tokens.c - recognising who sends a token.
#include "tokens.h"
#include "grants.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "runtime/owner.h"
#include "runtime/token_file.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { PATH_SIZE = 4096 };

struct bridge_tokens {
    char path[PATH_SIZE];
    char dir[PATH_SIZE];
    token_list_t *list;       // empty where the file could not be read
    token_file_stamp_t stamp; // of the file that was read last
    bool is_to_retry;         // it could not be, for a reason that may pass: no descriptors, say
    bridge_grants_t *grants;  // what changes in it
};

// Reads the file where it is another one than before, or could not be read.
static bus_err_t
refresh(bridge_tokens_t *self, bool is_first)
{
    token_file_stamp_t stamp = token_file_stamp(self->path);
    bool is_same = !is_first && token_file_is_same(&stamp, &self->stamp);
    if (is_same && !self->is_to_retry) {
        return BUS_OK;
    }
    size_t line = 0;
    self->stamp = stamp;
    bus_err_t err = token_file_read(self->path, self->list, &line);
    bool is_read = err == BUS_OK || err == BUS_NOT_FOUND;
    self->is_to_retry = err == BUS_IO;
    if (is_same && !is_read) {
        return err; // it was said
    }
    bridge_grants_note(self->grants, is_read ? self->list : NULL);
    if (is_read) {
        log_info("tokens_read", "count=%zu", self->list->count);
        return BUS_OK;
    }
    log_error("tokens_unreadable",
              "error=%s line=%zu taken=none%s",
              error_text(err),
              line,
              err == BUS_FORBIDDEN ? " hint=\"others may read it: chmod 600\"" : "");
    return err;
}

bridge_tokens_t *
bridge_tokens_new(const char *path, const char *dir)
{
    bridge_tokens_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    (void) snprintf(self->path, sizeof(self->path), "%s", path);
    (void) snprintf(self->dir, sizeof(self->dir), "%s", dir);
    self->list = token_list_new();
    self->grants = bridge_grants_new();
    bus_err_t err = refresh(self, true);
    if (err == BUS_FORBIDDEN) {
        fprintf(stderr, "bhiv bridge: %s may be read by others: chmod 600 it\n", path);
    } else if (err != BUS_OK) {
        fprintf(stderr, "bhiv bridge: %s is no file of tokens, or cannot be read\n", path);
    }
    if (err != BUS_OK) {
        bridge_tokens_destroy(&self);
    }
    return self;
}

void
bridge_tokens_destroy(bridge_tokens_t **self_p)
{
    bridge_tokens_t *self = *self_p;
    if (self != NULL) {
        token_list_destroy(&self->list);
        bridge_grants_destroy(&self->grants);
        free(self);
        *self_p = NULL;
    }
}

bridge_identity_t
bridge_tokens_identify(bridge_tokens_t *self, bus_view_t given)
{
    bridge_identity_t identity = {.is_set = false};
    (void) refresh(self, false); // it said what is wrong, and nobody is known then
    const token_t *token = token_check(self->list, given, clock_wall_us());
    if (token != NULL) {
        identity.is_set = true;
        identity.is_owner = strcmp(token->role, TOKEN_ROLE_OWNER) == 0;
        identity.products = token->products;
        memcpy(identity.role, token->role, sizeof(identity.role));
        memcpy(identity.token_id, token->id, sizeof(identity.token_id));
    } else if (owner_check_token(self->dir, given) == BUS_OK) {
        identity = (bridge_identity_t){
            .is_set = true, .is_owner = true, .products = UINT32_MAX, .role = TOKEN_ROLE_OWNER};
    }
    return identity;
}

void
bridge_tokens_sweep(bridge_tokens_t *self, bridge_t *bridge, uint64_t now_us)
{
    (void) refresh(self, false);
    bridge_grants_sweep(self->grants, bridge, now_us);
}

bool
bridge_tokens_is_good(bridge_tokens_t *self, const bridge_identity_t *identity)
{
    if (identity->token_id[0] == '\0') {
        return true;
    }
    (void) refresh(self, false);
    return token_find_good(self->list, view_from_text(identity->token_id), clock_wall_us()) != NULL;
}
