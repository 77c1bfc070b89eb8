// audit_test.c - the audit log: its bytes, its tree, its proofs, and what is undone or damaged.
#include "bucket/audit.h"
#include "help.h"
#include <criterion/criterion.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

enum { SIZE_MAX_TRIED = 200 };

static help_t *help;

static void
setup(void)
{
    help = help_new();
}

static void
teardown(void)
{
    help_destroy(&help);
}

TestSuite(audit, .init = setup, .fini = teardown);

static bucket_audit_place_t
add(service_apply_t *apply, const char *event_type, const char *product)
{
    const bucket_audit_t entry = {
        .event_type = event_type,
        .operation = "artifact_write",
        .product = view_from_text(product),
    };
    bucket_audit_place_t place;
    cr_assert_eq(bucket_audit_add(apply, &entry, &place), BUS_OK);
    return place;
}

// Adds the entry of one record, and of every seventh record two.
static void
add_record(void)
{
    service_apply_t apply = help_record(help, "bucket.test", NULL);
    (void) add(&apply, "write", "gurukul");
    if (help->seq % 7 == 0) {
        (void) add(&apply, "error", NULL);
    }
}

static void
add_records(unsigned count)
{
    help_begin(help);
    for (unsigned i = 0; i < count; i++) {
        add_record();
    }
    help_commit(help);
}

static store_txn_t *
begin(void)
{
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(help->store, STORE_READ, &txn), BUS_OK);
    return txn;
}

// --- An independent model: RFC 9162 2.1.1, as it is written there --------------------------------

typedef struct {
    uint8_t bytes[SHA256_DIGEST_LENGTH];
} model_hash_t;

static model_hash_t
model_leaf(bus_view_t leaf)
{
    model_hash_t hash;
    uint8_t *bytes = malloc(leaf.size + 1);
    bytes[0] = 0;
    memcpy(bytes + 1, leaf.data, leaf.size);
    SHA256(bytes, leaf.size + 1, hash.bytes);
    free(bytes);
    return hash;
}

static model_hash_t
model_root(const model_hash_t *leaves, size_t count)
{
    model_hash_t hash;
    if (count == 0) {
        SHA256((const uint8_t *) "", 0, hash.bytes);
        return hash;
    }
    if (count == 1) {
        return leaves[0];
    }
    size_t split = 1;
    while (split * 2 < count) {
        split *= 2;
    }
    uint8_t bytes[1 + 2 * SHA256_DIGEST_LENGTH] = {1};
    model_hash_t left = model_root(leaves, split);
    model_hash_t right = model_root(leaves + split, count - split);
    memcpy(bytes + 1, left.bytes, sizeof left.bytes);
    memcpy(bytes + 1 + sizeof left.bytes, right.bytes, sizeof right.bytes);
    SHA256(bytes, sizeof bytes, hash.bytes);
    return hash;
}

// The hashes of the leaves that the store has.
static size_t
model_leaves(store_txn_t *txn, model_hash_t *leaves, size_t count_max)
{
    uint64_t size = 0;
    cr_assert_eq(bucket_audit_size(txn, &size), BUS_OK);
    cr_assert_leq(size, count_max);
    for (uint64_t i = 0; i < size; i++) {
        bus_view_t leaf;
        cr_assert_eq(bucket_audit_leaf(txn, i, &leaf), BUS_OK);
        leaves[i] = model_leaf(leaf);
    }
    return size;
}

static merkle_hash_t
root_of(store_txn_t *txn, uint64_t size)
{
    merkle_hash_t root;
    cr_assert_eq(merkle_root(bucket_audit_node, txn, size, &root), BUS_OK);
    return root;
}

// --- Bytes ---------------------------------------------------------------------------------------

static void
expect_leaf(uint64_t index, const char *hex)
{
    store_txn_t *txn = begin();
    bus_view_t leaf;
    cr_assert_eq(bucket_audit_leaf(txn, index, &leaf), BUS_OK);
    char found[1024] = "";
    for (size_t i = 0; i < leaf.size && 2 * i + 2 < sizeof found; i++) {
        snprintf(found + 2 * i, 3, "%02x", (unsigned char) leaf.data[i]);
    }
    cr_expect_str_eq(found, hex);
    store_rollback(&txn);
}

