// grant.h - what changes who may do what, on its way into the audit log.
//
// The broker, who reads certificates and rules, and the bridge, who reads tokens, note each change
// here and journal it as a fact (governance.access with `kind` "changed"), one at a time, each
// until it is durable. No key and no secret is in any: names, ids, counts, hashes. Bounded:
// GRANT_SINGLE_MAX changes a minute are facts of their own, in their order; of each kind the others
// are counted together, in one more fact a minute at most. Owner: one thread. Pure memory; time is
// given to it.
#pragma once
#include "proto/auto.h"
#include "proto/pack.h"
#include "proto/view.h"
#include "sha256.h"
#include <stdbool.h>
#include <stdint.h>

typedef enum {
    GRANT_CERTIFICATES_KNOWN, // at a start: how many, and a hash of them
    GRANT_CERTIFICATE_ADDED,
    GRANT_CERTIFICATE_REVOKED,
    GRANT_CERTIFICATE_REPLACED, // another key for the name
    GRANT_RULES_LOADED,         // at a start, when asked to, and where they are others
    GRANT_ACCESS_NOT_LOADED,    // rules or certificates cannot be read: what held goes on
    GRANT_TOKENS_KNOWN,         // at a start
    GRANT_TOKEN_ADDED,
    GRANT_TOKEN_REVOKED,
    GRANT_TOKEN_REPLACED,    // the same id, and another role, product, expiry or secret
    GRANT_TOKENS_NOT_LOADED, // their file cannot be read: nobody but the owner is let in
} grant_kind_t;

enum {
    GRANT_KINDS = GRANT_TOKENS_NOT_LOADED + 1,
    GRANT_SINGLE_MAX = 32,       // a minute: an owner at work makes fewer
    GRANT_MINUTE_MS = 60 * 1000, // between two facts that count a kind's others together
    GRANT_NAME_SIZE = 65,        // a certificate's name or a token's role, with the NUL
    GRANT_SUBJECT_SIZE = 129,
};

#define GRANT_TOPIC "governance.access"

typedef struct {
    grant_kind_t kind;
    uint64_t count;                   // of certificates, tokens, rows; 1 for a single one
    char name[GRANT_NAME_SIZE];       // whose, or the file's; "(others)": several
    char subject[GRANT_SUBJECT_SIZE]; // "": none; a token's id, names of rows; of several the last
    char hash[SHA256_HEX_SIZE];       // "": none
    unsigned products;                // of tokens: of 1 << channel_product_t
    uint64_t expires_at;              // of tokens: microseconds since 1970; 0: never
} grant_t;

// The word of a kind, `certificate_added`: a fact's `reason`.
const char *grant_kind_text(grant_kind_t kind);
// Whether it is about tokens: the bridge's to say, where the others are the broker's.
bool grant_is_of_tokens(bus_view_t reason);

// Appends the fact's body.
void grant_pack(const grant_t *grant, pack_t *out);

typedef struct grant_log grant_log_t;

grant_log_t *grant_log_new(void);
void grant_log_destroy(grant_log_t **self_p);

// Notes a change at `now_ms` (boot clock).
void grant_log_add(grant_log_t *self, const grant_t *grant, uint64_t now_ms);
// The one to be journaled now, the same until grant_log_done; NULL: none. `is_last`: what was
// counted together does not wait, since nothing comes after.
const grant_t *grant_log_next(grant_log_t *self, uint64_t now_ms, bool is_last);
// It is durable.
void grant_log_done(grant_log_t *self);
