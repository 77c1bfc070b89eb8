// verification_test.c - the witness of the audit log: what it believes, and what it does not.
#include "help.h"
#include "kernel/verification_self.h"
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define NAME "bhiv.bucket/audit/test"
#define NOW UINT64_C(1767225600000000)

enum { LEAVES = 40 };

// A log that signs.
typedef struct {
    note_verifier_t verifier;
    uint8_t secret[NOTE_SECRET_SIZE];
    char vkey[NOTE_VKEY_SIZE];
    merkle_head_t heads[LEAVES + 1]; // of each size
    merkle_hash_t leaves[LEAVES];
} log_t;

static log_t honest;
static log_t forked; // another entry at 10, the same key
static kernel_verification_witness_t witness;
static kernel_verification_findings_t findings;
static text_t *note;

static void
make_log(log_t *self, uint64_t odd)
{
    merkle_tree_t tree = {.size = 0};
    merkle_tree_root(&tree, &self->heads[0].root);
    for (uint64_t i = 0; i < LEAVES; i++) {
        char leaf[32];
        snprintf(leaf, sizeof leaf, "%s %llu", i == odd ? "odd" : "leaf", (unsigned long long) i);
        merkle_leaf(view_from_text(leaf), &self->leaves[i]);
        merkle_tree_add(&tree, &self->leaves[i]);
        self->heads[i + 1].size = tree.size;
        merkle_tree_root(&tree, &self->heads[i + 1].root);
    }
}

static void
take_key(log_t *self, const char *name, unsigned char fill)
{
    unsigned char seed[crypto_sign_SEEDBYTES];
    uint8_t key[NOTE_KEY_SIZE];
    memset(seed, fill, sizeof seed);
    crypto_sign_seed_keypair(key, self->secret, seed);
    cr_assert_eq(note_verifier_make(view_from_text(name), key, &self->verifier), BUS_OK);
    note_verifier_format(&self->verifier, self->vkey);
}

static void
setup(void)
{
    cr_assert_geq(sodium_init(), 0);
    make_log(&honest, UINT64_MAX);
    make_log(&forked, 10);
    take_key(&honest, NAME, 1);
    take_key(&forked, NAME, 1);
    kernel_verification_witness_init(&witness);
    memset(&findings, 0, sizeof findings);
    note = text_new();
}

static void
teardown(void)
{
    kernel_verification_witness_clear(&witness);
    text_destroy(&note);
}

TestSuite(verification, .init = setup, .fini = teardown);

static bus_view_t
sign(const log_t *self, uint64_t size)
{
    BUS_AUTO(text_destroy) text_t *text = text_new();
    const note_checkpoint_t checkpoint = {.origin = view_from_text(self->verifier.name),
                                          .head = self->heads[size]};
    note_checkpoint_format(&checkpoint, text);
    text_clear(note);
    note_sign(text_view(text), &self->verifier, self->secret, note);
    return text_view(note);
}

static kernel_verification_told_t
judge(const log_t *self, uint64_t size)
{
    kernel_verification_told_t told;
    kernel_verification_witness_judge(
        &witness, sign(self, size), view_from_text(self->vkey), &told);
    return told;
}

static void
accept(const log_t *self, uint64_t size)
{
    kernel_verification_told_t told = judge(self, size);
    kernel_verification_witness_accept(&witness, &told, text_view(note), NOW + size);
}

// --- Judging -------------------------------------------------------------------------------------

Test(verification, believes_the_first_head_and_key_that_it_sees)
{
    kernel_verification_told_t told = judge(&honest, 5);
    cr_expect_eq(told.verdict, KERNEL_VERIFICATION_FIRST);
    cr_expect(told.is_new_key);
    cr_expect_eq(witness.head_count, 0, "judging keeps nothing");
    accept(&honest, 5);
    cr_expect_eq(witness.head_count, 1);
    cr_expect_eq(witness.first_at, NOW + 5);
    told = judge(&honest, 5);
    cr_expect_eq(told.verdict, KERNEL_VERIFICATION_SAME);
    cr_expect_not(told.is_new_key);
}

