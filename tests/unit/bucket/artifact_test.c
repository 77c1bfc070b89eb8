// artifact_test.c - writing, reading and searching artifacts.
#include "artifact_help.h"
#include "bucket/artifact_search.h"
#include "proto/rfc3339.h"
#include "proto/transcode.h"
#include "proto/walk.h"
#include <inttypes.h>
#include <stdlib.h>

#define assert_answer(help, path, expected) cr_assert_str_eq(help_value(help, path), expected)

Test(artifact, confirms_a_write_with_all_that_the_contract_names)
{
    help_t *help = help_new();
    const char *json = "{\"channel\":\"artifact_write\",\"artifact_id\":\"artifact_123\","
                       "\"content\":{\"b\":1,\"a\":[1.5,null]},\"metadata\":{\"product\":"
                       "\"ai_assistant\",\"created_by\":\"core\"}}";
    cr_assert_eq(help_apply(help, bucket_artifact_write, NULL, "bucket.artifact_write", json),
                 BUS_OK);
    assert_answer(help, "channel", "\"write_confirmation\"");
    assert_answer(help, "status", "\"success\"");
    assert_answer(help, "artifact_id", "\"artifact_123\"");
    assert_answer(help, "stored_at", "\"2026-01-01T00:00:00.000000Z\"");
    assert_answer(help, "retention_until", "\"2026-04-01T00:00:00.000000Z\"");
    assert_answer(help, "storage_location", "\"bucket://ai_assistant/artifact_123\"");
    assert_answer(help, "audit_id", "\"audit_1\"");
    assert_answer(help, "decision", "\"allowed\"");
    assert_answer(help, "rule", "\"contract\"");
    // python: hashlib.sha256(bytes([0x82,0xa1,98,1,0xa1,97,0x92,0xcb,0x3f,0xf8,0,0,0,0,0,0,0xc0]))
    assert_answer(help,
                  "checksum",
                  "\"sha256:5a8654197edd146e7a02a09b33cf5a24830015d3558047e9c5b837da34f17537\"");
    cr_assert_eq(help->state.totals.artifacts, 1);
    cr_assert_eq(help->state.tree.size, 1);
    help_destroy(&help);
}

Test(artifact, tells_the_monitors_without_the_content)
{
    help_t *help = help_new();
    cr_assert_eq(artifact_write(help, "gurukul", "a-1", ""), BUS_OK);
    const char *told = help_text(help->told);
    cr_assert(strstr(told, "bucket.out.write_confirmation.gurukul ") == told, "%s", told);
    cr_assert_eq(artifact_read(help, "gurukul", "a-1"), BUS_OK);
    told = help_text(help->told);
    cr_assert(strstr(told, "bucket.out.read_response.gurukul ") == told, "%s", told);
    cr_assert_null(strstr(told, "content"), "%s", told);
    cr_assert_eq(artifact_query(help, "gurukul", "{}"), BUS_OK);
    told = help_text(help->told);
    cr_assert(strstr(told, "bucket.out.query_results.gurukul ") == told, "%s", told);
    cr_assert_null(strstr(told, "artifacts"), "%s", told);
    cr_assert_not_null(strstr(told, "\"returned\":1"), "%s", told);
    help_destroy(&help);
}

