// governance_test.c - refusals: audited, counted, escalated once a window, answered in one shape.
#include "bucket/audit.h"
#include "bucket/governance.h"
#include "bucket/threats.h"
#include "help.h"
#include "proto/transcode.h"
#include "proto/walk.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define HOUR UINT64_C(3600000000)

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

TestSuite(governance, .init = setup, .fini = teardown);

#define assert_value(path, expected)                                                               \
    cr_assert_str_eq(help_value(help, path), expected, "%s: %s", path, help_text(help->answer))

static bus_err_t
request(const char *json)
{
    return help_apply(help, bucket_governance_request, NULL, "bucket.request", json);
}

static bus_err_t
refused(const char *json)
{
    return help_apply(help, bucket_governance_refused, &SCHEMA_refused, "bucket.refused", json);
}

// One violation of `who`.
static void
violate(const char *who)
{
    char json[200];
    snprintf(json,
             sizeof json,
             "{\"action\":\"update_artifact\",\"artifact_id\":\"a\",\"requester_id\":\"%s\"}",
             who);
    cr_assert_eq(request(json), BUS_IMMUTABLE_ARTIFACT);
}

static unsigned
said(const char *topic)
{
    unsigned count = 0;
    char line[100];
    snprintf(line, sizeof line, "%s {", topic);
    for (const char *at = help_text(help->said); (at = strstr(at, line)) != NULL; at++) {
        count++;
    }
    return count;
}

// The entry that the last answer names, as JSON in help->details.
static const char *
entry_of_answer(void)
{
    BUS_AUTO(store_rollback) store_txn_t *txn = NULL;
    uint64_t index;
    bus_view_t leaf;
    char id[64];
    snprintf(id, sizeof id, "%s", help_value(help, "audit_id"));
    cr_assert_eq(store_begin(help->store, STORE_READ, &txn), BUS_OK);
    bus_view_t name = view_from(id + 1, strlen(id) - 2); // without its quotes
    cr_assert_eq(bucket_audit_find(txn, name, &index), BUS_OK, "%s", id);
    cr_assert_eq(bucket_audit_leaf(txn, index, &leaf), BUS_OK);
    text_clear(help->details);
    transcode_to_json(leaf, 0, help->details);
    return help_text(help->details);
}

static void
ask(help_query_fn *fn, const schema_t *schema, const char *json)
{
    cr_assert_eq(help_ask(help, fn, schema, json), BUS_OK, "%s", help_text(help->refusal));
}

Test(governance, a_refusal_says_what_why_and_where_it_is_recorded)
{
    violate("mallory");
    assert_value("channel", "\"error_message\"");
    assert_value("status", "\"error\"");
    assert_value("error_code", "\"IMMUTABLE_ARTIFACT\"");
    assert_value("message", "\"Artifacts cannot be modified\"");
    assert_value("decision", "\"refused\"");
    assert_value("rule", "\"immutable_artifacts\"");
    assert_value("violation_type", "\"attempted_mutation\"");
    assert_value("action_taken", "\"REJECTED\"");
    assert_value("timestamp", "\"2026-01-01T00:00:00.000000Z\"");
    assert_value("escalation", "");
    const char *entry = entry_of_answer();
    cr_assert(strstr(entry, "\"event_type\":\"error\""), "%s", entry);
    cr_assert(strstr(entry, "\"decision\":\"refused\""), "%s", entry);
    cr_assert(strstr(entry, "\"requester_id\":\"mallory\""), "%s", entry);
    cr_assert(strstr(entry, "\"subject\":\"a\""), "%s", entry);
    cr_assert(strstr(entry, "\"found\":\"update_artifact\""), "%s", entry);
}

Test(governance, a_refusal_is_told_live_under_its_product)
{
    cr_assert_eq(request("{\"action\":\"read_artifact\",\"artifact_id\":\"a\",\"priority\":1,"
                         "\"product\":\"gurukul\"}"),
                 BUS_NO_PRIORITY_BYPASS);
    const char *told = help_text(help->told);
    cr_assert_eq(strncmp(told, "bucket.out.error_message.gurukul ", 33), 0, "%s", told);
    cr_assert(strstr(told, "\"error_code\":\"NO_PRIORITY_BYPASS\""), "%s", told);
    violate("m");
    told = help_text(help->told);
    cr_assert_eq(strncmp(told, "bucket.out.error_message.none ", 30), 0, "%s", told);
}