Test(verification, tells_a_longer_a_shorter_and_a_forked_log_apart)
{
    accept(&honest, 20);
    cr_expect_eq(judge(&honest, 21).verdict, KERNEL_VERIFICATION_LONGER);
    cr_expect_eq(judge(&honest, 19).verdict, KERNEL_VERIFICATION_SHORTER);
    cr_expect_eq(judge(&honest, 0).verdict, KERNEL_VERIFICATION_SHORTER);
    cr_expect_eq(judge(&forked, 20).verdict, KERNEL_VERIFICATION_FORKED);
    cr_expect_eq(judge(&forked, 30).verdict, KERNEL_VERIFICATION_LONGER, "its proof will fail");
}

Test(verification, believes_no_signature_but_by_the_keys_it_knows)
{
    accept(&honest, 20);
    bus_view_t vkey = view_from_text(honest.vkey);
    kernel_verification_told_t told;
    BUS_AUTO(text_destroy) text_t *changed = text_new();
    bus_view_t good = sign(&honest, 21);
    text_add(changed, good);
    char *bytes = (char *) (uintptr_t) text_view(changed).data;
    bytes[sizeof NAME + 1] ^= 1; // in the number of entries
    kernel_verification_witness_judge(&witness, text_view(changed), vkey, &told);
    cr_expect_eq(told.verdict, KERNEL_VERIFICATION_UNSIGNED);
    cr_expect_not_null(told.why);
    kernel_verification_witness_judge(&witness, VIEW_LITERAL(""), vkey, &told);
    cr_expect_eq(told.verdict, KERNEL_VERIFICATION_UNSIGNED);
    kernel_verification_witness_judge(&witness, VIEW_NONE, VIEW_NONE, &told);
    cr_expect_eq(told.verdict, KERNEL_VERIFICATION_UNSIGNED);

    log_t other = honest;
    take_key(&other, NAME, 2);
    told = judge(&other, 21);
    cr_expect_eq(told.verdict, KERNEL_VERIFICATION_LONGER);
    cr_expect(told.is_new_key, "it must be proved to be the log's");
    kernel_verification_witness_judge(&witness, sign(&other, 21), vkey, &told);
    cr_expect_eq(told.verdict, KERNEL_VERIFICATION_UNSIGNED, "and Bucket must name it");
    take_key(&other, "another.log", 2);
    told = judge(&other, 21);
    cr_expect_eq(told.verdict, KERNEL_VERIFICATION_UNSIGNED);
    cr_expect_not_null(strstr(told.why, "another log"));
}

Test(verification, knows_a_key_once_it_was_proved_and_the_old_one_too)
{
    accept(&honest, 20);
    log_t other = honest;
    take_key(&other, NAME, 2);
    accept(&other, 21);
    cr_expect_eq(witness.key_count, 2);
    cr_expect_not(judge(&other, 22).is_new_key);
    cr_expect_not(judge(&honest, 22).is_new_key);
}

// --- On disk -------------------------------------------------------------------------------------

static const store_table_t tables[] = {
    {"witness", STORE_KEYS_BYTES, false, "test"},
    {"heads", STORE_KEYS_UINT64, false, "test"},
};
static const kernel_verification_tables_t places = {.state = 0, .heads = 1};
static char folder[200];

static store_t *
open_store(void)
{
    store_t *store = NULL;
    const char *temporary = getenv("TMPDIR");
    if (folder[0] == '\0') {
        snprintf(
            folder, sizeof folder, "%s/witness-XXXXXX", temporary == NULL ? "/tmp" : temporary);
        cr_assert_not_null(mkdtemp(folder));
    }
    const store_options_t options = {
        .path = folder, .tables = tables, .table_count = 2, .size_max = 64 << 20};
    cr_assert_eq(store_open(&options, &store), BUS_OK);
    return store;
}