// As Python's msgpack packs {"v": 1, "audit_id": "audit_7", …}.
Test(audit, packs_an_entry_into_these_bytes)
{
    help->seq = 6;
    help_begin(help);
    service_apply_t apply = help_record(help, "bucket.artifact_write", "{\"n\":1}");
    merkle_hash_t hash;
    merkle_sha256(view_from("", 0), &hash);
    bucket_audit_t entry = {
        .event_type = "write",
        .operation = "artifact_write",
        .product = VIEW_LITERAL("gurukul"),
        .requester_id = VIEW_LITERAL("core"),
        .subject = VIEW_LITERAL("a-1"),
        .content_hash = &hash,
        .details = apply.body,
    };
    bucket_audit_place_t place;
    cr_assert_eq(bucket_audit_add(&apply, &entry, &place), BUS_OK);
    cr_expect_str_eq(place.audit_id, "audit_7");
    cr_expect_eq(place.leaf_index, 0);
    static const uint8_t first_hash[] = {0xf9, 0xc1, 0xdf, 0x52, 0xa8, 0x0c, 0xe9, 0xf7,
                                         0x58, 0x59, 0x92, 0x70, 0xc6, 0x59, 0xbc, 0xc1,
                                         0xf6, 0x13, 0x59, 0xa6, 0xc9, 0x57, 0xcc, 0xd6,
                                         0xca, 0x8a, 0x3b, 0x1b, 0xc7, 0x1f, 0x68, 0xbf};
    cr_expect_arr_eq(place.hash.bytes, first_hash, sizeof first_hash);
    entry = (bucket_audit_t){
        .event_type = "error",
        .operation = "x",
        .is_refused = true,
        .rule = "r",
        .err = BUS_UNAUTHORIZED_ACCESS,
    };
    cr_assert_eq(bucket_audit_add(&apply, &entry, &place), BUS_OK);
    cr_expect_str_eq(place.audit_id, "audit_7.1");
    cr_expect_eq(place.leaf_index, 1);
    help_commit(help);
    expect_leaf(0,
                "de0010a17601a861756469745f6964a761756469745f37a373657107a26174cf0006474846204000"
                "aa6576656e745f74797065a57772697465a96f7065726174696f6eae61727469666163745f777269"
                "7465a770726f64756374a7677572756b756cac7265717565737465725f6964a4636f7265a6736f75"
                "726365a57465737473a874726163655f6964a774726163652d31a86465636973696f6ea7616c6c6f"
                "776564a472756c65a8636f6e7472616374a87365766572697479a4494e464fa77375626a656374a3"
                "612d31ac636f6e74656e745f68617368d94065336230633434323938666331633134396166626634"
                "6338393936666239323432376165343165343634396239333463613439353939316237383532623835"
                "35a764657461696c7381a16e01");
    expect_leaf(1,
                "8da17601a861756469745f6964a961756469745f372e31a373657107a26174cf0006474846204000"
                "aa6576656e745f74797065a56572726f72a96f7065726174696f6ea178ac7265717565737465725f"
                "6964a57465737473a6736f75726365a57465737473a874726163655f6964a774726163652d31a864"
                "65636973696f6ea772656675736564a472756c65a172aa6572726f725f636f6465b3554e41555448"
                "4f52495a45445f414343455353a87365766572697479a75741524e494e47");
}

Test(audit, answers_the_decision_its_rule_and_its_id)
{
    help_begin(help);
    service_apply_t apply = help_record(help, "bucket.test", NULL);
    const bucket_audit_t entry = {.event_type = "read",
                                  .operation = "read",
                                  .is_refused = true,
                                  .rule = "r",
                                  .err = BUS_FORBIDDEN};
    bucket_audit_place_t place;
    cr_assert_eq(bucket_audit_add(&apply, &entry, &place), BUS_OK);
    pack_map(help->packed, 3);
    bucket_audit_answer(help->packed, &entry, &place);
    help_commit(help);
    cr_expect_str_eq(help_value(help, "decision"), "\"refused\"");
    cr_expect_str_eq(help_value(help, "rule"), "\"r\"");
    cr_expect_str_eq(help_value(help, "audit_id"), "\"audit_1\"");
}

