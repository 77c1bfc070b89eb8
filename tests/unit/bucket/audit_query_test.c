// audit_query_test.c - what the audit log lists, proves, signs and finds wrong.
#include "bucket/audit.h"
#include "bucket/audit_entry.h"
#include "bucket/audit_query.h"
#include "bucket/keys.h"
#include "help.h"
#include "proto/note.h"
#include "proto/walk.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { ENTRIES = 40 };

static help_t *help;

// Leaf i: product gurukul or none, write or read, every tenth refused with a warning.
static void
setup(void)
{
    help = help_new();
    help_begin(help);
    for (unsigned i = 0; i < ENTRIES; i++) {
        service_apply_t apply = help_record(help, "bucket.test", NULL);
        const bucket_audit_t entry = {
            .event_type = i % 2 == 0 ? "write" : "read",
            .operation = "test",
            .product = i % 4 == 0 ? VIEW_LITERAL("gurukul") : VIEW_NONE,
            .is_refused = i % 10 == 9,
            .err = i % 10 == 9 ? BUS_FORBIDDEN : BUS_OK,
        };
        bucket_audit_place_t place;
        cr_assert_eq(bucket_audit_add(&apply, &entry, &place), BUS_OK);
    }
    help_commit(help);
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(help->store, STORE_WRITE, &txn), BUS_OK);
    const service_options_t options = {.dir = help->folder, .rebuild = true};
    cr_assert_eq(bucket_keys_open(&options, txn, &help->state.keys), BUS_OK);
    store_rollback(&txn);
}

static void
teardown(void)
{
    bucket_keys_close(&help->state.keys);
    help_destroy(&help);
}

TestSuite(audit_query, .init = setup, .fini = teardown);

static bus_err_t
ask(help_query_fn *fn, const schema_t *schema, const char *json)
{
    return help_ask(help, fn, schema, json);
}

// --- The log -------------------------------------------------------------------------------------

// Asks for a page; compares its leaf indexes with "0 4 8" and so on, and `next`.
static void
expect_log(const char *json, const char *indexes, int64_t next)
{
    cr_assert_eq(ask(bucket_audit_query_log, &SCHEMA_audit_log_query, json), BUS_OK);
    char found[400] = "";
    bus_view_t entries;
    cr_assert_eq(walk_find(pack_view(help->packed), "entries", &entries), BUS_OK);
    walk_t walk = walk_from(entries);
    walk_item_t head;
    cr_assert_eq(walk_next(&walk, &head), BUS_OK);
    for (uint32_t i = 0; i < head.count; i++) {
        bus_view_t entry, value;
        uint64_t index;
        cr_assert_eq(walk_skip(&walk, &entry), BUS_OK);
        cr_assert_eq(walk_find(entry, "leaf_index", &value), BUS_OK);
        cr_assert_eq(walk_as_uint(value, &index), BUS_OK);
        size_t used = strlen(found);
        snprintf(found + used, sizeof found - used, "%s%u", i == 0 ? "" : " ", (unsigned) index);
    }
    cr_expect_str_eq(found, indexes, "%s: %s", json, found);
    char wanted[32];
    snprintf(wanted, sizeof wanted, "%lld", (long long) next);
    cr_expect_str_eq(help_value(help, "next"), wanted, "%s", json);
}

Test(audit_query, lists_the_last_entries_oldest_first)
{
    expect_log("{\"limit\":3}", "37 38 39", 39);
    expect_log("{\"limit\":2,\"product\":\"gurukul\"}", "32 36", 36);
    expect_log("{\"limit\":2,\"event_type\":\"read\"}", "37 39", 39);
    expect_log("{\"limit\":2,\"severity\":\"WARNING\"}", "29 39", 39);
    expect_log("{\"limit\":2,\"severity\":\"INFO\"}", "37 38", 38);
    expect_log("{\"product\":\"nobody\"}", "", -1);
}

Test(audit_query, pages_from_the_first_entry_to_the_last)
{
    expect_log("{\"after\":-1,\"limit\":3}", "0 1 2", 2);
    expect_log("{\"after\":2,\"limit\":3}", "3 4 5", 5);
    expect_log("{\"after\":-1,\"limit\":2,\"product\":\"gurukul\"}", "0 4", 4);
    expect_log("{\"after\":4,\"limit\":2,\"product\":\"gurukul\"}", "8 12", 12);
    expect_log("{\"after\":30,\"product\":\"gurukul\"}", "32 36", 36);
    expect_log("{\"after\":39}", "", 39);
    expect_log("{\"after\":9223372036854775807}", "", INT64_MAX);
}

