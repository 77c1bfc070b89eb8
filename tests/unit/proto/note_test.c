// note_test.c - keys and signed notes against RFC 8032, RFC 4648, Go's sumdb/note and C2SP's own
// examples, and what is refused.
#include "help.h"
#include "proto/note.h"
#include <sodium.h>

// --- Known notes ---------------------------------------------------------------------------------

#define DASH "\xe2\x80\x94 "

// golang.org/x/mod/sumdb/note: its documentation and tests.
#define GO_TEXT                                                                                    \
    "If you think cryptography is the answer to your problem,\n"                                   \
    "then you don't know what your problem is.\n"
#define PETER_VKEY "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
#define PETER_SEED "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz" // the type, then the seed
#define PETER_LINE                                                                                 \
    DASH "PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqd"     \
         "ngotpRZb6KE6RyyBwJnAM=\n"
#define ENOCH_VKEY "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
#define ENOCH_LINE                                                                                 \
    DASH "EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwn"    \
         "WLox33WWd1RvMc+QQ=\n"
// C2SP signed-note's example.
#define C2SP_VKEY "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
#define C2SP_TEXT "This is an example message.\n"
#define C2SP_LINE                                                                                  \
    DASH "example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3"    \
         "mFXmRKuwHjG1Yu72IneyaQM=\n"

static note_verifier_t
verifier_of(const char *vkey)
{
    note_verifier_t verifier;
    cr_assert_eq(note_verifier_parse(view_from_text(vkey), &verifier), BUS_OK, "%s", vkey);
    return verifier;
}

static bool
opens(const char *note, const char *vkey)
{
    note_verifier_t verifier = verifier_of(vkey);
    bus_view_t text;
    size_t which = 99;
    bus_err_t err = note_open(view_from_text(note), &verifier, 1, &text, &which);
    cr_assert(err == BUS_OK || err == BUS_VALIDATION_FAILED);
    cr_assert_eq(which, err == BUS_OK ? 0 : 99);
    return err == BUS_OK;
}

static void
from_hex(const char *hex, uint8_t *bytes, size_t size_max, size_t *ret_size)
{
    const char *end = NULL;
    int failed = sodium_hex2bin(bytes, size_max, hex, strlen(hex), NULL, ret_size, &end);
    cr_assert_eq(failed, 0);
    cr_assert_eq(*end, '\0');
}

Test(note, verifies_the_published_notes_of_c2sp_and_go)
{
    cr_expect(opens(C2SP_TEXT "\n" C2SP_LINE, C2SP_VKEY));
    cr_expect(opens(GO_TEXT "\n" PETER_LINE, PETER_VKEY));
    cr_expect(opens(GO_TEXT "\n" ENOCH_LINE, ENOCH_VKEY));
}

Test(note, signs_gos_example_as_go_does)
{
    // Ed25519 has one signature for a key and a text: ours is theirs, to the byte.
    note_verifier_t peter = verifier_of(PETER_VKEY);
    uint8_t seed[33];
    uint8_t key[NOTE_KEY_SIZE];
    uint8_t secret[NOTE_SECRET_SIZE];
    size_t size = 0;
    cr_assert_eq(note_unbase64(VIEW_LITERAL(PETER_SEED), seed, sizeof(seed), &size), BUS_OK);
    cr_assert_eq(size, sizeof(seed));
    crypto_sign_seed_keypair(key, secret, seed + 1);
    cr_assert_arr_eq(key, peter.key, sizeof(key));
    BUS_AUTO(text_destroy) text_t *out = text_new();
    note_sign(VIEW_LITERAL(GO_TEXT), &peter, secret, out);
    assert_text(text_view(out), GO_TEXT "\n" PETER_LINE);
}

