// channel_test.c - the four channels' names, and what is wrong with a request.
#include "help.h"
#include "proto/channel.h"

// What is wrong, as "field problem; …".
static const char *
problems_text(bus_err_t err, const schema_problems_t *problems)
{
    static char text[2048];
    cr_assert_eq(err, problems->count == 0 ? BUS_OK : BUS_VALIDATION_FAILED);
    text[0] = '\0';
    for (size_t i = 0; i < problems->count; i++) {
        size_t size = strlen(text);
        snprintf(text + size,
                 sizeof text - size,
                 "%s%s %s",
                 i > 0 ? "; " : "",
                 problems->at[i].field,
                 problems->at[i].problem);
    }
    return text;
}

static const char *
check(channel_t channel, const char *json)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    schema_problems_t problems;
    bus_err_t err = channel_check(channel, from_json(out, json), &problems);
    return problems_text(err, &problems);
}

Test(channel, has_the_names_and_topics_of_the_contract)
{
    cr_assert_str_eq(channel_name(CHANNEL_METADATA_QUERY), "metadata_query");
    cr_assert_str_eq(channel_topic(CHANNEL_AUDIT_APPEND), "bucket.audit_append");
    cr_assert_str_eq(channel_product_name(CHANNEL_GURUKUL), "gurukul");
    cr_assert_eq(channel_product(VIEW_LITERAL("enforcement")), CHANNEL_ENFORCEMENT);
    cr_assert_eq(channel_product(VIEW_LITERAL("Enforcement")), CHANNEL_PRODUCT_COUNT);
    cr_assert_eq(channel_product(VIEW_LITERAL("")), CHANNEL_PRODUCT_COUNT);
    cr_assert_eq(channel_product(VIEW_NONE), CHANNEL_PRODUCT_COUNT);
}

Test(channel, is_found_by_its_name_or_by_the_action_where_no_channel_is_named)
{
    const struct {
        const char *json;
        channel_t channel;
    } cases[] = {
        {"{\"channel\":\"artifact_write\"}", CHANNEL_ARTIFACT_WRITE},
        {"{\"channel\":\"audit_append\",\"action\":\"read_artifact\"}", CHANNEL_AUDIT_APPEND},
        {"{\"action\":\"read_artifact\"}", CHANNEL_ARTIFACT_READ},
        {"{\"action\":\"metadata_query\"}", CHANNEL_METADATA_QUERY},
        {"{\"action\":\"append_audit\"}", CHANNEL_AUDIT_APPEND},
        {"{\"channel\":\"write_artifact\"}", CHANNEL_COUNT},
        {"{\"channel\":\"nothing\",\"action\":\"read_artifact\"}", CHANNEL_COUNT},
        {"{\"channel\":7,\"action\":\"read_artifact\"}", CHANNEL_COUNT},
        {"{\"action\":[\"read_artifact\"]}", CHANNEL_COUNT},
        {"{}", CHANNEL_COUNT},
        {"[]", CHANNEL_COUNT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        BUS_AUTO(pack_destroy) pack_t *out = pack_new();
        cr_expect_eq(
            channel_of(from_json(out, cases[i].json)), cases[i].channel, "%s", cases[i].json);
    }
}

Test(channel, reads_a_whole_write)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    bus_view_t body =
        from_json(out,
                  "{\"channel\":\"artifact_write\",\"artifact_id\":\"artifact_123\","
                  "\"content\":{\"priority\":1},\"metadata\":{\"product\":\"ai_avatar\","
                  "\"created_by\":\"core\",\"retention_days\":2555,\"more\":[1],"
                  "\"tags\":[\"b\",\"a\",\"b\"]}}");
    channel_write_t write;
    schema_problems_t problems;
    cr_assert_str_eq(problems_text(channel_decode_write(body, &write, &problems), &problems), "");
    assert_text(write.artifact_id, "artifact_123");
    cr_assert(view_equal(write.content, VIEW_LITERAL("\x81\xa8priority\x01")));
    cr_assert_eq(write.product, CHANNEL_AI_AVATAR);
    assert_text(write.created_by, "core");
    cr_assert_eq(write.retention_days, 2555);
    cr_assert_eq(write.tag_count, 2);
    assert_text(write.tags[0], "b");
    assert_text(write.tags[1], "a");
    cr_assert_eq((unsigned char) write.metadata.data[0], 0x85);
}