// Few fit, and far back: nobody must take a page that gave up for all there is.
Test(audit_query, says_where_it_stopped_looking)
{
    enum { MANY = 50000 };
    static const char wanted[] = "{\"product\":\"gurukul\",\"event_type\":\"error\"}";
    help_begin(help);
    for (unsigned i = 0; i < MANY; i++) {
        service_apply_t apply = help_record(help, "bucket.test", NULL);
        const bucket_audit_t entry = {.event_type = i == 0 ? "error" : "read",
                                      .operation = "test",
                                      .product = VIEW_LITERAL("gurukul")};
        bucket_audit_place_t place;
        cr_assert_eq(bucket_audit_add(&apply, &entry, &place), BUS_OK);
        if (i == 1000) {
            help_commit(help);
            expect_log(wanted, "40", 40);
            cr_expect_str_eq(help_value(help, "searched_from"), "", "it looked at all of them");
            help_begin(help);
        }
    }
    for (unsigned i = 0; i < 2; i++) { // and now too many
        service_apply_t apply = help_record(help, "bucket.test", NULL);
        const bucket_audit_t entry = {
            .event_type = "read", .operation = "test", .product = VIEW_LITERAL("gurukul")};
        bucket_audit_place_t place;
        cr_assert_eq(bucket_audit_add(&apply, &entry, &place), BUS_OK);
    }
    help_commit(help);
    expect_log(wanted, "", -1);
    cr_expect_str_eq(help_value(help, "searched_from"), "42");
}

Test(audit_query, cuts_a_page_at_three_mebibytes)
{
    enum { LARGE = 1000, MEBIBYTES = 3 * 1024 * 1024 };
    BUS_AUTO(pack_destroy) pack_t *details = pack_new();
    char *pad = calloc(1, 3000);
    memset(pad, 'x', 2999);
    pack_map(details, 1);
    pack_pair_text(details, "pad", pad);
    free(pad);
    help_begin(help);
    for (unsigned i = 0; i < LARGE; i++) {
        service_apply_t apply = help_record(help, "bucket.test", NULL);
        const bucket_audit_t entry = {
            .event_type = "read", .operation = "test", .details = pack_view(details)};
        bucket_audit_place_t place;
        cr_assert_eq(bucket_audit_add(&apply, &entry, &place), BUS_OK);
    }
    help_commit(help);
    const char *const pages[] = {"{\"limit\":1000}", "{\"limit\":1000,\"after\":39}"};
    for (size_t i = 0; i < 2; i++) {
        cr_assert_eq(ask(bucket_audit_query_log, &SCHEMA_audit_log_query, pages[i]), BUS_OK);
        size_t size = pack_view(help->packed).size;
        cr_expect(size <= MEBIBYTES && size > MEBIBYTES - 30000, "%s: %zu", pages[i], size);
    }
}

Test(audit_query, lists_what_fits_all_filters)
{
    expect_log("{\"product\":\"gurukul\",\"event_type\":\"read\"}", "", -1);
    expect_log("{\"severity\":\"WARNING\",\"event_type\":\"read\",\"limit\":2}", "29 39", 39);
    expect_log("{\"severity\":\"WARNING\",\"event_type\":\"write\"}", "", -1);
    expect_log("{\"severity\":\"INFO\",\"product\":\"gurukul\",\"limit\":1}", "36", 36);
}

Test(audit_query, shows_an_entry_as_it_is)
{
    cr_assert_eq(ask(bucket_audit_query_log, &SCHEMA_audit_log_query, "{\"after\":8,\"limit\":1}"),
                 BUS_OK);
    cr_expect_str_eq(
        help_text(help->answer),
        "{\"entries\":[{\"leaf_index\":9,\"logged_at\":\"2026-01-01T00:00:00.000000Z\","
        "\"v\":1,\"audit_id\":\"audit_10\",\"seq\":10,\"at\":1767225600000000,"
        "\"event_type\":\"read\",\"operation\":\"test\",\"requester_id\":\"tests\","
        "\"source\":\"tests\",\"trace_id\":\"trace-1\",\"decision\":\"refused\","
        "\"rule\":\"contract\",\"error_code\":\"FORBIDDEN\",\"severity\":\"WARNING\"}],"
        "\"count\":1,\"next\":9}");
}

