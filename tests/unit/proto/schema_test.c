// schema_test.c - the tables of message bodies, and the loops over them.
#include "help.h"
#include "proto/limits.h"
#include "proto/schema.h"
#include "proto/topic.h"
#include "proto/walk.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

// The problems with a life event, as "field problem; …".
static const char *
problems_of(const schema_t *schema, bus_view_t body, void *ret_struct)
{
    static char text[1024];
    schema_problems_t problems;
    bus_err_t err = schema_decode(schema, body, ret_struct, &problems);
    cr_assert_eq(err, problems.count == 0 ? BUS_OK : BUS_VALIDATION_FAILED);
    text[0] = '\0';
    for (size_t i = 0; i < problems.count; i++) {
        size_t size = strlen(text);
        snprintf(text + size,
                 sizeof(text) - size,
                 "%s%s %s",
                 i > 0 ? "; " : "",
                 problems.at[i].field,
                 problems.at[i].problem);
    }
    return text;
}

Test(schema, decodes_a_body_into_its_struct)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    bus_view_t body = from_json(out,
                                "{\"role\":\"learner\",\"unknown\":[1],\"user_id\":\"u-1\","
                                "\"action\":\"completing_lessons\",\"context\":\"words\","
                                "\"metadata\":{\"a\":1},\"note\":null}");
    schema_life_event_t event;
    cr_assert_str_eq(problems_of(&SCHEMA_life_event, body, &event), "");
    assert_text(event.user_id, "u-1");
    assert_text(event.action, "completing_lessons");
    assert_text(event.role, "learner");
    cr_assert(view_equal(event.context, VIEW_LITERAL("\xa5words")));
    cr_assert(view_equal(event.metadata,
                         VIEW_LITERAL("\x81\xa1"
                                      "a\x01")));
    cr_assert_null(event.note.data); // nil is absent
    cr_assert_null(event.source.data);
}

Test(schema, integers_booleans_and_reals_say_whether_they_are_there)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    schema_fetch_t fetch;
    cr_assert_str_eq(problems_of(&SCHEMA_fetch,
                                 from_json(out,
                                           "{\"consumer\":\"c\",\"from\":0,\"max\":7,"
                                           "\"filters\":[\"core.\"]}"),
                                 &fetch),
                     "");
    cr_assert(fetch.from.has);
    cr_assert_eq(fetch.from.value, 0);
    cr_assert_eq(fetch.max.value, 7);
    cr_assert(!fetch.ack.has);
    cr_assert(view_equal(fetch.filters,
                         VIEW_LITERAL("\x91\xa5"
                                      "core.")));
    schema_hello_t hello;
    cr_assert_str_eq(problems_of(&SCHEMA_hello,
                                 from_json(out, "{\"instance\":\"i\",\"boot_ms\":2.5,\"pid\":-1}"),
                                 &hello),
                     "");
    cr_assert_eq(hello.boot_ms.value, 2.5);
    cr_assert_eq(hello.pid.value, -1); // no limits in its row
    cr_assert_str_eq(
        problems_of(&SCHEMA_hello, from_json(out, "{\"instance\":\"i\",\"boot_ms\":3}"), &hello),
        "");
    cr_assert_eq(hello.boot_ms.value, 3.0); // an integer is a real too
    schema_forwarding_set_t set;
    cr_assert_str_eq(
        problems_of(&SCHEMA_forwarding_set, from_json(out, "{\"enabled\":false}"), &set), "");
    cr_assert(set.enabled.has);
    cr_assert(!set.enabled.value);
}

