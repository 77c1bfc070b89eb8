// merkle.c - the Merkle tree of RFC 9162: hashes, proofs and their verification.
//
// A tree of n leaves is a row of complete subtrees, one for each set bit of n, the largest on the
// left; its root is what they fold to from the right. So whatever is asked of a tree of any size is
// read from complete nodes, which never change once they are written. Proofs are climbed from below
// instead of descended as the RFC writes them: the same hashes in the same order, no recursion.
#include "merkle.h"
#include <assert.h>
#include <openssl/evp.h>
#include <pthread.h>

enum {
    LEAF_PREFIX = 0x00,
    NODE_PREFIX = 0x01,
};

// --- Hashes --------------------------------------------------------------------------------------

// Set once, before the first hash, and never changed: to look the digest up for each would cost
// more than to hash a leaf with it.
static const EVP_MD *digest;

static void
fetch_digest(void)
{
    digest = EVP_MD_fetch(NULL, "SHA256", NULL);
    assert(digest != NULL);
}

// SHA-256 of a prefix (NULL: none) and two stretches of bytes, which may be absent.
static void
hash(const uint8_t *prefix, bus_view_t first, bus_view_t second, merkle_hash_t *ret_hash)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    int failed = pthread_once(&once, fetch_digest);
    assert(failed == 0);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert(context != NULL);
    int ok = EVP_DigestInit_ex2(context, digest, NULL) &&
             (prefix == NULL || EVP_DigestUpdate(context, prefix, 1)) &&
             EVP_DigestUpdate(context, first.data, first.size) &&
             EVP_DigestUpdate(context, second.data, second.size) &&
             EVP_DigestFinal_ex(context, ret_hash->bytes, NULL);
    assert(ok);
    EVP_MD_CTX_free(context);
}

static bus_view_t
hash_view(const merkle_hash_t *self)
{
    return view_from(self->bytes, sizeof(self->bytes));
}

void
merkle_leaf(bus_view_t leaf, merkle_hash_t *ret_hash)
{
    static const uint8_t prefix = LEAF_PREFIX;
    hash(&prefix, leaf, VIEW_NONE, ret_hash);
}

void
merkle_node(const merkle_hash_t *left, const merkle_hash_t *right, merkle_hash_t *ret_hash)
{
    static const uint8_t prefix = NODE_PREFIX;
    hash(&prefix, hash_view(left), hash_view(right), ret_hash);
}

void
merkle_empty(merkle_hash_t *ret_hash)
{
    hash(NULL, VIEW_NONE, VIEW_NONE, ret_hash);
}

void
merkle_sha256(bus_view_t bytes, merkle_hash_t *ret_hash)
{
    hash(NULL, bytes, VIEW_NONE, ret_hash);
}

