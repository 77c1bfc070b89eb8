// header_test.c - the header: each rule of docs/protocol.md section 2, and stamping.
#include "help.h"
#include "proto/header.h"
#include "proto/limits.h"
#include "proto/walk.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

// A text of `count` letters, for a test's own limits.
static const char *
letters(size_t count)
{
    static char text[1024];
    cr_assert_lt(count, sizeof(text));
    memset(text, 'x', count);
    text[count] = '\0';
    return text;
}

Test(header, an_empty_map_is_legal)
{
    header_t header;
    cr_assert_eq(header_decode(VIEW_LITERAL("\x80"), &header, NULL), BUS_OK);
    cr_assert_null(header.id.data);
    cr_assert_null(header.reply_to.data);
    cr_assert_eq(header.pstream.size, 0);
    cr_assert_eq(header.pseq, 0);
    cr_assert_eq(header.ack, HEADER_ACK_NONE);
    cr_assert(!header.is_ack);
}

Test(header, decodes_every_key)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    bus_view_t bytes = from_json(
        out,
        "{\"id\":\"i-1\",\"source\":\"bhiv_core\",\"time\":1700000000000000,"
        "\"trace_id\":\"task_123\",\"cause\":[41,2],\"reply_to\":\"_inbox.core.7\","
        "\"ack\":\"last\",\"pseq\":9,\"pstream\":\"s\",\"idem\":\"k\",\"re\":\"i-0\","
        "\"status\":\"success\",\"topic\":\"req.bucket.events\",\"seq\":5,\"at\":6,\"prev\":4}");
    header_t header;
    const char *why = "";
    cr_assert_eq(header_decode(bytes, &header, &why), BUS_OK, "%s", why);
    assert_text(header.id, "i-1");
    assert_text(header.source, "bhiv_core");
    assert_text(header.trace_id, "task_123");
    assert_text(header.reply_to, "_inbox.core.7");
    assert_text(header.pstream, "s");
    assert_text(header.idem, "k");
    assert_text(header.re, "i-0");
    assert_text(header.status, "success");
    assert_text(header.topic, "req.bucket.events");
    cr_assert_eq(header.time, 1700000000000000);
    cr_assert_eq(header.pseq, 9);
    cr_assert_eq(header.cause_seq, 41);
    cr_assert_eq(header.cause_n, 2);
    cr_assert_eq(header.seq, 5);
    cr_assert_eq(header.at, 6);
    cr_assert_eq(header.prev, 4);
    cr_assert_eq(header.ack, HEADER_ACK_LAST);
    cr_assert(!header.is_ack);
}

Test(header, ack_is_a_wish_or_beside_re_an_answer)
{
    static const struct {
        const char *json;
        header_ack_t ack;
        bool is_ack;
    } rows[] = {
        {"{\"ack\":true}", HEADER_ACK_EACH, false},
        {"{\"ack\":false}", HEADER_ACK_NONE, false},
        {"{\"ack\":\"last\",\"pseq\":1}", HEADER_ACK_LAST, false},
        {"{\"ack\":true,\"re\":\"i\"}", HEADER_ACK_NONE, true},
        {"{\"re\":\"i\",\"ack\":true}", HEADER_ACK_NONE, true},
        {"{\"re\":\"i\",\"ack\":false}", HEADER_ACK_NONE, false},
        {"{\"re\":\"i\"}", HEADER_ACK_NONE, false},
    };
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    for (size_t i = 0; i < COUNT(rows); i++) {
        header_t header;
        cr_assert_eq(header_decode(from_json(out, rows[i].json), &header, NULL), BUS_OK);
        cr_assert_eq(header.ack, rows[i].ack, "%s", rows[i].json);
        cr_assert_eq(header.is_ack, rows[i].is_ack, "%s", rows[i].json);
    }
}