Test(governance, an_unknown_channel_is_a_violation)
{
    cr_assert_eq(request("{\"channel\":\"format_disk\",\"requester_id\":\"m\"}"),
                 BUS_GOVERNANCE_VIOLATION);
    cr_assert_eq(request("{\"requester_id\":\"m\"}"), BUS_GOVERNANCE_VIOLATION);
    assert_value("violation_type", "\"attempted_unknown_channel\"");
    cr_assert_eq(help->state.totals.violations, 2);
}

Test(governance, the_fourth_violation_within_an_hour_escalates_and_so_does_each_after_it)
{
    for (unsigned i = 0; i < 3; i++) {
        violate("m");
        assert_value("escalation", "");
        cr_assert_eq(said("governance.escalation"), 0);
        help->at += HOUR / 4;
    }
    violate("m");
    assert_value("escalation", "\"ADVISOR_NOTIFIED\"");
    cr_assert_eq(said("governance.escalation"), 1);
    violate("m");
    assert_value("escalation", "\"ADVISOR_NOTIFIED\"");
    cr_assert_eq(said("governance.escalation"), 0, "once a window");
}

Test(governance, the_hour_slides)
{
    // Three in a row, then one a little more than an hour after the first.
    violate("m");
    help->at += HOUR / 2;
    violate("m");
    violate("m");
    help->at += HOUR / 2;
    violate("m");
    assert_value("escalation", "");
    violate("m");
    assert_value("escalation", "\"ADVISOR_NOTIFIED\"");
}

Test(governance, requesters_are_counted_apart)
{
    for (unsigned i = 0; i < 3; i++) {
        violate("m");
        violate("n");
    }
    assert_value("escalation", "");
    violate("n");
    assert_value("escalation", "\"ADVISOR_NOTIFIED\"");
    cr_assert(strstr(help_text(help->said), "\"requester_id\":\"n\""));
}

Test(governance, one_escalation_a_window_across_a_restart)
{
    unsigned events = 0;
    for (unsigned i = 0; i < 12; i++) {
        violate("m");
        events += said("governance.escalation");
        help_reopen(help);
    }
    cr_assert_eq(events, 1);
    help->at += HOUR - 1;
    for (unsigned i = 0; i < 3; i++) {
        violate("m");
        cr_assert_eq(said("governance.escalation"), 0);
    }
    help->at += 1;
    violate("m");
    cr_assert_eq(said("governance.escalation"), 1, "a new window");
}

Test(governance, an_escalation_is_in_the_audit_log)
{
    for (unsigned i = 0; i < 4; i++) {
        violate("m");
    }
    cr_assert_eq(help->state.tree.size, 5);
    BUS_AUTO(store_rollback) store_txn_t *txn = NULL;
    bus_view_t leaf;
    cr_assert_eq(store_begin(help->store, STORE_READ, &txn), BUS_OK);
    cr_assert_eq(bucket_audit_leaf(txn, 4, &leaf), BUS_OK);
    BUS_AUTO(text_destroy) text_t *entry = text_new();
    transcode_to_json(leaf, 0, entry);
    cr_assert(strstr(help_text(entry), "\"event_type\":\"escalation\""), "%s", help_text(entry));
    cr_assert(strstr(help_text(entry), "\"severity\":\"CRITICAL\""), "%s", help_text(entry));
}

// --- What is hidden ------------------------------------------------------------------------------

static bus_err_t
apply_hidden(service_apply_t *apply, const void *message BUS_UNUSED)
{
    bus_view_t value;
    bool hidden = walk_find(apply->body, "hidden", &value) == BUS_OK;
    bucket_refusal_t refusal = {.err = BUS_ARTIFACT_NOT_FOUND,
                                .message = "Artifact does not exist or access denied",
                                .operation = "artifact_read",
                                .product = VIEW_LITERAL("gurukul"),
                                .requester_id = VIEW_LITERAL("m"),
                                .subject = VIEW_LITERAL("a")};
    if (hidden) {
        refusal.violation = "attempted_cross_product_access";
        refusal.threat = 7;
        refusal.is_hidden = true;
    }
    return bucket_governance_refuse(apply, &refusal);
}

static void
miss(bool hidden)
{
    cr_assert_eq(
        help_apply(
            help, apply_hidden, NULL, "bucket.artifact_read", hidden ? "{\"hidden\":1}" : "{}"),
        BUS_ARTIFACT_NOT_FOUND);
}

// Without what a place in the journal gives away to everybody.
static void
blank_digits(char *text)
{
    for (; *text != '\0'; text++) {
        *text = *text >= '0' && *text <= '9' ? '0' : *text;
    }
}