bool
merkle_equal(const merkle_hash_t *a, const merkle_hash_t *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

// --- Roots and proofs ----------------------------------------------------------------------------

// The hash of the `count` leaves that end at `end`, where `count` is not 0 and no node that covers
// the first of them alone begins before it: folds the complete subtrees, the smallest first.
static bus_err_t
fold(merkle_read_fn *fn, void *arg, uint64_t count, uint64_t end, merkle_hash_t *ret)
{
    merkle_hash_t folded;
    bool is_first = true;
    for (unsigned level = 0; level < MERKLE_LEVELS_MAX && count >> level != 0; level++) {
        if ((count >> level & 1) == 0) {
            continue;
        }
        merkle_hash_t left;
        bus_err_t err = fn(arg, level, (end >> level) - 1, is_first ? &folded : &left);
        if (err != BUS_OK) {
            return err;
        }
        if (!is_first) {
            merkle_node(&left, &folded, &folded);
        }
        is_first = false;
    }
    assert(!is_first);
    *ret = folded;
    return BUS_OK;
}

bus_err_t
merkle_root(merkle_read_fn *fn, void *arg, uint64_t size, merkle_hash_t *ret)
{
    if (size == 0) {
        merkle_empty(ret);
        return BUS_OK;
    }
    return fold(fn, arg, size, size, ret);
}

static void
add_hash(merkle_path_t *path, const merkle_hash_t *hash_)
{
    assert(path->count < MERKLE_PATH_MAX);
    path->hashes[path->count++] = *hash_;
}

// Adds the siblings of the node and of each node above it in a tree of `size` leaves: what is
// needed to compute the root from it.
static bus_err_t
climb(merkle_read_fn *fn,
      void *arg,
      unsigned level,
      uint64_t index,
      uint64_t size,
      merkle_path_t *path)
{
    for (; level < MERKLE_LEVELS_MAX && (size - 1) >> level != 0; level++, index >>= 1) {
        uint64_t sibling = index ^ 1;
        merkle_hash_t found;
        if (sibling > (size - 1) >> level) {
            continue; // the last node of an odd row goes up as it is
        }
        bool is_complete = sibling < size >> level;
        bus_err_t err = is_complete ? fn(arg, level, sibling, &found)
                                    : fold(fn, arg, size - (sibling << level), size, &found);
        if (err != BUS_OK) {
            return err;
        }
        add_hash(path, &found);
    }
    return BUS_OK;
}

bus_err_t
merkle_inclusion(
    merkle_read_fn *fn, void *arg, uint64_t index, uint64_t size, merkle_path_t *ret_path)
{
    if (index >= size) {
        return BUS_VALIDATION_FAILED;
    }
    ret_path->count = 0;
    return climb(fn, arg, 0, index, size, ret_path);
}

bus_err_t
merkle_consistency(
    merkle_read_fn *fn, void *arg, uint64_t from, uint64_t to, merkle_path_t *ret_path)
{
    if (from > to) {
        return BUS_VALIDATION_FAILED;
    }
    ret_path->count = 0;
    if (from == 0 || from == to) {
        return BUS_OK;
    }
    // From the last complete subtree of the old tree upwards. Where that is the whole old tree, who
    // verifies has its hash already: the old root.
    unsigned level = (unsigned) __builtin_ctzll(from);
    uint64_t index = (from >> level) - 1;
    if (index != 0) {
        merkle_hash_t subtree;
        bus_err_t err = fn(arg, level, index, &subtree);
        if (err != BUS_OK) {
            return err;
        }
        add_hash(ret_path, &subtree);
    }
    return climb(fn, arg, level, index, to, ret_path);
}

unsigned
merkle_append(uint64_t index,
              const merkle_hash_t *leaf_hash,
              const merkle_hash_t lefts[MERKLE_LEVELS_MAX],
              merkle_hash_t ret_nodes[MERKLE_LEVELS_MAX])
{
    assert(index < UINT64_MAX); // its tree's size is a number too
    unsigned level = 0;
    ret_nodes[0] = *leaf_hash;
    for (; (index >> level & 1) != 0; level++) {
        merkle_node(&lefts[level], &ret_nodes[level], &ret_nodes[level + 1]);
    }
    return level + 1;
}

void
merkle_tree_add(merkle_tree_t *self, const merkle_hash_t *leaf_hash)
{
    merkle_hash_t nodes[MERKLE_LEVELS_MAX];
    unsigned count = merkle_append(self->size, leaf_hash, self->lefts, nodes);
    self->lefts[count - 1] = nodes[count - 1];
    self->size++;
}

// All that a root is made of are the complete subtrees of the edge, one a level.
static bus_err_t
read_left(void *arg, unsigned level, uint64_t index, merkle_hash_t *ret_hash)
{
    const merkle_tree_t *self = arg;
    assert(index == (self->size >> level) - 1);
    *ret_hash = self->lefts[level];
    return BUS_OK;
}

void
merkle_tree_root(const merkle_tree_t *self, merkle_hash_t *ret_root)
{
    bus_err_t err = merkle_root(read_left, (void *) (uintptr_t) self, self->size, ret_root);
    assert(err == BUS_OK);
}

// --- Verification --------------------------------------------------------------------------------

// fn and sn of the RFC: where the node stands in its row, and where the row's last one stands.
typedef struct {
    uint64_t node;
    uint64_t last;
} place_t;

// Whether the next hash of a path is the left sibling; goes up to where it is.
static bool
is_left_next(place_t *self)
{
    bool is_left = (self->node & 1) != 0 || self->node == self->last;
    while (is_left && (self->node & 1) == 0 && self->node != 0) {
        self->node >>= 1;
        self->last >>= 1;
    }
    return is_left;
}

static void
go_up(place_t *self)
{
    self->node >>= 1;
    self->last >>= 1;
}

bool
merkle_verify_inclusion(const merkle_hash_t *leaf_hash,
                        uint64_t index,
                        uint64_t size,
                        const merkle_path_t *path,
                        const merkle_hash_t *root)
{
    if (index >= size || path->count > MERKLE_PATH_MAX) {
        return false;
    }
    place_t place = {.node = index, .last = size - 1};
    merkle_hash_t computed = *leaf_hash;
    for (uint32_t i = 0; i < path->count; i++) {
        if (place.last == 0) {
            return false;
        }
        if (is_left_next(&place)) {
            merkle_node(&path->hashes[i], &computed, &computed);
        } else {
            merkle_node(&computed, &path->hashes[i], &computed);
        }
        go_up(&place);
    }
    return place.last == 0 && merkle_equal(&computed, root);
}

// The trees that need no proof: equal ones, and the empty one, which is the start of any.
static bool
verify_trivial(const merkle_head_t *from, const merkle_head_t *to, const merkle_path_t *path)
{
    if (path->count != 0) {
        return false;
    }
    if (from->size == to->size) {
        return merkle_equal(&from->root, &to->root);
    }
    merkle_hash_t empty;
    merkle_empty(&empty);
    return merkle_equal(&from->root, &empty);
}

bool
merkle_verify_consistency(const merkle_head_t *from,
                          const merkle_head_t *to,
                          const merkle_path_t *path)
{
    if (from->size > to->size || path->count > MERKLE_PATH_MAX) {
        return false;
    }
    if (from->size == to->size || from->size == 0) {
        return verify_trivial(from, to, path);
    }
    unsigned level = (unsigned) __builtin_ctzll(from->size);
    place_t place = {.node = (from->size >> level) - 1, .last = (to->size - 1) >> level};
    // The first hash is the last subtree of the old tree: its root, where it is the only one.
    uint32_t next = place.node == 0 ? 0 : 1;
    if (path->count < next) {
        return false;
    }
    merkle_hash_t old = next == 0 ? from->root : path->hashes[0];
    merkle_hash_t new = old;
    for (; next < path->count; next++) {
        if (place.last == 0) {
            return false;
        }
        const merkle_hash_t *sibling = &path->hashes[next];
        if (is_left_next(&place)) {
            merkle_node(sibling, &old, &old);
            merkle_node(sibling, &new, &new);
        } else {
            merkle_node(&new, sibling, &new);
        }
        go_up(&place);
    }
    return place.last == 0 && merkle_equal(&old, &from->root) && merkle_equal(&new, &to->root);
}
