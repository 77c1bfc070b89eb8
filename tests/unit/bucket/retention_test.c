// retention_test.c - nothing goes early, nothing stays late, what is held stays.
#include "artifact_help.h"
#include "bucket/audit.h"
#include "proto/transcode.h"
#include "proto/walk.h"
#include <stdlib.h>
#include <string.h>

#define TOKEN "the-owners-token"

// The owner, and one artifact "a1" of gurukul, kept for a day.
static help_t *
with_one(void)
{
    help_t *help = help_new();
    artifact_config(help, TOKEN, 1000000);
    cr_assert_eq(artifact_write(help, "gurukul", "a1", ",\"retention_days\":1,\"tags\":[\"t\"]"),
                 BUS_OK);
    return help;
}

static bus_err_t
hold(help_t *help, const char *id, bool holds)
{
    char json[200];
    snprintf(json,
             sizeof json,
             "{\"artifact_id\":\"%s\",\"product\":\"gurukul\",\"hold\":%s,\"reason\":\"court\"}",
             id,
             holds ? "true" : "false");
    help->at += 1; // signed later than the last one
    return artifact_owner(help, bucket_retention_hold, "bucket.legal_hold", TOKEN, json);
}

static bus_err_t
delete_one(help_t *help, const char *id, const char *token)
{
    char json[200];
    snprintf(json,
             sizeof json,
             "{\"artifact_id\":\"%s\",\"product\":\"gurukul\",\"reason\":\"asked for\"}",
             id);
    help->at += 1;
    return artifact_owner(help, bucket_retention_delete, "bucket.deletion.approve", token, json);
}

// The value at the path of the last audit entry, as JSON.
static const char *
last_entry(help_t *help, const char *path)
{
    static char text[500];
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(help->store, STORE_READ, &txn), BUS_OK);
    bus_view_t leaf, value;
    cr_assert_eq(bucket_audit_leaf(txn, help->state.tree.size - 1, &leaf), BUS_OK);
    BUS_AUTO(text_destroy) text_t *json = text_new();
    if (walk_find_path(leaf, path, &value) == BUS_OK) {
        transcode_to_json(value, 0, json);
    }
    snprintf(text, sizeof text, "%s", help_text(json));
    store_rollback(&txn);
    return text;
}

static bool
is_there(help_t *help, const char *id)
{
    bus_err_t err = artifact_read(help, "gurukul", id);
    cr_assert(err == BUS_OK || err == BUS_ARTIFACT_NOT_FOUND, "%s", error_text(err));
    return err == BUS_OK;
}

Test(retention, removes_after_the_time_and_not_a_microsecond_before)
{
    help_t *help = with_one();
    help->at = HELP_T0 + HELP_DAY;
    cr_assert_eq(artifact_sweep(help), BUS_OK);
    cr_assert(is_there(help, "a1"));
    help->at++;
    cr_assert_eq(artifact_sweep(help), BUS_OK);
    cr_assert_not(is_there(help, "a1"));
    help_destroy(&help);
}

Test(retention, leaves_a_tombstone_that_proves_it)
{
    help_t *help = with_one();
    char checksum[100];
    cr_assert(is_there(help, "a1"));
    snprintf(checksum, sizeof checksum, "%s", help_value(help, "checksum"));
    help->at = HELP_T0 + 2 * HELP_DAY;
    uint64_t entries = help->state.tree.size;
    cr_assert_eq(artifact_sweep(help), BUS_OK);
    cr_assert_eq(help->state.tree.size, entries + 1);
    cr_assert_str_eq(last_entry(help, "event_type"), "\"retention\"");
    cr_assert_str_eq(last_entry(help, "rule"), "\"retention_expired\"");
    cr_assert_str_eq(last_entry(help, "subject"), "\"a1\"");
    cr_assert_str_eq(last_entry(help, "product"), "\"gurukul\"");
    cr_assert_str_eq(last_entry(help, "details.legal_hold"), "false");
    cr_assert_str_eq(last_entry(help, "details.removed"), "true");
    char until[50];
    snprintf(until, sizeof until, "%llu", (unsigned long long) (HELP_T0 + HELP_DAY));
    cr_assert_str_eq(last_entry(help, "details.retention_until"), until);
    // "sha256:…" in the answer, 64 digits in the log.
    cr_assert_eq(strncmp(last_entry(help, "content_hash") + 1, checksum + strlen("\"sha256:"), 64),
                 0);
    help_destroy(&help);
}

