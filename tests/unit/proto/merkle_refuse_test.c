// merkle_refuse_test.c - what is no proof: bits, indexes, sizes and hashes changed, forks, nodes in
// the place of leaves.
#include "merkle_tree.h"

Test(merkle, refuses_an_inclusion_proof_with_any_one_bit_another)
{
    tree_t *tree = tree_new();
    for (uint64_t size = 1; size <= 35; size++) {
        merkle_head_t head = head_of(tree, size);
        for (uint64_t index = 0; index < size; index++) {
            merkle_path_t path;
            cr_assert_eq(merkle_inclusion(read_node, tree, index, size, &path), BUS_OK);
            merkle_hash_t leaf = leaf_hashes[index];
            for (size_t bit = 0; bit < MERKLE_HASH_SIZE * 8; bit++) {
                uint8_t flip = (uint8_t) (1u << bit % 8);
                leaf.bytes[bit / 8] ^= flip;
                cr_assert_not(merkle_verify_inclusion(&leaf, index, size, &path, &head.root));
                leaf.bytes[bit / 8] ^= flip;
                head.root.bytes[bit / 8] ^= flip;
                cr_assert_not(merkle_verify_inclusion(&leaf, index, size, &path, &head.root));
                head.root.bytes[bit / 8] ^= flip;
            }
            uint8_t *bytes = (uint8_t *) path.hashes;
            for (size_t bit = 0; bit < path.count * sizeof(merkle_hash_t) * 8; bit++) {
                bytes[bit / 8] ^= (uint8_t) (1u << bit % 8);
                cr_assert_not(merkle_verify_inclusion(&leaf, index, size, &path, &head.root));
                bytes[bit / 8] ^= (uint8_t) (1u << bit % 8);
            }
            cr_assert(merkle_verify_inclusion(&leaf, index, size, &path, &head.root));
        }
    }
    free(tree);
}

Test(merkle, refuses_an_inclusion_proof_for_any_other_index_or_length)
{
    tree_t *tree = tree_new();
    for (uint64_t size = 1; size <= MODEL_MAX; size++) {
        merkle_head_t head = head_of(tree, size);
        for (uint64_t index = 0; index < size; index++) {
            merkle_path_t path;
            const merkle_hash_t *leaf = &leaf_hashes[index];
            cr_assert_eq(merkle_inclusion(read_node, tree, index, size, &path), BUS_OK);
            for (uint64_t other = 0; other < size + 3; other++) {
                cr_assert_eq(merkle_verify_inclusion(leaf, other, size, &path, &head.root),
                             other == index);
            }
            for (unsigned bit = 0; bit < 64; bit++) {
                cr_assert_not(
                    merkle_verify_inclusion(leaf, index ^ 1ull << bit, size, &path, &head.root));
            }
            path.count++; // one hash more than there are
            path.hashes[path.count - 1] = head.root;
            cr_assert_not(merkle_verify_inclusion(leaf, index, size, &path, &head.root));
            path.count--;
            if (path.count > 0) {
                path.count--;
                cr_assert_not(merkle_verify_inclusion(leaf, index, size, &path, &head.root));
            }
        }
    }
    free(tree);
}

Test(merkle, refuses_a_proof_whose_middle_hashes_are_swapped)
{
    tree_t *tree = tree_new();
    merkle_head_t head = head_of(tree, MODEL_MAX);
    merkle_path_t path;
    cr_assert_eq(merkle_inclusion(read_node, tree, 77, MODEL_MAX, &path), BUS_OK);
    cr_assert_eq(path.count, 8);
    for (uint32_t i = 0; i < path.count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            merkle_path_t swapped = path;
            swapped.hashes[i] = path.hashes[j];
            swapped.hashes[j] = path.hashes[i];
            cr_assert_not(
                merkle_verify_inclusion(&leaf_hashes[77], 77, MODEL_MAX, &swapped, &head.root));
        }
    }
    free(tree);
}

Test(merkle, refuses_a_node_in_the_place_of_a_leaf)
{
    // The prefixes keep a node's two children from being shown as a leaf's text.
    tree_t *tree = tree_new();
    char text[2 * MERKLE_HASH_SIZE];
    memcpy(text, tree->nodes[0][0].bytes, MERKLE_HASH_SIZE);
    memcpy(text + MERKLE_HASH_SIZE, tree->nodes[0][1].bytes, MERKLE_HASH_SIZE);
    merkle_hash_t leaf;
    merkle_leaf(view_from(text, sizeof(text)), &leaf);
    cr_assert_not(merkle_equal(&leaf, &tree->nodes[1][0]));
    merkle_path_t none = {.count = 0};
    cr_assert(merkle_verify_inclusion(&tree->nodes[1][0], 0, 1, &none, &tree->nodes[1][0]));
    cr_assert_not(merkle_verify_inclusion(&leaf, 0, 1, &none, &tree->nodes[1][0]));
    free(tree);
}