Test(header, each_broken_rule_is_named)
{
    static const struct {
        const char *json;
        const char *why;
    } rows[] = {
        {"[]", "the header is not a map"},
        {"null", "the header is not a map"},
        {"{\"id\":\"\"}", "id must be a text of 1 to 64 bytes"},
        {"{\"id\":5}", "id must be a text of 1 to 64 bytes"},
        {"{\"id\":null}", "id must be a text of 1 to 64 bytes"},
        {"{\"id\":[\"a\"]}", "id must be a text of 1 to 64 bytes"},
        {"{\"source\":\"\"}", "source must be a text of 1 to 64 bytes"},
        {"{\"source\":{}}", "source must be a text of 1 to 64 bytes"},
        {"{\"trace_id\":\"\"}", "trace_id must be a text of 1 to 128 bytes"},
        {"{\"trace_id\":1}", "trace_id must be a text of 1 to 128 bytes"},
        {"{\"id\":\"a\",\"reply_to\":\"\"}", "reply_to must be _inbox.<name>.<unique>"},
        {"{\"id\":\"a\",\"reply_to\":\"core.x\"}", "reply_to must be _inbox.<name>.<unique>"},
        {"{\"id\":\"a\",\"reply_to\":\"_inbox.a\"}", "reply_to must be _inbox.<name>.<unique>"},
        {"{\"id\":\"a\",\"reply_to\":7}", "reply_to must be _inbox.<name>.<unique>"},
        {"{\"reply_to\":\"_inbox.a.b\"}", "reply_to needs an id"},
        {"{\"pstream\":1}", "pstream must be a text of at most 64 bytes"},
        {"{\"idem\":\"\"}", "idem must be a text of 1 to 384 bytes"},
        {"{\"re\":\"\"}", "re must be a text of 1 to 64 bytes"},
        {"{\"status\":\"ok\"}", "status must be success or error"},
        {"{\"status\":true}", "status must be success or error"},
        {"{\"topic\":\"\"}", "topic must be a text of 1 to 255 bytes"},
        {"{\"time\":-1}", "time must be an unsigned integer"},
        {"{\"time\":1.0}", "time must be an unsigned integer"},
        {"{\"time\":\"1\"}", "time must be an unsigned integer"},
        {"{\"pseq\":0}", "pseq must be an integer from 1"},
        {"{\"pseq\":-1}", "pseq must be an integer from 1"},
        {"{\"pseq\":\"1\"}", "pseq must be an integer from 1"},
        {"{\"ack\":1}", "ack must be true, false or \"last\""},
        {"{\"ack\":\"each\"}", "ack must be true, false or \"last\""},
        {"{\"ack\":null}", "ack must be true, false or \"last\""},
        {"{\"ack\":\"last\"}", "ack \"last\" needs a pseq"},
        {"{\"cause\":1}", "cause must be [seq, n]"},
        {"{\"cause\":[]}", "cause must be [seq, n]"},
        {"{\"cause\":[1]}", "cause must be [seq, n]"},
        {"{\"cause\":[1,2,3]}", "cause must be [seq, n]"},
        {"{\"cause\":[0,1]}", "cause must be [seq, n]"},
        {"{\"cause\":[1,-1]}", "cause must be [seq, n]"},
        {"{\"cause\":[\"1\",2]}", "cause must be [seq, n]"},
        {"{\"cause\":[1,[2]]}", "cause must be [seq, n]"},
        {"{\"cause\":{\"1\":2}}", "cause must be [seq, n]"},
        {"{\"seq\":\"x\"}", "seq must be an unsigned integer"},
        {"{\"at\":-1}", "at must be an unsigned integer"},
        {"{\"prev\":[]}", "prev must be an unsigned integer"},
    };
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    for (size_t i = 0; i < COUNT(rows); i++) {
        BUS_AUTO(exact_free) bus_view_t bytes = exact(from_json(out, rows[i].json));
        header_t header;
        const char *why = "nothing";
        cr_assert_eq(
            header_decode(bytes, &header, &why), BUS_MALFORMED_MESSAGE, "%s", rows[i].json);
        cr_assert_str_eq(why, rows[i].why, "%s: %s", rows[i].json, why);
    }
}