Test(schema, reports_every_problem_in_the_tables_order)
{
    static const struct {
        const schema_t *schema;
        const char *json;
        const char *problems;
    } rows[] = {
        {&SCHEMA_life_event, "{}", "user_id is required; action is required; role is required"},
        {&SCHEMA_life_event,
         "{\"role\":5,\"note\":[],\"user_id\":\"\",\"metadata\":\"x\"}",
         "user_id must not be empty; action is required; role must be a string; "
         "note must be a string; metadata must be a map"},
        {&SCHEMA_life_event,
         "{\"user_id\":null,\"action\":\"a\",\"role\":\"r\",\"context\":1}",
         "user_id is required; context must be a map or a string"},
        {&SCHEMA_life_event, "[]", "body must be a map"},
        {&SCHEMA_life_event, "\"x\"", "body must be a map"},
        {&SCHEMA_fetch,
         "{\"consumer\":\"c\",\"from\":-1,\"max\":0,\"wait_ms\":60001}",
         "from is out of range; max is out of range; wait_ms is out of range"},
        {&SCHEMA_fetch,
         "{\"consumer\":\"c\",\"from\":1.0,\"max\":\"7\",\"filters\":{}}",
         "filters must be an array; from must be an integer; max must be an integer"},
        {&SCHEMA_fetch, "{\"consumer\":\"c\",\"max\":1,\"wait_ms\":60000}", ""},
        {&SCHEMA_fetch, "{\"consumer\":\"c\",\"max\":100000}", ""},
        {&SCHEMA_fetch, "{\"consumer\":\"c\",\"max\":100001}", "max is out of range"},
        {&SCHEMA_forwarding_set, "{\"enabled\":1}", "enabled must be true or false"},
        {&SCHEMA_forwarding_set, "{\"enabled\":\"true\"}", "enabled must be true or false"},
        {&SCHEMA_hello, "{\"instance\":\"i\",\"boot_ms\":\"1\"}", "boot_ms must be a number"},
    };
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    for (size_t i = 0; i < COUNT(rows); i++) {
        char space[512];
        cr_assert_leq(rows[i].schema->size, sizeof(space));
        cr_assert_str_eq(problems_of(rows[i].schema, from_json(out, rows[i].json), space),
                         rows[i].problems,
                         "%s: %s",
                         rows[i].json,
                         problems_of(rows[i].schema, from_json(out, rows[i].json), space));
    }
}

Test(schema, what_fitted_is_in_the_struct_beside_the_problems)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    schema_life_event_t event;
    problems_of(&SCHEMA_life_event, from_json(out, "{\"role\":\"r\",\"action\":7}"), &event);
    assert_text(event.role, "r");
    cr_assert_null(event.action.data);
}

Test(schema, text_limits_are_in_bytes_and_exact)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    char text[300];
    memset(text, 'x', sizeof(text));
    for (size_t size = 255; size <= 256; size++) {
        pack_clear(out);
        pack_map(out, 1);
        pack_pair_str(out, "user_id", view_from(text, size));
        schema_karma_user_t user;
        cr_assert_str_eq(problems_of(&SCHEMA_karma_user, pack_view(out), &user),
                         size > 255 ? "user_id is too long" : "");
    }
}

Test(schema, limits_of_maps_are_on_their_encoding)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    char *text = calloc(1, 65536);
    for (size_t size = 65536; size <= 65537; size++) {
        pack_clear(out);
        pack_map(out, 4);
        pack_pair_text(out, "user_id", "u");
        pack_pair_text(out, "action", "a");
        pack_pair_text(out, "role", "r");
        pack_text(out, "metadata");
        pack_map(out, 1);
        pack_pair_str(out, "m", view_from(text, size - 6)); // 1 + 2 + 3
        schema_life_event_t event;
        cr_assert_str_eq(problems_of(&SCHEMA_life_event, pack_view(out), &event),
                         size > 65536 ? "metadata is too long" : "");
    }
    free(text);
}

