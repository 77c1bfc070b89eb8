// config_test.c - what Bucket was started with: read from the environment, kept, and the owner's
// commands judged by it.
#include "bucket/config.h"
#include "help.h"
#include "proto/transcode.h"
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define TOKEN "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void
clear_environment(void)
{
    unsetenv("BHIV_BUCKET_QUOTAS");
    unsetenv("BHIV_ADVISOR_EMAIL");
    unsetenv("BHIV_EXECUTOR_EMAIL");
    unsetenv("BHIV_OWNER_EMAIL");
}

TestSuite(config, .init = clear_environment);

static bus_err_t
check(const char *variable, const char *value)
{
    setenv(variable, value, 1);
    bus_err_t err = bucket_config_check();
    unsetenv(variable);
    return err;
}

static void
write_token(const char *folder, mode_t mode)
{
    char path[300];
    snprintf(path, sizeof path, "%s/owner.token", folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, TOKEN "\n", sizeof TOKEN), (ssize_t) sizeof TOKEN);
    cr_assert_eq(fchmod(fd, mode), 0);
    close(fd);
}

// The configuration as it would be journaled, for help_value.
static void
make(help_t *help)
{
    const service_options_t options = {.dir = help->folder};
    pack_clear(help->packed);
    bucket_config_pack(&options, help->packed);
}

static bucket_config_t
get(help_t *help, bus_err_t expected)
{
    bucket_config_t config;
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(help->store, STORE_READ, &txn), BUS_OK);
    cr_assert_eq(bucket_config_get(txn, &config), expected);
    store_rollback(&txn);
    config.advisor_email = config.executor_email = config.owner_email = VIEW_NONE; // with the txn
    return config;
}

static bus_err_t
apply(help_t *help, const char *json)
{
    return help_apply(help, bucket_config_apply, &SCHEMA_bucket_config, "bucket.config", json);
}

Test(config, takes_quotas_in_decimal_and_binary_units)
{
    cr_expect_eq(check("BHIV_BUCKET_QUOTAS", "ai_assistant=400GB"), BUS_OK);
    cr_expect_eq(check("BHIV_BUCKET_QUOTAS", "gurukul=0,ai_avatar=5MiB,enforcement=12"), BUS_OK);
    cr_expect_eq(check("BHIV_BUCKET_QUOTAS", "gurukul=9223372036854775807B"), BUS_OK);
    cr_expect_eq(check("BHIV_BUCKET_QUOTAS", ""), BUS_OK);
}

Test(config, refuses_a_quota_that_cannot_be_meant)
{
    static const char *const bad[] = {"gurukul",
                                      "gurukul=",
                                      "gurukul=GB",
                                      "gurukul=1XB",
                                      "gurukul=-1",
                                      "gurukul=1.5GB",
                                      "gurukul=9223372036854775808",
                                      "gurukul=9300000TB",
                                      "guru=1GB",
                                      "gurukul=1GB,gurukul=2GB",
                                      "gurukul=1GB,",
                                      ",gurukul=1GB",
                                      "gurukul=1 GB"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_expect_eq(check("BHIV_BUCKET_QUOTAS", bad[i]), BUS_VALIDATION_FAILED, "%s", bad[i]);
    }
}

Test(config, takes_one_plain_address_and_nothing_that_could_add_a_header)
{
    static const char *const bad[] = {"owner",
                                      "@example.org",
                                      "owner@",
                                      "a@b@example.org",
                                      "owner@example.org\r\nBcc: all@example.org",
                                      "owner@example.org\n",
                                      "owner@example.org,other@example.org",
                                      "Owner <owner@example.org>",
                                      "owner@exam\x7fple.org",
                                      "owner@\xff.org"};
    cr_expect_eq(check("BHIV_OWNER_EMAIL", "owner@example.org"), BUS_OK);
    cr_expect_eq(check("BHIV_EXECUTOR_EMAIL", "a.b+c@x.example"), BUS_OK);
    cr_expect_eq(check("BHIV_ADVISOR_EMAIL", ""), BUS_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_expect_eq(check("BHIV_ADVISOR_EMAIL", bad[i]), BUS_VALIDATION_FAILED, "%s", bad[i]);
    }
}

Test(config, is_packed_alike_each_time_with_the_owners_key_and_the_defaults)
{
    help_t *help = help_new();
    BUS_AUTO(pack_destroy) pack_t *one = pack_new();
    BUS_AUTO(pack_destroy) pack_t *two = pack_new();
    const service_options_t options = {.dir = help->folder};
    write_token(help->folder, 0600);
    bucket_config_pack(&options, one);
    bucket_config_pack(&options, two);
    cr_assert(view_equal(pack_view(one), pack_view(two)));
    pack_raw(help->packed, pack_view(one));
    // base64 of the key that owner_test.c knows for this token
    cr_expect_str_eq(help_value(help, "owner_key"),
                     "\"RNzjbj0hSIpvJJd3VmPj/cP40Zn9YnYJMi+8TER3RdY=\"");
    cr_expect_str_eq(help_value(help, "quotas"),
                     "{\"ai_assistant\":400000000000,\"ai_avatar\":300000000000,"
                     "\"gurukul\":200000000000,\"enforcement\":100000000000}");
    cr_expect_str_eq(help_value(help, "advisor_email"), "");
    help_destroy(&help);
}

