// event_test.c - events, contexts and the toggle: what they leave in the audit log, and that no
// damaged record stops the journal.
#include "bucket/audit_entry.h"
#include "bucket/context.h"
#include "bucket/event.h"
#include "bucket/forward.h"
#include "bucket/index.h"
#include "help.h"
#include <criterion/criterion.h>
#include <stdio.h>

static help_t *help;

static void
setup(void)
{
    help = help_new();
}

static void
teardown(void)
{
    help_destroy(&help);
}

TestSuite(event, .init = setup, .fini = teardown);

static bus_err_t
tell(const char *json)
{
    return help_apply(help, bucket_event_apply, &SCHEMA_core_event, "core.event.note", json);
}

static bus_err_t
read_context(const char *json)
{
    return help_apply(help, bucket_context_read, &SCHEMA_context_read, "bucket.context.read", json);
}

// The last entry of the log.
static bucket_audit_entry_t
last_entry(store_txn_t *txn)
{
    bus_view_t leaf;
    bucket_audit_entry_t entry;
    cr_assert_gt(help->state.tree.size, 0);
    cr_assert_eq(bucket_audit_leaf(txn, help->state.tree.size - 1, &leaf), BUS_OK);
    cr_assert_eq(bucket_audit_entry_read(leaf, &entry), BUS_OK);
    return entry;
}

static store_txn_t *
begin(store_mode_t mode)
{
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(help->store, mode, &txn), BUS_OK);
    return txn;
}

// Puts bytes under a key that no check of what they mean can take for good.
static void
spoil(unsigned table, bus_view_t key)
{
    store_txn_t *txn = begin(STORE_WRITE);
    cr_assert_eq(store_put(txn, table, key, VIEW_LITERAL("\xc0\xc0\xc0")), BUS_OK);
    cr_assert_eq(store_commit(&txn), BUS_OK);
}

Test(event, is_stored_with_one_entry_that_holds_its_hash)
{
    cr_assert_eq(tell("{\"requester_id\":\"bhiv_core\",\"agent_id\":\"a\",\"n\":1}"), BUS_OK);
    cr_expect_str_eq(help_text(help->answer), "", "an event is answered only where it was asked");
    cr_expect_eq(help->state.tree.size, 1);
    store_txn_t *txn = begin(STORE_READ);
    bucket_audit_entry_t entry = last_entry(txn);
    cr_expect(view_is(entry.event_type, "write") && view_is(entry.operation, "write-event"));
    cr_expect(view_is(entry.requester_id, "bhiv_core") && view_is(entry.subject, "id-1"));
    bus_view_t event;
    cr_assert_eq(store_get(txn, BUCKET_EVENTS, STORE_U64(UINT64_C(1)), &event), BUS_OK);
    merkle_hash_t hash;
    char hex[BUCKET_AUDIT_HEX_SIZE];
    merkle_sha256(event, &hash);
    bucket_audit_entry_hex(&hash, hex);
    cr_expect(view_is(entry.content_hash, hex));
    store_rollback(&txn);
    cr_expect(strncmp(help_text(help->said), "karma.life_event ", 17) == 0);
}

Test(event, of_a_stranger_is_refused_and_its_refusal_is_an_entry)
{
    cr_assert_eq(tell("{\"requester_id\":\"somebody\"}"), BUS_UNAUTHORIZED_ACCESS);
    cr_expect_str_eq(help_value(help, "message"), "\"Unauthorized requester\"");
    cr_expect_str_eq(help_value(help, "decision"), "\"refused\"");
    cr_expect_str_eq(help_value(help, "audit_id"), "\"audit_1\"");
    store_txn_t *txn = begin(STORE_READ);
    bucket_audit_entry_t entry = last_entry(txn);
    cr_expect(view_is(entry.decision, "refused") && view_is(entry.operation, "write-event"));
    cr_expect(view_is(entry.requester_id, "somebody"));
    uint64_t count = 99;
    cr_assert_eq(store_count(txn, BUCKET_EVENTS, &count), BUS_OK);
    cr_expect_eq(count, 0);
    store_rollback(&txn);
    cr_expect_str_eq(help_text(help->said), "");
}

Test(event, context_is_read_by_core_alone_and_every_reading_is_an_entry)
{
    cr_assert_eq(tell("{\"requester_id\":\"bhiv_core\",\"agent_id\":\"a\"}"), BUS_OK);
    cr_assert_eq(read_context("{\"agent_id\":\"a\",\"requester_id\":\"bhiv_core\"}"), BUS_OK);
    cr_expect_str_eq(help_value(help, "context.event_count"), "1");
    cr_expect_str_eq(help_value(help, "audit_id"), "\"audit_2\"");
    bus_err_t err = read_context("{\"agent_id\":\"a\",\"requester_id\":\"workflow_executor\"}");
    cr_expect_eq(err, BUS_UNAUTHORIZED_ACCESS);
    cr_expect_str_eq(help_value(help, "audit_id"), "\"audit_3\"");
    cr_expect_eq(help->state.tree.size, 3);
}

Test(event, is_taken_where_a_record_that_it_changes_is_damaged)
{
    const char *json =
        "{\"requester_id\":\"bhiv_core\",\"event_type\":\"note\",\"agent_id\":\"a\"}";
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(tell(json), BUS_OK);
    }
    spoil(BUCKET_AGENTS, VIEW_LITERAL("a"));
    cr_expect_eq(read_context("{\"agent_id\":\"a\",\"requester_id\":\"bhiv_core\"}"), BUS_INTERNAL);
    cr_expect_str_eq(help_value(help, "error_code"), "\"INTEGRITY_ERROR\"");
    spoil(BUCKET_COUNTS, VIEW_LITERAL("t\x04note"));
    cr_assert_eq(tell(json), BUS_OK);
    store_txn_t *txn = begin(STORE_READ);
    uint64_t count = 0;
    cr_assert_eq(bucket_index_count(txn, BUCKET_INDEX_TYPE, VIEW_LITERAL("note"), &count), BUS_OK);
    cr_expect_eq(count, 4, "counted anew");
    store_rollback(&txn);
    cr_expect_eq(help->state.totals.damaged, 2);
    cr_assert_eq(read_context("{\"agent_id\":\"a\",\"requester_id\":\"bhiv_core\"}"), BUS_OK);
    cr_expect_str_eq(help_value(help, "context.event_count"), "1");
}

Test(event, toggle_is_the_owners)
{
    bus_err_t err = help_apply(help,
                               bucket_forward_set,
                               &SCHEMA_forwarding_set,
                               "bucket.forwarding.set",
                               "{\"enabled\":false}");
    cr_expect_eq(err, BUS_UNAUTHORIZED_ACCESS);
    cr_expect_eq(help->state.totals.forwarding, 1);
    cr_expect_eq(help->state.tree.size, 1);
}