Test(schema, what_only_a_live_body_can_hold_is_a_problem_not_a_crash)
{
    // These pass walk_check in its mode for any msgpack.
    schema_karma_user_t user;
    cr_assert_str_eq(
        problems_of(&SCHEMA_karma_user, VIEW_LITERAL("\x81\xa7user_id\xa1\xff"), &user),
        "user_id must be UTF-8");
    cr_assert_str_eq(
        problems_of(&SCHEMA_karma_user, VIEW_LITERAL("\x81\xa7user_id\xc4\x01x"), &user),
        "user_id must be a string");
    cr_assert_str_eq(
        problems_of(&SCHEMA_karma_user, VIEW_LITERAL("\x82\x01\x02\xa7user_id\xa1x"), &user), "");
    schema_hello_t hello;
    cr_assert_str_eq(
        problems_of(
            &SCHEMA_hello,
            VIEW_LITERAL("\x83\xa8instance\xa1i\xa7"
                         "boot_ms\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00\xa3pid\xcf\xff\xff\xff"
                         "\xff\xff\xff\xff\xff"),
            &hello),
        "pid is out of range; boot_ms is out of range");
    // Of a key that stands twice the first counts.
    cr_assert_str_eq(problems_of(&SCHEMA_karma_user,
                                 VIEW_LITERAL("\x82\xa7user_id\xa1x\xa7user_id\xa1y"),
                                 &user),
                     "");
    assert_text(user.user_id, "x");
}

Test(schema, problems_are_cut_at_their_most)
{
    // A message of more rows than problems are kept: each of them is wrong.
    schema_field_t fields[SCHEMA_PROBLEMS_MAX + 4];
    for (size_t i = 0; i < COUNT(fields); i++) {
        fields[i] = (schema_field_t){.name = "f", .type = SCHEMA_STR, .required = true};
    }
    const schema_t schema = {
        .name = "wide", .size = sizeof(bus_view_t), .fields = fields, .field_count = COUNT(fields)};
    bus_view_t struct_;
    schema_problems_t problems;
    cr_assert_eq(schema_decode(&schema, VIEW_LITERAL("\x80"), &struct_, &problems),
                 BUS_VALIDATION_FAILED);
    cr_assert_eq(problems.count, SCHEMA_PROBLEMS_MAX);
}

Test(schema, encodes_what_is_there_in_the_tables_order)
{
    const schema_fetch_t fetch = {.consumer = VIEW_LITERAL("c"),
                                  .filters = VIEW_LITERAL("\x90"),
                                  .from = {.has = true, .value = 5},
                                  .max = {.has = true, .value = 0}};
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    schema_encode(&SCHEMA_fetch, &fetch, out);
    cr_assert(view_equal(pack_view(out),
                         VIEW_LITERAL("\x84\xa8"
                                      "consumer\xa1"
                                      "c\xa7"
                                      "filters\x90\xa4"
                                      "from\x05\xa3max\x00")));
    const schema_ack_t ack = {.seq = {true, 9}, .at = {true, 8}, .duplicate = {true, false}};
    BUS_AUTO(text_destroy) text_t *text = text_new();
    pack_clear(out);
    schema_encode(&SCHEMA_ack, &ack, out);
    transcode_to_json(pack_view(out), 0, text);
    assert_text(text_view(text), "{\"seq\":9,\"at\":8,\"duplicate\":false}");
}

Test(schema, problems_pack_as_details)
{
    schema_life_event_t event;
    schema_problems_t problems;
    cr_assert_eq(
        schema_decode(&SCHEMA_life_event, VIEW_LITERAL("\x81\xa7user_id\x05"), &event, &problems),
        BUS_VALIDATION_FAILED);
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    BUS_AUTO(text_destroy) text_t *text = text_new();
    schema_pack_problems(&problems, out);
    transcode_to_json(pack_view(out), 0, text);
    assert_text(text_view(text),
                "[{\"field\":\"user_id\",\"problem\":\"must be a string\"},"
                "{\"field\":\"action\",\"problem\":\"is required\"},"
                "{\"field\":\"role\",\"problem\":\"is required\"}]");
}