Test(merkle, refuses_a_consistency_proof_with_any_one_bit_another)
{
    tree_t *tree = tree_new();
    for (uint64_t to = 2; to <= 20; to++) {
        merkle_head_t to_head = head_of(tree, to);
        for (uint64_t from = 1; from < to; from++) {
            merkle_head_t from_head = head_of(tree, from);
            merkle_path_t path;
            cr_assert_eq(merkle_consistency(read_node, tree, from, to, &path), BUS_OK);
            for (size_t bit = 0; bit < MERKLE_HASH_SIZE * 8; bit++) {
                uint8_t flip = (uint8_t) (1u << bit % 8);
                from_head.root.bytes[bit / 8] ^= flip;
                cr_assert_not(merkle_verify_consistency(&from_head, &to_head, &path));
                from_head.root.bytes[bit / 8] ^= flip;
                to_head.root.bytes[bit / 8] ^= flip;
                cr_assert_not(merkle_verify_consistency(&from_head, &to_head, &path));
                to_head.root.bytes[bit / 8] ^= flip;
            }
            uint8_t *bytes = (uint8_t *) path.hashes;
            for (size_t bit = 0; bit < path.count * sizeof(merkle_hash_t) * 8; bit++) {
                bytes[bit / 8] ^= (uint8_t) (1u << bit % 8);
                cr_assert_not(merkle_verify_consistency(&from_head, &to_head, &path));
                bytes[bit / 8] ^= (uint8_t) (1u << bit % 8);
            }
            cr_assert(merkle_verify_consistency(&from_head, &to_head, &path));
        }
    }
    free(tree);
}

Test(merkle, refuses_a_consistency_proof_between_any_other_sizes)
{
    tree_t *tree = tree_new();
    for (uint64_t to = 1; to <= 40; to++) {
        merkle_head_t to_head = head_of(tree, to);
        for (uint64_t from = 1; from < to; from++) {
            merkle_head_t from_head = head_of(tree, from);
            merkle_path_t path;
            cr_assert_eq(merkle_consistency(read_node, tree, from, to, &path), BUS_OK);
            for (uint64_t other = 1; other <= to; other++) {
                merkle_head_t wrong = head_of(tree, other);
                bool is_good = merkle_verify_consistency(&wrong, &to_head, &path);
                cr_assert_eq(is_good, other == from, "%d %d %d", (int) other, (int) from, (int) to);
                wrong = (merkle_head_t){.size = other, .root = from_head.root};
                is_good = merkle_verify_consistency(&wrong, &to_head, &path);
                cr_assert_eq(is_good, other == from);
            }
            path.count++;
            path.hashes[path.count - 1] = to_head.root;
            cr_assert_not(merkle_verify_consistency(&from_head, &to_head, &path));
            path.count -= 2;
            cr_assert_not(merkle_verify_consistency(&from_head, &to_head, &path));
        }
    }
    free(tree);
}

Test(merkle, takes_no_proof_between_trees_that_need_none)
{
    tree_t *tree = tree_new();
    merkle_head_t empty = head_of(tree, 0);
    merkle_head_t three = head_of(tree, 3);
    merkle_head_t five = head_of(tree, 5);
    merkle_path_t none = {.count = 0};
    merkle_path_t one = {.count = 1};
    cr_expect(merkle_verify_consistency(&empty, &five, &none));
    cr_expect(merkle_verify_consistency(&empty, &empty, &none));
    cr_expect(merkle_verify_consistency(&five, &five, &none));
    cr_expect_not(merkle_verify_consistency(&empty, &five, &one));
    cr_expect_not(merkle_verify_consistency(&five, &five, &one));
    cr_expect_not(merkle_verify_consistency(&five, &three, &none));
    cr_expect_not(merkle_verify_consistency(&three, &five, &none));
    merkle_head_t forged = {.size = 0, .root = five.root};
    cr_expect_not(merkle_verify_consistency(&forged, &five, &none));
    forged = (merkle_head_t){.size = 5, .root = three.root};
    cr_expect_not(merkle_verify_consistency(&forged, &five, &none));
    free(tree);
}

Test(merkle, refuses_a_fork_at_every_leaf)
{
    // Two histories that part at `fork`: no older head of one is the start of the other.
    tree_t *tree = tree_new();
    enum { SIZE = 21 };
    for (uint64_t fork = 0; fork < SIZE; fork++) {
        tree_t *forked = calloc(1, sizeof(*forked));
        cr_assert_not_null(forked);
        for (uint64_t i = 0; i < SIZE; i++) {
            tree_append(forked, i, i == fork ? &leaf_hashes[MODEL_MAX - 1] : &leaf_hashes[i]);
        }
        merkle_head_t to = head_of(forked, SIZE);
        for (uint64_t from = 1; from <= SIZE; from++) {
            merkle_head_t old = head_of(tree, from);
            merkle_path_t path;
            cr_assert_eq(merkle_consistency(read_node, forked, from, SIZE, &path), BUS_OK);
            cr_assert_eq(merkle_verify_consistency(&old, &to, &path), from <= fork);
        }
        free(forked);
    }
    free(tree);
}
