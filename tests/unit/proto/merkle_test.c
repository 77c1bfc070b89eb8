// merkle_test.c - the tree against the vectors of certificate-transparency and against RFC 9162's
// own definitions, which are written down here as they stand there.
#include "merkle_tree.h"

// --- RFC 9162's definitions ----------------------------------------------------------------------

// k: the largest power of two smaller than n.
static uint64_t
split_of(uint64_t n)
{
    uint64_t k = 1;
    while (k * 2 < n) {
        k *= 2;
    }
    return k;
}

// 2.1.1: MTH (D[begin:end])
static merkle_hash_t
model_mth(uint64_t begin, uint64_t end)
{
    if (end - begin == 1) {
        return leaf_hashes[begin];
    }
    uint64_t k = split_of(end - begin);
    merkle_hash_t left = model_mth(begin, begin + k);
    merkle_hash_t right = model_mth(begin + k, end);
    merkle_hash_t both;
    merkle_node(&left, &right, &both);
    return both;
}

static void
model_add(merkle_path_t *path, uint64_t begin, uint64_t end)
{
    path->hashes[path->count++] = model_mth(begin, end);
}

// 2.1.3.1: PATH (m, D[begin:end])
static void
model_path(uint64_t m, uint64_t begin, uint64_t end, merkle_path_t *path)
{
    if (end - begin == 1) {
        return;
    }
    uint64_t k = split_of(end - begin);
    if (m < k) {
        model_path(m, begin, begin + k, path);
        model_add(path, begin + k, end);
    } else {
        model_path(m - k, begin + k, end, path);
        model_add(path, begin, begin + k);
    }
}

// 2.1.4.1: SUBPROOF (m, D[begin:end], is_known)
static void
model_subproof(uint64_t m, uint64_t begin, uint64_t end, bool is_known, merkle_path_t *path)
{
    if (m == end - begin) {
        if (!is_known) {
            model_add(path, begin, end);
        }
        return;
    }
    uint64_t k = split_of(end - begin);
    if (m <= k) {
        model_subproof(m, begin, begin + k, is_known, path);
        model_add(path, begin + k, end);
    } else {
        model_subproof(m - k, begin + k, end, false, path);
        model_add(path, begin, begin + k);
    }
}

static void
assert_same_path(const merkle_path_t *a, const merkle_path_t *b, uint64_t x, uint64_t y)
{
    cr_assert(a->count == b->count &&
                  memcmp(a->hashes, b->hashes, a->count * sizeof(a->hashes[0])) == 0,
              "(%llu, %llu)",
              (unsigned long long) x,
              (unsigned long long) y);
}

// --- Known answers -------------------------------------------------------------------------------

static void
from_hex(const char *hex, uint8_t *bytes, size_t size)
{
    cr_assert_eq(strlen(hex), 2 * size);
    for (size_t i = 0; i < size; i++) {
        unsigned value = 0;
        cr_assert_eq(sscanf(hex + 2 * i, "%2x", &value), 1); // NOLINT(cert-err34-c)
        bytes[i] = (uint8_t) value;
    }
}

static void
assert_hash(const merkle_hash_t *hash, const char *hex)
{
    merkle_hash_t expected;
    from_hex(hex, expected.bytes, sizeof(expected.bytes));
    cr_assert(merkle_equal(hash, &expected), "not %s", hex);
}

// The tree of certificate-transparency's own tests.
static const char *const ct_leaves[] = {
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
};
enum { CT_COUNT = sizeof(ct_leaves) / sizeof(ct_leaves[0]) };

static const char *const ct_roots[CT_COUNT + 1] = {
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
};

static tree_t *
ct_tree_new(void)
{
    tree_t *self = calloc(1, sizeof(*self));
    cr_assert_not_null(self);
    for (uint64_t i = 0; i < CT_COUNT; i++) {
        uint8_t leaf[16];
        size_t size = strlen(ct_leaves[i]) / 2;
        from_hex(ct_leaves[i], leaf, size);
        merkle_hash_t leaf_hash;
        merkle_leaf(view_from(leaf, size), &leaf_hash);
        tree_append(self, i, &leaf_hash);
    }
    return self;
}