static void
save(store_t *store)
{
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(store, STORE_WRITE, &txn), BUS_OK);
    cr_assert_eq(kernel_verification_witness_save(&witness, &findings, &places, txn), BUS_OK);
    cr_assert_eq(store_commit(&txn), BUS_OK);
}

static void
load(store_t *store)
{
    store_txn_t *txn = NULL;
    kernel_verification_witness_clear(&witness);
    kernel_verification_witness_init(&witness);
    memset(&findings, 0, sizeof findings);
    cr_assert_eq(store_begin(store, STORE_READ, &txn), BUS_OK);
    cr_assert_eq(kernel_verification_witness_load(&witness, &findings, &places, txn), BUS_OK);
    store_rollback(&txn);
}

Test(verification, goes_on_after_a_restart_with_what_it_kept)
{
    store_t *store = open_store();
    load(store);
    cr_expect_eq(witness.head_count, 0, "a fresh store");
    for (uint64_t size = 5; size <= 30; size += 5) {
        accept(&honest, size);
        save(store);
    }
    kernel_verification_witness_refuse(&witness, sign(&forked, 30));
    kernel_verification_findings_add(&findings, KERNEL_VERIFICATION_LEAF, 7, NOW, "bad \xc3\xbc");
    kernel_verification_findings_add(
        &findings, KERNEL_VERIFICATION_HEAD, KERNEL_VERIFICATION_WHOLE, NOW, "worse");
    save(store);
    load(store);
    cr_expect_eq(witness.head_count, 6);
    cr_expect_eq(witness.key_count, 1);
    cr_expect_eq(witness.first_at, NOW + 5);
    cr_expect_eq(witness.heads[2].at, NOW + 15);
    cr_expect(merkle_equal(&witness.heads[2].head.root, &honest.heads[15].root));
    cr_expect_eq(judge(&honest, 30).verdict, KERNEL_VERIFICATION_SAME);
    cr_expect_eq(judge(&forked, 30).verdict, KERNEL_VERIFICATION_FORKED);
    cr_expect(view_equal(text_view(witness.bad_note), text_view(note)));
    cr_assert_eq(findings.count, 2);
    cr_expect_eq(findings.at[0].leaf, 7);
    cr_expect_str_eq(findings.at[0].what, "bad \xc3\xbc");
    cr_expect_eq(findings.at[0].first_at, NOW);
    cr_expect_eq(findings.at[1].leaf, KERNEL_VERIFICATION_WHOLE);
    cr_expect_eq(findings.at[1].kind, KERNEL_VERIFICATION_HEAD);
    store_destroy(&store);
}

Test(verification, says_that_it_forgot_where_its_own_store_is_damaged)
{
    store_t *store = open_store();
    accept(&honest, 5);
    save(store);
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(store, STORE_WRITE, &txn), BUS_OK);
    cr_assert_eq(store_put(txn, places.heads, STORE_U64(5), VIEW_LITERAL("short")), BUS_OK);
    cr_assert_eq(store_commit(&txn), BUS_OK);
    load(store);
    cr_expect_eq(witness.forgotten, 1);
    cr_expect_eq(witness.head_count, 0);
    accept(&honest, 9);
    save(store);
    load(store);
    cr_expect_eq(witness.forgotten, 1);
    cr_expect_eq(witness.head_count, 1, "the damaged row went");
    store_destroy(&store);
}

