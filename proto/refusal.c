// refusal.c - finding what a request trips: one walk over its keys, on a stack of our own.
#include "refusal.h"

#include "limits.h"
#include "walk.h"

#include <assert.h>
#include <stdint.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { KEY = true, ACTION = false };

#define REFUSAL(kind, word, err, violation, threat, rule, message)                                 \
    {#word, kind, BUS_##err, violation, threat, rule, message},
const refusal_t refusal_rows[] = {
#include "refusal.def"
};
const size_t refusal_count = COUNT(refusal_rows);

const refusal_t refusal_cross_product = {"requesting_product",
                                         false,
                                         BUS_UNAUTHORIZED_ACCESS,
                                         "attempted_cross_product_access",
                                         7,
                                         "product_isolation",
                                         "Cross-product access denied"};
const refusal_t refusal_unknown_channel = {"channel",
                                           false,
                                           BUS_GOVERNANCE_VIOLATION,
                                           "attempted_unknown_channel",
                                           6,
                                           "known_channels",
                                           "There is no such channel"};
const refusal_t refusal_owner_only = {"owner",
                                      false,
                                      BUS_UNAUTHORIZED_ACCESS,
                                      "attempted_owner_operation",
                                      5,
                                      "owner_only",
                                      "This is the owner's to do"};
const refusal_t refusal_not_yours = {"requester_id",
                                     false,
                                     BUS_UNAUTHORIZED_ACCESS,
                                     "unauthorized_requester",
                                     6,
                                     "known_requesters",
                                     "Unauthorized requester"};

static const refusal_t *const specials[] = {
    &refusal_cross_product, &refusal_unknown_channel, &refusal_owner_only, &refusal_not_yours};

// A container being looked through.
typedef struct {
    uint32_t left; // members to come
    bool is_map;
} level_t;

typedef struct {
    walk_t walk;
    level_t levels[BODY_DEPTH_MAX]; // walk_check allowed no more
    unsigned depth;
    bus_view_t products[2]; // that the request names, absent ones too
    size_t found;           // the first row that it trips; refusal_count: none
    bool is_cross;          // a requesting_product differs
} search_t;

// The place of the row with this word; refusal_count: none.
static size_t
row_of(bus_view_t word, bool as_key)
{
    size_t i = 0;
    while (i < refusal_count &&
           !((refusal_rows[i].is_key || !as_key) && view_is(word, refusal_rows[i].word))) {
        i++;
    }
    return i;
}

static void
note_word(search_t *self, bus_view_t word, bool as_key)
{
    size_t row = row_of(word, as_key);
    self->found = row < self->found ? row : self->found;
}

// What is the caller's own is not looked into.
static bool
is_opaque(bus_view_t key)
{
    return view_is(key, "content") || view_is(key, "details") || view_is(key, "tags");
}

// `item` is the value of a requesting_product: one of another product, or no product at all,
// differs.
static void
note_requesting_product(search_t *self, const walk_item_t *item)
{
    bus_view_t text = item->type == WALK_STR ? item->bytes : VIEW_NONE;
    for (size_t i = 0; i < COUNT(self->products); i++) {
        bus_view_t product = self->products[i];
        bool differs = product.data != NULL && !view_equal(product, text);
        self->is_cross = self->is_cross || (differs && item->type != WALK_NIL);
    }
}

// Notes what a key, and the first item of its value, say.
static void
note_pair(search_t *self, bus_view_t key, const walk_item_t *item)
{
    note_word(self, key, true);
    if (view_is(key, "requesting_product")) {
        note_requesting_product(self, item);
    }
    if (self->depth == 1 && item->type == WALK_STR &&
        (view_is(key, "action") || view_is(key, "channel"))) {
        note_word(self, item->bytes, false);
    }
}

// Steps into the value whose first item was read, where it is a container.
static void
enter(search_t *self, const walk_item_t *item)
{
    if (item->type == WALK_MAP || item->type == WALK_ARRAY) {
        assert(self->depth < COUNT(self->levels)); // walk_check allowed no more
        self->levels[self->depth++] =
            (level_t){.left = item->count, .is_map = item->type == WALK_MAP};
    }
}

// One member of the innermost container.
static bus_err_t
step(search_t *self)
{
    level_t *level = &self->levels[self->depth - 1];
    if (level->left == 0) {
        self->depth--;
        return BUS_OK;
    }
    level->left--;
    walk_item_t key = {.type = WALK_NIL};
    bus_err_t err = level->is_map ? walk_next(&self->walk, &key) : BUS_OK;
    if (err == BUS_OK && key.type == WALK_STR && is_opaque(key.bytes)) {
        return walk_skip(&self->walk, NULL);
    }
    walk_item_t item;
    if (err == BUS_OK) {
        err = walk_next(&self->walk, &item);
    }
    if (err != BUS_OK) {
        return err;
    }
    if (key.type == WALK_STR) {
        note_pair(self, key.bytes, &item);
    }
    enter(self, &item);
    return BUS_OK;
}

const refusal_t *
refusal_find(bus_view_t body)
{
    search_t self = {.walk = walk_from(body), .found = refusal_count};
    self.products[0] = walk_text_at(body, "product");
    self.products[1] = walk_text_at(body, "metadata.product");
    self.is_cross = self.products[0].data != NULL && self.products[1].data != NULL &&
                    !view_equal(self.products[0], self.products[1]);
    walk_item_t whole;
    bus_err_t err = walk_next(&self.walk, &whole);
    if (err == BUS_OK) {
        enter(&self, &whole);
    }
    while (err == BUS_OK && self.depth > 0) {
        err = step(&self);
    }
    if (self.found < refusal_count) {
        return &refusal_rows[self.found];
    }
    return self.is_cross ? &refusal_cross_product : NULL;
}

const refusal_t *
refusal_by_word(bus_view_t word)
{
    size_t row = row_of(word, false);
    if (row < refusal_count) {
        return &refusal_rows[row];
    }
    for (size_t i = 0; i < COUNT(specials); i++) {
        if (view_is(word, specials[i]->violation)) {
            return specials[i];
        }
    }
    return NULL;
}
