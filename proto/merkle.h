// merkle.h - the Merkle tree of RFC 9162 (and RFC 6962): hashes, proofs and their verification.
//
// SHA-256; a leaf is hashed behind a byte 0x00, two children behind 0x01. Nodes are named by their
// level (0: leaf hashes) and index: node (level, index) covers the leaves [index << level,
// (index + 1) << level), and exists once all of them do. Where they are kept is the caller's.
// Pure but for the caller's reader; any thread.
#pragma once
#include "auto.h"
#include "error.h"
#include "view.h"
#include <stdbool.h>
#include <stdint.h>

enum {
    MERKLE_HASH_SIZE = 32,
    MERKLE_LEVELS_MAX = 64,
    MERKLE_PATH_MAX = 2 * MERKLE_LEVELS_MAX, // hashes of the longest proof
};

typedef struct {
    uint8_t bytes[MERKLE_HASH_SIZE];
} merkle_hash_t;

void merkle_leaf(bus_view_t leaf, merkle_hash_t *ret_hash);
void merkle_node(const merkle_hash_t *left, const merkle_hash_t *right, merkle_hash_t *ret_hash);
// The root of a tree of no leaves: SHA-256 of nothing.
void merkle_empty(merkle_hash_t *ret_hash);
// SHA-256 of anything.
void merkle_sha256(bus_view_t bytes, merkle_hash_t *ret_hash);
bool merkle_equal(const merkle_hash_t *a, const merkle_hash_t *b);

// Reads a complete node; what it returns but BUS_OK ends what asked for it.
typedef bus_err_t(merkle_read_fn)(void *arg,
                                  unsigned level,
                                  uint64_t index,
                                  merkle_hash_t *ret_hash);

typedef struct {
    uint32_t count;
    merkle_hash_t hashes[MERKLE_PATH_MAX];
} merkle_path_t;

// The root of the first `size` leaves. At most 64 reads.
BUS_CHECK bus_err_t merkle_root(merkle_read_fn *fn, void *arg, uint64_t size, merkle_hash_t *ret);
// RFC 9162 2.1.3.1. BUS_VALIDATION_FAILED unless index < size.
BUS_CHECK bus_err_t merkle_inclusion(
    merkle_read_fn *fn, void *arg, uint64_t index, uint64_t size, merkle_path_t *ret_path);
// RFC 9162 2.1.4.1. BUS_VALIDATION_FAILED unless from <= to. Empty for from = 0 and from = to.
BUS_CHECK bus_err_t merkle_consistency(
    merkle_read_fn *fn, void *arg, uint64_t from, uint64_t to, merkle_path_t *ret_path);

// The nodes that leaf number `index` completes, itself first: level 0, then each parent whose last
// child it is. `lefts[level]` must be the hash of the left sibling at that level, for each set bit
// of `index` from below; both arrays have MERKLE_LEVELS_MAX places. Returns how many nodes.
unsigned merkle_append(uint64_t index,
                       const merkle_hash_t *leaf_hash,
                       const merkle_hash_t lefts[MERKLE_LEVELS_MAX],
                       merkle_hash_t ret_nodes[MERKLE_LEVELS_MAX]);

// A tree's right edge: enough to go on from, and to compute its root. All zero: the empty tree.
typedef struct {
    uint64_t size;                          // leaves so far
    merkle_hash_t lefts[MERKLE_LEVELS_MAX]; // complete subtrees, for each set bit of `size`
} merkle_tree_t;
void merkle_tree_add(merkle_tree_t *self, const merkle_hash_t *leaf_hash);
void merkle_tree_root(const merkle_tree_t *self, merkle_hash_t *ret_root);

// RFC 9162 2.1.3.2 and 2.1.4.2.
bool merkle_verify_inclusion(const merkle_hash_t *leaf_hash,
                             uint64_t index,
                             uint64_t size,
                             const merkle_path_t *path,
                             const merkle_hash_t *root);
typedef struct {
    uint64_t size;
    merkle_hash_t root;
} merkle_head_t;
bool merkle_verify_consistency(const merkle_head_t *from,
                               const merkle_head_t *to,
                               const merkle_path_t *path);