Test(note, stands_on_an_ed25519_that_has_rfc_8032s_answers)
{
    // Section 7.1, tests 1 to 3. They end in no LF, as a note's text must, so they are the
    // library's.
    static const struct {
        const char *seed;
        const char *key;
        const char *text;
        const char *signature;
    } known[] = {
        {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
         "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
         "",
         "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701"
         "c"
         "f9b46bd25bf5f0595bbe24655141438e7a100b"},
        {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
         "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
         "72",
         "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d"
         "0"
         "f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
        {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
         "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
         "af82",
         "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f7609"
         "8"
         "4dc6594a7c15e9716ed28dc027beceea1ec40a"},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        uint8_t seed[32], expected[NOTE_SIGNATURE_SIZE], text[2];
        uint8_t key[NOTE_KEY_SIZE], secret[NOTE_SECRET_SIZE], signature[NOTE_SIGNATURE_SIZE];
        size_t size = 0;
        from_hex(known[i].seed, seed, sizeof(seed), &size);
        from_hex(known[i].key, expected, NOTE_KEY_SIZE, &size);
        crypto_sign_seed_keypair(key, secret, seed);
        cr_assert_arr_eq(key, expected, sizeof(key));
        from_hex(known[i].signature, expected, sizeof(expected), &size);
        from_hex(known[i].text, text, sizeof(text), &size);
        cr_assert_eq(crypto_sign_detached(signature, NULL, text, size, secret), 0);
        cr_assert_arr_eq(signature, expected, sizeof(signature));
        cr_assert_eq(crypto_sign_verify_detached(signature, text, size, key), 0);
    }
}

// --- Keys ----------------------------------------------------------------------------------------

Test(note, writes_back_each_published_key_as_it_was)
{
    static const char *const vkeys[] = {
        PETER_VKEY,
        ENOCH_VKEY,
        C2SP_VKEY,
        "TEST+7997405c+AQcC+FTVKf0jlTdHDY3rbevmnKxxPjigCXlVtGe6RIr6", // a '+' within the base64
        "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
    };
    for (size_t i = 0; i < sizeof(vkeys) / sizeof(vkeys[0]); i++) {
        char again[NOTE_VKEY_SIZE];
        note_verifier_t verifier = verifier_of(vkeys[i]);
        note_verifier_t made;
        note_verifier_format(&verifier, again);
        cr_assert_str_eq(again, vkeys[i]);
        cr_assert_eq(note_verifier_make(view_from_text(verifier.name), verifier.key, &made),
                     BUS_OK);
        cr_assert_eq(made.id, verifier.id);
    }
}

Test(note, refuses_what_is_no_key)
{
    static const char *const wrong[] = {
        "",
        "+",
        "++",
        "PeterNeumann",
        "PeterNeumann+c74f20a3",
        "PeterNeumann+c74f20a3+",
        "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3 ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW\n",
        " PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeuman+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10T",
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWAAAA",
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq_LDE4izWy10TW",
        // another type: a cosigner's
        "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        note_verifier_t verifier;
        cr_expect_eq(note_verifier_parse(view_from_text(wrong[i]), &verifier),
                     BUS_VALIDATION_FAILED,
                     "%s",
                     wrong[i]);
    }
    note_verifier_t verifier;
    cr_expect_eq(note_verifier_parse(VIEW_NONE, &verifier), BUS_VALIDATION_FAILED);
}

Test(note, refuses_a_key_with_any_one_bit_another)
{
    char vkey[] = PETER_VKEY;
    for (size_t bit = 0; bit < (sizeof(vkey) - 1) * 8; bit++) {
        note_verifier_t verifier;
        vkey[bit / 8] = (char) (vkey[bit / 8] ^ 1 << bit % 8);
        cr_assert_eq(note_verifier_parse(view_from(vkey, sizeof(vkey) - 1), &verifier),
                     BUS_VALIDATION_FAILED,
                     "%.*s",
                     (int) sizeof(vkey) - 1,
                     vkey);
        vkey[bit / 8] = (char) (vkey[bit / 8] ^ 1 << bit % 8);
    }
}

Test(note, refuses_names_that_a_line_could_not_hold)
{
    static const char *const wrong[] = {
        "",
        "a b",
        "a+b",
        "a\nb",
        "a\tb",
        "a\x7f\x80",      // no UTF-8
        "a\xc2\xa0",      // a no-break space
        "\xe2\x80\x89z",  // a thin space
        "a\xe3\x80\x80z", // an ideographic space
        "a\xe2\x80\xa8z", // a line separator
        "\xed\xa0\x80",   // a surrogate
    };
    uint8_t key[NOTE_KEY_SIZE] = {1};
    note_verifier_t verifier;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        cr_expect_eq(note_verifier_make(view_from_text(wrong[i]), key, &verifier),
                     BUS_VALIDATION_FAILED,
                     "%zu",
                     i);
    }
    char name[NOTE_NAME_MAX + 2];
    memset(name, 'n', sizeof(name));
    cr_expect_eq(note_verifier_make(view_from(name, NOTE_NAME_MAX + 1), key, &verifier),
                 BUS_VALIDATION_FAILED);
    cr_expect_eq(note_verifier_make(view_from(name, NOTE_NAME_MAX), key, &verifier), BUS_OK);
    char vkey[NOTE_VKEY_SIZE];
    note_verifier_format(&verifier, vkey);
    note_verifier_t again;
    cr_expect_eq(note_verifier_parse(view_from_text(vkey), &again), BUS_OK);
}

// --- Notes ---------------------------------------------------------------------------------------

