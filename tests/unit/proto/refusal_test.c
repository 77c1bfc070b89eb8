// refusal_test.c - what trips which refusal, and what does not.
#include "help.h"
#include "proto/limits.h"
#include "proto/refusal.h"
#include "proto/walk.h"

// The word of the row that the request trips; "" for none, its violation for a row without a word.
static const char *
trips(const char *json)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    bus_view_t copy = exact(from_json(body, json));
    const refusal_t *row = refusal_find(copy);
    exact_free(&copy);
    if (row == NULL) {
        return "";
    }
    return row == &refusal_cross_product ? row->violation : row->word;
}

Test(refusal, answers_the_seeds_six_as_the_seed_does)
{
    static const struct {
        const char *json;
        const char *code;
        const char *message;
    } rows[] = {
        {"{\"action\":\"update_artifact\",\"artifact_id\":\"123\",\"new_content\":{}}",
         "IMMUTABLE_ARTIFACT",
         "Artifacts cannot be modified"},
        {"{\"action\":\"delete_artifact\",\"artifact_id\":\"123\"}",
         "UNAUTHORIZED_DELETION",
         "Deletion requires Owner approval"},
        {"{\"action\":\"add_field\",\"field_name\":\"custom\"}",
         "SCHEMA_LOCKED",
         "Schema changes require Owner approval"},
        {"{\"action\":\"write_artifact\",\"bypass_validation\":true}",
         "VALIDATION_REQUIRED",
         "Validation cannot be bypassed"},
        {"{\"action\":\"read_artifact\",\"product\":\"gurukul\","
         "\"requesting_product\":\"ai_assistant\"}",
         "UNAUTHORIZED_ACCESS",
         "Cross-product access denied"},
        {"{\"action\":\"write_artifact\",\"priority\":\"urgent\"}",
         "NO_PRIORITY_BYPASS",
         "All requests processed in order"},
    };
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const refusal_t *row = refusal_find(from_json(body, rows[i].json));
        cr_assert_not_null(row, "%s", rows[i].json);
        cr_assert_str_eq(error_text(row->err), rows[i].code);
        cr_assert_str_eq(row->message, rows[i].message);
        cr_assert_eq(error_http(row->err), 403);
    }
}

Test(refusal, finds_every_key_at_any_depth_whatever_its_value)
{
    static const char *const shapes[] = {"{\"%s\":false}",
                                         "{\"%s\":null,\"product\":\"gurukul\"}",
                                         "{\"filters\":{\"a\":[1,{\"%s\":{}}]}}",
                                         "{\"metadata\":{\"b\":{\"%s\":[]}},\"z\":1}",
                                         "{\"action\":\"%s\"}",
                                         "{\"channel\":\"%s\"}"};
    for (size_t i = 0; i < refusal_count; i++) {
        for (size_t shape = 0; shape < sizeof(shapes) / sizeof(shapes[0]); shape++) {
            char json[200];
            snprintf(json, sizeof(json), shapes[shape], refusal_rows[i].word);
            const char *expected = shape >= 4 || refusal_rows[i].is_key ? refusal_rows[i].word : "";
            cr_assert_str_eq(trips(json), expected, "%s", json);
        }
    }
}

Test(refusal, leaves_what_is_the_callers_own_alone)
{
    cr_assert_str_eq(trips("{\"content\":{\"priority\":1,\"skip_audit\":{\"raw_query\":2}}}"), "");
    cr_assert_str_eq(trips("{\"details\":{\"requesting_product\":\"x\"},\"product\":\"y\"}"), "");
    cr_assert_str_eq(trips("{\"metadata\":{\"tags\":[{\"urgency\":1},\"priority\"]}}"), "");
    cr_assert_str_eq(trips("{\"metadata\":{\"note\":\"bypass_validation\"}}"), "");
    cr_assert_str_eq(trips("{\"metadata\":{\"action\":\"update_artifact\"}}"), "");
    cr_assert_str_eq(trips("{\"priorities\":1,\"Priority\":2,\"\":3}"), "");
    // What follows it is looked at all the same.
    cr_assert_str_eq(trips("{\"content\":{\"a\":[{}]},\"x\":{\"urgency\":1}}"), "urgency");
}

