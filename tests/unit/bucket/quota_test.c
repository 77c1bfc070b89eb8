// quota_test.c - how much a product may keep: exact, warned of once, given back.
#include "artifact_help.h"
#include <string.h>

// What artifact_write stores for a two-byte id in gurukul: {"of":"xx"} and its metadata.
enum { CONTENT = 1 + 3 + 3, METADATA = 1 + 8 + 8 + 11 + 7, EACH = CONTENT + METADATA };

static int
count_of(const char *text, const char *word)
{
    int count = 0;
    for (const char *at = strstr(text, word); at != NULL; at = strstr(at + 1, word)) {
        count++;
    }
    return count;
}

Test(quota, counts_content_and_metadata_in_bytes_of_msgpack)
{
    help_t *help = help_new();
    cr_assert_eq(artifact_write(help, "gurukul", "a1", ""), BUS_OK);
    cr_assert_eq(artifact_used(help, "gurukul", "used_bytes"), EACH);
    cr_assert_eq(artifact_used(help, "gurukul", "artifacts"), 1);
    cr_assert_eq(artifact_used(help, "ai_avatar", "used_bytes"), 0);
    help_destroy(&help);
}

Test(quota, is_the_contracts_where_none_is_configured)
{
    help_t *help = help_new();
    cr_assert_eq(help_ask(help, bucket_quota_query, &SCHEMA_quota_query, "{}"), BUS_OK);
    cr_assert_str_eq(help_value(help, "total"),
                     "{\"used_bytes\":0,\"quota_bytes\":1000000000000,\"artifacts\":0}");
    cr_assert_eq(artifact_used(help, "ai_assistant", "quota_bytes"), 400000000000);
    cr_assert_eq(artifact_used(help, "ai_avatar", "quota_bytes"), 300000000000);
    cr_assert_eq(artifact_used(help, "gurukul", "quota_bytes"), 200000000000);
    cr_assert_eq(artifact_used(help, "enforcement", "quota_bytes"), 100000000000);
    cr_assert_str_eq(help_value(help, "status"), "\"healthy\"");
    help_destroy(&help);
}

Test(quota, lets_in_what_fits_to_the_byte)
{
    help_t *help = help_new();
    artifact_config(help, "token", 3 * EACH);
    cr_assert_eq(artifact_write(help, "gurukul", "a1", ""), BUS_OK);
    cr_assert_eq(artifact_write(help, "gurukul", "a2", ""), BUS_OK);
    cr_assert_eq(artifact_write(help, "gurukul", "abc", ""), BUS_QUOTA_EXCEEDED);
    cr_assert_str_eq(help_value(help, "error_code"), "\"QUOTA_EXCEEDED\"");
    char details[200];
    snprintf(details,
             sizeof details,
             "{\"product\":\"gurukul\",\"quota_bytes\":%d,\"used_bytes\":%d,\"needed_bytes\":%d}",
             3 * EACH,
             2 * EACH,
             EACH + 1);
    cr_assert_str_eq(help_value(help, "details"), details);
    cr_assert_eq(artifact_write(help, "gurukul", "a3", ""), BUS_OK);
    cr_assert_eq(artifact_used(help, "gurukul", "used_bytes"), 3 * EACH);
    cr_assert_str_eq(help_value(help, "status"), "\"full\"");
    cr_assert_eq(artifact_write(help, "gurukul", "a4", ""), BUS_QUOTA_EXCEEDED);
    cr_assert_eq(artifact_write(help, "ai_avatar", "a4", ""), BUS_OK, "the others have their own");
    help_destroy(&help);
}

Test(quota, is_the_real_size_whatever_came_and_went)
{
    help_t *help = help_new();
    artifact_config(help, "token", 1000000);
    for (int i = 0; i < 20; i++) {
        char id[8];
        snprintf(id, sizeof id, "%02d", i);
        help->at += HELP_DAY / 10;
        cr_assert_eq(artifact_write(help, "gurukul", id, ",\"retention_days\":1"), BUS_OK);
    }
    help->at = HELP_T0 + HELP_DAY + 5 * HELP_DAY / 10 + 1; // five are due
    cr_assert_eq(artifact_sweep(help), BUS_OK);
    cr_assert_eq(artifact_used(help, "gurukul", "artifacts"), 15);
    cr_assert_eq(artifact_used(help, "gurukul", "used_bytes"), 15 * (EACH + 15 + 1));
    help_reopen(help);
    cr_assert_eq(artifact_used(help, "gurukul", "used_bytes"), 15 * (EACH + 15 + 1));
    cr_assert_eq(help->state.totals.artifacts, 15);
    help_destroy(&help);
}

Test(quota, warns_once_each_time_that_ninety_percent_are_passed_upwards)
{
    help_t *help = help_new();
    artifact_config(help, "token", 10 * EACH);
    int warnings = 0;
    int mails = 0;
    for (int i = 0; i < 10; i++) {
        char id[8];
        snprintf(id, sizeof id, "%02d", i);
        cr_assert_eq(artifact_write(help, "gurukul", id, ""), BUS_OK);
        warnings += count_of(help_text(help->said), "governance.quota_warning");
        mails += count_of(help_text(help->said), "workflow.execute");
        cr_assert_eq(warnings, i < 8 ? 0 : 1, "at %d", i);
    }
    cr_assert_eq(mails, 1);
    const char *delete = "{\"artifact_id\":\"%02d\",\"product\":\"gurukul\",\"reason\":\"r\"}";
    for (int i = 0; i < 2; i++) {
        char json[100];
        snprintf(json, sizeof json, delete, i);
        help->at += 1;
        cr_assert_eq(
            artifact_owner(help, bucket_retention_delete, "bucket.deletion.approve", "token", json),
            BUS_OK);
    }
    cr_assert_eq(artifact_write(help, "gurukul", "10", ""), BUS_OK);
    cr_assert_eq(count_of(help_text(help->said), "governance.quota_warning"), 1);
    help_destroy(&help);
}

Test(quota, knows_no_other_product)
{
    help_t *help = help_new();
    cr_assert_eq(
        help_ask(help, bucket_quota_query, &SCHEMA_quota_query, "{\"product\":\"Gurukul\"}"),
        BUS_VALIDATION_FAILED);
    cr_assert_not_null(strstr(help_text(help->details), "\"field\":\"product\""));
    help_destroy(&help);
}

Test(quota, follows_the_configuration_in_force)
{
    help_t *help = help_new();
    artifact_config(help, "token", EACH);
    cr_assert_eq(artifact_write(help, "gurukul", "a1", ""), BUS_OK);
    cr_assert_eq(artifact_write(help, "gurukul", "a2", ""), BUS_QUOTA_EXCEEDED);
    artifact_config(help, "token", 2 * EACH);
    cr_assert_eq(artifact_write(help, "gurukul", "a2", ""), BUS_OK);
    artifact_config(help, "token", 0); // below what is used: nothing fits, nothing breaks
    cr_assert_eq(artifact_write(help, "gurukul", "a3", ""), BUS_QUOTA_EXCEEDED);
    cr_assert_eq(artifact_used(help, "gurukul", "used_bytes"), 2 * EACH);
    help_destroy(&help);
}