Test(audit_query, says_of_a_damaged_entry_that_it_is)
{
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(help->store, STORE_WRITE, &txn), BUS_OK);
    cr_assert_eq(store_put(txn, BUCKET_AUDIT, STORE_U64(UINT64_C(5)), VIEW_LITERAL("\x80")),
                 BUS_OK);
    cr_assert_eq(store_commit(&txn), BUS_OK);
    expect_log("{\"after\":3,\"limit\":3}", "4 5 6", 6);
    cr_expect(strstr(help_text(help->answer),
                     "{\"leaf_index\":5,\"error_code\":\"INTEGRITY_ERROR\"}") != NULL);
    bus_err_t err =
        ask(bucket_audit_query_entry, &SCHEMA_audit_id_query, "{\"audit_id\":\"audit_6\"}");
    cr_expect_eq(err, BUS_CORRUPT);
    err = ask(bucket_audit_query_receipt, &SCHEMA_audit_id_query, "{\"audit_id\":\"audit_6\"}");
    cr_expect_eq(err, BUS_CORRUPT);
    cr_assert_eq(ask(bucket_audit_query_verify, &SCHEMA_audit_pages_query, "{}"), BUS_OK);
    cr_expect(strstr(help_text(help->answer), "\"bad\":[{\"leaf_index\":5,") != NULL);
}

// --- One entry, pages ----------------------------------------------------------------------------

// A base64 text of the answer as bytes.
static size_t
bytes_at(const char *path, uint8_t *bytes, size_t size_max)
{
    bus_view_t value, text;
    size_t size = 0;
    cr_assert_eq(walk_find_path(pack_view(help->packed), path, &value), BUS_OK, "%s", path);
    cr_assert_eq(walk_as_str(value, &text), BUS_OK);
    cr_assert_eq(note_unbase64(text, bytes, size_max, &size), BUS_OK);
    return size;
}

Test(audit_query, gives_an_entry_whose_bytes_hash_to_its_leaf)
{
    cr_assert_eq(
        ask(bucket_audit_query_entry, &SCHEMA_audit_id_query, "{\"audit_id\":\"audit_10\"}"),
        BUS_OK);
    uint8_t leaf[1024];
    merkle_hash_t hash, made;
    size_t size = bytes_at("leaf", leaf, sizeof leaf);
    cr_assert_eq(bytes_at("leaf_hash", hash.bytes, sizeof hash.bytes), sizeof hash.bytes);
    merkle_leaf(view_from(leaf, size), &made);
    cr_expect(merkle_equal(&hash, &made));
    cr_expect_str_eq(help_value(help, "leaf_index"), "9");
    cr_expect_str_eq(help_value(help, "entry.decision"), "\"refused\"");
    bus_err_t err =
        ask(bucket_audit_query_entry, &SCHEMA_audit_id_query, "{\"audit_id\":\"audit_10.1\"}");
    cr_expect_eq(err, BUS_AUDIT_ENTRY_NOT_FOUND);
}