Test(schema, an_error_packs_as_the_protocol_says)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    BUS_AUTO(text_destroy) text_t *text = text_new();
    schema_pack_error(out, BUS_BUSY, NULL, VIEW_NONE, 2);
    transcode_to_json(pack_view(out), 0, text);
    assert_text(text_view(text),
                "{\"status\":\"error\",\"error_code\":\"BUSY\",\"message\":"
                "\"too much is pending; try again after retry_after seconds\","
                "\"retry_after\":2}");
    pack_clear(out);
    text_clear(text);
    schema_pack_error(out,
                      BUS_PSEQ_GAP,
                      "a gap",
                      VIEW_LITERAL("\x81\xa8"
                                   "expected\x05"),
                      0);
    transcode_to_json(pack_view(out), 0, text);
    assert_text(text_view(text),
                "{\"status\":\"error\",\"error_code\":\"PSEQ_GAP\",\"message\":"
                "\"a gap\",\"details\":{\"expected\":5}}");
}

Test(schema, every_table_is_sound)
{
    cr_assert_gt(schema_count, 10);
    for (size_t i = 0; i < schema_count; i++) {
        const schema_t *schema = schema_all[i];
        cr_assert_gt(strlen(schema->meaning), 0, "%s", schema->name);
        cr_assert(topic_is_legal_prefix(view_from_text(schema->topic)), "%s", schema->name);
        cr_assert_leq(schema->field_count, 64, "%s", schema->name);
        for (size_t f = 0; f < schema->field_count; f++) {
            const schema_field_t *field = &schema->fields[f];
            cr_assert_lt(field->offset, schema->size);
            cr_assert_gt(strlen(field->meaning), 0, "%s.%s", schema->name, field->name);
            cr_assert(field->min <= field->max || (field->type != SCHEMA_INT && field->max == 0),
                      "%s.%s",
                      schema->name,
                      field->name);
            for (size_t other = 0; other < f; other++) {
                cr_assert_str_neq(schema->fields[other].name, field->name, "%s", schema->name);
            }
        }
        for (size_t other = 0; other < i; other++) {
            cr_assert_str_neq(schema_all[other]->name, schema->name);
        }
    }
}

// Packs a value that fits `field`.
static void
pack_fitting(const schema_field_t *field, pack_t *out)
{
    static const char text[] = "01234567890123456789012345678901234567890123456789"
                               "01234567890123456789012345678901234567890123456789";
    cr_assert(field->min < (int64_t) sizeof text);
    switch (field->type) {
    case SCHEMA_STR:
        pack_str(out, view_from(text, field->min > 0 ? (size_t) field->min : 1));
        break;
    case SCHEMA_INT:
        pack_int(out, field->min);
        break;
    case SCHEMA_REAL:
        pack_real(out, 0.5);
        break;
    case SCHEMA_BOOL:
        pack_bool(out, true);
        break;
    case SCHEMA_ARRAY:
        pack_array(out, 0);
        break;
    case SCHEMA_MAP:
    case SCHEMA_ANY:
    case SCHEMA_TEXTMAP:
        pack_map(out, 0);
        break;
    }
}

Test(schema, every_message_decodes_and_encodes_back_to_its_bytes)
{
    BUS_AUTO(pack_destroy) pack_t *in = pack_new();
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    for (size_t i = 0; i < schema_count; i++) {
        const schema_t *schema = schema_all[i];
        pack_clear(in);
        pack_clear(out);
        pack_map(in, (uint32_t) schema->field_count);
        for (size_t f = 0; f < schema->field_count; f++) {
            pack_text(in, schema->fields[f].name);
            pack_fitting(&schema->fields[f], in);
        }
        void *struct_ = malloc(schema->size);
        cr_assert_str_eq(problems_of(schema, pack_view(in), struct_), "", "%s", schema->name);
        schema_encode(schema, struct_, out);
        cr_assert(view_equal(pack_view(in), pack_view(out)), "%s", schema->name);
        free(struct_);
    }
}