Test(merkle, hashes_what_fips_180_hashes)
{
    merkle_hash_t hash;
    merkle_sha256(VIEW_LITERAL("abc"), &hash);
    assert_hash(&hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    merkle_sha256(VIEW_LITERAL("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"), &hash);
    assert_hash(&hash, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    merkle_sha256(VIEW_NONE, &hash);
    assert_hash(&hash, ct_roots[0]);
    merkle_empty(&hash);
    assert_hash(&hash, ct_roots[0]);
}

Test(merkle, has_the_published_roots_of_certificate_transparency)
{
    tree_t *tree = ct_tree_new();
    for (uint64_t size = 0; size <= CT_COUNT; size++) {
        merkle_hash_t root;
        cr_assert_eq(merkle_root(read_node, tree, size, &root), BUS_OK);
        assert_hash(&root, ct_roots[size]);
    }
    free(tree);
}

Test(merkle, has_the_published_inclusion_proofs_of_certificate_transparency)
{
    static const struct {
        uint64_t index;
        uint64_t size;
        const char *hashes[4];
    } known[] = {
        {0, 1, {NULL}},
        {0,
         8,
         {"96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
          "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
          "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"}},
        {5,
         8,
         {"bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
          "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
          "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"}},
        {2, 3, {"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"}},
        {1,
         5,
         {"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
          "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
          "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"}},
    };
    tree_t *tree = ct_tree_new();
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        merkle_path_t path;
        cr_assert_eq(merkle_inclusion(read_node, tree, known[i].index, known[i].size, &path),
                     BUS_OK);
        uint32_t count = 0;
        for (; known[i].hashes[count] != NULL; count++) {
            cr_assert_lt(count, path.count);
            assert_hash(&path.hashes[count], known[i].hashes[count]);
        }
        cr_assert_eq(path.count, count);
    }
    free(tree);
}

Test(merkle, has_the_published_consistency_proofs_of_certificate_transparency)
{
    static const struct {
        uint64_t from;
        uint64_t to;
        const char *hashes[4];
    } known[] = {
        {1, 1, {NULL}},
        {1,
         8,
         {"96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
          "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
          "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"}},
        {6,
         8,
         {"0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
          "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
          "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"}},
        {2,
         5,
         {"5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
          "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"}},
    };
    tree_t *tree = ct_tree_new();
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        merkle_path_t path;
        cr_assert_eq(merkle_consistency(read_node, tree, known[i].from, known[i].to, &path),
                     BUS_OK);
        uint32_t count = 0;
        for (; known[i].hashes[count] != NULL; count++) {
            cr_assert_lt(count, path.count);
            assert_hash(&path.hashes[count], known[i].hashes[count]);
        }
        cr_assert_eq(path.count, count);
    }
    free(tree);
}

// --- Every small tree ----------------------------------------------------------------------------

Test(merkle, root_is_the_rfcs_mth_at_every_size)
{
    tree_t *tree = tree_new();
    for (uint64_t size = 1; size <= MODEL_MAX; size++) {
        merkle_head_t head = head_of(tree, size);
        merkle_hash_t expected = model_mth(0, size);
        cr_assert(merkle_equal(&head.root, &expected), "%llu", (unsigned long long) size);
    }
    free(tree);
}

Test(merkle, inclusion_is_the_rfcs_path_and_verifies_for_every_leaf_of_every_tree)
{
    tree_t *tree = tree_new();
    for (uint64_t size = 1; size <= MODEL_MAX; size++) {
        merkle_head_t head = head_of(tree, size);
        for (uint64_t index = 0; index < size; index++) {
            merkle_path_t path;
            merkle_path_t expected = {.count = 0};
            tree->reads = 0;
            cr_assert_eq(merkle_inclusion(read_node, tree, index, size, &path), BUS_OK);
            cr_assert_leq(tree->reads, 2 * LEVELS);
            model_path(index, 0, size, &expected);
            assert_same_path(&path, &expected, index, size);
            cr_assert(merkle_verify_inclusion(&leaf_hashes[index], index, size, &path, &head.root));
        }
    }
    free(tree);
}

Test(merkle, consistency_is_the_rfcs_proof_and_verifies_for_every_pair_of_trees)
{
    tree_t *tree = tree_new();
    for (uint64_t to = 0; to <= MODEL_MAX; to++) {
        merkle_head_t to_head = head_of(tree, to);
        for (uint64_t from = 0; from <= to; from++) {
            merkle_head_t from_head = head_of(tree, from);
            merkle_path_t path;
            merkle_path_t expected = {.count = 0};
            cr_assert_eq(merkle_consistency(read_node, tree, from, to, &path), BUS_OK);
            if (from > 0) {
                model_subproof(from, 0, to, true, &expected);
            }
            assert_same_path(&path, &expected, from, to);
            cr_assert(merkle_verify_consistency(&from_head, &to_head, &path));
        }
    }
    free(tree);
}

// --- Edges ---------------------------------------------------------------------------------------

