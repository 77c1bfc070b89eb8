// keys_journal_test.c - signing keys in the journal: announced, rotated, and what a crash cannot
// take.
#include "keys_help.h"
#include "runtime/clock.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static void
clear_environment(void)
{
    unsetenv("BHIV_KEY_PASSPHRASE");
}

TestSuite(keys_journal, .init = clear_environment);

Test(keys_journal, announce_themselves_until_the_journal_knows_them)
{
    help_t *help = keys_new();
    char first[KEYS_LINE_SIZE];
    snprintf(first, sizeof first, "%s", keys_tick(help));
    cr_expect_eq(strncmp(first, "crypto.key.created {\"key_id\":\"key_", 34), 0, "%s", first);
    cr_expect_str_eq(keys_tick(help), first);
    cr_assert_eq(keys_apply_said(help), BUS_OK);
    cr_expect_eq(help->state.tree.size, 1); // audited
    cr_expect_str_eq(keys_tick(help), "");
    cr_assert_eq(keys_restart(help), BUS_OK);
    cr_expect_str_eq(keys_tick(help), "");
    keys_destroy(&help);
}

Test(keys_journal, are_believed_from_bucket_alone_and_only_under_their_own_id)
{
    help_t *help = keys_new();
    char line[KEYS_LINE_SIZE];
    snprintf(line, sizeof line, "%s", keys_tick(help));
    help->source = "mallory";
    cr_expect_eq(keys_apply_said(help), BUS_UNAUTHORIZED_ACCESS);
    help->source = "bhiv_bucket";
    char *id = strstr(line, "key_id\":\"key_") + 13;
    id[0] = id[0] == '0' ? '1' : '0';
    text_clear(help->said);
    text_add_format(help->said, "%s", line);
    cr_expect_eq(keys_apply_said(help), BUS_VALIDATION_FAILED);
    cr_assert_eq(keys_ask(help, "show", "{}"), BUS_OK);
    cr_expect_str_eq(help_value(help, "state"), "\"announcing\"");
    keys_destroy(&help);
}

Test(keys_journal, keep_the_logs_name_when_the_store_is_made_anew)
{
    help_t *help = keys_announced();
    note_verifier_t before = keys_active(help);
    bucket_keys_close(&help->state.keys);
    help_begin(help); // the journal is read again; the secrets are gone
    cr_assert_eq(store_clear(help->txn, BUCKET_SECRETS), BUS_OK);
    help_commit(help);
    cr_assert_eq(keys_open(help, false), BUS_OK);
    note_verifier_t after = keys_active(help);
    cr_expect_str_eq(after.name, before.name);
    cr_expect_not(keys_is_same(&before, &after));
    cr_expect_not_null(strstr(keys_tick(help), "\"replaces\":\"key_"));
    cr_assert_eq(keys_apply_said(help), BUS_OK);
    cr_assert_eq(keys_apply_said(help), BUS_OK); // that the old one is retired
    cr_assert_eq(keys_ask(help, "list", "{}"), BUS_OK);
    const char *keys = help_value(help, "keys");
    cr_expect_not_null(strstr(keys, "\"state\":\"retired\""), "%s", keys);
    cr_expect_not_null(strstr(keys, "\"state\":\"active\""), "%s", keys);
    keys_destroy(&help);
}

Test(keys_journal, are_rotated_by_the_owner_alone)
{
    help_t *help = keys_announced();
    note_verifier_t before = keys_active(help);
    cr_expect_eq(keys_rotate(help, KEYS_OWNER), BUS_UNAUTHORIZED_ACCESS); // nobody is the owner yet
    keys_add_owner(help);
    cr_expect_eq(keys_rotate(help, "another"), BUS_UNAUTHORIZED_ACCESS);
    cr_expect_eq(strncmp(help_text(help->said), "bucket.refused ", 15), 0);
    cr_assert_eq(keys_rotate(help, KEYS_OWNER), BUS_OK);
    note_verifier_t meanwhile = keys_active(help);
    cr_expect(keys_is_same(&before, &meanwhile)); // until the journal says so
    help->at = clock_wall_us();
    cr_assert_eq(keys_apply_said(help), BUS_OK);
    note_verifier_t after = keys_active(help);
    cr_expect_not(keys_is_same(&before, &after));
    cr_expect_str_eq(after.name, before.name);
    cr_expect_gt(help->state.totals.owner_at, 0); // and the command is used up
    keys_destroy(&help);
}

