// audit_tree.c - the tree's right edge, enough to go on from and to compute its root. See audit.h.
#include "audit.h"

#include <assert.h>

void
cli_audit_tree_add(cli_audit_tree_t *self, const merkle_hash_t *leaf_hash)
{
    merkle_hash_t nodes[MERKLE_LEVELS_MAX];
    unsigned count = merkle_append(self->size, leaf_hash, self->lefts, nodes);
    self->lefts[count - 1] = nodes[count - 1];
    ++self->size;
}

// All that a root is made of are the complete subtrees of the edge, one a level.
static bus_err_t
read_left(void *arg, unsigned level, uint64_t index, merkle_hash_t *ret_hash)
{
    const cli_audit_tree_t *self = arg;
    assert(index == (self->size >> level) - 1);
    *ret_hash = self->lefts[level];
    return BUS_OK;
}

void
cli_audit_tree_root(const cli_audit_tree_t *self, merkle_hash_t *ret_root)
{
    bus_err_t err = merkle_root(read_left, (void *) (uintptr_t) self, self->size, ret_root);
    assert(err == BUS_OK);
}
