// merkle_tree.h - the tree that the tests of merkle ask about: complete nodes, as merkle_append
// makes them.
#pragma once
#include "help.h"
#include "proto/merkle.h"

enum {
    MODEL_MAX = 130, // leaves: past two complete levels of seven
    LEVELS = 8,      // that a tree of so many has
};

typedef struct {
    merkle_hash_t nodes[LEVELS][MODEL_MAX];
    bool is_there[LEVELS][MODEL_MAX];
    unsigned reads; // how many were asked for
} tree_t;

static inline bus_err_t
read_node(void *arg, unsigned level, uint64_t index, merkle_hash_t *ret_hash)
{
    tree_t *self = arg;
    cr_assert(level < LEVELS && index < MODEL_MAX && self->is_there[level][index],
              "node (%u, %llu) is not complete",
              level,
              (unsigned long long) index);
    self->reads++;
    *ret_hash = self->nodes[level][index];
    return BUS_OK;
}

static inline void
tree_append(tree_t *self, uint64_t index, const merkle_hash_t *leaf_hash)
{
    merkle_hash_t lefts[MERKLE_LEVELS_MAX];
    merkle_hash_t nodes[MERKLE_LEVELS_MAX];
    for (unsigned level = 0; (index >> level & 1) != 0; level++) {
        cr_assert_eq(read_node(self, level, (index >> level) - 1, &lefts[level]), BUS_OK);
    }
    unsigned count = merkle_append(index, leaf_hash, lefts, nodes);
    for (unsigned level = 0; level < count; level++) {
        self->nodes[level][index >> level] = nodes[level];
        self->is_there[level][index >> level] = true;
    }
}

static merkle_hash_t leaf_hashes[MODEL_MAX];

// A tree of MODEL_MAX leaves; each leaf is its number's two bytes.
static inline tree_t *
tree_new(void)
{
    tree_t *self = calloc(1, sizeof(*self));
    cr_assert_not_null(self);
    for (uint64_t i = 0; i < MODEL_MAX; i++) {
        char leaf[2] = {(char) (i >> 8), (char) i};
        merkle_leaf(view_from(leaf, sizeof(leaf)), &leaf_hashes[i]);
        tree_append(self, i, &leaf_hashes[i]);
    }
    return self;
}

static inline merkle_head_t
head_of(tree_t *tree, uint64_t size)
{
    merkle_head_t head = {.size = size};
    cr_assert_eq(merkle_root(read_node, tree, size, &head.root), BUS_OK);
    return head;
}