Test(keys_journal, whose_rotation_is_far_ahead_of_the_journal_shut_the_owner_out_of_nothing)
{
    help_t *help = keys_announced();
    keys_add_owner(help);
    help->at = clock_wall_us() - UINT64_C(3600000000);
    note_verifier_t before = keys_active(help);
    cr_assert_eq(keys_rotate(help, KEYS_OWNER), BUS_OK);
    cr_assert_eq(keys_apply_said(help), BUS_OK);
    note_verifier_t after = keys_active(help);
    cr_expect_not(keys_is_same(&before, &after));
    cr_expect_eq(help->state.totals.owner_at, 0);
    keys_destroy(&help);
}

Test(keys_journal, that_were_rotated_stay_so_after_a_restart_and_their_secret_is_gone)
{
    help_t *help = keys_announced();
    keys_add_owner(help);
    cr_assert_eq(keys_rotate(help, KEYS_OWNER), BUS_OK);
    cr_assert_eq(keys_apply_said(help), BUS_OK);
    cr_assert_eq(keys_apply_said(help), BUS_OK); // crypto.key.retired
    note_verifier_t before = keys_active(help);
    keys_save(help);
    cr_expect_eq(keys_count_secrets(help), 3); // the new one, the next one, how they are sealed
    cr_assert_eq(keys_restart(help), BUS_OK);
    note_verifier_t after = keys_active(help);
    cr_expect(keys_is_same(&before, &after));
    cr_expect_str_eq(keys_tick(help), "");
    keys_destroy(&help);
}

Test(keys_journal, survive_a_crash_between_the_rotation_and_the_commit)
{
    help_t *help = keys_announced();
    keys_add_owner(help);
    cr_assert_eq(keys_rotate(help, KEYS_OWNER), BUS_OK);
    cr_assert_eq(keys_apply_said(help), BUS_OK);
    note_verifier_t rotated = keys_active(help);
    bucket_keys_close(&help->state.keys); // nothing was saved
    help_reopen(help);
    cr_assert_eq(keys_open(help, false), BUS_OK);
    note_verifier_t after = keys_active(help);
    cr_expect(keys_is_same(&rotated, &after));
    keys_destroy(&help);
}

Test(keys_journal, that_the_journal_has_retired_make_room_for_the_next)
{
    help_t *help = keys_announced();
    cr_assert_eq(keys_ask(help, "show", "{}"), BUS_OK);
    char retired[KEYS_LINE_SIZE];
    snprintf(retired, sizeof retired, "{\"key_id\":%s}", help_value(help, "key_id"));
    cr_assert_eq(
        help_apply(help, bucket_keys_retired, &SCHEMA_key_retired, "crypto.key.retired", retired),
        BUS_OK);
    note_verifier_t before = keys_active(help);
    cr_expect_eq(strncmp(keys_tick(help), "crypto.key.created ", 19), 0);
    note_verifier_t after = keys_active(help);
    cr_expect_not(keys_is_same(&before, &after));
    keys_destroy(&help);
}

Test(keys_journal, cannot_be_rotated_twice_before_the_next_one_is_on_disk)
{
    help_t *help = keys_announced();
    keys_add_owner(help);
    cr_assert_eq(keys_rotate(help, KEYS_OWNER), BUS_OK);
    cr_assert_eq(keys_apply_said(help), BUS_OK);
    cr_expect_eq(keys_rotate(help, KEYS_OWNER), BUS_BUSY);
    keys_save(help);
    cr_expect_eq(keys_rotate(help, KEYS_OWNER), BUS_OK);
    keys_destroy(&help);
}

Test(keys_journal, whose_saving_was_undone_are_saved_again)
{
    help_t *help = keys_announced();
    keys_add_owner(help);
    cr_assert_eq(keys_rotate(help, KEYS_OWNER), BUS_OK);
    cr_assert_eq(keys_apply_said(help), BUS_OK);
    help_begin(help);
    cr_assert_eq(bucket_keys_save(help->state.keys, help->txn), BUS_OK);
    help_undo(help);
    bucket_keys_undone(help->state.keys);
    cr_expect_eq(keys_rotate(help, KEYS_OWNER), BUS_BUSY);
    keys_save(help);
    cr_assert_eq(keys_rotate(help, KEYS_OWNER), BUS_OK);
    keys_destroy(&help);
}