Test(governance, what_is_hidden_answers_and_audits_as_if_it_were_not_there)
{
    char answers[2][4096];
    char entries[2][4096];
    for (unsigned i = 0; i < 2; i++) {
        miss(i == 1);
        snprintf(answers[i], sizeof answers[i], "%s", help_text(help->answer));
        snprintf(entries[i], sizeof entries[i], "%s", entry_of_answer());
        blank_digits(answers[i]);
        blank_digits(entries[i]);
    }
    cr_assert_str_eq(answers[0], answers[1]);
    cr_assert_str_eq(entries[0], entries[1]);
    cr_assert_eq(help->state.totals.violations, 1);
    cr_assert_eq(help->state.totals.refused, 2);
}

Test(governance, what_is_hidden_shows_in_no_later_answer_either_but_escalates)
{
    for (unsigned i = 0; i < 3; i++) {
        miss(true);
    }
    violate("m"); // the fourth of all, the first that m may know of
    assert_value("escalation", "");
    cr_assert_eq(said("governance.escalation"), 1);
    miss(true);
    assert_value("escalation", "");
}

// --- bucket.refused ------------------------------------------------------------------------------

Test(governance, what_a_door_refused_is_recorded_and_answered_as_the_403)
{
    cr_assert_eq(refused("{\"requester_id\":\"m\",\"operation\":\"artifact_put\",\"error_code\":"
                         "\"IMMUTABLE_ARTIFACT\",\"violation\":\"update_artifact\",\"product\":"
                         "\"gurukul\",\"subject\":\"a1\",\"details\":{\"method\":\"PUT\"}}"),
                 BUS_OK);
    assert_value("error_code", "\"IMMUTABLE_ARTIFACT\"");
    assert_value("violation_type", "\"attempted_mutation\"");
    assert_value("details", "");
    const char *entry = entry_of_answer();
    cr_assert(strstr(entry, "\"operation\":\"artifact_put\""), "%s", entry);
    cr_assert(strstr(entry, "\"product\":\"gurukul\""), "%s", entry);
    cr_assert(strstr(entry, "\"method\":\"PUT\""), "%s", entry);
}

Test(governance, a_door_names_what_it_refused_by_a_word_or_not_at_all)
{
    cr_assert_eq(refused("{\"requester_id\":\"m\",\"operation\":\"x\",\"error_code\":"
                         "\"UNAUTHORIZED_ACCESS\",\"violation\":\"unauthorized_requester\"}"),
                 BUS_OK);
    assert_value("rule", "\"known_requesters\"");
    cr_assert_eq(refused("{\"requester_id\":\"m\",\"operation\":\"x\",\"error_code\":"
                         "\"UNAUTHORIZED_ACCESS\",\"violation\":\"something_new\"}"),
                 BUS_OK);
    assert_value("violation_type", "\"something_new\"");
    cr_assert_eq(refused("{\"requester_id\":\"m\",\"operation\":\"x\",\"error_code\":"
                         "\"FORBIDDEN\"}"),
                 BUS_OK);
    assert_value("violation_type", "");
    assert_value("rule", "\"forbidden\"");
    cr_assert_eq(help->state.totals.violations, 2);
    cr_assert_eq(help->state.totals.refused, 3);
}

Test(governance, nothing_that_a_peer_says_of_a_refusal_undoes_a_batch)
{
    static const char *const codes[] = {
        "IO_ERROR", "STORE_FULL", "INTEGRITY_ERROR", "INTERNAL_ERROR", "OK", "no"};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        char json[200];
        snprintf(json,
                 sizeof json,
                 "{\"requester_id\":\"m\",\"operation\":\"x\",\"error_code\":\"%s\"}",
                 codes[i]);
        cr_assert_eq(refused(json), BUS_VALIDATION_FAILED, "%s", json);
    }
}

Test(governance, names_from_outside_may_be_anything)
{
    // Up to 255 bytes, UTF-8, with NULs and control characters: as msgpack may carry them.
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    char name[256];
    for (size_t i = 0; i < 255; i++) {
        name[i] = (char) (i % 32);
    }
    for (unsigned i = 0; i < 5; i++) {
        help_begin(help);
        service_apply_t apply = help_record(help, "bucket.refused", NULL);
        const schema_refused_t told = {.requester_id = view_from(name, i == 4 ? 0 : 255),
                                       .operation = view_from("\0x", 2),
                                       .error_code = VIEW_LITERAL("FORBIDDEN"),
                                       .violation = view_from("\0y", 2),
                                       .product = view_from(name, 64),
                                       .subject = view_from(name, 255)};
        pack_clear(body);
        schema_encode(&SCHEMA_refused, &told, body);
        apply.body = pack_view(body);
        cr_assert_eq(bucket_governance_refused(&apply, &told), BUS_OK);
        help_commit(help);
    }
    ask(bucket_governance_query_violations, &SCHEMA_hours_query, "{}");
    assert_value("total", "5");
}