Test(header, sizes_are_exactly_those_of_the_protocol)
{
    static const struct {
        const char *key;
        size_t max;
    } rows[] = {{"id", 64},
                {"source", 64},
                {"pstream", 64},
                {"trace_id", 128},
                {"idem", 384},
                {"re", 64},
                {"topic", 255}};
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (size_t over = 0; over < 2; over++) {
            pack_clear(out);
            pack_map(out, 1);
            pack_pair_text(out, rows[i].key, letters(rows[i].max + over));
            header_t header;
            cr_assert_eq(header_decode(pack_view(out), &header, NULL),
                         over ? BUS_MALFORMED_MESSAGE : BUS_OK,
                         "%s",
                         rows[i].key);
        }
    }
    for (size_t size = 128; size <= 129; size++) {
        char inbox[200];
        snprintf(inbox, sizeof(inbox), "_inbox.a.%s", letters(size - 9));
        pack_clear(out);
        pack_map(out, 2);
        pack_pair_text(out, "id", "i");
        pack_pair_text(out, "reply_to", inbox);
        header_t header;
        cr_assert_eq(header_decode(pack_view(out), &header, NULL),
                     size > 128 ? BUS_MALFORMED_MESSAGE : BUS_OK);
    }
}

Test(header, an_empty_pstream_is_legal)
{
    header_t header;
    cr_assert_eq(header_decode(VIEW_LITERAL("\x81\xa7pstream\xa0"), &header, NULL), BUS_OK);
    cr_assert_eq(header.pstream.size, 0);
}

Test(header, the_whole_may_be_4096_bytes_and_what_the_broker_adds)
{
    enum { MOST = HEADER_SIZE_MAX + HEADER_STAMP_SIZE_MAX };
    for (size_t size = MOST; size <= MOST + 1; size++) {
        BUS_AUTO(pack_destroy) pack_t *out = pack_new();
        char *text = malloc(size);
        memset(text, 'x', size);
        pack_map(out, 2);
        pack_pair_text(out, "id", "i");
        pack_text(out, "f");
        pack_str(out, view_from(text, size - pack_view(out).size - 3)); // behind a head of three
        cr_assert_eq(pack_view(out).size, size);
        header_t header;
        const char *why = "";
        cr_assert_eq(header_decode(pack_view(out), &header, &why),
                     size > MOST ? BUS_MALFORMED_MESSAGE : BUS_OK,
                     "%s",
                     why);
        assert_text(header.id, "i");
        cr_assert_str_eq(why, size > MOST ? "the header is over 4 KiB" : "");
        free(text);
    }
}

static void
assert_refused(bus_view_t bytes, const char *expected)
{
    BUS_AUTO(exact_free) bus_view_t copy = exact(bytes);
    header_t header;
    const char *why = "nothing";
    cr_assert_eq(header_decode(copy, &header, &why), BUS_MALFORMED_MESSAGE, "not: %s", expected);
    cr_assert_str_eq(why, expected, "%s, not: %s", why, expected);
}

Test(header, refuses_a_known_key_twice)
{
    static const char *const keys[] = {"id",
                                       "source",
                                       "trace_id",
                                       "pstream",
                                       "idem",
                                       "re",
                                       "status",
                                       "topic",
                                       "time",
                                       "pseq",
                                       "cause",
                                       "seq",
                                       "at",
                                       "prev",
                                       "ack"};
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    BUS_AUTO(pack_destroy) pack_t *one = pack_new();
    for (size_t i = 0; i < COUNT(keys); i++) {
        // Whatever of these the key takes; the first of the two stands either way.
        static const char *const values[] = {"\"x\"", "5", "[5,6]", "true", "\"error\""};
        unsigned refused = 0;
        for (size_t v = 0; v < COUNT(values); v++) {
            bus_view_t value = from_json(one, values[v]);
            pack_clear(out);
            pack_map(out, 1);
            pack_pair_raw(out, keys[i], value);
            header_t header;
            if (header_decode(pack_view(out), &header, NULL) != BUS_OK) {
                continue;
            }
            pack_clear(out);
            pack_map(out, 2);
            pack_pair_raw(out, keys[i], value);
            pack_pair_raw(out, keys[i], value);
            char expected[64];
            snprintf(expected, sizeof(expected), "%s stands twice", keys[i]);
            assert_refused(pack_view(out), expected);
            refused++;
        }
        cr_assert_gt(refused, 0, "%s", keys[i]);
    }
    assert_refused(
        VIEW_LITERAL("\x83\xa2id\xa1i\xa8reply_to\xaa_inbox.a.b\xa8reply_to\xaa_inbox.a.c"),
        "reply_to stands twice");
}