Test(refusal, the_first_row_of_the_table_decides)
{
    cr_assert_str_eq(trips("{\"priority\":1,\"bypass_validation\":1,\"skip_audit\":1}"),
                     "skip_audit");
    cr_assert_str_eq(trips("{\"a\":{\"priority\":1},\"action\":\"update_artifact\"}"),
                     "update_artifact");
    cr_assert_str_eq(trips("{\"product\":\"gurukul\",\"requesting_product\":\"x\",\"urgency\":1}"),
                     "urgency");
}

Test(refusal, a_request_that_names_two_products_is_cross_product)
{
    const char *cross = refusal_cross_product.violation;
    cr_assert_str_eq(trips("{\"product\":\"a\",\"requesting_product\":\"b\"}"), cross);
    cr_assert_str_eq(trips("{\"requesting_product\":\"b\",\"metadata\":{\"product\":\"a\"}}"),
                     cross);
    cr_assert_str_eq(trips("{\"product\":\"a\",\"filters\":{\"requesting_product\":\"b\"}}"),
                     cross);
    cr_assert_str_eq(trips("{\"product\":\"a\",\"requesting_product\":7}"), cross);
    cr_assert_str_eq(trips("{\"product\":\"a\",\"requesting_product\":\"a\"}"), "");
    cr_assert_str_eq(trips("{\"product\":\"a\",\"requesting_product\":null}"), "");
    cr_assert_str_eq(trips("{\"requesting_product\":\"b\"}"), "");
    cr_assert_str_eq(trips("{\"product\":\"a\",\"metadata\":{\"product\":\"b\"}}"), cross);
    cr_assert_str_eq(trips("{\"product\":\"a\",\"metadata\":{\"product\":\"a\"}}"), "");
}

Test(refusal, what_is_no_map_trips_nothing)
{
    static const uint8_t number[] = {7};
    cr_assert_null(refusal_find(view_from(number, sizeof(number))));
    cr_assert_null(refusal_find(VIEW_NONE));
}

Test(refusal, looks_to_the_bottom_of_the_deepest_body)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    for (unsigned i = 0; i + 1 < BODY_DEPTH_MAX; i++) {
        pack_map(body, 1);
        pack_text(body, "a");
    }
    pack_map(body, 1);
    pack_pair_bool(body, "raw_query", true);
    const char *why = NULL;
    cr_assert_eq(walk_check(pack_view(body), WALK_JSON, BODY_DEPTH_MAX, &why), BUS_OK);
    const refusal_t *row = refusal_find(pack_view(body));
    cr_assert_not_null(row);
    cr_assert_str_eq(row->word, "raw_query");
}

Test(refusal, a_word_names_its_row)
{
    for (size_t i = 0; i < refusal_count; i++) {
        cr_assert_eq(refusal_by_word(view_from_text(refusal_rows[i].word)), &refusal_rows[i]);
    }
    cr_assert_eq(refusal_by_word(view_from_text(refusal_owner_only.violation)),
                 &refusal_owner_only);
    cr_assert_eq(refusal_by_word(view_from_text(refusal_not_yours.violation)), &refusal_not_yours);
    cr_assert_eq(refusal_by_word(view_from_text(refusal_unknown_channel.violation)),
                 &refusal_unknown_channel);
    cr_assert_eq(refusal_by_word(view_from_text(refusal_cross_product.violation)),
                 &refusal_cross_product);
    cr_assert_null(refusal_by_word(VIEW_LITERAL("attempted_mutation")));
    cr_assert_null(refusal_by_word(VIEW_NONE));
}

Test(refusal, every_row_is_a_403_with_a_threat)
{
    for (size_t i = 0; i < refusal_count; i++) {
        cr_assert_eq(error_http(refusal_rows[i].err), 403);
        cr_assert(refusal_rows[i].threat >= 1 && refusal_rows[i].threat <= 10);
    }
}