// --- The harness ---------------------------------------------------------------------------------

static bus_err_t harness_err;

static bus_err_t
apply_harness(service_apply_t *apply, const void *message BUS_UNUSED)
{
    return bucket_governance_harness(apply, harness_err);
}

Test(governance, what_the_harness_refuses_is_audited_with_its_problems)
{
    harness_err = BUS_VALIDATION_FAILED;
    cr_assert_eq(
        help_apply(help, apply_harness, NULL, "bucket.context.read", "{\"requester_id\":\"m\"}"),
        BUS_VALIDATION_FAILED);
    assert_value("details", "[{\"field\":\"agent_id\",\"problem\":\"is required\"}]");
    const char *entry = entry_of_answer();
    cr_assert(strstr(entry, "\"operation\":\"bucket.context.read\""), "%s", entry);
    cr_assert_eq(help->state.totals.violations, 0);

    harness_err = BUS_IDEMPOTENCY_KEY_REUSED;
    cr_assert_eq(help_apply(help, apply_harness, NULL, "bucket.artifact_write", "[1,2]"),
                 BUS_IDEMPOTENCY_KEY_REUSED);
    assert_value("error_code", "\"IDEMPOTENCY_KEY_REUSED\"");
    cr_assert_eq(help->state.totals.violations, 0);
}

Test(governance, a_key_that_was_used_before_hides_no_violation)
{
    harness_err = BUS_IDEMPOTENCY_KEY_REUSED;
    const char *const records[][2] = {
        {"bucket.artifact_write", "{\"requester_id\":\"m\",\"priority\":1}"},
        {"bucket.request", "{\"requester_id\":\"m\",\"action\":\"delete_artifact\"}"},
        {"bucket.refused",
         "{\"requester_id\":\"m\",\"operation\":\"artifact_put\",\"error_code\":"
         "\"IMMUTABLE_ARTIFACT\",\"violation\":\"update_artifact\"}"},
        {"bucket.refused",
         "{\"requester_id\":\"m\",\"operation\":\"x\",\"error_code\":\"UNAUTHORIZED_ACCESS\","
         "\"violation\":\"attempted_owner_operation\"}"},
    };
    for (size_t i = 0; i < sizeof records / sizeof records[0]; i++) {
        cr_assert_eq(help_apply(help, apply_harness, NULL, records[i][0], records[i][1]),
                     BUS_IDEMPOTENCY_KEY_REUSED);
        cr_assert_eq(help->state.totals.violations, i + 1, "%s", records[i][1]);
    }
    assert_value("violation_type", "\"attempted_owner_operation\"");
    assert_value("escalation", "\"ADVISOR_NOTIFIED\"");
}

static bus_err_t
apply_damaged(service_apply_t *apply, const void *message BUS_UNUSED)
{
    return bucket_governance_refuse(
        apply, &(bucket_refusal_t){.err = BUS_CORRUPT, .operation = "artifact_read"});
}

Test(governance, a_damaged_record_is_answered_as_such_and_undoes_nothing)
{
    cr_assert_eq(help_apply(help, apply_damaged, NULL, "bucket.artifact_read", "{}"), BUS_INTERNAL);
    assert_value("error_code", "\"INTEGRITY_ERROR\"");
    cr_assert(strstr(entry_of_answer(), "\"severity\":\"ERROR\""));
}

// --- What is asked -------------------------------------------------------------------------------

