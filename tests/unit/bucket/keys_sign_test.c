// keys_sign_test.c - what keys sign verifies, whenever, and nothing else does.
#include "keys_help.h"
#include "proto/note.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static void
clear_environment(void)
{
    unsetenv("BHIV_KEY_PASSPHRASE");
}

TestSuite(keys_sign, .init = clear_environment);

// Signs, has the fact applied, and returns a question that verifies it by its id.
static void
sign(help_t *help, const char *json, char ret_question[KEYS_LINE_SIZE])
{
    cr_assert_eq(keys_ask(help, "sign", json), BUS_OK);
    snprintf(
        ret_question, KEYS_LINE_SIZE, "{\"signature_id\":%s}", help_value(help, "signature_id"));
    cr_assert_eq(keys_apply_said(help), BUS_OK);
}

static bool
is_valid(help_t *help, const char *question)
{
    cr_assert_eq(keys_ask(help, "verify", question), BUS_OK, "%s", question);
    return strcmp(help_value(help, "valid"), "true") == 0;
}

Test(keys_sign, sign_nothing_before_the_journal_knows_them)
{
    help_t *help = keys_new();
    cr_expect_eq(keys_ask(help, "sign", "{\"data\":\"x\"}"), BUS_BUSY);
    cr_expect_str_eq(help_text(help->said), "");
    keys_destroy(&help);
}

Test(keys_sign, sign_data_and_its_hash_alike)
{
    help_t *help = keys_announced();
    char question[KEYS_LINE_SIZE];
    sign(help, "{\"data\":\"hello\\n\"}", question);
    cr_expect(is_valid(help, question));
    cr_expect_str_eq(help_value(help, "data_hash"), "\"" KEYS_HELLO "\"");
    cr_assert_eq(keys_ask(help, "sign", "{\"data_hash\":\"" KEYS_HELLO "\"}"), BUS_OK);
    char with_data[KEYS_LINE_SIZE];
    snprintf(with_data,
             sizeof with_data,
             "{\"data\":\"hello\\n\",\"signature\":%s}",
             help_value(help, "signature"));
    cr_expect(is_valid(help, with_data));
    char *at = strstr(with_data, "hello");
    at[0] = 'j';
    cr_expect_not(is_valid(help, with_data));
    keys_destroy(&help);
}

Test(keys_sign, sign_under_a_domain_of_their_own)
{
    help_t *help = keys_announced();
    cr_assert_eq(keys_ask(help, "sign", "{\"data_hash\":\"" KEYS_HELLO "\"}"), BUS_OK);
    char signature[KEYS_LINE_SIZE];
    snprintf(signature, sizeof signature, "%s", help_value(help, "signature"));
    note_verifier_t verifier = keys_active(help);
    BUS_AUTO(text_destroy) text_t *forged = text_new(); // as a note, it is none of the key's
    uint8_t bytes[4 + NOTE_SIGNATURE_SIZE];
    size_t size = 0;
    for (size_t i = 0; i < 4; i++) {
        bytes[i] = (uint8_t) (verifier.id >> (24 - 8 * i));
    }
    cr_assert_eq(note_unbase64(view_from(signature + 1, 88), bytes + 4, 64, &size), BUS_OK);
    text_add_format(forged, KEYS_HELLO "\n\n\xe2\x80\x94 %s ", verifier.name);
    note_base64(view_from(bytes, sizeof bytes), forged);
    text_add_format(forged, "\n");
    bus_view_t text;
    cr_expect_eq(note_open(text_view(forged), &verifier, 1, &text, &size), BUS_VALIDATION_FAILED);
    keys_destroy(&help);
}