Test(retention, takes_everything_away_but_the_tombstone_and_the_id)
{
    help_t *help = with_one();
    help->at = HELP_T0 + 2 * HELP_DAY;
    cr_assert_eq(artifact_sweep(help), BUS_OK);
    cr_assert_eq(artifact_rows(help, BUCKET_CONTENTS), 0);
    cr_assert_eq(artifact_rows(help, BUCKET_EXPIRIES), 0);
    cr_assert_eq(artifact_rows(help, BUCKET_COUNTS), 0);
    cr_assert_eq(artifact_rows(help, BUCKET_ARTIFACTS), 1);
    cr_assert_eq(artifact_rows(help, BUCKET_IDS), 1);
    cr_assert_eq(artifact_used(help, "gurukul", "used_bytes"), 0);
    cr_assert_eq(help->state.totals.artifacts, 0);
    cr_assert_eq(help->state.totals.removed, 1);
    cr_assert_eq(artifact_query(help, "gurukul", "{\"tags\":[\"t\"]}"), BUS_OK);
    cr_assert_str_eq(help_value(help, "total"), "0");
    cr_assert_eq(artifact_write(help, "gurukul", "a1", ""), BUS_DUPLICATE_ARTIFACT_ID);
    uint64_t entries = help->state.tree.size;
    cr_assert_eq(artifact_sweep(help), BUS_OK);
    cr_assert_eq(help->state.tree.size, entries, "a sweep without work leaves no trace");
    help_destroy(&help);
}

Test(retention, keeps_what_is_held_through_ten_sweeps_and_decides_once)
{
    help_t *help = with_one();
    cr_assert_eq(hold(help, "a1", true), BUS_OK);
    cr_assert_str_eq(help_value(help, "hold"), "true");
    cr_assert_str_eq(last_entry(help, "event_type"), "\"owner\"");
    cr_assert_str_eq(last_entry(help, "details.reason"), "\"court\"");
    uint64_t entries = help->state.tree.size;
    for (int i = 0; i < 10; i++) {
        help->at += 2 * HELP_DAY;
        cr_assert_eq(artifact_sweep(help), BUS_OK);
        cr_assert_eq(help->state.tree.size, entries + 1, "the decision is audited once");
    }
    cr_assert_str_eq(last_entry(help, "rule"), "\"legal_hold\"");
    cr_assert_str_eq(last_entry(help, "decision"), "\"refused\"");
    cr_assert_eq(delete_one(help, "a1", TOKEN), BUS_LEGAL_HOLD);
    cr_assert(is_there(help, "a1"));
    help_reopen(help);
    cr_assert_eq(hold(help, "a1", false), BUS_OK);
    cr_assert_eq(artifact_sweep(help), BUS_OK);
    cr_assert_not(is_there(help, "a1"));
    help_destroy(&help);
}

Test(retention, keeps_what_is_held_before_the_sweep_in_the_same_batch)
{
    help_t *help = with_one();
    cr_assert_eq(artifact_write(help, "gurukul", "a2", ",\"retention_days\":1"), BUS_OK);
    help->at = HELP_T0 + 2 * HELP_DAY;
    help_begin(help);
    cr_assert_eq(hold(help, "a1", true), BUS_OK);
    cr_assert_eq(artifact_sweep(help), BUS_OK);
    cr_assert_eq(hold(help, "a2", true), BUS_ARTIFACT_NOT_FOUND, "too late for this one");
    help_commit(help);
    cr_assert(is_there(help, "a1"));
    cr_assert_not(is_there(help, "a2"));
    help_destroy(&help);
}