Test(header, refuses_what_is_not_exactly_one_map)
{
    assert_refused(VIEW_LITERAL(""), "the header is not a map");
    assert_refused(VIEW_LITERAL("\x80\xc0"), "something follows the header's map");
    assert_refused(VIEW_LITERAL("\x82\xa0"), "the header is not a map"); // the count is a lie
    assert_refused(VIEW_LITERAL("\x81\xa2id"), "the header is cut off");
    assert_refused(VIEW_LITERAL("\x81\xa2id\xa3x"), "the header is cut off");
    assert_refused(VIEW_LITERAL("\x81\xa2zz\xa3x"), "the header is cut off");
    assert_refused(VIEW_LITERAL("\x81\xa2zz\x93\xc0"), "the header is cut off");
    assert_refused(VIEW_LITERAL("\x81\xa2zz\xc1\xc0"), "the header is cut off");
    assert_refused(VIEW_LITERAL("\xdf\xff\x00\x00\x00"), "the header is not a map");
}

Test(header, refuses_each_truncation)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    bus_view_t bytes =
        from_json(out, "{\"id\":\"i\",\"cause\":[1,2],\"x\":{\"y\":[1,2]},\"at\":9}");
    for (size_t size = 0; size < bytes.size; size++) {
        BUS_AUTO(exact_free) bus_view_t copy = exact(view_from(bytes.data, size));
        header_t header;
        cr_assert_eq(header_decode(copy, &header, NULL), BUS_MALFORMED_MESSAGE, "at %zu", size);
    }
}

Test(header, keys_are_utf8_texts)
{
    assert_refused(VIEW_LITERAL("\x81\x01\x02"), "a key is not a string");
    assert_refused(VIEW_LITERAL("\x81\x91\x01\x02"), "a key is not a string");
    assert_refused(VIEW_LITERAL("\x81\xa1\xff\x02"), "a key is not UTF-8");
    assert_refused(VIEW_LITERAL("\x81\xa2id\xa1\xff"), "id must be a text of 1 to 64 bytes");
    assert_refused(VIEW_LITERAL("\x81\xa2id\xc4\x01x"), "id must be a text of 1 to 64 bytes");
}

Test(header, texts_of_unknown_keys_are_utf8_however_deep)
{
    assert_refused(VIEW_LITERAL("\x81\xa1x\xa2\xff\xfe"), "a text is not UTF-8");
    assert_refused(VIEW_LITERAL("\x81\xa1x\x91\x81\xa1y\xa1\xff"), "a text is not UTF-8");
    assert_refused(VIEW_LITERAL("\x81\xa1x\x81\xa1\xff\x01"), "a text is not UTF-8");
}

Test(header, unknown_keys_hold_any_value_to_the_depth_of_a_body)
{
    header_t header;
    cr_assert_eq(header_decode(VIEW_LITERAL("\x84\xa1"
                                            "a\xc4\x01x\xa1"
                                            "b\xd4\x01x\xa1"
                                            "c\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00\xa2if\xc0"),
                               &header,
                               NULL),
                 BUS_OK);
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    for (unsigned depth = 24; depth <= 25; depth++) {
        pack_clear(out);
        pack_map(out, 1);
        pack_text(out, "x");
        for (unsigned i = 0; i < depth; i++) {
            pack_array(out, 1);
        }
        pack_nil(out);
        const char *why = "";
        cr_assert_eq(header_decode(pack_view(out), &header, &why),
                     depth > 24 ? BUS_MALFORMED_MESSAGE : BUS_OK);
        cr_assert_str_eq(why, depth > 24 ? "nested too deep" : "");
    }
}