Test(artifact, gives_content_back_byte_for_byte)
{
    help_t *help = help_new();
    const char *content =
        "{\"z\":9223372036854775807,\"a\":-9223372036854775808,\"m\":1e-320,\"f\":0.1,"
        "\"n\":-0.0,\"e\":{},\"l\":[],\"s\":\"\\u00e9\\ud83d\\ude00\",\"one\":1.0,\"t\":true,"
        "\"deep\":{\"channel\":{\"priority\":[[[{\"bypass_validation\":null}]]]}}}";
    char json[1000];
    snprintf(json,
             sizeof json,
             "{\"artifact_id\":\"nasty\",\"content\":%s,\"metadata\":{\"z\":0.1,\"product\":"
             "\"enforcement\",\"created_by\":\"core\",\"more\":[-0.0]}}",
             content);
    cr_assert_eq(help_apply(help, bucket_artifact_write, NULL, "bucket.artifact_write", json),
                 BUS_OK);
    bus_view_t sent;
    cr_assert_eq(walk_find(pack_view(help->body), "content", &sent), BUS_OK);
    char copy[1000];
    size_t size = sent.size;
    cr_assert_lt(size, sizeof copy);
    memcpy(copy, sent.data, size);

    help->at += 1000000;
    cr_assert_eq(artifact_read(help, "enforcement", "nasty"), BUS_OK);
    bus_view_t got;
    cr_assert_eq(walk_find(pack_view(help->packed), "content", &got), BUS_OK);
    cr_assert(view_equal(got, view_from(copy, size)));
    assert_answer(
        help,
        "metadata",
        "{\"z\":0.1,\"product\":\"enforcement\",\"created_by\":\"core\",\"more\":[-0.0]}");
    assert_answer(help, "channel", "\"read_response\"");
    assert_answer(help, "created_at", "\"2026-01-01T00:00:00.000000Z\"");
    assert_answer(help, "accessed_at", "\"2026-01-01T00:00:01.000000Z\"");
    assert_answer(help, "provenance.requester_id", "\"core\"");
    assert_answer(help, "provenance.trace_id", "\"trace-1\"");
    assert_answer(help, "provenance.seq", "1");
    assert_answer(help, "provenance.audit_id", "\"audit_1\"");
    assert_answer(help, "audit_id", "\"audit_2\"");
    char checksum[100];
    snprintf(checksum, sizeof checksum, "%s", help_value(help, "checksum"));
    cr_assert_str_eq(help_value(help, "provenance.checksum"), checksum);
    help_destroy(&help);
}

Test(artifact, takes_an_id_once_a_product)
{
    help_t *help = help_new();
    cr_assert_eq(artifact_write(help, "gurukul", "one", ""), BUS_OK);
    cr_assert_eq(artifact_write(help, "gurukul", "one", ""), BUS_DUPLICATE_ARTIFACT_ID);
    assert_answer(help, "error_code", "\"DUPLICATE_ARTIFACT_ID\"");
    assert_answer(help, "message", "\"Artifact ID already exists\"");
    assert_answer(help, "rule", "\"unique_artifact_id\"");
    assert_answer(help, "decision", "\"refused\"");
    assert_answer(help, "audit_id", "\"audit_2\"");
    cr_assert_eq(artifact_write(help, "ai_avatar", "one", ""), BUS_OK);
    cr_assert_eq(help->state.totals.artifacts, 2);
    cr_assert_eq(help->state.totals.violations, 0);
    cr_assert_eq(artifact_used(help, "gurukul", "artifacts"), 1);
    help_destroy(&help);
}

Test(artifact, keeps_ids_apart_that_are_alike)
{
    help_t *help = help_new();
    const char *const ids[] = {"a", "A", "a ", "a/..", "a%2e", "\xc3\xa9", "e\xcc\x81"};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        cr_assert_eq(artifact_write(help, "gurukul", ids[i], ""), BUS_OK, "%s", ids[i]);
    }
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        cr_assert_eq(artifact_read(help, "gurukul", ids[i]), BUS_OK);
        char expected[100];
        snprintf(expected, sizeof expected, "\"%s\"", ids[i]);
        assert_answer(help, "content.of", expected);
    }
    help_destroy(&help);
}

Test(artifact, answers_a_wrong_product_as_it_answers_an_id_that_nobody_has)
{
    help_t *help = help_new();
    cr_assert_eq(artifact_write(help, "gurukul", "hidden", ""), BUS_OK);
    cr_assert_eq(artifact_read(help, "ai_avatar", "absent"), BUS_ARTIFACT_NOT_FOUND);
    char absent[2000];
    snprintf(absent, sizeof absent, "%s", help_text(help->answer));
    assert_answer(help, "message", "\"Artifact does not exist or access denied\"");
    cr_assert_eq(help->state.totals.violations, 0);
    cr_assert_eq(artifact_read(help, "ai_avatar", "hidden"), BUS_ARTIFACT_NOT_FOUND);
    char hidden[2000];
    snprintf(hidden, sizeof hidden, "%s", help_text(help->answer));
    cr_assert_eq(help->state.totals.violations, 1, "it counts all the same");
    strstr(hidden, "audit_3")[strlen("audit_")] = '2';
    cr_assert_str_eq(hidden, absent);
    help_destroy(&help);
}

