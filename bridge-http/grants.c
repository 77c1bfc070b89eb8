// grants.c - two lists of tokens compared, and what is another told until it is durable.
#include "grants.h"
#include "runtime/clock.h"
#include "runtime/grant.h"
#include "runtime/log.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RETRY_US = 1000 * 1000,
    REFUSED_RETRY_US = 60 * 1000 * 1000 // what a try will not mend, but the owner may
};

struct bridge_grants {
    bridge_t *bridge; // borrowed; NULL: not swept yet
    grant_log_t *log;
    token_list_t *known;
    bool has_known;    // the first list was read
    bool is_waiting;   // for the broker's ack
    uint64_t retry_us; // not before this (boot clock)
};

bridge_grants_t *
bridge_grants_new(void)
{
    bridge_grants_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    self->log = grant_log_new();
    self->known = token_list_new();
    return self;
}

void
bridge_grants_destroy(bridge_grants_t **self_p)
{
    bridge_grants_t *self = *self_p;
    if (self != NULL) {
        grant_log_destroy(&self->log);
        token_list_destroy(&self->known);
        free(self);
        *self_p = NULL;
    }
}

// --- What is another -----------------------------------------------------------------------------

static void
note_token(bridge_grants_t *self, grant_kind_t kind, const token_t *token)
{
    grant_t grant = {
        .kind = kind, .count = 1, .products = token->products, .expires_at = token->expires_at};
    (void) snprintf(grant.name, sizeof(grant.name), "%s", token->role);
    (void) snprintf(grant.subject, sizeof(grant.subject), "%s", token->id);
    grant_log_add(self->log, &grant, clock_boot_ms());
}

static void
note_set(bridge_grants_t *self, const token_list_t *list)
{
    grant_t grant = {.kind = GRANT_TOKENS_KNOWN, .count = list->count, .name = "tokens"};
    BUS_AUTO(text_destroy) text_t *lines = text_new();
    token_format(list, lines);
    sha256_hex(text_view(lines), grant.hash);
    grant_log_add(self->log, &grant, clock_boot_ms());
}

static const token_t *
find(const token_list_t *list, const char *id)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->at[i].id, id) == 0) {
            return &list->at[i];
        }
    }
    return NULL;
}

static bool
is_same(const token_t *a, const token_t *b)
{
    return strcmp(a->role, b->role) == 0 && a->products == b->products &&
           a->expires_at == b->expires_at && memcmp(a->hash, b->hash, sizeof(a->hash)) == 0;
}

static void
note_difference(bridge_grants_t *self, const token_t *before, const token_t *now)
{
    if (before == NULL) {
        note_token(self, GRANT_TOKEN_ADDED, now);
    } else if (!is_same(before, now) || (before->revoked_at != 0 && now->revoked_at == 0)) {
        note_token(self, GRANT_TOKEN_REPLACED, now);
    }
    bool was_revoked = before != NULL && before->revoked_at != 0;
    if (now->revoked_at != 0 && !was_revoked) {
        note_token(self, GRANT_TOKEN_REVOKED, now);
    }
}

void
bridge_grants_note(bridge_grants_t *self, const token_list_t *list)
{
    if (list == NULL) {
        const grant_t grant = {.kind = GRANT_TOKENS_NOT_LOADED, .count = 1, .name = "tokens"};
        grant_log_add(self->log, &grant, clock_boot_ms());
        return;
    }
    if (!self->has_known) {
        note_set(self, list);
    }
    for (size_t i = 0; i < list->count && self->has_known; i++) {
        note_difference(self, find(self->known, list->at[i].id), &list->at[i]);
    }
    for (size_t i = 0; i < self->known->count; i++) {
        const token_t *token = &self->known->at[i];
        bool was_good =
            token_find_good(self->known, view_from_text(token->id), clock_wall_us()) != NULL;
        if (was_good && find(list, token->id) == NULL) {
            note_token(self, GRANT_TOKEN_REVOKED, token); // by taking its line out
        }
    }
    self->has_known = true;
    self->known->count = list->count;
    memcpy(self->known->at, list->at, list->count * sizeof(list->at[0]));
}

// --- Telling -------------------------------------------------------------------------------------

static void tell_next(bridge_grants_t *self);

static void
on_recorded(void *arg, const client_answer_t *answer)
{
    bridge_grants_t *self = arg;
    self->is_waiting = false;
    if (answer->err == BUS_OK) {
        grant_log_done(self->log);
        tell_next(self);
        return;
    }
    bool is_passing = error_retry(answer->err) || answer->err == BUS_ABORTED;
    self->retry_us = clock_boot_us() + (is_passing ? RETRY_US : REFUSED_RETRY_US);
    log_warning("grant_not_journaled", "error=%s", error_text(answer->err));
}

static void
tell_next(bridge_grants_t *self)
{
    const grant_t *grant = bridge_is_connected(self->bridge)
                               ? grant_log_next(self->log, clock_boot_ms(), false)
                               : NULL;
    if (grant == NULL || self->is_waiting) {
        return;
    }
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    grant_pack(grant, body);
    const client_message_t message = {
        .topic = GRANT_TOPIC, .body = pack_view(body), .want = CLIENT_WANT_ACK};
    self->is_waiting =
        client_send(self->bridge->client, &message, on_recorded, self, NULL) == BUS_OK;
}

void
bridge_grants_sweep(bridge_grants_t *self, bridge_t *bridge, uint64_t now_us)
{
    self->bridge = bridge;
    if (!self->is_waiting && now_us >= self->retry_us) {
        tell_next(self);
    }
}