Test(governance, violations_of_the_last_hours_are_counted_by_type_and_requester)
{
    violate("old");
    help->at += 30 * HOUR;
    violate("m");
    violate("m");
    cr_assert_eq(request("{\"channel\":\"x\",\"requester_id\":\"n\"}"), BUS_GOVERNANCE_VIOLATION);
    ask(bucket_governance_query_violations, &SCHEMA_hours_query, "{}");
    assert_value("hours", "24");
    assert_value("total", "3");
    assert_value("by_type", "{\"attempted_unknown_channel\":1,\"attempted_mutation\":2}");
    assert_value("by_requester", "{\"n\":1,\"m\":2}");
    const char *list = help_value(help, "violations");
    cr_assert_eq(strncmp(list, "[{", 2), 0);
    cr_assert(strstr(list, "\"action_taken\":\"REJECTED\""), "%s", list);
    ask(bucket_governance_query_violations, &SCHEMA_hours_query, "{\"hours\":168}");
    assert_value("total", "4");
    ask(bucket_governance_query_violations,
        &SCHEMA_hours_query,
        "{\"now\":\"2026-01-01T06:00:00Z\",\"hours\":1}");
    assert_value("total", "3"); // those that came later are there too
    ask(bucket_governance_query_violations,
        &SCHEMA_hours_query,
        "{\"now\":\"2027-01-01T00:00:00Z\"}");
    assert_value("total", "0");
    assert_value("violations", "[]");
    cr_assert_eq(help_ask(help,
                          bucket_governance_query_violations,
                          &SCHEMA_hours_query,
                          "{\"now\":\"yesterday\"}"),
                 BUS_VALIDATION_FAILED);
}

Test(governance, the_ten_threats_have_their_ids_and_counters)
{
    miss(true);
    violate("m");
    help_begin(help);
    service_apply_t apply = help_record(help, "bucket.artifact_write", NULL);
    cr_assert_eq(bucket_governance_count(&apply, 4), BUS_OK);
    help_commit(help);
    ask(bucket_governance_query_threats, NULL, "{}");
    assert_value("blocked", "3");
    const char *list = help_value(help, "threats");
    static const char *const ids[] = {"T1_STORAGE_EXHAUSTION",
                                      "T2_METADATA_POISONING",
                                      "T3_SCHEMA_EVOLUTION",
                                      "T4_WRITE_COLLISION",
                                      "T5_EXECUTOR_OVERRIDE",
                                      "T6_AI_ESCALATION",
                                      "T7_CROSS_PRODUCT_CONTAMINATION",
                                      "T8_AUDIT_TAMPERING",
                                      "T9_OWNERSHIP_CHALLENGE",
                                      "T10_PROVENANCE_OVERTRUST"};
    for (unsigned i = 0; i < 10; i++) {
        char wanted[120];
        unsigned met = i + 1 == 2 || i + 1 == 4 || i + 1 == 7;
        cr_assert_str_eq(bucket_threats_row(i + 1)->id, ids[i]);
        snprintf(wanted, sizeof wanted, "\"id\":\"%s\",\"threat\":\"T%u\"", ids[i], i + 1);
        const char *at = strstr(list, wanted);
        cr_assert(at != NULL, "%s in %s", wanted, list);
        at = strstr(at, "\"blocked\":");
        cr_assert_eq((unsigned) atoi(at + 10), met, "%s", ids[i]);
    }
    cr_assert(strstr(list, "\"also\":\"T9_CROSS_PRODUCT_LEAK\""), "%s", list);
}

// --- Mail ----------------------------------------------------------------------------------------

Test(governance, the_advisor_is_written_to_where_there_is_one)
{
    help_begin(help);
    BUS_AUTO(pack_destroy) pack_t *config = pack_new();
    cr_assert_eq(
        transcode_from_json(VIEW_LITERAL("{\"advisor_email\":\"vijay@example.org\",\"quotas\":{}}"),
                            config,
                            NULL,
                            0),
        BUS_OK);
    cr_assert_eq(store_put(help->txn, BUCKET_TOTALS, VIEW_LITERAL("config"), pack_view(config)),
                 BUS_OK);
    help_commit(help);
    for (unsigned i = 0; i < 4; i++) {
        violate("m\\r\\nBcc: all");
        cr_assert_eq(said("workflow.execute"), i == 3);
    }
    const char *mail = strstr(help_text(help->said), "workflow.execute ");
    cr_assert(strstr(mail, "\"decision\":\"workflow\""), "%s", mail);
    cr_assert(
        strstr(mail, "\"action_type\":\"email\",\"recipient\":\"vijay@example.org\""), "%s", mail);
    char execution[64];
    snprintf(execution, sizeof execution, "\"execution_id\":\"bucket_mail_%lu\"", help->seq);
    cr_assert(strstr(mail, execution), "%s", mail);
    cr_assert_null(strstr(mail, "\\r\\nBcc"), "%s", mail);
}

Test(governance, nobody_is_written_to_where_nobody_is_configured)
{
    for (unsigned i = 0; i < 4; i++) {
        violate("m");
    }
    cr_assert_eq(said("workflow.execute"), 0);
    cr_assert_eq(said("governance.escalation"), 1);
}
