// identity.h - who a request comes from, and what that identity may see. Pure functions.
//
// Where no tokens are asked for a request has no identity, and everything goes on as it came.
// With one it speaks for one requester and some products; the owner for all.
#pragma once
#include "proto/header.h"
#include "runtime/token.h"

typedef struct {
    bool is_set; // a token came that is good
    bool is_owner;
    unsigned products;                  // of 1 << channel_product_t
    char role[TOKEN_ROLE_SIZE_MAX + 1]; // the requester_id that it speaks for
    char token_id[TOKEN_ID_SIZE + 1];   // "": the owner's credential, which is no token
} bridge_identity_t;

// Whether there is anything that it may not: it is set, and not the owner's.
bool bridge_identity_is_limited(const bridge_identity_t *self);
// Whether this product's name is one of its own. False for what is no product.
bool bridge_identity_has_product(const bridge_identity_t *self, bus_view_t product);

// The first product named in `map` that is not its own (`product`, `requesting_product`, and those
// in `metadata`); absent: none.
bus_view_t bridge_identity_foreign_product(const bridge_identity_t *self, bus_view_t map);
// Whether `map` has a requester_id. One of nil says as little as none.
bool bridge_identity_is_named(bus_view_t map);
// Whether `map` says that it comes from somebody else: `requester_id`, and where that is no
// text, `metadata.created_by`.
bool bridge_identity_is_foreign(const bridge_identity_t *self, bus_view_t map);

// Whether it may see what this map tells of: its own products, and what has no product where it is
// its own requester's.
bool bridge_identity_sees(const bridge_identity_t *self, bus_view_t map);
// The same for a message of the bus. What names neither product nor requester is the owner's.
bool bridge_identity_sees_record(const bridge_identity_t *self,
                                 bus_view_t topic,
                                 const header_t *header,
                                 bus_view_t body);