Test(header, keys_that_look_like_known_ones_are_unknown)
{
    static const char *const keys[] = {
        "ix",   "rx",    "ax",    "axx",    "sxx",    "txxx",    "ixxx",      "psxx",
        "prxx", "txxxx", "cxxxx", "sourcx", "statux", "pstreax", "trace_ix",  "reply_tx",
        "x",    "",      "Id",    "id ",    "zz",     "iden",    "xyzzy12345"};
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    for (size_t i = 0; i < COUNT(keys); i++) {
        pack_clear(out);
        pack_map(out, 1);
        pack_pair_real(out, keys[i], 0.5); // no known key takes a float
        header_t header;
        const char *why = "";
        cr_assert_eq(header_decode(pack_view(out), &header, &why), BUS_OK, "%s: %s", keys[i], why);
    }
}

Test(header, a_refused_header_still_says_where_to_answer)
{
    static const char *const headers[] = {
        "{\"time\":\"x\",\"id\":\"i-1\",\"reply_to\":\"_inbox.a.b\"}",
        "{\"id\":\"i-1\",\"reply_to\":\"_inbox.a.b\",\"pseq\":0}",
        "{\"cause\":[[1],{}],\"reply_to\":\"_inbox.a.b\",\"source\":[{}],\"id\":\"i-1\"}",
        "{\"id\":\"i-1\",\"ack\":{\"x\":[1]},\"reply_to\":\"_inbox.a.b\"}",
    };
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    for (size_t i = 0; i < COUNT(headers); i++) {
        header_t header;
        cr_assert_eq(header_decode(from_json(out, headers[i]), &header, NULL),
                     BUS_MALFORMED_MESSAGE);
        assert_text(header.id, "i-1");
        assert_text(header.reply_to, "_inbox.a.b");
    }
    // Cut off, but behind both.
    header_t header;
    bus_view_t cut = VIEW_LITERAL("\x83\xa2id\xa3i-1\xa8reply_to\xaa_inbox.a.b\xa4time\xcf\x01");
    cr_assert_eq(header_decode(cut, &header, NULL), BUS_MALFORMED_MESSAGE);
    assert_text(header.id, "i-1");
    assert_text(header.reply_to, "_inbox.a.b");
    // A wrong one is not handed on.
    cr_assert_eq(header_decode(
                     from_json(out, "{\"id\":\"i\",\"reply_to\":\"core.event.x\"}"), &header, NULL),
                 BUS_MALFORMED_MESSAGE);
    cr_assert_null(header.reply_to.data);
}

static void
assert_same_header(const header_t *a, const header_t *b)
{
    cr_assert(view_equal(a->id, b->id));
    cr_assert(view_equal(a->source, b->source));
    cr_assert(view_equal(a->trace_id, b->trace_id));
    cr_assert(view_equal(a->reply_to, b->reply_to));
    cr_assert(view_equal(a->pstream, b->pstream));
    cr_assert(view_equal(a->idem, b->idem));
    cr_assert(view_equal(a->re, b->re));
    cr_assert(view_equal(a->status, b->status));
    cr_assert(view_equal(a->topic, b->topic));
    cr_assert_eq(a->time, b->time);
    cr_assert_eq(a->pseq, b->pseq);
    cr_assert_eq(a->cause_seq, b->cause_seq);
    cr_assert_eq(a->cause_n, b->cause_n);
    cr_assert_eq(a->seq, b->seq);
    cr_assert_eq(a->at, b->at);
    cr_assert_eq(a->prev, b->prev);
    cr_assert_eq(a->ack, b->ack);
    cr_assert_eq(a->is_ack, b->is_ack);
}

Test(header, encodes_what_decodes_to_the_same)
{
    const header_t headers[] = {
        {.ack = HEADER_ACK_NONE},
        {.id = VIEW_LITERAL("i"),
         .source = VIEW_LITERAL("s"),
         .trace_id = VIEW_LITERAL("t"),
         .reply_to = VIEW_LITERAL("_inbox.a.b"),
         .pstream = VIEW_LITERAL(""),
         .idem = VIEW_LITERAL("k"),
         .time = UINT64_MAX,
         .pseq = 3,
         .cause_seq = 4,
         .ack = HEADER_ACK_LAST},
        {.re = VIEW_LITERAL("i"), .status = VIEW_LITERAL("success"), .is_ack = true},
        {.id = VIEW_LITERAL("i"), .ack = HEADER_ACK_EACH, .topic = VIEW_LITERAL("req.a.b")},
        {.seq = 7, .at = 8, .prev = 0},
    };
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    for (size_t i = 0; i < COUNT(headers); i++) {
        pack_clear(out);
        header_encode(&headers[i], out);
        header_t header;
        const char *why = "";
        cr_assert_eq(header_decode(pack_view(out), &header, &why), BUS_OK, "%s", why);
        assert_same_header(&headers[i], &header);
    }
}