Test(keys_sign, verify_what_they_signed_after_rotation_and_restart)
{
    help_t *help = keys_announced();
    char question[KEYS_LINE_SIZE];
    sign(help, "{\"data\":\"hello\\n\"}", question);
    keys_add_owner(help);
    cr_assert_eq(keys_rotate(help, KEYS_OWNER), BUS_OK);
    cr_assert_eq(keys_apply_said(help), BUS_OK);
    cr_assert_eq(keys_apply_said(help), BUS_OK);
    cr_assert_eq(keys_restart(help), BUS_OK);
    cr_expect(is_valid(help, question));
    char other[KEYS_LINE_SIZE];
    sign(help, "{\"data\":\"hello\\n\"}", other);
    cr_expect(is_valid(help, other));
    keys_destroy(&help);
}

Test(keys_sign, find_no_fault_in_a_signature_but_in_a_changed_one)
{
    help_t *help = keys_announced();
    cr_assert_eq(keys_ask(help, "sign", "{\"data_hash\":\"" KEYS_HELLO "\"}"), BUS_OK);
    char question[KEYS_LINE_SIZE];
    char head[] = "{\"data_hash\":\"" KEYS_HELLO "\",\"signature\":\"";
    snprintf(question, sizeof question, "%s%s}", head, help_value(help, "signature") + 1);
    cr_assert(is_valid(help, question));
    char *signature = question + sizeof head - 1;
    for (size_t i = 0; i < 86; i += 5) {
        char kept = signature[i];
        signature[i] = kept == 'A' ? 'B' : 'A';
        cr_expect_not(is_valid(help, question), "character %zu", i);
        signature[i] = kept;
    }
    keys_destroy(&help);
}

Test(keys_sign, refuse_questions_that_make_no_sense)
{
    help_t *help = keys_announced();
    cr_expect_eq(keys_ask(help, "sign", "{}"), BUS_VALIDATION_FAILED);
    cr_expect_eq(keys_ask(help, "sign", "{\"data\":\"x\",\"data_hash\":\"" KEYS_HELLO "\"}"),
                 BUS_VALIDATION_FAILED);
    cr_expect_eq(keys_ask(help, "verify", "{\"data\":\"x\"}"), BUS_VALIDATION_FAILED);
    cr_expect_eq(keys_ask(help, "verify", "{\"signature_id\":\"sig_none\"}"), BUS_NOT_FOUND);
    cr_expect_eq(keys_ask(help, "show", "{\"key_id\":\"key_none\"}"), BUS_KEY_NOT_FOUND);
    keys_destroy(&help);
}

Test(keys_sign, keep_no_signature_that_does_not_verify_or_is_there_already)
{
    help_t *help = keys_announced();
    char line[KEYS_LINE_SIZE];
    cr_assert_eq(keys_ask(help, "sign", "{\"data_hash\":\"" KEYS_HELLO "\"}"), BUS_OK);
    snprintf(line, sizeof line, "%s", help_text(help->said));
    cr_assert_eq(keys_apply_said(help), BUS_OK);
    text_add_format(help->said, "%s", line);
    cr_expect_eq(keys_apply_said(help), BUS_CONFLICT);
    char *hash = strstr(line, KEYS_HELLO);
    hash[0] = '6';
    char *id = strstr(line, "sig_") + 4;
    id[0] = id[0] == '0' ? '1' : '0';
    text_clear(help->said);
    text_add_format(help->said, "%s", line);
    cr_expect_eq(keys_apply_said(help), BUS_VALIDATION_FAILED);
    keys_destroy(&help);
}

Test(keys_sign, count_their_uses_across_restarts)
{
    help_t *help = keys_announced();
    char question[KEYS_LINE_SIZE];
    BUS_AUTO(text_destroy) text_t *note = text_new();
    sign(help, "{\"data\":\"a\"}", question);
    sign(help, "{\"data\":\"b\"}", question);
    cr_assert_eq(keys_restart(help), BUS_OK);
    bucket_keys_note(help->state.keys, VIEW_LITERAL("text\n"), note);
    cr_assert_eq(keys_restart(help), BUS_OK);
    cr_assert_eq(keys_ask(help, "show", "{}"), BUS_OK);
    cr_expect_str_eq(help_value(help, "uses"), "3");
    cr_expect_str_neq(help_value(help, "last_used"), "null");
    keys_destroy(&help);
}
