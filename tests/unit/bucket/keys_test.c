// keys_test.c - signing keys on disk: made once, sealed, opened again, and with nothing else.
#include "keys_help.h"
#include "proto/note.h"
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEX_SIZE = 65 };

static void
clear_environment(void)
{
    unsetenv("BHIV_KEY_PASSPHRASE");
}

TestSuite(keys, .init = clear_environment);

Test(keys, makes_a_private_key_file_and_the_same_key_again)
{
    help_t *help = keys_new();
    struct stat status;
    cr_assert_eq(stat(keys_path(help, "bucket.key"), &status), 0);
    cr_expect_eq(status.st_mode & 07777, 0600);
    note_verifier_t before = keys_active(help);
    cr_expect_eq(strncmp(before.name, "bhiv.bucket/audit/", 18), 0);
    cr_assert_eq(keys_restart(help), BUS_OK);
    note_verifier_t after = keys_active(help);
    cr_expect(keys_is_same(&before, &after));
    keys_destroy(&help);
}

Test(keys, are_not_in_the_store_in_the_clear)
{
    help_t *help = keys_new();
    note_verifier_t verifier = keys_active(help);
    store_txn_t *txn = NULL;
    store_cursor_t *cursor = NULL;
    cr_assert_eq(store_begin(help->store, STORE_READ, &txn), BUS_OK);
    cr_assert_eq(store_cursor_open(txn, BUCKET_SECRETS, &cursor), BUS_OK);
    bus_view_t key, value;
    size_t looked = 0;
    for (bus_err_t err = store_first(cursor, &key, &value); err == BUS_OK;
         err = store_next(cursor, &key, &value)) {
        // libsodium's secret key ends with the public one: in the clear it would be found
        cr_expect_null(memmem(value.data, value.size, verifier.key, sizeof verifier.key));
        looked++;
    }
    cr_expect_eq(looked, 3); // the two keys, and how they are sealed
    store_cursor_destroy(&cursor);
    store_rollback(&txn);
    keys_destroy(&help);
}

static void
write_key_file(help_t *help, const char *text, mode_t mode)
{
    int fd = open(keys_path(help, "bucket.key"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t) strlen(text));
    cr_assert_eq(fchmod(fd, mode), 0);
    close(fd);
}

static void
read_key_file(help_t *help, char ret_text[128])
{
    int fd = open(keys_path(help, "bucket.key"), O_RDONLY | O_CLOEXEC);
    ssize_t got = read(fd, ret_text, 127);
    cr_assert_eq(got, HEX_SIZE);
    ret_text[got] = '\0';
    close(fd);
}

Test(keys, refuses_another_or_a_damaged_key_file_and_writes_nothing_over)
{
    help_t *help = keys_new();
    char right[128];
    char other[128];
    note_verifier_t before = keys_active(help);
    read_key_file(help, right);
    memcpy(other, right, sizeof other);
    other[0] = other[0] == '0' ? '1' : '0';
    write_key_file(help, other, 0600);
    cr_expect_eq(keys_restart(help), BUS_FORBIDDEN);
    write_key_file(help, "not a key\n", 0600);
    cr_expect_eq(keys_open(help, false), BUS_FORBIDDEN);
    write_key_file(help, right, 0640);
    cr_expect_eq(keys_open(help, false), BUS_FORBIDDEN);
    write_key_file(help, right, 0600);
    cr_assert_eq(keys_open(help, false), BUS_OK);
    note_verifier_t after = keys_active(help);
    cr_expect(keys_is_same(&before, &after));
    keys_destroy(&help);
}

Test(keys, makes_a_new_key_where_a_backup_came_back_without_the_file)
{
    help_t *help = keys_new();
    note_verifier_t before = keys_active(help);
    cr_assert_eq(unlink(keys_path(help, "bucket.key")), 0);
    cr_assert_eq(keys_restart(help), BUS_OK);
    note_verifier_t after = keys_active(help);
    cr_expect_not(keys_is_same(&before, &after));
    cr_expect_eq(keys_count_secrets(help), 3);
    keys_destroy(&help);
}