Test(config, has_no_owner_without_a_token_or_with_one_that_others_may_read)
{
    help_t *help = help_new();
    make(help);
    cr_expect_str_eq(help_value(help, "owner_key"), "");
    write_token(help->folder, 0644);
    make(help);
    cr_expect_str_eq(help_value(help, "owner_key"), "");
    help_destroy(&help);
}

Test(config, is_the_defaults_before_the_first)
{
    help_t *help = help_new();
    bucket_config_t config = get(help, BUS_NOT_FOUND);
    cr_expect_not(config.has_owner);
    cr_expect_eq(config.quotas[CHANNEL_AI_AVATAR], UINT64_C(300000000000));
    help_destroy(&help);
}

Test(config, is_kept_audited_and_read_back)
{
    help_t *help = help_new();
    cr_assert_eq(apply(help,
                       "{\"owner_key\":\"RNzjbj0hSIpvJJd3VmPj/cP40Zn9YnYJMi+8TER3RdY=\","
                       "\"owner_email\":\"o@example.org\",\"quotas\":{\"gurukul\":7}}"),
                 BUS_OK);
    cr_expect_eq(help->state.tree.size, 1);
    help_reopen(help);
    bucket_config_t config = get(help, BUS_OK);
    cr_expect(config.has_owner);
    cr_expect_eq(config.owner_key[0], 0x44);
    cr_expect_eq(config.quotas[CHANNEL_GURUKUL], 7);
    cr_expect_eq(config.quotas[CHANNEL_ENFORCEMENT], UINT64_C(100000000000));
    cr_assert_eq(apply(help, "{\"quotas\":{\"gurukul\":-7}}"), BUS_OK);
    config = get(help, BUS_OK);
    cr_expect_not(config.has_owner);
    cr_expect_eq(config.quotas[CHANNEL_GURUKUL], UINT64_C(200000000000));
    help_destroy(&help);
}

// --- The owner's commands ------------------------------------------------------------------------

static bus_err_t
require_owner(service_apply_t *self, const void *message BUS_UNUSED)
{
    return bucket_config_require_owner(self, "test");
}

// A command signed so long after the journal's time.
static bus_err_t
command(help_t *help, const char *token, int64_t later_us)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    pack_map(body, 1);
    pack_pair_text(body, "reason", "why");
    owner_sign(view_from_text(token),
               VIEW_LITERAL("bucket.retention.resume"),
               (uint64_t) ((int64_t) help->at + later_us),
               pack_view(body),
               out);
    BUS_AUTO(text_destroy) text_t *json = text_new();
    transcode_to_json(pack_view(out), 0, json);
    return help_apply(help, require_owner, NULL, "bucket.retention.resume", help_text(json));
}

static help_t *
with_owner(void)
{
    help_t *help = help_new();
    cr_assert_eq(apply(help,
                       "{\"owner_key\":\"RNzjbj0hSIpvJJd3VmPj/cP40Zn9YnYJMi+8TER3RdY=\","
                       "\"quotas\":{}}"),
                 BUS_OK);
    return help;
}

Test(config, lets_the_owner_command_and_each_command_once)
{
    help_t *help = with_owner();
    cr_expect_eq(command(help, TOKEN, 5), BUS_OK);
    cr_expect_eq(command(help, TOKEN, 5), BUS_UNAUTHORIZED_ACCESS);
    cr_expect_eq(command(help, TOKEN, 4), BUS_UNAUTHORIZED_ACCESS);
    cr_expect_eq(command(help, TOKEN, 6), BUS_OK);
    help_reopen(help);
    cr_expect_eq(command(help, TOKEN, 6), BUS_UNAUTHORIZED_ACCESS);
    help_destroy(&help);
}

Test(config, takes_a_command_within_five_minutes_of_the_journals_time)
{
    help_t *help = with_owner();
    cr_expect_eq(command(help, TOKEN, -300000001), BUS_UNAUTHORIZED_ACCESS);
    cr_expect_eq(command(help, TOKEN, -300000000), BUS_OK);
    cr_expect_eq(command(help, TOKEN, 300000001), BUS_UNAUTHORIZED_ACCESS);
    cr_expect_eq(command(help, TOKEN, 300000000), BUS_OK);
    help_destroy(&help);
}

Test(config, refuses_who_is_not_the_owner_and_says_so)
{
    help_t *help = with_owner();
    uint64_t entries = help->state.tree.size;
    cr_expect_eq(command(help, "another token", 1), BUS_UNAUTHORIZED_ACCESS);
    cr_expect_str_eq(help_value(help, "error_code"), "\"UNAUTHORIZED_ACCESS\"");
    cr_expect_eq(help->state.tree.size, entries + 1);
    cr_expect_eq(help->state.totals.owner_at, 0);
    help_destroy(&help);
}

Test(config, refuses_everybody_where_there_is_no_owner)
{
    help_t *help = help_new();
    cr_expect_eq(command(help, TOKEN, 1), BUS_UNAUTHORIZED_ACCESS);
    help_destroy(&help);
}
