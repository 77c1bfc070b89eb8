// group_test.c - a batch is taken whole, or refused whole with the place of what is wrong.
#include "broker/group.h"
#include "proto/limits.h"
#include "proto/pack.h"
#include <criterion/criterion.h>

static const header_t outer = {.source = {"outer", 5}, .id = {"b1", 2}};

static void
pack_message(pack_t *out, const char *topic, const char *key, const char *value)
{
    pack_array(out, 3);
    pack_text(out, topic);
    pack_map(out, key == NULL ? 0 : 1);
    if (key != NULL) {
        pack_pair_text(out, key, value);
    }
    pack_map(out, 1);
    pack_pair_int(out, "n", 1);
}

static bus_err_t
read_one(const char *topic, const char *key, const char *value, group_problem_t *reterr_problem)
{
    BUS_AUTO(group_destroy) group_t *group = group_new();
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_array(body, 2);
    pack_message(body, "core.fine", NULL, NULL);
    pack_message(body, topic, key, value);
    return group_read(group, pack_view(body), &outer, NULL, reterr_problem);
}

Test(group, reads_messages_and_fills_in_what_they_left_out)
{
    BUS_AUTO(group_destroy) group_t *group = group_new();
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_array(body, 2);
    pack_message(body, "core.a", NULL, NULL);
    pack_message(body, "karma.b", "source", "inner");
    group_problem_t problem;
    cr_assert_eq(group_read(group, pack_view(body), &outer, NULL, &problem), BUS_OK);
    cr_assert_eq(group_count(group), 2);
    group_record_t record = group_record(group, 0);
    header_t header;
    const char *why = NULL;
    cr_assert(view_is(record.topic, "core.a"));
    cr_assert_eq(header_decode(record.header, &header, &why), BUS_OK);
    cr_assert(view_is(header.source, "outer"));
    cr_assert_eq(header.id.size, 36);
    cr_assert_gt(header.time, 0);
    cr_assert(view_is(record.body, "\x81\xa1n\x01"));
    record = group_record(group, 1);
    cr_assert_eq(header_decode(record.header, &header, &why), BUS_OK);
    cr_assert(view_is(header.source, "inner"));
}

Test(group, names_the_message_that_is_wrong)
{
    group_problem_t problem;
    const struct {
        const char *topic;
        const char *key;
        const char *value;
        bus_err_t err;
    } rows[] = {
        {"any.live", NULL, NULL, BUS_INVALID_TOPIC},
        {"bucket.out.x", NULL, NULL, BUS_INVALID_TOPIC},
        {"$bus.stats", NULL, NULL, BUS_INVALID_TOPIC},
        {"_inbox.a.1", NULL, NULL, BUS_INVALID_TOPIC},
        {"core..x", NULL, NULL, BUS_INVALID_TOPIC},
        {"core.x", "reply_to", "_inbox.a.1", BUS_VALIDATION_FAILED},
        {"core.x", "pstream", "s", BUS_VALIDATION_FAILED},
        {"core.x", "ack", "true", BUS_VALIDATION_FAILED},
        {"core.x", "id", "", BUS_VALIDATION_FAILED},
        {"core.x", "source", "$bus", BUS_UNAUTHORIZED_ACCESS},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        cr_assert_eq(read_one(rows[i].topic, rows[i].key, rows[i].value, &problem),
                     rows[i].err,
                     "row %zu",
                     i);
        cr_assert_eq(problem.index, 1);
        cr_assert_not_null(problem.why);
    }
    cr_assert_eq(read_one("core.x", "key", "kept", &problem), BUS_OK);
}

static bus_err_t
read_bytes(bus_view_t body)
{
    BUS_AUTO(group_destroy) group_t *group = group_new();
    group_problem_t problem;
    bus_err_t err = group_read(group, body, &outer, NULL, &problem);
    cr_assert_eq(err != BUS_OK, problem.why != NULL && err != BUS_OK);
    return err;
}

Test(group, is_refused_where_its_form_is_wrong)
{
    const bus_view_t bodies[] = {
        VIEW_NONE,
        VIEW_LITERAL("\x80"),             // a map
        VIEW_LITERAL("\x90"),             // no message
        VIEW_LITERAL("\xdd\xff\xff\xff"), // cut off
        VIEW_LITERAL("\x91\x92\xa6"
                     "core.x\x80"),           // two parts
        VIEW_LITERAL("\x91\x93\x01\x80\x80"), // a topic that is no text
        VIEW_LITERAL("\x91\x93\xa6"
                     "core.x\x90\x80"), // a header that is no map
        VIEW_LITERAL("\x91\x93\xa6"
                     "core.x\x80"), // without its body
        VIEW_LITERAL("\x91\x93\xa6"
                     "core.x\x80\xc4\x01x"), // a body that JSON has no word for
        VIEW_LITERAL("\x91\x93\xa6"
                     "core.x\x80\x80\xc0"), // something behind
        VIEW_LITERAL("\x92\x93\xa6"
                     "core.x\x80\x80"), // one of two
    };
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        cr_assert_eq(read_bytes(bodies[i]), BUS_VALIDATION_FAILED, "body %zu", i);
    }
    cr_assert_eq(read_bytes(VIEW_LITERAL("\x91\x93\xa6"
                                         "core.x\x80\x80")),
                 BUS_OK);
    // An absurd count is refused before anything is made for it.
    cr_assert_neq(read_bytes(VIEW_LITERAL("\xdd\xff\xff\xff\xff")), BUS_OK);
}

Test(group, takes_as_many_messages_as_the_limit_and_no_more)
{
    BUS_AUTO(group_destroy) group_t *group = group_new();
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    group_problem_t problem;
    pack_array(body, BATCH_COUNT_MAX);
    for (int i = 0; i < BATCH_COUNT_MAX; i++) {
        pack_message(body, "core.a", NULL, NULL);
    }
    cr_assert_eq(group_read(group, pack_view(body), &outer, NULL, &problem), BUS_OK);
    cr_assert_eq(group_count(group), BATCH_COUNT_MAX);
    pack_clear(body);
    pack_array(body, BATCH_COUNT_MAX + 1);
    for (int i = 0; i <= BATCH_COUNT_MAX; i++) {
        pack_message(body, "core.a", NULL, NULL);
    }
    cr_assert_eq(group_read(group, pack_view(body), &outer, NULL, &problem), BUS_PAYLOAD_TOO_LARGE);
}