Test(artifact, looks_for_refusals_before_anything_else)
{
    help_t *help = help_new();
    const char *json = "{\"artifact_id\":\"x\",\"priority\":\"urgent\"}";
    cr_assert_eq(help_apply(help, bucket_artifact_write, NULL, "bucket.artifact_write", json),
                 BUS_NO_PRIORITY_BYPASS);
    json = "{\"product\":\"gurukul\",\"requesting_product\":\"ai_avatar\"}";
    cr_assert_eq(help_apply(help, bucket_artifact_read, NULL, "bucket.artifact_read", json),
                 BUS_UNAUTHORIZED_ACCESS);
    json = "{\"raw_query\":\"select\"}";
    cr_assert_eq(help_apply(help, bucket_artifact_query, NULL, "bucket.metadata_query", json),
                 BUS_GOVERNANCE_VIOLATION);
    cr_assert_eq(help->state.totals.violations, 3);
    cr_assert_eq(help->state.tree.size, 3);
    help_destroy(&help);
}

Test(artifact, names_what_is_wrong_with_a_request_and_audits_it)
{
    help_t *help = help_new();
    cr_assert_eq(
        help_apply(help, bucket_artifact_write, NULL, "bucket.artifact_write", "{\"content\":1}"),
        BUS_VALIDATION_FAILED);
    cr_assert_not_null(strstr(help_value(help, "details"), "\"field\":\"artifact_id\""));
    cr_assert_eq(help_apply(help, bucket_artifact_read, NULL, "bucket.artifact_read", "{}"),
                 BUS_VALIDATION_FAILED);
    cr_assert_eq(help_apply(help, bucket_artifact_query, NULL, "bucket.metadata_query", "{}"),
                 BUS_VALIDATION_FAILED);
    cr_assert_eq(help->state.tree.size, 3);
    cr_assert_eq(help->state.totals.violations, 0);
    cr_assert_eq(artifact_rows(help, BUCKET_ARTIFACTS), 0);
    help_destroy(&help);
}

// --- Damage --------------------------------------------------------------------------------------

// Puts another content in the place of the artifact's: its XXH3 is right, its SHA-256 is not.
static void
swap_content(help_t *help, uint64_t seq)
{
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(help->store, STORE_WRITE, &txn), BUS_OK);
    cr_assert_eq(store_put(txn, BUCKET_CONTENTS, STORE_U64(seq), VIEW_LITERAL("\x80")), BUS_OK);
    cr_assert_eq(store_commit(&txn), BUS_OK);
}

Test(artifact, never_serves_a_content_that_is_not_the_one_that_was_written)
{
    help_t *help = help_new();
    cr_assert_eq(artifact_write(help, "gurukul", "good", ""), BUS_OK);
    cr_assert_eq(artifact_write(help, "gurukul", "bad", ""), BUS_OK);
    swap_content(help, 2);
    cr_assert_eq(artifact_read(help, "gurukul", "bad"), BUS_INTERNAL);
    assert_answer(help, "error_code", "\"INTEGRITY_ERROR\"");
    assert_answer(help, "content", "");
    assert_answer(help, "audit_id", "\"audit_3\"");
    const char *said = help_text(help->said);
    cr_assert(strstr(said, "governance.integrity ") == said, "%s", said);
    cr_assert_not_null(strstr(said, "\"artifact_id\":\"bad\""), "%s", said);
    cr_assert_eq(help->state.totals.damaged, 1);
    cr_assert_eq(artifact_read(help, "gurukul", "good"), BUS_OK);
    // Its record is whole: it is found and can be removed.
    cr_assert_eq(artifact_query(help, "gurukul", "{}"), BUS_OK);
    assert_answer(help, "returned", "2");
    help_destroy(&help);
}

Test(artifact, leaves_a_record_out_that_cannot_be_read_and_says_so)
{
    help_t *help = help_new();
    for (int i = 0; i < 3; i++) {
        char id[8];
        snprintf(id, sizeof id, "a-%d", i);
        cr_assert_eq(artifact_write(help, "gurukul", id, ""), BUS_OK);
    }
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(help->store, STORE_WRITE, &txn), BUS_OK);
    cr_assert_eq(store_put(txn, BUCKET_ARTIFACTS, STORE_U64(2), VIEW_LITERAL("?")), BUS_OK);
    cr_assert_eq(store_commit(&txn), BUS_OK);
    cr_assert_eq(artifact_query(help, "gurukul", "{}"), BUS_OK);
    assert_answer(help, "returned", "2");
    assert_answer(help, "damaged", "1");
    cr_assert_not_null(strstr(help_text(help->said), "governance.integrity"));
    cr_assert_eq(artifact_read(help, "gurukul", "a-1"), BUS_INTERNAL);
    cr_assert_eq(artifact_read(help, "gurukul", "a-2"), BUS_OK);
    cr_assert_eq(artifact_write(help, "gurukul", "a-1", ""), BUS_DUPLICATE_ARTIFACT_ID);
    help_destroy(&help);
}