Test(header, encodes_known_bytes)
{
    const header_t header = {.id = VIEW_LITERAL("i"), .cause_seq = 1, .ack = HEADER_ACK_EACH};
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    header_encode(&header, out);
    cr_assert(view_equal(pack_view(out),
                         VIEW_LITERAL("\x83\xa2id\xa1i\xa5"
                                      "cause\x92\x01\x00\xa3"
                                      "ack\xc3")));
}

Test(header, stamping_an_untouched_header_keeps_every_byte)
{
    // Odd on purpose: long forms, unknown keys, any values.
    bus_view_t pairs =
        VIEW_LITERAL("\xd9\x02id\xd9\x01x\xa3"
                     "foo\xc4\x02\x00\xff\xa4time\xcf\x00\x00\x00\x00\x00\x00\x00\x07\xa1"
                     "q\x81\x01\x92\xc0\xc0");
    BUS_AUTO(pack_destroy) pack_t *in = pack_new();
    pack_raw(in, VIEW_LITERAL("\xdf\x00\x00\x00\x04")); // a map of four, in the longest form
    pack_raw(in, pairs);
    header_t header;
    cr_assert_eq(header_decode(pack_view(in), &header, NULL), BUS_OK);

    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    header_restamp(pack_view(in), &(header_stamp_t){.journaled = true}, out);
    bus_view_t got = pack_view(out);
    cr_assert_eq((uint8_t) got.data[0], 0x87); // four of the peer's, three of the broker's
    cr_assert(view_starts(view_from(got.data + 1, got.size - 1), pairs));
    cr_assert(view_equal(view_from(got.data + 1 + pairs.size, got.size - 1 - pairs.size),
                         VIEW_LITERAL("\xa3seq\xcf\0\0\0\0\0\0\0\0\xa2"
                                      "at\xcf\0\0\0\0\0\0\0\0\xa4prev\xcf\0\0\0\0\0\0\0\0")));
    pack_clear(out);
    header_restamp(pack_view(in), &(header_stamp_t){.journaled = false}, out);
    cr_assert_eq((uint8_t) pack_view(out).data[0], 0x84);
    cr_assert(view_equal(view_from(pack_view(out).data + 1, pack_view(out).size - 1), pairs));
}

Test(header, places_decode_as_what_was_placed)
{
    BUS_AUTO(pack_destroy) pack_t *in = pack_new();
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    from_json(in, "{\"id\":\"i\",\"x\":1}");
    header_restamp(pack_view(in), &(header_stamp_t){.journaled = true}, out);
    bus_view_t stamped = pack_view(out);
    header_place((uint8_t *) (uintptr_t) stamped.data + stamped.size,
                 0x0102030405060708,
                 0x1112131415161718,
                 UINT64_MAX);
    header_t header;
    cr_assert_eq(header_decode(stamped, &header, NULL), BUS_OK);
    cr_assert_eq(header.seq, 0x0102030405060708);
    cr_assert_eq(header.at, 0x1112131415161718);
    cr_assert_eq(header.prev, UINT64_MAX);
    assert_text(header.id, "i");
    // A second time, as a commit that is tried again does.
    header_place((uint8_t *) (uintptr_t) stamped.data + stamped.size, 1, 2, 0);
    cr_assert_eq(header_decode(stamped, &header, NULL), BUS_OK);
    cr_assert_eq(header.seq, 1);
    cr_assert_eq(header.at, 2);
    cr_assert_eq(header.prev, 0);
}

