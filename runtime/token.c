// token.c - bearer tokens: made, listed, recognised.
#include "token.h"

#include "id.h"
#include "proto/channel.h"
#include "proto/rfc3339.h"
#include "proto/transcode.h"
#include "proto/walk.h"
#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

_Static_assert(TOKEN_HASH_SIZE == crypto_hash_sha256_BYTES, "SHA-256");

enum { HASH_DIGITS = 2 * TOKEN_HASH_SIZE };

static const char prefix[] = "bhiv_";
static const char domain[] = "bhiv-token-v1\n";
static const uint64_t kept_us = TOKEN_KEPT_DAYS * UINT64_C(86400000000);

token_list_t *
token_list_new(void)
{
    token_list_t *self = calloc(1, sizeof *self);
    assert(self != NULL);
    self->at = calloc(TOKEN_COUNT_MAX, sizeof *self->at);
    assert(self->at != NULL);
    return self;
}

void
token_list_destroy(token_list_t **self_p)
{
    token_list_t *self = *self_p;
    if (self != NULL) {
        free(self->at);
        free(self);
        *self_p = NULL;
    }
}

// --- Words ---------------------------------------------------------------------------------------

bool
token_role_is_legal(bus_view_t role)
{
    for (size_t i = 0; i < role.size; i++) {
        unsigned char byte = (unsigned char) role.data[i];
        if (byte <= ' ' || byte >= 0x7f || byte == '"' || byte == '\\' || byte == '|') {
            return false;
        }
    }
    return role.size > 0 && role.size <= TOKEN_ROLE_SIZE_MAX;
}

bus_err_t
token_products_parse(bus_view_t text, unsigned *ret_products)
{
    *ret_products = view_is(text, "all") ? (1U << CHANNEL_PRODUCT_COUNT) - 1 : 0;
    if (view_is(text, "all") || view_is(text, "none")) {
        return BUS_OK;
    }
    const char *at = text.data;
    const char *end = text.data + text.size;
    for (;;) {
        const char *comma = at == end ? NULL : memchr(at, ',', (size_t) (end - at));
        const char *stop = comma == NULL ? end : comma;
        channel_product_t product = channel_product(view_from(at, (size_t) (stop - at)));
        if (product == CHANNEL_PRODUCT_COUNT) {
            return BUS_VALIDATION_FAILED;
        }
        *ret_products |= 1U << product;
        if (comma == NULL) {
            return BUS_OK;
        }
        at = comma + 1;
    }
}

// --- Lines ---------------------------------------------------------------------------------------

static void
pack_time(pack_t *out, const char *key, uint64_t time_us)
{
    char text[RFC3339_SIZE];
    if (time_us == 0) {
        pack_text(out, key);
        pack_nil(out);
        return;
    }
    rfc3339_format(time_us, text);
    pack_pair_text(out, key, text);
}

static const char *
state_of(const token_t *self, uint64_t now)
{
    bool is_expired = self->expires_at != 0 && now >= self->expires_at;
    return self->revoked_at != 0 ? "revoked" : is_expired ? "expired" : "good";
}

void
token_pack(const token_t *self, bool is_for_file, uint64_t now, pack_t *out)
{
    pack_map(out, 7);
    pack_pair_text(out, "id", self->id);
    pack_pair_text(out, "role", self->role);
    pack_text(out, "products");
    size_t array = pack_array_begin(out);
    uint32_t count = 0;
    for (channel_product_t i = 0; i < CHANNEL_PRODUCT_COUNT; i++) {
        if ((self->products & (1U << i)) != 0) {
            pack_text(out, channel_product_name(i));
            count++;
        }
    }
    pack_count(out, array, count);
    pack_time(out, "created_at", self->created_at);
    pack_time(out, "expires_at", self->expires_at);
    pack_time(out, "revoked_at", self->revoked_at);
    if (is_for_file) {
        char digits[HASH_DIGITS + 1];
        id_hex(self->hash, sizeof self->hash, digits);
        pack_pair_text(out, "hash", digits);
    } else {
        pack_pair_text(out, "state", state_of(self, now));
    }
}

