// token.h - bearer tokens: who may speak over HTTP, for whom, about which products, until when.
//
// A token is `bhiv_<id>_<secret>`: 12 hex digits by which it is listed and revoked, and 64 of
// randomness. Only SHA-256("bhiv-token-v1\n" token) is kept: of 256 random bits a plain hash is
// enough, there is nothing to guess. A file of them has one JSON object a line (token_file.h).
// Any thread; nothing is shared.
#pragma once
#include "proto/auto.h"
#include "proto/error.h"
#include "proto/pack.h"
#include "proto/text.h"
#include "proto/view.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TOKEN_ID_SIZE = 12,
    TOKEN_SECRET_SIZE = 64,                                      // hex digits of 32 bytes
    TOKEN_TEXT_SIZE = 5 + TOKEN_ID_SIZE + 1 + TOKEN_SECRET_SIZE, // without a NUL
    TOKEN_HASH_SIZE = 32,
    TOKEN_ROLE_SIZE_MAX = 64,  // as a requester_id may have
    TOKEN_COUNT_MAX = 1000,    // in one file: a token is for a program
    TOKEN_LINE_SIZE_MAX = 512, // of one line: all fields at their longest fit
    TOKEN_KEPT_DAYS = 90,      // that a dead one stays listed
};

#define TOKEN_ROLE_OWNER "owner"

typedef struct {
    char id[TOKEN_ID_SIZE + 1];
    uint8_t hash[TOKEN_HASH_SIZE];
    char role[TOKEN_ROLE_SIZE_MAX + 1]; // the requester_id that it speaks for, or `owner`
    unsigned products;                  // of 1 << channel_product_t
    uint64_t created_at;                // microseconds since 1970
    uint64_t expires_at;                // 0: never
    uint64_t revoked_at;                // 0: it is not
} token_t;

typedef struct {
    size_t count;
    token_t *at; // TOKEN_COUNT_MAX of them
} token_list_t;

token_list_t *token_list_new(void);
void token_list_destroy(token_list_t **self_p);

// Reads lines, blank ones passed over. BUS_CORRUPT with the number of the line that is no token;
// the list is empty then.
BUS_CHECK bus_err_t token_parse(bus_view_t lines, token_list_t *ret_list, size_t *reterr_line);
// Appends the lines.
void token_format(const token_list_t *self, text_t *out);
// One token as a map, for people and files: id, role, products, created_at, expires_at, revoked_at
// (times as RFC 3339, or nil), and `hash` where it is for a file, else `state`: good, expired or
// revoked at `now`.
void token_pack(const token_t *self, bool is_for_file, uint64_t now, pack_t *out);

typedef struct {
    bus_view_t role; // passed token_role_is_legal
    unsigned products;
    uint64_t now;
    uint64_t expires_at; // 0: never
} token_wish_t;

// Adds a token and writes its text, which is to be shown once. Lets go of those that are dead for
// TOKEN_KEPT_DAYS first. BUS_FULL: there are as many as there may be.
BUS_CHECK bus_err_t token_create(token_list_t *self,
                                 const token_wish_t *wish,
                                 char ret_text[TOKEN_TEXT_SIZE + 1]);
// BUS_NOT_FOUND. One that was revoked before stays as it was.
BUS_CHECK bus_err_t token_revoke(token_list_t *self, bus_view_t id, uint64_t now);

// The token that `given` is, where it is good at `now`; NULL: it is none, expired or revoked. It
// takes the same time whether its id is known or not.
const token_t *token_check(const token_list_t *self, bus_view_t given, uint64_t now);
// The token with this id where it is still good; NULL otherwise.
const token_t *token_find_good(const token_list_t *self, bus_view_t id, uint64_t now);

// 1 to 64 bytes of printable ASCII without blanks, quotes and `|`.
bool token_role_is_legal(bus_view_t role);
// `gurukul,ai_avatar`, `all` or `none`. BUS_VALIDATION_FAILED.
BUS_CHECK bus_err_t token_products_parse(bus_view_t text, unsigned *ret_products);