Test(channel, fills_in_what_a_write_leaves_out)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    bus_view_t body = from_json(out,
                                "{\"artifact_id\":\"a\",\"content\":{},\"metadata\":"
                                "{\"product\":\"gurukul\",\"created_by\":\"core\"}}");
    channel_write_t write;
    schema_problems_t problems;
    cr_assert_str_eq(problems_text(channel_decode_write(body, &write, &problems), &problems), "");
    cr_assert_eq(write.retention_days, 90);
    cr_assert_eq(write.tag_count, 0);
}

Test(channel, names_everything_that_is_wrong_with_a_write_by_its_path)
{
    cr_expect_str_eq(check(CHANNEL_ARTIFACT_WRITE, "{}"),
                     "artifact_id is required; content is required; metadata is required");
    cr_expect_str_eq(check(CHANNEL_ARTIFACT_WRITE, "[]"), "body must be a map");
    cr_expect_str_eq(check(CHANNEL_ARTIFACT_WRITE,
                           "{\"channel\":\"artifact_read\",\"artifact_id\":\"a\\nb\","
                           "\"content\":{},\"metadata\":{\"product\":\"gurukul2\","
                           "\"retention_days\":2556,\"tags\":[\"\"]}}"),
                     "channel must be the channel that it is sent to; artifact_id must not have "
                     "control characters; metadata.created_by is required; "
                     "metadata.retention_days is out of range; metadata.product must be one "
                     "of ai_assistant, ai_avatar, gurukul, enforcement; metadata.tags each must be "
                     "a text of 1 to 128 bytes");
}