Test(note, says_what_was_signed_and_by_whom)
{
    note_verifier_t verifiers[] = {verifier_of(C2SP_VKEY), verifier_of(ENOCH_VKEY)};
    bus_view_t text;
    size_t which = 0;
    cr_assert_eq(
        note_open(VIEW_LITERAL(GO_TEXT "\n" PETER_LINE ENOCH_LINE), verifiers, 2, &text, &which),
        BUS_OK);
    assert_text(text, GO_TEXT);
    cr_assert_eq(which, 1);
}

Test(note, ignores_signatures_of_strangers_and_refuses_bad_ones_of_friends)
{
    const char *strange = GO_TEXT "\n" DASH "stranger AAAAAAA=\n" PETER_LINE;
    cr_expect(opens(strange, PETER_VKEY));
    cr_expect_not(opens(GO_TEXT "\n" DASH "stranger AAAAAAA=\n", PETER_VKEY));
    // Peter's name, another's id; and the other way round
    cr_expect(opens(GO_TEXT "\n" DASH "PeterNeumann AAAAAAA=\n" PETER_LINE, PETER_VKEY));
    cr_expect(opens(GO_TEXT "\n" DASH "Peter x08gowAA\n" PETER_LINE, PETER_VKEY));
    // his name and id over something that is no signature of his, before and after a good one
    static const char bad[] = DASH "PeterNeumann x08gowAA\n";
    char note[1024];
    snprintf(note, sizeof(note), GO_TEXT "\n%s" PETER_LINE, bad);
    cr_expect_not(opens(note, PETER_VKEY));
    snprintf(note, sizeof(note), GO_TEXT "\n" PETER_LINE "%s", bad);
    cr_expect_not(opens(note, PETER_VKEY));
    bus_view_t text;
    size_t which = 0;
    cr_expect_eq(note_open(VIEW_LITERAL(GO_TEXT "\n" PETER_LINE), NULL, 0, &text, &which),
                 BUS_VALIDATION_FAILED);
}

Test(note, refuses_a_note_with_any_one_bit_another)
{
    static const char whole[] = GO_TEXT "\n" PETER_LINE;
    note_verifier_t verifier = verifier_of(PETER_VKEY);
    char note[sizeof(whole)];
    memcpy(note, whole, sizeof(note));
    for (size_t bit = 0; bit < (sizeof(note) - 1) * 8; bit++) {
        bus_view_t text;
        size_t which = 0;
        note[bit / 8] = (char) (note[bit / 8] ^ 1 << bit % 8);
        cr_assert_eq(note_open(view_from(note, sizeof(note) - 1), &verifier, 1, &text, &which),
                     BUS_VALIDATION_FAILED,
                     "bit %zu",
                     bit);
        note[bit / 8] = (char) (note[bit / 8] ^ 1 << bit % 8);
    }
}

Test(note, refuses_what_is_no_note)
{
    static const char *const wrong[] = {
        "",
        "\n",
        "\n\n",
        GO_TEXT,
        GO_TEXT "\n",
        GO_TEXT PETER_LINE,
        "\n" PETER_LINE,
        "\n\n" PETER_LINE,
        GO_TEXT "\n" PETER_LINE "\n",
        GO_TEXT "\n" PETER_LINE "x",
        GO_TEXT "\n" PETER_LINE "x\n",
        GO_TEXT "\n" PETER_LINE DASH "\n",
        GO_TEXT "\n" PETER_LINE DASH "name\n",
        GO_TEXT "\n" PETER_LINE DASH "name \n",
        GO_TEXT "\n" PETER_LINE DASH " AAAAAAA=\n",
        GO_TEXT "\n" PETER_LINE DASH "name AAAA\n",     // shorter than an id and a signature
        GO_TEXT "\n" PETER_LINE DASH "name AAAAAA==\n", // an id alone
        GO_TEXT "\n" PETER_LINE DASH "name AAAAAAA\n",
        GO_TEXT "\n" PETER_LINE DASH "name AAAAAAB=\n", // a bit that does not count
        GO_TEXT "\n" PETER_LINE DASH "name  AAAAAAA=\n",
        GO_TEXT "\n" PETER_LINE DASH "name AAAAAAA= \n",
        GO_TEXT "\n" PETER_LINE DASH "na+me AAAAAAA=\n",
        GO_TEXT "\n" PETER_LINE "- name AAAAAAA=\n",
        GO_TEXT "\r\n" PETER_LINE,
        "\t" GO_TEXT "\n" PETER_LINE,
        "\xff" GO_TEXT "\n" PETER_LINE,
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        cr_expect_not(opens(wrong[i], PETER_VKEY), "%zu: %s", i, wrong[i]);
    }
}

