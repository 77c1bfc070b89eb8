// storage_test.c - artifacts and callers' entries are refused before the store is full, and nothing
// else.
#include "artifact_help.h"
#include "bucket/audit.h"
#include "bucket/storage.h"
#include <string.h>

#define FULL "{\"is_full\":true,\"held_bytes\":90,\"map_bytes\":100}"
#define ROOM "{\"is_full\":false,\"held_bytes\":70,\"map_bytes\":100}"

static bus_err_t
say(help_t *help, const char *source, const char *json)
{
    help->source = source;
    bus_err_t err =
        help_apply(help, bucket_storage_apply, &SCHEMA_bucket_storage, "bucket.storage", json);
    help->source = "tests";
    return err;
}

Test(storage, refuses_artifacts_from_the_place_where_it_was_said)
{
    help_t *help = help_new();
    artifact_config(help, "token", 1000000);
    cr_assert_eq(artifact_write(help, "gurukul", "a", ""), BUS_OK);
    cr_assert_eq(say(help, "bhiv_bucket", FULL), BUS_OK);
    cr_assert_not_null(strstr(help_text(help->said), "workflow.execute"), "the owner is told");
    cr_assert_eq(artifact_write(help, "gurukul", "b", ""), BUS_INTERNAL, "no error of the store's");
    cr_assert_str_eq(help_value(help, "error_code"), "\"STORE_FULL\"");
    cr_assert_eq(artifact_read(help, "gurukul", "a"), BUS_OK);
    help_reopen(help);
    cr_assert_eq(artifact_write(help, "ai_avatar", "b", ""), BUS_INTERNAL);
    const char *delete = "{\"artifact_id\":\"a\",\"product\":\"gurukul\",\"reason\":\"room\"}";
    cr_assert_eq(
        artifact_owner(help, bucket_retention_delete, "bucket.deletion.approve", "token", delete),
        BUS_OK);
    cr_assert_eq(say(help, "bhiv_bucket", ROOM), BUS_OK);
    cr_assert_eq(artifact_write(help, "gurukul", "b", ""), BUS_OK);
    help_destroy(&help);
}

// What they hold counts to no quota: only this keeps a caller from filling the store with them.
Test(storage, refuses_callers_entries_too_while_refusals_are_audited)
{
    static const char append[] =
        "{\"event_type\":\"read\",\"product\":\"gurukul\",\"details\":{},\"requester_id\":\"m\"}";
    help_t *help = help_new();
    cr_assert_eq(say(help, "bhiv_bucket", FULL), BUS_OK);
    cr_assert_eq(help_apply(help, bucket_audit_append, NULL, "bucket.audit_append", append),
                 BUS_INTERNAL);
    cr_assert_str_eq(help_value(help, "error_code"), "\"STORE_FULL\"");
    cr_assert_str_eq(help_value(help, "rule"), "\"store_full\"");
    cr_assert_eq(help->state.tree.size, 2);
    cr_assert_eq(say(help, "bhiv_bucket", ROOM), BUS_OK);
    cr_assert_eq(help_apply(help, bucket_audit_append, NULL, "bucket.audit_append", append),
                 BUS_OK);
    help_destroy(&help);
}

Test(storage, takes_nobody_elses_word_for_it)
{
    help_t *help = help_new();
    cr_assert_eq(say(help, "somebody", FULL), BUS_OK);
    cr_assert_eq(artifact_write(help, "gurukul", "a", ""), BUS_OK);
    help_destroy(&help);
}

Test(storage, is_audited_once_a_change)
{
    help_t *help = help_new();
    cr_assert_eq(say(help, "bhiv_bucket", ROOM), BUS_OK);
    cr_assert_eq(help->state.tree.size, 0);
    cr_assert_eq(say(help, "bhiv_bucket", FULL), BUS_OK);
    cr_assert_eq(say(help, "bhiv_bucket", FULL), BUS_OK);
    cr_assert_eq(help->state.tree.size, 1);
    cr_assert_eq(say(help, "bhiv_bucket", ROOM), BUS_OK);
    cr_assert_eq(help->state.tree.size, 2);
    help_destroy(&help);
}

static bus_err_t
tick(service_query_t *query, const void *message BUS_UNUSED)
{
    bucket_storage_tick(query);
    return BUS_OK;
}

// Fills the store of 256 MiB with contents of a mebibyte, from number `first` to `last`.
static void
fill(help_t *help, unsigned first, unsigned last)
{
    static char bytes[1024 * 1024];
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(help->store, STORE_RESERVE, &txn), BUS_OK);
    for (unsigned i = first; i <= last; i++) {
        cr_assert_eq(store_put(txn, BUCKET_CONTENTS, STORE_U64(i), view_from(bytes, sizeof bytes)),
                     BUS_OK);
    }
    cr_assert_eq(store_commit(&txn), BUS_OK);
}

static const char *
said_by_tick(help_t *help)
{
    text_clear(help->said);
    cr_assert_eq(help_ask(help, tick, NULL, "{}"), BUS_OK);
    return help_text(help->said);
}

Test(storage, is_looked_at_by_the_tick_and_said_when_it_changes)
{
    help_t *help = help_new();
    cr_assert_str_eq(said_by_tick(help), "");
    fill(help, 1, 210); // 82 %
    cr_assert_str_eq(said_by_tick(help), "");
    fill(help, 211, 222); // 87 %
    cr_assert_not_null(strstr(said_by_tick(help), "\"is_full\":true"));
    cr_assert_eq(say(help, "bhiv_bucket", FULL), BUS_OK);
    cr_assert_str_eq(said_by_tick(help), "");
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(help->store, STORE_RESERVE, &txn), BUS_OK);
    cr_assert_eq(store_clear(txn, BUCKET_CONTENTS), BUS_OK);
    cr_assert_eq(store_commit(&txn), BUS_OK);
    cr_assert_not_null(strstr(said_by_tick(help), "\"is_full\":false"), "what was freed is room");
    help_destroy(&help);
}