Test(channel, takes_retention_from_one_day_to_seven_years)
{
    const struct {
        const char *days;
        bool good;
    } cases[] = {{"0", false},
                 {"1", true},
                 {"2555", true},
                 {"2556", false},
                 {"-1", false},
                 {"1.5", false},
                 {"\"90\"", false},
                 {"null", true},
                 {"9223372036854775807", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char json[256];
        snprintf(json,
                 sizeof json,
                 "{\"artifact_id\":\"a\",\"content\":{},\"metadata\":{\"product\":\"gurukul\","
                 "\"created_by\":\"core\",\"retention_days\":%s}}",
                 cases[i].days);
        cr_expect_eq(
            check(CHANNEL_ARTIFACT_WRITE, json)[0] == '\0', cases[i].good, "%s", cases[i].days);
    }
}

Test(channel, takes_no_control_characters_in_an_id_and_any_other)
{
    const struct {
        const char *id; // as JSON
        bool good;
    } cases[] = {{"a b/c?\\\\\\\"%2e\xc3\xa9\xe2\x82\xac", true},
                 {"\\u001b[31m", false},
                 {"a\\u007f", false},
                 {"a\\u0085", false}, // C1, two bytes of UTF-8
                 {"a\\u00a0", true},
                 {"", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char json[256];
        snprintf(
            json, sizeof json, "{\"artifact_id\":\"%s\",\"product\":\"gurukul\"}", cases[i].id);
        cr_expect_eq(
            check(CHANNEL_ARTIFACT_READ, json)[0] == '\0', cases[i].good, "%s", cases[i].id);
    }
}

Test(channel, takes_thirty_two_tags_and_no_more)
{
    for (int count = 32; count <= 33; count++) {
        char json[1024] = "{\"product\":\"gurukul\",\"filters\":{\"tags\":[";
        for (int i = 0; i < count; i++) {
            size_t size = strlen(json);
            snprintf(json + size, sizeof json - size, "%s\"t%d\"", i > 0 ? "," : "", i);
        }
        strcat(json, "]}}");
        cr_expect_str_eq(check(CHANNEL_METADATA_QUERY, json),
                         count == 32 ? "" : "filters.tags must be at most 32 tags");
    }
}

Test(channel, reads_the_filters_of_a_query)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    bus_view_t body = from_json(out,
                                "{\"product\":\"ai_assistant\",\"filters\":{\"created_after\":"
                                "\"1970-01-01T01:00:01+01:00\",\"created_before\":"
                                "\"1970-01-01T00:00:02.5\",\"tags\":[\"a\"],\"limit\":1000,"
                                "\"cursor\":\"c\"}}");
    channel_query_t query;
    schema_problems_t problems;
    cr_assert_str_eq(problems_text(channel_decode_query(body, &query, &problems), &problems), "");
    cr_assert_eq(query.created_after, 1000000);
    cr_assert_eq(query.created_before, 2500000);
    cr_assert_eq(query.limit, 1000);
    assert_text(query.cursor, "c");
    cr_assert_eq(query.tag_count, 1);
}

Test(channel, leaves_a_query_open_where_it_has_no_filters)
{
    const char *const bodies[] = {"{\"product\":\"gurukul\"}",
                                  "{\"product\":\"gurukul\",\"filters\":{}}",
                                  "{\"product\":\"gurukul\",\"filters\":null}"};
    for (size_t i = 0; i < 3; i++) {
        BUS_AUTO(pack_destroy) pack_t *out = pack_new();
        bus_view_t body = from_json(out, bodies[i]);
        channel_query_t query;
        schema_problems_t problems;
        cr_assert_str_eq(problems_text(channel_decode_query(body, &query, &problems), &problems),
                         "");
        cr_expect(query.created_after == 0 && query.created_before == UINT64_MAX);
        cr_expect(query.limit == 100 && query.tag_count == 0 && query.cursor.data == NULL);
    }
}

Test(channel, refuses_ranges_that_hold_nothing_and_dates_that_are_none)
{
    cr_expect_str_eq(
        check(CHANNEL_METADATA_QUERY,
              "{\"product\":\"gurukul\",\"filters\":{\"created_after\":"
              "\"2025-01-02T00:00:00Z\",\"created_before\":\"2025-01-01T00:00:00Z\"}}"),
        "filters.created_before must be later than created_after");
    cr_expect_str_eq(check(CHANNEL_METADATA_QUERY,
                           "{\"product\":\"gurukul\",\"filters\":{\"created_after\":"
                           "\"yesterday\",\"limit\":1001,\"cursor\":\"\"}}"),
                     "filters.limit is out of range; filters.cursor must not be empty; "
                     "filters.created_after must be a time of RFC 3339 from 1970 on");
    cr_expect_str_eq(check(CHANNEL_METADATA_QUERY, "{\"product\":\"all\",\"filters\":[]}"),
                     "filters must be a map; product must be one of ai_assistant, ai_avatar, "
                     "gurukul, enforcement");
}

Test(channel, takes_the_words_of_the_contract_in_an_audit_entry)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    bus_view_t body =
        from_json(out, "{\"event_type\":\"read\",\"product\":\"gurukul\",\"details\":{\"a\":1}}");
    channel_append_t append;
    schema_problems_t problems;
    cr_assert_str_eq(problems_text(channel_decode_append(body, &append, &problems), &problems), "");
    assert_text(append.severity, "INFO");
    assert_text(append.event_type, "read");
    cr_assert_eq(append.product, CHANNEL_GURUKUL);
    cr_expect_str_eq(
        check(CHANNEL_AUDIT_APPEND,
              "{\"event_type\":\"delete\",\"product\":\"gurukul\",\"details\":[],"
              "\"severity\":\"info\"}"),
        "details must be a map; event_type must be one of read, write, query, error, escalation; "
        "severity must be one of INFO, WARNING, ERROR, CRITICAL");
}

Test(channel, tells_who_asks)
{
    const struct {
        const char *json;
        const char *who;
    } cases[] = {
        {"{\"requester_id\":\"a\",\"metadata\":{\"created_by\":\"b\"}}", "a"},
        {"{\"requester_id\":\"\",\"metadata\":{\"created_by\":\"b\"}}", "b"},
        {"{\"requester_id\":7,\"metadata\":{\"created_by\":\"b\"}}", "b"},
        {"{\"metadata\":\"b\"}", "anonymous"},
        {"[]", "anonymous"},
        {"{\"requester_id\":"
         "\"0123456789012345678901234567890123456789012345678901234567890123xyz\"}",
         "0123456789012345678901234567890123456789012345678901234567890123"},
        // The 64th byte is the first of two: it is left out whole.
        {"{\"requester_id\":"
         "\"012345678901234567890123456789012345678901234567890123456789012\\u00e9\"}",
         "012345678901234567890123456789012345678901234567890123456789012"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        BUS_AUTO(pack_destroy) pack_t *out = pack_new();
        assert_text(channel_requester(from_json(out, cases[i].json)), cases[i].who);
    }
}