Test(note, keeps_an_empty_line_of_the_text)
{
    uint8_t seed[32] = {7};
    uint8_t key[NOTE_KEY_SIZE], secret[NOTE_SECRET_SIZE];
    note_verifier_t verifier;
    crypto_sign_seed_keypair(key, secret, seed);
    cr_assert_eq(note_verifier_make(VIEW_LITERAL("bhiv.example/log"), key, &verifier), BUS_OK);
    BUS_AUTO(text_destroy) text_t *out = text_new();
    note_sign(VIEW_LITERAL("one\n\ntwo\n\n"), &verifier, secret, out);
    bus_view_t text;
    size_t which = 9;
    cr_assert_eq(note_open(text_view(out), &verifier, 1, &text, &which), BUS_OK);
    assert_text(text, "one\n\ntwo\n\n");
    cr_assert_eq(which, 0);
}

Test(note, reads_sixteen_signatures_and_no_more)
{
    BUS_AUTO(text_destroy) text_t *note = text_new();
    text_add(note, VIEW_LITERAL(GO_TEXT "\n"));
    for (unsigned i = 1; i < NOTE_SIGNATURES_MAX; i++) {
        text_add(note, VIEW_LITERAL(DASH "stranger AAAAAAA=\n"));
    }
    text_add(note, VIEW_LITERAL(PETER_LINE));
    cr_expect(opens(text_view(note).data, PETER_VKEY));
    text_add(note, VIEW_LITERAL(DASH "stranger AAAAAAA=\n"));
    cr_expect_not(opens(text_view(note).data, PETER_VKEY));
}

Test(note, reads_signatures_of_other_sizes_and_notes_up_to_the_limit)
{
    static uint8_t large[5000]; // of a post-quantum key
    BUS_AUTO(text_destroy) text_t *note = text_new();
    text_add(note, VIEW_LITERAL(GO_TEXT "\n" PETER_LINE DASH "stranger "));
    note_base64(view_from(large, sizeof(large)), note);
    text_add(note, VIEW_LITERAL("\n"));
    cr_expect(opens(text_view(note).data, PETER_VKEY));
    text_add(note, VIEW_LITERAL(DASH "stranger "));
    note_base64(view_from(large, sizeof(large)), note);
    text_add(note, VIEW_LITERAL("\n"));
    cr_expect(opens(text_view(note).data, PETER_VKEY));
    text_add(note, VIEW_LITERAL(DASH "stranger "));
    note_base64(view_from(large, sizeof(large)), note);
    text_add(note, VIEW_LITERAL("\n"));
    cr_assert_gt(text_view(note).size, NOTE_SIZE_MAX);
    cr_expect_not(opens(text_view(note).data, PETER_VKEY));
}

// --- Base64 --------------------------------------------------------------------------------------

Test(note, encodes_and_decodes_rfc_4648s_texts)
{
    static const char *const known[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        BUS_AUTO(text_destroy) text_t *out = text_new();
        uint8_t bytes[8];
        size_t size = 99;
        note_base64(view_from_text(known[i][0]), out);
        assert_text(text_view(out), known[i][1]);
        cr_assert_eq(note_unbase64(view_from_text(known[i][1]), bytes, sizeof(bytes), &size),
                     BUS_OK);
        assert_text(view_from(bytes, size), known[i][0]);
    }
}

Test(note, encodes_any_size_without_a_seam)
{
    static uint8_t bytes[2000];
    static uint8_t again[2000];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t) (i * 7);
    }
    BUS_AUTO(text_destroy) text_t *out = text_new();
    for (size_t size = 0; size <= sizeof(bytes); size++) {
        size_t got = 0;
        text_clear(out);
        note_base64(view_from(bytes, size), out);
        cr_assert_eq(text_view(out).size, (size + 2) / 3 * 4);
        cr_assert_eq(note_unbase64(text_view(out), again, size, &got), BUS_OK);
        cr_assert(got == size && memcmp(bytes, again, size) == 0);
        if (size > 0) {
            cr_assert_eq(note_unbase64(text_view(out), again, size - 1, &got),
                         BUS_VALIDATION_FAILED);
        }
    }
}

Test(note, decodes_one_form_alone)
{
    static const char *const wrong[] = {
        "Z",
        "Zg",
        "Zg=",
        "Zh==",
        "Zm9=",
        "Zm8",
        "====",
        "=",
        "Zg==Zg==",
        "Zm9v\n",
        "Zm 9v",
        "Zm9-",
        "Zm9_",
        "Zm9v====",
        "Z===",
        "Zg== ",
        " Zg==",
        "\xc3\xa9==",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        uint8_t bytes[16];
        size_t size = 0;
        cr_expect_eq(note_unbase64(view_from_text(wrong[i]), bytes, sizeof(bytes), &size),
                     BUS_VALIDATION_FAILED,
                     "%s",
                     wrong[i]);
    }
    uint8_t byte;
    size_t size = 0;
    cr_expect_eq(note_unbase64(VIEW_NONE, &byte, 1, &size), BUS_VALIDATION_FAILED);
}