Test(keys, lie_under_the_passphrase_and_no_other)
{
    help_t *help = help_new();
    setenv("BHIV_KEY_PASSPHRASE", "correct horse", 1);
    cr_assert_eq(keys_open(help, false), BUS_OK);
    cr_expect_neq(access(keys_path(help, "bucket.key"), F_OK), 0);
    note_verifier_t before = keys_active(help);
    setenv("BHIV_KEY_PASSPHRASE", "battery staple", 1);
    cr_expect_eq(keys_restart(help), BUS_FORBIDDEN);
    unsetenv("BHIV_KEY_PASSPHRASE");
    cr_expect_eq(keys_open(help, false), BUS_FORBIDDEN);
    cr_expect_neq(access(keys_path(help, "bucket.key"), F_OK), 0);
    setenv("BHIV_KEY_PASSPHRASE", "correct horse", 1);
    cr_assert_eq(keys_open(help, false), BUS_OK);
    note_verifier_t after = keys_active(help);
    cr_expect(keys_is_same(&before, &after));
    keys_destroy(&help);
}

Test(keys, that_lie_under_a_file_take_no_passphrase)
{
    help_t *help = keys_new();
    setenv("BHIV_KEY_PASSPHRASE", "correct horse", 1);
    cr_expect_eq(keys_restart(help), BUS_FORBIDDEN);
    keys_destroy(&help);
}

Test(keys, makes_a_new_key_in_place_of_a_damaged_one)
{
    help_t *help = keys_new();
    note_verifier_t before = keys_active(help);
    char key_id[32];
    cr_assert_eq(sscanf(before.name, "bhiv.bucket/audit/%8s", key_id), 1);
    bucket_keys_close(&help->state.keys);
    help_begin(help);
    store_cursor_t *cursor = NULL;
    bus_view_t key, value;
    char damaged[STORE_KEY_SIZE_MAX];
    cr_assert_eq(store_cursor_open(help->txn, BUCKET_SECRETS, &cursor), BUS_OK);
    cr_assert_eq(store_first(cursor, &key, &value), BUS_OK);
    while (strncmp(key.data + 4, key_id, 8) != 0) {
        cr_assert_eq(store_next(cursor, &key, &value), BUS_OK);
    }
    size_t size = key.size;
    memcpy(damaged, key.data, size);
    store_cursor_destroy(&cursor);
    cr_assert_eq(
        store_put(help->txn, BUCKET_SECRETS, view_from(damaged, size), VIEW_LITERAL("short")),
        BUS_OK);
    help_commit(help);
    cr_assert_eq(keys_open(help, false), BUS_OK);
    note_verifier_t after = keys_active(help);
    cr_expect_not(keys_is_same(&before, &after));
    cr_expect_eq(keys_count_secrets(help), 3);
    keys_destroy(&help);
}

Test(keys, of_a_rebuild_leave_nothing_behind)
{
    help_t *help = help_new();
    cr_assert_eq(keys_open(help, true), BUS_OK);
    BUS_AUTO(text_destroy) text_t *note = text_new();
    bucket_keys_note(help->state.keys, VIEW_LITERAL("text\n"), note);
    keys_save(help);
    cr_expect_neq(access(keys_path(help, "bucket.key"), F_OK), 0);
    cr_expect_eq(keys_count_secrets(help), 0);
    keys_destroy(&help);
}

Test(keys, sign_notes_that_their_verifier_opens)
{
    help_t *help = keys_new();
    BUS_AUTO(text_destroy) text_t *note = text_new();
    bucket_keys_note(help->state.keys, VIEW_LITERAL("origin\n1\nroot\n"), note);
    note_verifier_t verifier = keys_active(help);
    bus_view_t text;
    size_t which;
    cr_assert_eq(note_open(text_view(note), &verifier, 1, &text, &which), BUS_OK);
    cr_expect(view_is(text, "origin\n1\nroot\n"));
    keys_destroy(&help);
}
