// grant.c - a ring of single changes, and beside it for each kind a sum of those that found no
// room.
#include "grant.h"
#include "proto/channel.h"
#include "proto/schema.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OTHERS "(others)" // as breach.c says of several

enum { PRODUCTS_SIZE = 128 };

typedef struct {
    grant_t sum;      // count 0: none
    bool was_told;    // a sum of this kind
    uint64_t told_ms; // when
} rest_t;

struct grant_log {
    grant_t ring[GRANT_SINGLE_MAX];
    size_t first;
    size_t count;
    size_t singles;     // since the minute began
    uint64_t minute_ms; // when that was
    rest_t rests[GRANT_KINDS];
    grant_t current; // is being journaled
    bool has_current;
};

static const char *const kinds[GRANT_KINDS] = {
    [GRANT_CERTIFICATES_KNOWN] = "certificates_known",
    [GRANT_CERTIFICATE_ADDED] = "certificate_added",
    [GRANT_CERTIFICATE_REVOKED] = "certificate_revoked",
    [GRANT_CERTIFICATE_REPLACED] = "certificate_replaced",
    [GRANT_RULES_LOADED] = "rules_loaded",
    [GRANT_ACCESS_NOT_LOADED] = "access_not_loaded",
    [GRANT_TOKENS_KNOWN] = "tokens_known",
    [GRANT_TOKEN_ADDED] = "token_added",
    [GRANT_TOKEN_REVOKED] = "token_revoked",
    [GRANT_TOKEN_REPLACED] = "token_replaced",
    [GRANT_TOKENS_NOT_LOADED] = "tokens_not_loaded",
};

const char *
grant_kind_text(grant_kind_t kind)
{
    return kinds[kind];
}

bool
grant_is_of_tokens(bus_view_t reason)
{
    return view_starts(reason, VIEW_LITERAL("token"));
}

// `gurukul,ai_avatar`, as `bhiv token create` takes them.
static bus_view_t
list_products(unsigned products, char ret_text[PRODUCTS_SIZE])
{
    int size = 0;
    for (channel_product_t i = 0; i < CHANNEL_PRODUCT_COUNT; i++) {
        if ((products & (1U << i)) != 0) {
            const char *comma = size == 0 ? "" : ",";
            size += snprintf(ret_text + size,
                             PRODUCTS_SIZE - (size_t) size,
                             "%s%s",
                             comma,
                             channel_product_name(i));
            assert(size < PRODUCTS_SIZE);
        }
    }
    return size == 0 ? VIEW_LITERAL("none") : view_from(ret_text, (size_t) size);
}

static bus_view_t
text_or_none(const char *text)
{
    return text[0] == '\0' ? VIEW_NONE : view_from_text(text);
}

void
grant_pack(const grant_t *grant, pack_t *out)
{
    char products[PRODUCTS_SIZE];
    bool is_token = grant->kind >= GRANT_TOKEN_ADDED && grant->kind <= GRANT_TOKEN_REPLACED &&
                    grant->count == 1;
    const schema_access_t said = {
        .kind = VIEW_LITERAL("changed"),
        .name = view_from_text(grant->name),
        .reason = view_from_text(kinds[grant->kind]),
        .count = {.has = true, .value = (int64_t) grant->count},
        .subject = text_or_none(grant->subject),
        .hash = text_or_none(grant->hash),
        .products = is_token ? list_products(grant->products, products) : VIEW_NONE,
        .expires_at = {.has = is_token && grant->expires_at != 0,
                       .value = (int64_t) grant->expires_at},
    };
    schema_encode(&SCHEMA_access, &said, out);
}

// --- The log -----------------------------------------------------------------------------------

grant_log_t *
grant_log_new(void)
{
    grant_log_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    return self;
}

void
grant_log_destroy(grant_log_t **self_p)
{
    free(*self_p);
    *self_p = NULL;
}

static void
add_to_rest(grant_t *sum, const grant_t *grant)
{
    const uint64_t before = sum->count;
    const char *last = grant->name; // what tells it from others: a token's id, else its name
    if (grant_is_of_tokens(view_from_text(kinds[grant->kind]))) {
        last = grant->subject;
    }
    *sum = *grant;
    if (before == 0) {
        return; // it may stay the only one
    }
    char subject[GRANT_SUBJECT_SIZE];
    (void) snprintf(subject, sizeof(subject), "%s", last);
    memcpy(sum->subject, subject, sizeof(subject));
    memcpy(sum->name, OTHERS, sizeof(OTHERS));
    sum->count = before + grant->count;
}

void
grant_log_add(grant_log_t *self, const grant_t *grant, uint64_t now_ms)
{
    if (now_ms - self->minute_ms >= GRANT_MINUTE_MS) {
        self->minute_ms = now_ms;
        self->singles = 0;
    }
    if (self->singles == GRANT_SINGLE_MAX || self->count == GRANT_SINGLE_MAX) {
        add_to_rest(&self->rests[grant->kind].sum, grant);
        return;
    }
    self->ring[(self->first + self->count) % GRANT_SINGLE_MAX] = *grant;
    self->count++;
    self->singles++;
}

static rest_t *
find_due_rest(grant_log_t *self, uint64_t now_ms, bool is_last)
{
    for (int i = 0; i < GRANT_KINDS; i++) {
        rest_t *rest = &self->rests[i];
        bool is_due = is_last || !rest->was_told || now_ms - rest->told_ms >= GRANT_MINUTE_MS;
        if (rest->sum.count > 0 && is_due) {
            return rest;
        }
    }
    return NULL;
}

const grant_t *
grant_log_next(grant_log_t *self, uint64_t now_ms, bool is_last)
{
    if (self->has_current) {
        return &self->current;
    }
    if (self->count > 0) {
        self->current = self->ring[self->first];
        self->first = (self->first + 1) % GRANT_SINGLE_MAX;
        self->count--;
    } else {
        rest_t *rest = find_due_rest(self, now_ms, is_last);
        if (rest == NULL) {
            return NULL;
        }
        self->current = rest->sum;
        *rest = (rest_t){.was_told = true, .told_ms = now_ms};
    }
    self->has_current = true;
    return &self->current;
}

void
grant_log_done(grant_log_t *self)
{
    assert(self->has_current);
    self->has_current = false;
}