Test(audit_query, gives_all_leaves_in_pages_that_make_the_root)
{
    merkle_hash_t lefts[MERKLE_LEVELS_MAX], nodes[MERKLE_LEVELS_MAX];
    unsigned from = 0;
    while (from < ENTRIES) {
        char json[64];
        snprintf(json, sizeof json, "{\"from\":%u,\"limit\":7}", from);
        cr_assert_eq(ask(bucket_audit_query_leaves, &SCHEMA_audit_pages_query, json), BUS_OK);
        bus_view_t leaves;
        cr_assert_eq(walk_find(pack_view(help->packed), "leaves", &leaves), BUS_OK);
        walk_t walk = walk_from(leaves);
        walk_item_t head;
        cr_assert_eq(walk_next(&walk, &head), BUS_OK);
        for (uint32_t i = 0; i < head.count; i++) {
            bus_view_t item, value, text;
            cr_assert_eq(walk_skip(&walk, &item), BUS_OK);
            cr_assert_eq(walk_find(item, "leaf", &value), BUS_OK);
            cr_assert_eq(walk_as_str(value, &text), BUS_OK);
            uint8_t bytes[1024];
            size_t size = 0;
            cr_assert_eq(note_unbase64(text, bytes, sizeof bytes, &size), BUS_OK);
            merkle_hash_t hash;
            merkle_leaf(view_from(bytes, size), &hash);
            unsigned count = merkle_append(from, &hash, lefts, nodes);
            lefts[count - 1] = nodes[count - 1];
            from++;
        }
        cr_expect_eq(atoi(help_value(help, "next")), (int) from);
        cr_expect_str_eq(help_value(help, "tree_size"), "40");
    }
    cr_assert_eq(ask(bucket_audit_query_leaves, &SCHEMA_audit_pages_query, "{\"from\":99}"),
                 BUS_OK);
    cr_expect_str_eq(help_value(help, "leaves"), "[]");
    cr_expect_str_eq(help_value(help, "next"), "99");
    // 40 leaves are 32 and 8.
    merkle_hash_t root, wanted;
    merkle_node(&lefts[5], &lefts[3], &root);
    cr_assert_eq(ask(bucket_audit_query_checkpoint, NULL, "{}"), BUS_OK);
    cr_assert_eq(bytes_at("root", wanted.bytes, sizeof wanted.bytes), sizeof wanted.bytes);
    cr_expect(merkle_equal(&root, &wanted));
}

Test(audit_query, finds_nothing_wrong_with_a_clean_log)
{
    cr_assert_eq(ask(bucket_audit_query_verify, &SCHEMA_audit_pages_query, "{\"limit\":30}"),
                 BUS_OK);
    cr_expect_str_eq(help_text(help->answer),
                     "{\"bad\":[],\"from\":0,\"next\":30,\"tree_size\":40,\"checked\":30}");
    cr_assert_eq(ask(bucket_audit_query_verify, &SCHEMA_audit_pages_query, "{\"from\":30}"),
                 BUS_OK);
    cr_expect_str_eq(help_text(help->answer),
                     "{\"bad\":[],\"from\":30,\"next\":40,\"tree_size\":40,\"checked\":10}");
}

// --- Proofs --------------------------------------------------------------------------------------

static void
read_path(merkle_path_t *ret_path)
{
    bus_view_t array;
    cr_assert_eq(walk_find(pack_view(help->packed), "path", &array), BUS_OK);
    walk_t walk = walk_from(array);
    walk_item_t item;
    cr_assert_eq(walk_next(&walk, &item), BUS_OK);
    ret_path->count = item.count;
    for (uint32_t i = 0; i < ret_path->count; i++) {
        size_t size = 0;
        cr_assert_eq(walk_next(&walk, &item), BUS_OK);
        cr_assert_eq(
            note_unbase64(
                item.bytes, ret_path->hashes[i].bytes, sizeof ret_path->hashes[i].bytes, &size),
            BUS_OK);
        cr_assert_eq(size, sizeof ret_path->hashes[i].bytes);
    }
}

static merkle_hash_t
root_of(uint64_t size)
{
    store_txn_t *txn = NULL;
    merkle_hash_t root;
    cr_assert_eq(store_begin(help->store, STORE_READ, &txn), BUS_OK);
    cr_assert_eq(merkle_root(bucket_audit_node, txn, size, &root), BUS_OK);
    store_rollback(&txn);
    return root;
}