// --- The tree ------------------------------------------------------------------------------------

Test(audit, has_the_root_that_the_rfc_defines_at_every_size)
{
    model_hash_t leaves[SIZE_MAX_TRIED + 2];
    for (unsigned i = 0; i < SIZE_MAX_TRIED / 2; i++) {
        store_txn_t *txn = begin();
        size_t size = model_leaves(txn, leaves, SIZE_MAX_TRIED);
        cr_expect_eq(size, help->state.tree.size);
        model_hash_t wanted = model_root(leaves, size);
        merkle_hash_t root = root_of(txn, size);
        cr_assert_arr_eq(root.bytes, wanted.bytes, sizeof wanted.bytes, "size %zu", size);
        store_rollback(&txn);
        add_records(1);
    }
}

Test(audit, proves_every_leaf_and_every_older_log_at_every_size)
{
    add_records(SIZE_MAX_TRIED * 7 / 8);
    store_txn_t *txn = begin();
    model_hash_t leaves[SIZE_MAX_TRIED];
    uint64_t all = model_leaves(txn, leaves, SIZE_MAX_TRIED);
    cr_assert_eq(all, SIZE_MAX_TRIED);
    merkle_path_t path;
    for (uint64_t size = 1; size <= all; size++) {
        merkle_head_t head = {.size = size, .root = root_of(txn, size)};
        model_hash_t wanted = model_root(leaves, size);
        cr_assert_arr_eq(head.root.bytes, wanted.bytes, sizeof wanted.bytes, "size %zu", size);
        for (uint64_t index = 0; index < size; index++) {
            merkle_hash_t leaf;
            memcpy(leaf.bytes, leaves[index].bytes, sizeof leaf.bytes);
            cr_assert_eq(merkle_inclusion(bucket_audit_node, txn, index, size, &path), BUS_OK);
            cr_assert(merkle_verify_inclusion(&leaf, index, size, &path, &head.root));
        }
        for (uint64_t from = 0; from <= size; from++) {
            merkle_head_t older = {.size = from, .root = root_of(txn, from)};
            cr_assert_eq(merkle_consistency(bucket_audit_node, txn, from, size, &path), BUS_OK);
            cr_assert(merkle_verify_consistency(&older, &head, &path));
        }
    }
    store_rollback(&txn);
}

Test(audit, is_the_same_after_a_batch_was_undone_and_after_a_restart)
{
    add_records(37);
    merkle_hash_t before[MERKLE_LEVELS_MAX];
    memcpy(before, help->state.tree.lefts, sizeof before);
    uint64_t size = help->state.tree.size;
    uint64_t seq = help->seq;
    help_begin(help);
    for (unsigned i = 0; i < 50; i++) {
        add_record();
    }
    help_undo(help);
    cr_assert_eq(help->state.tree.size, size);
    for (unsigned level = 0; size >> level != 0; level++) {
        if (size >> level & 1) {
            cr_expect(merkle_equal(&before[level], &help->state.tree.lefts[level]));
        }
    }
    help->seq = seq;
    add_records(20);
    help_reopen(help);
    add_records(13);
    // The same records in one go give the same log.
    help_t *straight = help_new();
    help_t *other = help;
    help = straight;
    add_records(70);
    help = other;
    cr_assert_eq(straight->state.tree.size, help->state.tree.size);
    store_txn_t *mine = begin();
    merkle_hash_t root = root_of(mine, help->state.tree.size);
    store_rollback(&mine);
    cr_assert_eq(store_begin(straight->store, STORE_READ, &mine), BUS_OK);
    merkle_hash_t wanted = root_of(mine, straight->state.tree.size);
    store_rollback(&mine);
    cr_expect(merkle_equal(&root, &wanted));
    help_destroy(&straight);
}

Test(audit, reads_its_edge_again_where_that_is_in_doubt)
{
    add_records(21);
    uint64_t size = help->state.tree.size;
    bucket_audit_doubt(&help->state.tree);
    add_records(1);
    cr_expect_eq(help->state.tree.size, size + 1);
}

// --- Finding -------------------------------------------------------------------------------------