void
token_format(const token_list_t *self, text_t *out)
{
    BUS_AUTO(pack_destroy) pack_t *map = pack_new();
    for (size_t i = 0; i < self->count; i++) {
        pack_clear(map);
        token_pack(&self->at[i], true, 0, map);
        transcode_to_json(pack_view(map), 0, out);
        text_add(out, VIEW_LITERAL("\n"));
    }
}

// False where it is there and no time.
static bool
read_time(bus_view_t map, const char *key, uint64_t *ret_time)
{
    bus_view_t value, text;
    walk_item_t item;
    *ret_time = 0;
    if (walk_find(map, key, &value) != BUS_OK) {
        return true;
    }
    walk_t walk = walk_from(value);
    if (walk_next(&walk, &item) == BUS_OK && item.type == WALK_NIL) {
        return true;
    }
    return walk_as_str(value, &text) == BUS_OK && rfc3339_parse(text, ret_time) == BUS_OK;
}

static bool
read_products(bus_view_t map, unsigned *ret_products)
{
    bus_view_t value, item, name;
    walk_item_t head;
    *ret_products = 0;
    if (walk_find(map, "products", &value) != BUS_OK) {
        return false;
    }
    walk_t walk = walk_from(value);
    if (walk_next(&walk, &head) != BUS_OK || head.type != WALK_ARRAY) {
        return false;
    }
    for (uint32_t i = 0; i < head.count; i++) {
        if (walk_skip(&walk, &item) != BUS_OK || walk_as_str(item, &name) != BUS_OK ||
            channel_product(name) == CHANNEL_PRODUCT_COUNT) {
            return false;
        }
        *ret_products |= 1U << channel_product(name);
    }
    return true;
}

static bool
read_token(bus_view_t map, token_t *ret)
{
    bus_view_t id = walk_text_at(map, "id");
    bus_view_t hash = walk_text_at(map, "hash");
    bus_view_t role = walk_text_at(map, "role");
    size_t size = 0;
    if (id.data == NULL || role.data == NULL || id.size != TOKEN_ID_SIZE || !id_is_hex(id) ||
        !token_role_is_legal(role) || hash.size != HASH_DIGITS || !id_is_hex(hash) ||
        !read_products(map, &ret->products) || !read_time(map, "created_at", &ret->created_at) ||
        !read_time(map, "expires_at", &ret->expires_at) ||
        !read_time(map, "revoked_at", &ret->revoked_at)) {
        return false;
    }
    memcpy(ret->id, id.data, id.size);
    ret->id[id.size] = '\0';
    memcpy(ret->role, role.data, role.size);
    ret->role[role.size] = '\0';
    return sodium_hex2bin(ret->hash, sizeof ret->hash, hash.data, hash.size, NULL, &size, NULL) ==
               0 &&
           size == sizeof ret->hash;
}

static const token_t *
find(const token_list_t *self, bus_view_t id)
{
    for (size_t i = 0; i < self->count; i++) {
        if (view_is(id, self->at[i].id)) {
            return &self->at[i];
        }
    }
    return NULL;
}

static bool
parse_line(bus_view_t line, token_list_t *list)
{
    BUS_AUTO(pack_destroy) pack_t *map = pack_new();
    walk_item_t item;
    if (line.size > TOKEN_LINE_SIZE_MAX || list->count == TOKEN_COUNT_MAX ||
        transcode_from_json(line, map, NULL, 0) != BUS_OK) {
        return false;
    }
    walk_t walk = walk_from(pack_view(map));
    token_t *token = &list->at[list->count];
    if (walk_next(&walk, &item) != BUS_OK || item.type != WALK_MAP ||
        !read_token(pack_view(map), token) || find(list, view_from_text(token->id)) != NULL) {
        return false;
    }
    list->count++;
    return true;
}

bus_err_t
token_parse(bus_view_t lines, token_list_t *ret_list, size_t *reterr_line)
{
    ret_list->count = 0;
    size_t number = 0;
    while (lines.size > 0) {
        const char *end = memchr(lines.data, '\n', lines.size);
        bus_view_t line =
            view_from(lines.data, end == NULL ? lines.size : (size_t) (end - lines.data));
        size_t used = line.size + (end == NULL ? 0 : 1);
        lines = view_from(lines.data + used, lines.size - used);
        number++;
        if (line.size > 0 && !parse_line(line, ret_list)) {
            ret_list->count = 0;
            *reterr_line = number;
            return BUS_CORRUPT;
        }
    }
    return BUS_OK;
}