Test(retention, goes_on_with_another_sweep_where_one_is_not_enough)
{
    help_t *help = help_new();
    artifact_config(help, TOKEN, 1000000);
    help_begin(help);
    for (int i = 0; i < BUCKET_SWEEP_MAX + 5; i++) {
        char id[16];
        snprintf(id, sizeof id, "a-%d", i);
        cr_assert_eq(artifact_write(help, "gurukul", id, ",\"retention_days\":1"), BUS_OK);
    }
    help_commit(help);
    cr_assert_eq(hold(help, "a-3", true), BUS_OK);
    help->at = HELP_T0 + 2 * HELP_DAY;
    cr_assert_eq(artifact_sweep(help), BUS_OK);
    cr_assert_str_eq(help_text(help->said), "bucket.sweep {}\n");
    cr_assert_eq(help->state.totals.artifacts, 6);
    cr_assert_eq(artifact_sweep(help), BUS_OK);
    cr_assert_str_eq(help_text(help->said), "");
    cr_assert_eq(help->state.totals.artifacts, 1);
    cr_assert(is_there(help, "a-3"));
    help_destroy(&help);
}

Test(retention, deletes_for_the_owner_alone)
{
    help_t *help = with_one();
    cr_assert_eq(delete_one(help, "a1", "somebody"), BUS_UNAUTHORIZED_ACCESS);
    cr_assert_eq(help_apply(help,
                            bucket_retention_delete,
                            NULL,
                            "bucket.deletion.approve",
                            "{\"artifact_id\":\"a1\",\"product\":\"gurukul\",\"reason\":\"r\"}"),
                 BUS_UNAUTHORIZED_ACCESS);
    cr_assert(is_there(help, "a1"));
    cr_assert_eq(delete_one(help, "a1", TOKEN), BUS_OK);
    cr_assert_str_eq(help_value(help, "artifact_id"), "\"a1\"");
    cr_assert_str_eq(last_entry(help, "rule"), "\"owner_approval\"");
    cr_assert_str_eq(last_entry(help, "requester_id"), "\"owner\"");
    cr_assert_str_eq(last_entry(help, "details.reason"), "\"asked for\"");
    cr_assert_not(is_there(help, "a1"));
    cr_assert_eq(delete_one(help, "a1", TOKEN), BUS_ARTIFACT_NOT_FOUND);
    cr_assert_eq(hold(help, "a1", true), BUS_ARTIFACT_NOT_FOUND);
    cr_assert_eq(artifact_used(help, "gurukul", "used_bytes"), 0);
    help_destroy(&help);
}

Test(retention, takes_an_owners_command_once)
{
    help_t *help = with_one();
    cr_assert_eq(hold(help, "a1", true), BUS_OK);
    help->at -= 1; // the time of the last command again
    cr_assert_eq(hold(help, "a1", true), BUS_UNAUTHORIZED_ACCESS);
    help_destroy(&help);
}

Test(retention, names_what_is_wrong_with_an_owners_command)
{
    help_t *help = with_one();
    cr_assert_eq(artifact_owner(help,
                                bucket_retention_hold,
                                "bucket.legal_hold",
                                TOKEN,
                                "{\"artifact_id\":\"a1\",\"product\":\"gurukul\",\"hold\":1}"),
                 BUS_VALIDATION_FAILED);
    help->at++;
    cr_assert_eq(artifact_owner(help,
                                bucket_retention_delete,
                                "bucket.deletion.approve",
                                TOKEN,
                                "{\"artifact_id\":\"a1\",\"product\":\"x\",\"reason\":\"r\"}"),
                 BUS_VALIDATION_FAILED);
    help_destroy(&help);
}

Test(retention, waits_for_the_owner_after_the_clock_jumped)
{
    help_t *help = with_one();
    const char *fact = "{\"last\":1,\"now\":2,\"ahead_seconds\":100000}";
    help->at = HELP_T0 + 365 * HELP_DAY;
    cr_assert_eq(help_apply(help, bucket_retention_clock, NULL, "governance.clock.ahead", fact),
                 BUS_OK);
    cr_assert_eq(help->state.totals.held_since, 0, "anybody could say so");
    help->source = "$bus";
    cr_assert_eq(help_apply(help, bucket_retention_clock, NULL, "governance.clock.ahead", fact),
                 BUS_OK);
    cr_assert_eq(help->state.totals.held_since, help->at);
    cr_assert_not_null(strstr(help_text(help->said), "workflow.execute"), "the owner is told");
    help->source = "tests";
    cr_assert_eq(artifact_sweep(help), BUS_OK);
    cr_assert(is_there(help, "a1"));
    help_reopen(help);
    cr_assert_eq(artifact_sweep(help), BUS_OK);
    cr_assert(is_there(help, "a1"));
    const char *resume = "{\"reason\":\"the clock is right\"}";
    cr_assert_eq(artifact_owner(
                     help, bucket_retention_resume, "bucket.retention.resume", "somebody", resume),
                 BUS_UNAUTHORIZED_ACCESS);
    cr_assert_eq(
        artifact_owner(help, bucket_retention_resume, "bucket.retention.resume", TOKEN, resume),
        BUS_OK);
    cr_assert_str_eq(help_value(help, "was_held"), "true");
    cr_assert_eq(artifact_sweep(help), BUS_OK);
    cr_assert_not(is_there(help, "a1"));
    help_destroy(&help);
}