Test(audit_query, proves_an_entry_in_every_tree_that_has_it)
{
    merkle_hash_t leaf;
    cr_assert_eq(
        ask(bucket_audit_query_entry, &SCHEMA_audit_id_query, "{\"audit_id\":\"audit_10\"}"),
        BUS_OK);
    (void) bytes_at("leaf_hash", leaf.bytes, sizeof leaf.bytes);
    for (unsigned size = 10; size <= ENTRIES; size++) {
        char json[80];
        snprintf(json, sizeof json, "{\"audit_id\":\"audit_10\",\"tree_size\":%u}", size);
        cr_assert_eq(ask(bucket_audit_query_inclusion, &SCHEMA_inclusion_query, json), BUS_OK);
        merkle_path_t path;
        read_path(&path);
        merkle_hash_t root = root_of(size);
        cr_expect(merkle_verify_inclusion(&leaf, 9, size, &path, &root));
    }
    bus_err_t err = ask(bucket_audit_query_inclusion,
                        &SCHEMA_inclusion_query,
                        "{\"audit_id\":\"audit_10\",\"tree_size\":9}");
    cr_expect_eq(err, BUS_VALIDATION_FAILED, "a tree before it");
    err = ask(bucket_audit_query_inclusion,
              &SCHEMA_inclusion_query,
              "{\"audit_id\":\"audit_10\",\"tree_size\":41}");
    cr_expect_eq(err, BUS_VALIDATION_FAILED, "a tree that is not yet");
    err = ask(bucket_audit_query_inclusion, &SCHEMA_inclusion_query, "{\"audit_id\":\"audit_41\"}");
    cr_expect_eq(err, BUS_AUDIT_ENTRY_NOT_FOUND);
}

Test(audit_query, proves_that_an_older_log_is_its_beginning)
{
    const merkle_head_t now = {.size = ENTRIES, .root = root_of(ENTRIES)};
    for (unsigned from = 0; from <= ENTRIES; from++) {
        char json[80];
        snprintf(json, sizeof json, "{\"from\":%u}", from);
        cr_assert_eq(ask(bucket_audit_query_consistency, &SCHEMA_consistency_query, json), BUS_OK);
        merkle_path_t path;
        read_path(&path);
        const merkle_head_t older = {.size = from, .root = root_of(from)};
        cr_expect(merkle_verify_consistency(&older, &now, &path));
    }
    static const char *const bad[] = {
        "{\"from\":41}", "{\"from\":5,\"to\":4}", "{\"from\":5,\"to\":41}"};
    for (size_t i = 0; i < 3; i++) {
        bus_err_t err = ask(bucket_audit_query_consistency, &SCHEMA_consistency_query, bad[i]);
        cr_expect_eq(err, BUS_VALIDATION_FAILED, "%s", bad[i]);
        cr_expect(strstr(help_text(help->details), "more than") != NULL);
    }
}

Test(audit_query, gives_a_receipt_that_verifies_offline_for_a_refusal_too)
{
    cr_assert_eq(
        ask(bucket_audit_query_receipt, &SCHEMA_audit_id_query, "{\"audit_id\":\"audit_10\"}"),
        BUS_OK);
    bus_view_t value, receipt, vkey, signed_text;
    cr_assert_eq(walk_find(pack_view(help->packed), "receipt", &value), BUS_OK);
    cr_assert_eq(walk_as_str(value, &receipt), BUS_OK);
    cr_assert_eq(walk_find(pack_view(help->packed), "vkey", &value), BUS_OK);
    cr_assert_eq(walk_as_str(value, &vkey), BUS_OK);
    note_verifier_t verifier;
    note_proof_t proof;
    note_checkpoint_t checkpoint;
    size_t which;
    uint8_t leaf[1024];
    size_t size = 0;
    cr_assert_eq(note_verifier_parse(vkey, &verifier), BUS_OK);
    cr_assert_eq(note_proof_parse(receipt, &proof), BUS_OK);
    cr_assert_eq(note_open(proof.checkpoint, &verifier, 1, &signed_text, &which), BUS_OK);
    cr_assert_eq(note_checkpoint_parse(signed_text, &checkpoint), BUS_OK);
    cr_assert_eq(note_unbase64(proof.extra, leaf, sizeof leaf, &size), BUS_OK);
    merkle_hash_t hash;
    merkle_leaf(view_from(leaf, size), &hash);
    cr_expect(merkle_verify_inclusion(
        &hash, proof.index, checkpoint.head.size, &proof.path, &checkpoint.head.root));
    bucket_audit_entry_t entry;
    cr_assert_eq(bucket_audit_entry_read(view_from(leaf, size), &entry), BUS_OK);
    cr_expect(view_is(entry.decision, "refused"));
    leaf[size - 1] ^= 1;
    merkle_leaf(view_from(leaf, size), &hash);
    cr_expect_not(merkle_verify_inclusion(
        &hash, proof.index, checkpoint.head.size, &proof.path, &checkpoint.head.root));
}