Test(merkle, refuses_questions_about_leaves_that_are_not_there)
{
    tree_t *tree = ct_tree_new();
    merkle_path_t path;
    cr_expect_eq(merkle_inclusion(read_node, tree, 0, 0, &path), BUS_VALIDATION_FAILED);
    cr_expect_eq(merkle_inclusion(read_node, tree, 8, 8, &path), BUS_VALIDATION_FAILED);
    cr_expect_eq(merkle_inclusion(read_node, tree, UINT64_MAX, 8, &path), BUS_VALIDATION_FAILED);
    cr_expect_eq(merkle_consistency(read_node, tree, 8, 7, &path), BUS_VALIDATION_FAILED);
    free(tree);
}

static bus_err_t
read_nothing(void *arg, unsigned level, uint64_t index, merkle_hash_t *ret_hash)
{
    unsigned *left = arg;
    (void) level;
    (void) index;
    *ret_hash = (merkle_hash_t){.bytes = {0}};
    return (*left)-- == 0 ? BUS_CORRUPT : BUS_OK;
}

Test(merkle, ends_with_what_its_reader_returned)
{
    for (unsigned readable = 0; readable < 3; readable++) {
        merkle_hash_t root;
        merkle_path_t path;
        unsigned left = readable;
        cr_expect_eq(merkle_root(read_nothing, &left, 15, &root), BUS_CORRUPT);
        left = readable;
        cr_expect_eq(merkle_inclusion(read_nothing, &left, 3, 15, &path), BUS_CORRUPT);
        left = readable;
        cr_expect_eq(merkle_consistency(read_nothing, &left, 7, 15, &path), BUS_CORRUPT);
    }
}

// A tree whose nodes are all made up: what counts is that the arithmetic holds at its end.
static bus_err_t
read_far(void *arg, unsigned level, uint64_t index, merkle_hash_t *ret_hash)
{
    uint64_t size = *(uint64_t *) arg;
    cr_assert_lt(level, MERKLE_LEVELS_MAX);
    cr_assert_lt(index, size >> level, "level %u", level);
    uint64_t name[2] = {level, index};
    merkle_sha256(view_from(name, sizeof(name)), ret_hash);
    return BUS_OK;
}

Test(merkle, keeps_counting_at_the_largest_sizes)
{
    static const uint64_t sizes[] = {
        UINT64_MAX, UINT64_MAX - 1, 1ull << 63, (1ull << 63) + 1, (1ull << 63) - 1, 1ull << 40};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint64_t size = sizes[i];
        merkle_hash_t root;
        merkle_path_t path;
        cr_assert_eq(merkle_root(read_far, &size, size, &root), BUS_OK);
        // The last leaf of such a tree is a left subtree's neighbour at each level that has one, so
        // its made-up siblings do lead to the made-up root.
        merkle_hash_t leaf;
        cr_assert_eq(read_far(&size, 0, size - 1, &leaf), BUS_OK);
        cr_assert_eq(merkle_inclusion(read_far, &size, size - 1, size, &path), BUS_OK);
        cr_assert_leq(path.count, MERKLE_LEVELS_MAX);
        if (size % 2 == 1) {
            cr_assert(merkle_verify_inclusion(&leaf, size - 1, size, &path, &root));
            cr_assert_not(merkle_verify_inclusion(&leaf, size - 2, size, &path, &root));
        }
        cr_assert_eq(merkle_inclusion(read_far, &size, 0, size, &path), BUS_OK);
        cr_assert_leq(path.count, MERKLE_LEVELS_MAX);
        cr_assert_eq(merkle_consistency(read_far, &size, size - 1, size, &path), BUS_OK);
        cr_assert_eq(merkle_consistency(read_far, &size, 1, size, &path), BUS_OK);
        merkle_path_t long_path = {.count = MERKLE_PATH_MAX + 1};
        cr_assert_not(merkle_verify_inclusion(&leaf, 0, size, &long_path, &root));
    }
}

Test(merkle, verifies_garbage_without_a_wrong_step)
{
    uint64_t state = 20;
    for (unsigned round = 0; round < 20000; round++) {
        merkle_path_t path;
        path.count = (uint32_t) (next_random(&state) % 70);
        for (uint32_t i = 0; i < path.count; i++) {
            memset(&path.hashes[i], (int) i, sizeof(path.hashes[i]));
        }
        unsigned shift = (unsigned) (next_random(&state) % 64);
        merkle_head_t from = {.size = next_random(&state) >> shift};
        merkle_head_t to = {.size = next_random(&state) >> shift, .root = {.bytes = {1}}};
        cr_assert_not(merkle_verify_consistency(&from, &to, &path));
        cr_assert_not(merkle_verify_inclusion(&from.root, from.size, to.size, &path, &to.root));
    }
}