// --- Making and revoking -------------------------------------------------------------------------

static void
hash_of(bus_view_t text, uint8_t ret_hash[TOKEN_HASH_SIZE])
{
    crypto_hash_sha256_state state;
    crypto_hash_sha256_init(&state);
    crypto_hash_sha256_update(&state, (const uint8_t *) domain, sizeof domain - 1);
    crypto_hash_sha256_update(&state, (const uint8_t *) text.data, text.size);
    crypto_hash_sha256_final(&state, ret_hash);
    sodium_memzero(&state, sizeof state);
}

static void
forget_dead(token_list_t *self, uint64_t now)
{
    size_t kept = 0;
    for (size_t i = 0; i < self->count; i++) {
        const token_t *token = &self->at[i];
        uint64_t end = token->revoked_at != 0 ? token->revoked_at : token->expires_at;
        bool is_dead = end != 0 && end < now && now - end > kept_us;
        if (!is_dead) {
            self->at[kept++] = *token;
        }
    }
    self->count = kept;
}

bus_err_t
token_create(token_list_t *self, const token_wish_t *wish, char ret_text[TOKEN_TEXT_SIZE + 1])
{
    assert(token_role_is_legal(wish->role));
    forget_dead(self, wish->now);
    if (self->count == TOKEN_COUNT_MAX) {
        return BUS_FULL;
    }
    token_t *token = &self->at[self->count];
    *token = (token_t){
        .products = wish->products, .created_at = wish->now, .expires_at = wish->expires_at};
    memcpy(token->role, wish->role.data, wish->role.size);
    do {
        id_random_hex(token->id, TOKEN_ID_SIZE);
    } while (find(self, view_from_text(token->id)) != NULL);
    char secret[TOKEN_SECRET_SIZE + 1];
    id_random_hex(secret, TOKEN_SECRET_SIZE);
    (void) snprintf(ret_text, TOKEN_TEXT_SIZE + 1, "%s%s_%s", prefix, token->id, secret);
    sodium_memzero(secret, sizeof secret);
    hash_of(view_from(ret_text, TOKEN_TEXT_SIZE), token->hash);
    self->count++;
    return BUS_OK;
}

bus_err_t
token_revoke(token_list_t *self, bus_view_t id, uint64_t now)
{
    for (size_t i = 0; i < self->count; i++) {
        token_t *token = &self->at[i];
        if (view_is(id, token->id)) {
            token->revoked_at = token->revoked_at == 0 ? now : token->revoked_at;
            return BUS_OK;
        }
    }
    return BUS_NOT_FOUND;
}

// --- Recognising ---------------------------------------------------------------------------------

static bool
is_good(const token_t *self, uint64_t now)
{
    return self->revoked_at == 0 && (self->expires_at == 0 || now < self->expires_at);
}

const token_t *
token_check(const token_list_t *self, bus_view_t given, uint64_t now)
{
    static const token_t none = {.id = ""};
    uint8_t hash[TOKEN_HASH_SIZE];
    bool is_whole = given.size == TOKEN_TEXT_SIZE && view_starts(given, view_from_text(prefix));
    bus_view_t id = is_whole ? view_from(given.data + sizeof prefix - 1, TOKEN_ID_SIZE) : VIEW_NONE;
    hash_of(view_from(given.data, given.size < TOKEN_TEXT_SIZE ? given.size : TOKEN_TEXT_SIZE),
            hash);
    const token_t *found = &none;
    for (size_t i = 0; i < self->count; i++) { // all of them, whichever it is
        bool is_it = is_whole && memcmp(self->at[i].id, id.data, TOKEN_ID_SIZE) == 0;
        found = is_it ? &self->at[i] : found;
    }
    bool is_same = sodium_memcmp(hash, found->hash, sizeof hash) == 0;
    return is_same && found != &none && is_good(found, now) ? found : NULL;
}

const token_t *
token_find_good(const token_list_t *self, bus_view_t id, uint64_t now)
{
    const token_t *token = find(self, id);
    return token != NULL && is_good(token, now) ? token : NULL;
}