Test(artifact, refuses_where_a_counter_is_damaged_and_goes_on)
{
    help_t *help = help_new();
    cr_assert_eq(artifact_write(help, "gurukul", "a", ""), BUS_OK);
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(help->store, STORE_WRITE, &txn), BUS_OK);
    cr_assert_eq(store_put(txn, BUCKET_QUOTAS, VIEW_LITERAL("gurukul"), VIEW_LITERAL("?")), BUS_OK);
    cr_assert_eq(store_commit(&txn), BUS_OK);
    cr_assert_eq(artifact_write(help, "gurukul", "b", ""), BUS_INTERNAL);
    assert_answer(help, "error_code", "\"INTEGRITY_ERROR\"");
    cr_assert_eq(artifact_rows(help, BUCKET_ARTIFACTS), 1);
    cr_assert_eq(artifact_write(help, "ai_avatar", "b", ""), BUS_OK);
    cr_assert_eq(artifact_read(help, "gurukul", "a"), BUS_OK);
    help_destroy(&help);
}

// --- Queries -------------------------------------------------------------------------------------

// Thirty artifacts, one a second, of two products; tags by what divides their number.
static help_t *
with_thirty(void)
{
    help_t *help = help_new();
    for (int i = 0; i < 30; i++) {
        char id[16];
        char more[100];
        snprintf(id, sizeof id, "a-%02d", i);
        snprintf(more,
                 sizeof more,
                 ",\"tags\":[\"all\"%s%s%s]",
                 i % 2 == 0 ? ",\"two\"" : "",
                 i % 3 == 0 ? ",\"three\"" : "",
                 i % 5 == 0 ? ",\"five\",\"five\"" : "");
        help->at = HELP_T0 + (uint64_t) i * 1000000;
        cr_assert_eq(artifact_write(help, i < 25 ? "gurukul" : "ai_avatar", id, more), BUS_OK);
    }
    return help;
}

// The ids of the answer, as "a-00 a-06".
static const char *
ids_of(help_t *help)
{
    static char text[2000];
    text[0] = '\0';
    bus_view_t array;
    cr_assert_eq(walk_find(pack_view(help->packed), "artifacts", &array), BUS_OK);
    walk_t walk = walk_from(array);
    walk_item_t head;
    cr_assert_eq(walk_next(&walk, &head), BUS_OK);
    for (uint32_t i = 0; i < head.count; i++) {
        bus_view_t row, value, id;
        cr_assert_eq(walk_skip(&walk, &row), BUS_OK);
        cr_assert_eq(walk_find(row, "artifact_id", &value), BUS_OK);
        cr_assert_eq(walk_as_str(value, &id), BUS_OK);
        size_t size = strlen(text);
        snprintf(
            text + size, sizeof text - size, "%s%.*s", i > 0 ? " " : "", (int) id.size, id.data);
    }
    return text;
}