Test(audit, finds_an_entry_by_its_id_and_nothing_by_another)
{
    add_records(20);
    store_txn_t *txn = begin();
    uint64_t index = 99;
    cr_assert_eq(bucket_audit_find(txn, VIEW_LITERAL("audit_1"), &index), BUS_OK);
    cr_expect_eq(index, 0);
    cr_assert_eq(bucket_audit_find(txn, VIEW_LITERAL("audit_7"), &index), BUS_OK);
    cr_expect_eq(index, 6);
    cr_assert_eq(bucket_audit_find(txn, VIEW_LITERAL("audit_7.1"), &index), BUS_OK);
    cr_expect_eq(index, 7);
    cr_assert_eq(bucket_audit_find(txn, VIEW_LITERAL("audit_20"), &index), BUS_OK);
    cr_expect_eq(index, 21);
    static const char *const none[] = {"audit_0",
                                       "audit_21",
                                       "audit_7.2",
                                       "audit_8.1",
                                       "audit_20.1",
                                       "audit_7.0",
                                       "audit_07",
                                       "audit_7.01",
                                       "audit_7.",
                                       "audit_",
                                       "audit_7 ",
                                       "audit_-7",
                                       "Audit_7",
                                       "",
                                       "audit_7x",
                                       "7",
                                       "audit_7.1.1",
                                       "audit_18446744073709551615",
                                       "audit_18446744073709551623",
                                       "audit_7.18446744073709551616"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        bus_err_t err = bucket_audit_find(txn, view_from_text(none[i]), &index);
        cr_expect_eq(err, BUS_AUDIT_ENTRY_NOT_FOUND, "%s", none[i]);
    }
    store_rollback(&txn);
}

// --- Truncation ----------------------------------------------------------------------------------

// Takes the last leaf away, with all the nodes that it completes.
static void
remove_leaf(uint64_t index)
{
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(help->store, STORE_WRITE, &txn), BUS_OK);
    cr_assert_eq(store_del(txn, BUCKET_AUDIT, STORE_U64(index)), BUS_OK);
    for (unsigned level = 0;; level++) {
        uint64_t key = (uint64_t) level << 58 | index >> level;
        if (((index + 1) & ((UINT64_C(1) << level) - 1)) != 0) {
            break;
        }
        cr_assert_eq(store_del(txn, BUCKET_NODES, STORE_U64(key)), BUS_OK);
    }
    cr_assert_eq(store_commit(&txn), BUS_OK);
}

Test(audit, cannot_lose_its_last_entry_without_an_older_head_telling)
{
    for (unsigned records = 1; records <= 40; records++) {
        add_records(1);
        store_txn_t *txn = begin();
        uint64_t size = help->state.tree.size;
        const merkle_head_t kept = {.size = size, .root = root_of(txn, size)};
        store_rollback(&txn);
        uint64_t seq = help->seq;
        remove_leaf(size - 1);
        store_txn_t *write = NULL;
        cr_assert_eq(store_begin(help->store, STORE_WRITE, &write), BUS_OK);
        cr_assert_eq(store_del(write, BUCKET_AUDIT_SEQS, STORE_U64(seq)), BUS_OK);
        cr_assert_eq(store_commit(&write), BUS_OK);
        help_reopen(help);
        cr_assert_eq(help->state.tree.size, size - 1);
        // A shorter log has no proof at all from the head that somebody kept.
        txn = begin();
        merkle_path_t path;
        bus_err_t err = merkle_consistency(bucket_audit_node, txn, size, size - 1, &path);
        cr_expect_eq(err, BUS_VALIDATION_FAILED);
        store_rollback(&txn);
        // Another entry in its place makes it as long, and its proof does not verify.
        add_records(1);
        add_records(3);
        txn = begin();
        merkle_head_t now = {.size = help->state.tree.size};
        now.root = root_of(txn, now.size);
        cr_assert_gt(now.size, size);
        cr_assert_eq(merkle_consistency(bucket_audit_node, txn, size, now.size, &path), BUS_OK);
        cr_expect_not(merkle_verify_consistency(&kept, &now, &path), "size %zu", size);
        store_rollback(&txn);
    }
}
