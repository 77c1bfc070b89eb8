// refusal.h - what nobody may ask of Bucket: the table refusal.def, and finding what a request
// trips. The bridge asks it before it validates, Bucket again for what came over the bus. Pure.
#pragma once
#include "error.h"
#include "view.h"
#include <stdbool.h>
#include <stddef.h>

typedef struct {
    const char *word;
    bool is_key; // a key of this name trips it too
    bus_err_t err;
    const char *violation; // "attempted_mutation"
    unsigned threat;       // 1 to 10
    const char *rule;      // "immutable_artifacts"
    const char *message;
} refusal_t;

extern const refusal_t refusal_rows[];
extern const size_t refusal_count;

// Rows that are not found by a word in the request.
extern const refusal_t refusal_cross_product;   // UNAUTHORIZED_ACCESS, requesting_product differs
extern const refusal_t refusal_unknown_channel; // GOVERNANCE_VIOLATION
extern const refusal_t refusal_owner_only;      // UNAUTHORIZED_ACCESS: the owner's credential
extern const refusal_t refusal_not_yours; // UNAUTHORIZED_ACCESS: this requester may not do this

// The row that `body` (one whole msgpack map that passed walk_check) trips, the first of the table
// first, then cross-product: `requesting_product` at any depth (not inside content, details, tags)
// that differs from `product` or `metadata.product`, or these two from each other. NULL: none.
const refusal_t *refusal_find(bus_view_t body);
// The row of this word (or of one of the four above, by its violation); NULL: none.
const refusal_t *refusal_by_word(bus_view_t word);
