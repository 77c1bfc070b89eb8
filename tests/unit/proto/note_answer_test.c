// note_answer_test.c - what answers say of a log: hashes and paths as base64, a checkpoint by a
// known key; and the edge of a tree.
#include "help.h"
#include "merkle_tree.h"
#include "proto/note.h"
#include <sodium.h>

static bus_err_t
path_of(const char *json, merkle_path_t *ret_path)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    bus_view_t copy = exact(from_json(body, json));
    bus_err_t err = note_path(copy, ret_path);
    exact_free(&copy);
    return err;
}

#define ZEROS "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\""
#define ONES "\"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\""

Test(note_answer, reads_a_path_and_nothing_that_is_none)
{
    static const char *const wrong[] = {
        "{}",
        "1",
        "[1]",
        "[\"\"]",
        "[\"AAAA\"]",
        "[" ZEROS ",null]",
        "[[" ZEROS "]]",
        "[\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=\"]", // bits behind the end
    };
    merkle_path_t path;
    cr_assert_eq(path_of("[]", &path), BUS_OK);
    cr_expect_eq(path.count, 0);
    cr_assert_eq(path_of("[" ZEROS "," ONES "]", &path), BUS_OK);
    cr_expect_eq(path.count, 2);
    cr_expect_eq(path.hashes[0].bytes[31], 0);
    cr_expect_eq(path.hashes[1].bytes[0], 1);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        cr_expect_eq(path_of(wrong[i], &path), BUS_VALIDATION_FAILED, "%s", wrong[i]);
    }
}

Test(note_answer, refuses_a_path_that_is_longer_than_any)
{
    merkle_path_t path;
    for (unsigned count = MERKLE_PATH_MAX; count <= MERKLE_PATH_MAX + 1; count++) {
        BUS_AUTO(pack_destroy) pack_t *body = pack_new();
        pack_array(body, count);
        for (unsigned i = 0; i < count; i++) {
            pack_text(body, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
        }
        cr_expect_eq(note_path(pack_view(body), &path),
                     count <= MERKLE_PATH_MAX ? BUS_OK : BUS_VALIDATION_FAILED);
    }
}

static void
make_key(const char *name, unsigned char fill, note_verifier_t *verifier, uint8_t *secret)
{
    unsigned char seed[crypto_sign_SEEDBYTES];
    uint8_t key[NOTE_KEY_SIZE];
    memset(seed, fill, sizeof seed);
    cr_assert_geq(sodium_init(), 0);
    crypto_sign_seed_keypair(key, secret, seed);
    cr_assert_eq(note_verifier_make(view_from_text(name), key, verifier), BUS_OK);
}

Test(note_answer, opens_a_checkpoint_of_a_known_log_and_says_what_another_is_not)
{
    note_verifier_t verifiers[2];
    uint8_t secret[NOTE_SECRET_SIZE], other[NOTE_SECRET_SIZE];
    make_key("a.log", 1, &verifiers[0], secret);
    make_key("b.log", 2, &verifiers[1], other);
    note_checkpoint_t checkpoint = {.origin = VIEW_LITERAL("b.log"), .head = {.size = 3}};
    BUS_AUTO(text_destroy) text_t *text = text_new();
    BUS_AUTO(text_destroy) text_t *note = text_new();
    note_checkpoint_format(&checkpoint, text);
    note_sign(text_view(text), &verifiers[1], other, note);
    size_t which = 9;
    const char *why = NULL;
    note_checkpoint_t read;
    cr_assert_eq(note_checkpoint_open(text_view(note), verifiers, 2, &read, &which, &why), BUS_OK);
    cr_expect_eq(which, 1);
    cr_expect_eq(read.head.size, 3);
    cr_expect_eq(note_checkpoint_open(text_view(note), verifiers, 1, &read, &which, &why),
                 BUS_VALIDATION_FAILED);
    cr_expect_not_null(strstr(why, "signature"));
    text_clear(note); // signed by a key that speaks for another log
    note_sign(text_view(text), &verifiers[0], secret, note);
    cr_expect_eq(note_checkpoint_open(text_view(note), verifiers, 2, &read, &which, &why),
                 BUS_VALIDATION_FAILED);
    cr_expect_str_eq(why, "it is of another log");
    text_clear(note);
    note_sign(VIEW_LITERAL("hello\n"), &verifiers[0], secret, note);
    cr_expect_eq(note_checkpoint_open(text_view(note), verifiers, 2, &read, &which, &why),
                 BUS_VALIDATION_FAILED);
    cr_expect_str_eq(why, "what is signed is no checkpoint");
}

Test(merkle_edge, has_the_root_of_the_whole_tree_at_every_size)
{
    tree_t *model = tree_new();
    merkle_tree_t tree = {.size = 0};
    for (uint64_t size = 0; size <= MODEL_MAX; size++) {
        merkle_hash_t wanted, root;
        cr_assert_eq(merkle_root(read_node, model, size, &wanted), BUS_OK);
        merkle_tree_root(&tree, &root);
        cr_assert(merkle_equal(&root, &wanted), "size %llu", (unsigned long long) size);
        if (size < MODEL_MAX) {
            merkle_tree_add(&tree, &leaf_hashes[size]);
        }
    }
    free(model);
}