static bus_err_t
tick(service_query_t *query, const void *message BUS_UNUSED)
{
    bucket_retention_tick(query);
    return BUS_OK;
}

// What the tick says now.
static const char *
said_by_tick(help_t *help)
{
    text_clear(help->said);
    cr_assert_eq(help_ask(help, tick, NULL, "{}"), BUS_OK);
    return help_text(help->said);
}

Test(retention, says_a_sweep_when_something_is_due)
{
    help_t *help = with_one();
    cr_assert_str_eq(said_by_tick(help), "");
    help->at = HELP_T0 + HELP_DAY + 1;
    cr_assert_str_eq(said_by_tick(help), "bucket.sweep {}\n");
    cr_assert_eq(artifact_sweep(help), BUS_OK);
    cr_assert_str_eq(said_by_tick(help), "");
    help_destroy(&help);
}

Test(retention, says_no_sweep_for_what_is_held)
{
    help_t *help = with_one();
    cr_assert_eq(hold(help, "a1", true), BUS_OK);
    help->at = HELP_T0 + HELP_DAY + 1;
    cr_assert_str_eq(said_by_tick(help), "bucket.sweep {}\n", "it is decided once");
    cr_assert_eq(artifact_sweep(help), BUS_OK);
    help->at += HELP_DAY;
    cr_assert_str_eq(said_by_tick(help), "");
    help_destroy(&help);
}

Test(retention, lets_go_of_audit_entries_after_seven_years_with_nothing_else_to_do)
{
    help_t *help = with_one();
    help->at = HELP_T0 + 2 * HELP_DAY;
    cr_assert_eq(artifact_sweep(help), BUS_OK);
    uint64_t bodies = artifact_rows(help, BUCKET_AUDIT);
    uint64_t size = help->state.tree.size;
    help->at = HELP_T0 + 2555 * HELP_DAY;
    cr_assert_str_eq(said_by_tick(help), "");
    help->at = HELP_T0 + 2558 * HELP_DAY;
    cr_assert_str_eq(said_by_tick(help), "bucket.sweep {}\n");
    cr_assert_str_eq(said_by_tick(help), "", "once a day");
    cr_assert_eq(artifact_sweep(help), BUS_OK);
    cr_assert_lt(artifact_rows(help, BUCKET_AUDIT), bodies);
    cr_assert_geq(help->state.tree.size, size, "their hashes stay");
    help_destroy(&help);
}

Test(retention, passes_over_a_damaged_record_and_does_not_meet_it_again)
{
    help_t *help = with_one();
    cr_assert_eq(artifact_write(help, "gurukul", "a2", ",\"retention_days\":1"), BUS_OK);
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(help->store, STORE_WRITE, &txn), BUS_OK);
    cr_assert_eq(store_put(txn, BUCKET_ARTIFACTS, STORE_U64(2), VIEW_LITERAL("?")), BUS_OK);
    cr_assert_eq(store_commit(&txn), BUS_OK);
    help->at = HELP_T0 + 2 * HELP_DAY;
    cr_assert_eq(artifact_sweep(help), BUS_OK);
    cr_assert_not_null(strstr(help_text(help->said), "governance.integrity"));
    cr_assert_not(is_there(help, "a2"));
    cr_assert_eq(artifact_rows(help, BUCKET_EXPIRIES), 0);
    uint64_t entries = help->state.tree.size;
    cr_assert_eq(artifact_sweep(help), BUS_OK);
    cr_assert_eq(help->state.tree.size, entries);
    help_destroy(&help);
}