Test(verification, keeps_heads_that_span_the_logs_life)
{
    store_t *store = open_store();
    load(store);
    merkle_tree_t tree = {.size = 0};
    for (uint64_t i = 0; i < 3 * KERNEL_VERIFICATION_HEADS_MAX; i++) {
        merkle_tree_add(&tree, &honest.leaves[i % LEAVES]);
        kernel_verification_told_t told = {.verdict = i == 0 ? KERNEL_VERIFICATION_FIRST
                                                             : KERNEL_VERIFICATION_LONGER,
                                           .is_new_key = i == 0,
                                           .signer = honest.verifier,
                                           .head = {.size = tree.size}};
        merkle_tree_root(&tree, &told.head.root);
        kernel_verification_witness_accept(&witness, &told, VIEW_LITERAL("note\n"), NOW + i);
        if (i % 100 == 0 || i == 3 * KERNEL_VERIFICATION_HEADS_MAX - 1) {
            save(store);
        }
    }
    load(store);
    cr_expect_leq(witness.head_count, KERNEL_VERIFICATION_HEADS_MAX);
    cr_expect_eq(witness.heads[0].head.size, 1);
    cr_expect_eq(kernel_verification_witness_last(&witness)->head.size,
                 3 * KERNEL_VERIFICATION_HEADS_MAX);
    for (size_t i = 1; i < witness.head_count; i++) {
        cr_assert_gt(witness.heads[i].head.size, witness.heads[i - 1].head.size);
    }
    store_destroy(&store);
}

// --- Findings ------------------------------------------------------------------------------------

Test(verification, forgets_a_finding_only_when_its_place_is_found_good)
{
    kernel_verification_findings_add(&findings, KERNEL_VERIFICATION_LEAF, 3, NOW, "x");
    kernel_verification_findings_add(&findings, KERNEL_VERIFICATION_LEAF, 8, NOW, "x");
    kernel_verification_findings_add(&findings, KERNEL_VERIFICATION_ENTRY, 3, NOW, "y");
    kernel_verification_findings_add(&findings, KERNEL_VERIFICATION_LEAF, 3, NOW + 9, "x");
    cr_expect_eq(findings.count, 3, "the same place twice is one");
    cr_expect_eq(findings.at[0].first_at, NOW);
    cr_expect_eq(findings.at[0].last_at, NOW + 9);
    cr_expect_eq(findings.changes, 3);
    kernel_verification_findings_begin(&findings, KERNEL_VERIFICATION_LEAF, 0, 8);
    kernel_verification_findings_add(&findings, KERNEL_VERIFICATION_LEAF, 3, NOW, "x");
    kernel_verification_findings_end(&findings, KERNEL_VERIFICATION_LEAF);
    cr_expect_eq(findings.count, 3, "3 is bad still, 8 was not looked at");
    kernel_verification_findings_begin(&findings, KERNEL_VERIFICATION_LEAF, 0, 9);
    kernel_verification_findings_end(&findings, KERNEL_VERIFICATION_LEAF);
    cr_assert_eq(findings.count, 1);
    cr_expect_eq(findings.at[0].kind, KERNEL_VERIFICATION_ENTRY);
    cr_expect_eq(findings.changes, 5);
}

Test(verification, counts_the_findings_that_it_has_no_room_for)
{
    for (uint64_t i = 0; i < KERNEL_VERIFICATION_FINDINGS_MAX + 3; i++) {
        kernel_verification_findings_add(&findings, KERNEL_VERIFICATION_LEAF, i, NOW, "x");
    }
    cr_expect_eq(findings.count, KERNEL_VERIFICATION_FINDINGS_MAX);
    cr_expect_eq(findings.dropped, 3);
}

// --- What is asked -------------------------------------------------------------------------------

Test(verification, reports_whom_it_trusts_and_why)
{
    help_t *help = help_new(&kernel_verification_definition);
    cr_assert_eq(help_ask(help, "report", "{}"), BUS_OK);
    cr_expect_str_eq(help_at(help, "status"), "\"starting\"");
    cr_expect_eq(strncmp(help_at(help, "trust"), "\"first use", 10), 0);
    cr_expect_str_eq(help_at(help, "trusted_since"), "null");
    cr_expect_str_eq(help_at(help, "findings"), "[]");
    help_destroy(&help);
}