Test(artifact, finds_by_tags_dates_and_product)
{
    help_t *help = with_thirty();
    const struct {
        const char *filters;
        const char *ids;
        const char *total;
    } cases[] = {
        {"{\"tags\":[\"three\",\"five\"]}", "a-00 a-15", "2"},
        {"{\"tags\":[\"five\"]}", "a-00 a-05 a-10 a-15 a-20", "5"},
        {"{\"tags\":[\"five\",\"two\",\"all\"]}", "a-00 a-10 a-20", "3"},
        {"{\"tags\":[\"two\",\"three\",\"five\"]}", "a-00", "1"},
        {"{\"tags\":[\"none\"]}", "", "0"},
        {"{\"tags\":[\"none\",\"all\"]}", "", "0"},
        {"{\"created_after\":\"2026-01-01T00:00:22Z\"}", "a-23 a-24", "2"},
        {"{\"created_before\":\"2026-01-01T00:00:02Z\"}", "a-00 a-01", "2"},
        {"{\"created_before\":\"2026-01-01T00:00:02.000001Z\"}", "a-00 a-01 a-02", "3"},
        {"{\"created_after\":\"2026-01-01T00:00:05Z\",\"created_before\":\"2026-01-01T00:00:15Z\","
         "\"tags\":[\"five\"]}",
         "a-10",
         "1"},
        {"{\"created_after\":\"2030-01-01T00:00:00Z\"}", "", "0"},
        {"{\"created_before\":\"2020-01-01T00:00:00Z\"}", "", "0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_assert_eq(artifact_query(help, "gurukul", cases[i].filters), BUS_OK);
        cr_expect_str_eq(ids_of(help), cases[i].ids, "%s: %s", cases[i].filters, ids_of(help));
        cr_expect_str_eq(help_value(help, "total"), cases[i].total, "%s", cases[i].filters);
        cr_expect_str_eq(help_value(help, "next_cursor"), "null");
    }
    cr_assert_eq(artifact_query(help, "ai_avatar", "{\"tags\":[\"all\"]}"), BUS_OK);
    cr_assert_str_eq(ids_of(help), "a-25 a-26 a-27 a-28 a-29");
    cr_assert_eq(artifact_query(help, "enforcement", "{\"tags\":[\"all\"]}"), BUS_OK);
    cr_assert_str_eq(ids_of(help), "");
    help_destroy(&help);
}

Test(artifact, pages_through_everything_once)
{
    help_t *help = with_thirty();
    char cursor[100] = "";
    char all[2000] = "";
    int pages = 0;
    do {
        char filters[300];
        snprintf(filters,
                 sizeof filters,
                 "{\"tags\":[\"two\",\"all\"],\"limit\":5%s%s}",
                 cursor[0] != '\0' ? ",\"cursor\":" : "",
                 cursor);
        cr_assert_eq(artifact_query(help, "gurukul", filters), BUS_OK);
        cr_assert_str_eq(help_value(help, "total"), "13");
        size_t size = strlen(all);
        snprintf(all + size, sizeof all - size, "%s%s", size > 0 ? " " : "", ids_of(help));
        snprintf(cursor, sizeof cursor, "%s", help_value(help, "next_cursor"));
        pages++;
        // What is removed behind the cursor, or written meanwhile, shifts no page.
        char late[16];
        snprintf(late, sizeof late, "late-%d", pages);
        cr_assert_eq(artifact_write(help, "ai_avatar", late, ",\"tags\":[\"two\",\"all\"]"),
                     BUS_OK);
    } while (strcmp(cursor, "null") != 0);
    cr_assert_eq(pages, 3);
    cr_assert_str_eq(all, "a-00 a-02 a-04 a-06 a-08 a-10 a-12 a-14 a-16 a-18 a-20 a-22 a-24");
    help_destroy(&help);
}

Test(artifact, takes_a_cursor_only_where_it_belongs)
{
    help_t *help = with_thirty();
    cr_assert_eq(artifact_query(help, "gurukul", "{\"tags\":[\"two\",\"all\"],\"limit\":1}"),
                 BUS_OK);
    char cursor[100];
    snprintf(cursor, sizeof cursor, "%s", help_value(help, "next_cursor"));
    const struct {
        const char *product;
        const char *filters;
        bus_err_t err;
    } cases[] = {
        {"gurukul", "{\"tags\":[\"two\",\"all\"],\"limit\":9,\"cursor\":%s}", BUS_OK},
        {"gurukul", "{\"tags\":[\"all\",\"two\"],\"cursor\":%s}", BUS_OK},
        {"gurukul", "{\"tags\":[\"two\"],\"cursor\":%s}", BUS_VALIDATION_FAILED},
        {"ai_avatar", "{\"tags\":[\"two\",\"all\"],\"cursor\":%s}", BUS_VALIDATION_FAILED},
        {"gurukul",
         "{\"created_after\":\"2020-01-01T00:00:00Z\",\"tags\":[\"two\",\"all\"],\"cursor\":%s}",
         BUS_VALIDATION_FAILED},
        {"gurukul", "{\"tags\":[\"two\",\"all\"],\"cursor\":\"%.7s\"}", BUS_VALIDATION_FAILED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char filters[300];
        snprintf(filters, sizeof filters, cases[i].filters, cursor + (i == 5 ? 1 : 0));
        cr_expect_eq(artifact_query(help, cases[i].product, filters), cases[i].err, "%s", filters);
    }
    help_destroy(&help);
}