Test(header, the_stamp_replaces_and_drops)
{
    BUS_AUTO(pack_destroy) pack_t *in = pack_new();
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    BUS_AUTO(text_destroy) text_t *text = text_new();
    from_json(in,
              "{\"seq\":1,\"id\":\"mine\",\"a\":[1,{\"id\":2}],\"source\":\"liar\",\"at\":2,"
              "\"topic\":\"x\",\"prev\":3,\"time\":4,\"z\":5}");
    static const struct {
        header_stamp_t stamp;
        const char *json;
    } rows[] = {
        {{.journaled = false},
         "{\"id\":\"mine\",\"a\":[1,{\"id\":2}],\"source\":\"liar\",\"topic\":\"x\",\"time\":4,"
         "\"z\":5}"},
        {{.id = {"given", 5}},
         "{\"a\":[1,{\"id\":2}],\"source\":\"liar\",\"topic\":\"x\",\"time\":4,\"z\":5,"
         "\"id\":\"given\"}"},
        {{.source = {"cert", 4}, .time = 9},
         "{\"id\":\"mine\",\"a\":[1,{\"id\":2}],\"topic\":\"x\",\"z\":5,\"source\":\"cert\","
         "\"time\":9}"},
        {{.topic = {"req.a.b", 7}},
         "{\"id\":\"mine\",\"a\":[1,{\"id\":2}],\"source\":\"liar\",\"time\":4,\"z\":5,"
         "\"topic\":\"req.a.b\"}"},
        {{.id = {"given", 5},
          .source = {"cert", 4},
          .topic = {"t", 1},
          .time = 8,
          .journaled = true},
         "{\"a\":[1,{\"id\":2}],\"z\":5,\"id\":\"given\",\"source\":\"cert\",\"topic\":\"t\","
         "\"time\":8,\"seq\":0,\"at\":0,\"prev\":0}"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        pack_clear(out);
        text_clear(text);
        header_restamp(pack_view(in), &rows[i].stamp, out);
        const char *why = "";
        cr_assert_eq(
            walk_check(pack_view(out), WALK_JSON, BODY_DEPTH_MAX, &why), BUS_OK, "%s", why);
        transcode_to_json(pack_view(out), 0, text);
        assert_text(text_view(text), rows[i].json);
    }
}

Test(header, the_stamp_of_an_empty_header_stands_alone)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    header_restamp(VIEW_LITERAL("\x80"), &(header_stamp_t){.id = VIEW_LITERAL("i")}, out);
    cr_assert(view_equal(pack_view(out), VIEW_LITERAL("\x81\xa2id\xa1i")));
}

Test(header, the_maps_head_stays_the_smallest)
{
    for (unsigned pairs = 10; pairs < 20; pairs++) {
        BUS_AUTO(pack_destroy) pack_t *in = pack_new();
        BUS_AUTO(pack_destroy) pack_t *out = pack_new();
        pack_map(in, pairs);
        for (unsigned i = 0; i < pairs; i++) {
            char key[8];
            snprintf(key, sizeof(key), "k%u", i);
            pack_pair_uint(in, key, i);
        }
        header_restamp(pack_view(in), &(header_stamp_t){.journaled = true}, out);
        uint8_t head = (uint8_t) pack_view(out).data[0];
        cr_assert_eq(head, pairs + 3 < 16 ? 0x80 + pairs + 3 : 0xde, "%u pairs", pairs);
        const char *why = "";
        cr_assert_eq(walk_check(pack_view(out), WALK_JSON, 24, &why), BUS_OK, "%s", why);
    }
}

Test(header, the_broker_adds_no_more_than_its_allowance)
{
    char id[ID_SIZE_MAX];
    char topic[TOPIC_SIZE_MAX];
    memset(id, 'i', sizeof(id));
    memset(topic, 't', sizeof(topic));
    const header_stamp_t stamp = {.id = view_from(id, sizeof(id)),
                                  .source = view_from(id, sizeof(id)),
                                  .topic = view_from(topic, sizeof(topic)),
                                  .time = UINT64_MAX,
                                  .journaled = true};
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    header_restamp(VIEW_LITERAL("\x80"), &stamp, out);
    // A map's head may grow by four bytes on the way.
    cr_assert_leq(pack_view(out).size + 4, HEADER_STAMP_SIZE_MAX);
}
