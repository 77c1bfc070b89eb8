// transcode_test.c - JSON to msgpack and back, exactly, or a refusal.
#include "help.h"
#include "proto/limits.h"
#include "proto/walk.h"
#include <float.h>
#include <locale.h>
#include <math.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *
to_json(bus_view_t value, unsigned indent)
{
    static text_t *text; // one for all calls: the answer lives until the next
    if (text == NULL) {
        text = text_new();
    }
    text_clear(text);
    transcode_to_json(value, indent, text);
    return text_view(text).data;
}

Test(transcode, json_becomes_known_bytes)
{
    static const struct {
        const char *json;
        bus_view_t bytes;
    } rows[] = {
        {"null", {"\xc0", 1}},
        {" true ", {"\xc3", 1}},
        {"false", {"\xc2", 1}},
        {"0", {"\x00", 1}},
        {"-0", {"\x00", 1}},
        {"-1", {"\xff", 1}},
        {"300", {"\xcd\x01\x2c", 3}},
        {"9223372036854775807", {"\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", 9}},
        {"-9223372036854775808", {"\xd3\x80\x00\x00\x00\x00\x00\x00\x00", 9}},
        {"9007199254740993", {"\xcf\x00\x20\x00\x00\x00\x00\x00\x01", 9}}, // 2^53+1
        {"1.0", {"\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00", 9}},
        {"1e0", {"\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00", 9}},
        {"0.1", {"\xcb\x3f\xb9\x99\x99\x99\x99\x99\x9a", 9}},
        {"-0.0", {"\xcb\x80\x00\x00\x00\x00\x00\x00\x00", 9}},
        {"5e-324", {"\xcb\x00\x00\x00\x00\x00\x00\x00\x01", 9}},
        {"1.7976931348623157e308", {"\xcb\x7f\xef\xff\xff\xff\xff\xff\xff", 9}},
        {"\"\"", {"\xa0", 1}},
        {"\"\\u00e9\\ud83d\\ude00\\\\\\/\"", {"\xa8\xc3\xa9\xf0\x9f\x98\x80\\/", 9}},
        {"[]", {"\x90", 1}},
        {"{}", {"\x80", 1}},
        {"[1,[2],3]", {"\x93\x01\x91\x02\x03", 5}},
        {"{\"b\":1,\"a\":{\"z\":[],\"y\":2},\"c\":3}",
         {"\x83\xa1"
          "b\x01\xa1"
          "a\x82\xa1z\x90\xa1y\x02\xa1"
          "c\x03",
          16}},
    };
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    for (size_t i = 0; i < COUNT(rows); i++) {
        cr_assert(view_equal(from_json(out, rows[i].json), rows[i].bytes), "%s", rows[i].json);
    }
}

Test(transcode, what_is_no_json_of_ours_is_refused_with_its_place)
{
    static const struct {
        const char *json;
        const char *message; // its beginning
    } rows[] = {
        {"", "line 1, column 1: there is no JSON"},
        {" ", "line 1, column 1: "},
        {"9223372036854775808", "line 1, column 19: too big integer"},
        {"-9223372036854775809", "line 1, column 20: too big negative integer"},
        {"1e400", "line 1, column 5: real number overflow"},
        {"-1e400", "line 1, column 6: real number overflow"},
        {"NaN", "line 1, column 3: invalid token"},
        {"Infinity", "line 1, column 8: invalid token"},
        {"-Infinity", "line 1, column 1: invalid token"},
        {"\"\\ud800\"", "line 1, column 8: invalid Unicode"},
        {"\"\\ud800\\u0041\"", "line 1, column 14: invalid Unicode"},
        {"\"\\udc00\"", "line 1, column 8: invalid Unicode"},
        {"\"\\u0000\"", "line 1, column 8: \\u0000 is not allowed"},
        {"{\"\\u0000\":1}", "line 1, column 9: NUL byte in object key"},
        {"{\"a\":1,\"a\":2}", "line 1, column 10: duplicate object key"},
        {"[\n{\"b\":{\"a\":1,\n\"a\":2}}]", "line 3, column 3: duplicate object key"},
        {"{\"a\":1,\"\\u0061\":2}", "line 1, column 15: duplicate object key"},
        {"{} x", "line 1, column 4: end of file expected"},
        {"1 2", "line 1, column 3: end of file expected"},
        {"[1,]", "line 1, column 4: "},
        {"{\"a\"}", "line 1, column 5: "},
        {"{1:2}", "line 1, column 2: "},
        {"[", "line 1, column 1: "},
        {"]", "line 1, column 1: "},
        {"[}", "line 1, column 2: "},
        {"01", "line 1, column 1: invalid token"},
        {"+1", "line 1, column 1: "},
        {".5", "line 1, column 1: "},
        {"'a'", "line 1, column 1: "},
        {"\"a", "line 1, column 2: premature end"},
        {"\"\n\"", "line 1, column "},
        {"\"\xff\"", "line 1, column 1: unable to decode byte 0xff"},
        {"\"\xed\xa0\x80\"", "line 1, column 1: unable to decode byte 0xed"},
        {"\"\xc0\x80\"", "line 1, column 1: unable to decode byte 0xc0"},
        {"\xef\xbb\xbf{}", "line 1, column 1: invalid token"},
        {"/* c */ 1", "line 1, column 1: invalid token"},
    };
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    for (size_t i = 0; i < COUNT(rows); i++) {
        pack_clear(out);
        pack_text(out, "before");
        char message[200] = "nothing";
        BUS_AUTO(exact_free) bus_view_t json = exact(view_from_text(rows[i].json));
        cr_assert_eq(transcode_from_json(json, out, message, sizeof(message)),
                     BUS_MALFORMED_JSON,
                     "%s",
                     rows[i].json);
        cr_assert(view_starts(view_from_text(message), view_from_text(rows[i].message)),
                  "%s: %s",
                  rows[i].json,
                  message);
        cr_assert(view_equal(pack_view(out),
                             VIEW_LITERAL("\xa6"
                                          "before")));
    }
    cr_assert_eq(transcode_from_json(VIEW_NONE, out, NULL, 0), BUS_MALFORMED_JSON);
}

Test(transcode, a_nul_byte_is_refused_wherever_it_stands)
{
    // jansson 2.14 swallows one behind a number.
    static const bus_view_t texts[] = {
        {"\0", 1},
        {"1\0", 2},
        {"[1\0,2]", 7},
        {"{\"a\":1\0}", 9},
        {"\"a\0b\"", 5},
        {"\"a\\\0\"", 5},
        {"null\0", 5},
        {"{\"a\0\":1}", 9},
        {"1 \0", 3},
    };
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    for (size_t i = 0; i < COUNT(texts); i++) {
        char message[100] = "";
        cr_assert_eq(transcode_from_json(texts[i], out, message, sizeof(message)),
                     BUS_MALFORMED_JSON,
                     "row %zu",
                     i);
        cr_assert_not_null(strstr(message, "a NUL byte"), "row %zu: %s", i, message);
    }
    cr_assert_eq(pack_view(out).size, 0);
}

Test(transcode, twenty_levels_are_taken_and_twenty_one_are_not)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    static const struct {
        const char *open;
        const char *close;
    } rows[] = {{"[", "]"}, {"{\"k\":", "}"}, {"[\"[[[[\\\"{{{\",", "]"}};
    for (size_t row = 0; row < COUNT(rows); row++) {
        for (int depth = 20; depth <= 21; depth++) {
            char json[1000] = "";
            for (int i = 0; i < depth; i++) {
                strcat(json, rows[row].open);
            }
            strcat(json, "0");
            for (int i = 0; i < depth; i++) {
                strcat(json, rows[row].close);
            }
            pack_clear(out);
            char message[100] = "";
            bus_err_t err =
                transcode_from_json(view_from_text(json), out, message, sizeof(message));
            cr_assert_eq(err, depth > 20 ? BUS_MALFORMED_JSON : BUS_OK, "%s: %s", json, message);
            cr_assert(depth == 20 || strstr(message, "nested over 20 levels") != NULL);
        }
    }
    char message[100];
    cr_assert_eq(transcode_from_json(
                     VIEW_LITERAL("\n\n [[[[[[[[[[[[[[[[[[[[["), out, message, sizeof(message)),
                 BUS_MALFORMED_JSON);
    cr_assert_str_eq(message, "line 3, column 22: nested over 20 levels");
}

Test(transcode, a_million_brackets_are_refused_at_the_twenty_first)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    char *json = malloc(BODY_SIZE_MAX);
    memset(json, '[', BODY_SIZE_MAX);
    char message[100];
    cr_assert_eq(transcode_from_json(view_from(json, BODY_SIZE_MAX), out, message, sizeof(message)),
                 BUS_MALFORMED_JSON);
    cr_assert_str_eq(message, "line 1, column 21: nested over 20 levels");
    free(json);
}

Test(transcode, a_message_is_cut_to_its_room_between_characters)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    for (size_t size = 0; size < 80; size++) {
        char message[81];
        memset(message, '#', sizeof(message));
        cr_assert_eq(
            transcode_from_json(view_from_text("{\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\":1,"
                                               "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\":1}"),
                                out,
                                message,
                                size),
            BUS_MALFORMED_JSON);
        cr_assert_eq(message[size], '#');
        if (size > 0) {
            cr_assert_lt(strlen(message), size);
            cr_assert(walk_utf8(view_from_text(message)));
        }
    }
}

Test(transcode, json_comes_back_as_it_went_in)
{
    static const char *const texts[] = {
        "{\"z\":1,\"a\":[1.0,-2,0.1,1e+22,true,false,null,\"\"],\"m\":{\"\":{}},\"n\":[]}",
        "9223372036854775807",
        "-9223372036854775808",
        "9007199254740993",
        "1.0",
        "0.1",
        "-0.0",
        "5e-324",
        "1.7976931348623157e+308",
        "2.2250738585072014e-308",
        "123456789012345.6",
        "100000.0",
        "1e+16",
        "0.30000000000000004",
        "\"q\\\"b\\\\n\\nr\\rt\\tb\\bf\\fu\\u0001\\u001f/\x7f\"",
        "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
    };
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    for (size_t i = 0; i < COUNT(texts); i++) {
        cr_assert_str_eq(to_json(from_json(out, texts[i]), 0), texts[i]);
    }
}

Test(transcode, indentation_puts_each_member_on_its_line)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    cr_assert_str_eq(to_json(from_json(out, "{\"a\":[1,{}],\"b\":{\"c\":[]}}"), 2),
                     "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": {\n    \"c\": []\n  }\n}");
    cr_assert_str_eq(to_json(from_json(out, "1"), 2), "1");
    cr_assert_str_eq(to_json(from_json(out, "[[]]"), 4), "[\n    []\n]");
}

Test(transcode, what_json_has_no_word_for_is_said_in_the_nearest)
{
    static const struct {
        bus_view_t bytes;
        const char *json;
    } rows[] = {
        {{"\xc4\x00", 2}, "\"\""},
        {{"\xc4\x01"
          "f",
          3},
         "\"Zg==\""}, // RFC 4648 section 10
        {{"\xc4\x02"
          "fo",
          4},
         "\"Zm8=\""},
        {{"\xc4\x03"
          "foo",
          5},
         "\"Zm9v\""},
        {{"\xc4\x06"
          "foobar",
          8},
         "\"Zm9vYmFy\""},
        {{"\xc4\x03\xff\xff\xfe", 5}, "\"///+\""},
        {{"\xd4\x05\xfb", 3}, "\"+w==\""},
        {{"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00", 9}, "null"},
        {{"\xcb\xff\xf0\x00\x00\x00\x00\x00\x00", 9}, "null"},
        {{"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 9}, "18446744073709551615"},
        {{"\xca\x3f\xc0\x00\x00", 5}, "1.5"},
        {{"\xa3"
          "a\xff"
          "b",
          4},
         "\"a\xef\xbf\xbd"
         "b\""},
        {{"\xa2\xe2\x82", 3}, "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {{"\xa1\0", 2}, "\"\\u0000\""},
        {{"\x81\x01\x02", 3}, "{\"1\":2}"},
        {{"\x81\xc0\x02", 3}, "{\"null\":2}"},
        {{"\x81\xc3\x02", 3}, "{\"true\":2}"},
        {{"\x81\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00\x02", 11}, "{\"1.5\":2}"},
        {{"\x81\xc4\x01"
          "f\x02",
          5},
         "{\"Zg==\":2}"},
        {{"\x81\x92\x01\x02\x03", 5}, "{\"kgEC\":3}"},
        {{"\x81\x81\x01\x80\x91\x02", 6}, "{\"gQGA\":[2]}"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        BUS_AUTO(exact_free) bus_view_t bytes = exact(rows[i].bytes);
        const char *why = "";
        cr_assert_eq(
            walk_check(bytes, WALK_ANY, BODY_DEPTH_MAX, &why), BUS_OK, "row %zu: %s", i, why);
        cr_assert_str_eq(to_json(bytes, 0), rows[i].json, "row %zu: %s", i, to_json(bytes, 0));
    }
}

static const char *
real_text(double value)
{
    static text_t *text;
    if (text == NULL) {
        text = text_new();
    }
    text_clear(text);
    transcode_json_real(value, text);
    return text_view(text).data;
}

Test(transcode, doubles_are_short_and_stay_doubles)
{
    static const struct {
        double value;
        const char *text;
    } rows[] = {
        {0.0, "0.0"},
        {-0.0, "-0.0"},
        {1.0, "1.0"},
        {-7.0, "-7.0"},
        {0.1, "0.1"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1.0 / 3, "0.3333333333333333"},
        {2.0 / 3, "0.6666666666666666"},
        {1e15, "1e+15"},
        {123456789012345.0, "123456789012345.0"},
        {9007199254740993.0, "9007199254740992.0"},
        {1e22, "1e+22"},
        {1e-7, "1e-07"},
        {DBL_MAX, "1.7976931348623157e+308"},
        {DBL_MIN, "2.2250738585072014e-308"},
        {5e-324, "5e-324"},
        {1.5e-323, "1.5e-323"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        cr_assert_str_eq(real_text(rows[i].value),
                         rows[i].text,
                         "%s, not %s",
                         real_text(rows[i].value),
                         rows[i].text);
    }
    cr_assert_str_eq(real_text(NAN), "null");
    cr_assert_str_eq(real_text(-INFINITY), "null");
}

Test(transcode, random_doubles_come_back_to_the_bit)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    uint64_t random = 4;
    for (int i = 0; i < 100000; i++) {
        uint64_t bits = next_random(&random);
        double value;
        memcpy(&value, &bits, sizeof(value));
        if (!isfinite(value)) {
            continue;
        }
        const char *text = real_text(value);
        cr_assert(strpbrk(text, ".e") != NULL, "%s", text);
        bus_view_t packed = from_json(out, text);
        double again;
        cr_assert_eq((uint8_t) packed.data[0], 0xcb, "%s", text);
        cr_assert_eq(walk_as_real(packed, &again), BUS_OK);
        cr_assert_eq(memcmp(&again, &value, sizeof(value)), 0, "%s", text);
    }
}

Test(transcode, a_locale_with_a_comma_changes_nothing)
{
    // A German locale of our own making: a machine rarely has one installed.
    char folder[] = "/tmp/transcode-XXXXXX";
    char command[200];
    cr_assert_not_null(mkdtemp(folder));
    snprintf(command, sizeof(command), "localedef -i de_DE -f UTF-8 %s/de >/dev/null 2>&1", folder);
    bool is_made = system(command) == 0;
    setenv("LOCPATH", folder, 1);
    bool is_set = is_made && setlocale(LC_ALL, "de") != NULL;
    snprintf(command, sizeof(command), "rm -r %s", folder);
    cr_assert_eq(system(command), 0);
    if (!is_set) {
        cr_skip_test("no sources of locales here");
    }
    cr_assert_str_eq(localeconv()->decimal_point, ",");
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    cr_assert_str_eq(to_json(from_json(out, "[1.5,1e+22,2.5e-07,-3.0,0.1]"), 0),
                     "[1.5,1e+22,2.5e-07,-3.0,0.1]");
}

// Packs a random value of JSON's model, containers while `depth` permits. Depth is bounded by the
// caller, so that the recursion is.
static void
pack_random(pack_t *out, uint64_t *random, unsigned depth)
{
    uint64_t r = next_random(random);
    double real;
    switch (r % (depth > 0 ? 8 : 6)) {
    case 0:
        pack_nil(out);
        break;
    case 1:
        pack_bool(out, r >> 8 & 1);
        break;
    case 2:
        pack_int(out, (int64_t) next_random(random) >> (r >> 8) % 64);
        break;
    case 3:
        r = next_random(random);
        memcpy(&real, &r, sizeof(real));
        pack_real(out, isfinite(real) ? real : (double) (int64_t) r);
        break;
    case 4:
        pack_real(out, (double) (int64_t) (next_random(random) % 2000) / 8 - 100);
        break;
    case 5: {
        static const char *const pieces[] = {"a",
                                             "\"",
                                             "\\",
                                             "\n",
                                             "\x01",
                                             "\xc3\xa9",
                                             "\xf0\x9f\x98\x80",
                                             "0123456789abcdefghijklmnopqrstuv"};
        char text[600] = "";
        for (uint64_t i = 0; i < (r >> 8) % 16; i++) {
            strcat(text, pieces[next_random(random) % COUNT(pieces)]);
        }
        pack_text(out, text);
        break;
    }
    case 6:
        pack_array(out, (uint32_t) (r >> 8) % 20);
        for (uint64_t i = 0; i < (uint32_t) (r >> 8) % 20; i++) {
            pack_random(out, random, depth - 1);
        }
        break;
    case 7:
        pack_map(out, (uint32_t) (r >> 8) % 20);
        for (uint64_t i = 0; i < (uint32_t) (r >> 8) % 20; i++) {
            char key[32];
            snprintf(key, sizeof(key), "k\xc3\xa9%u", (unsigned) i);
            pack_text(out, key);
            pack_random(out, random, depth - 1);
        }
        break;
    }
}

Test(transcode, random_values_survive_the_way_to_json_and_back)
{
    uint64_t random = 8;
    BUS_AUTO(pack_destroy) pack_t *in = pack_new();
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    size_t most = 0;
    for (int round = 0; round < 3000; round++) {
        pack_clear(in);
        pack_random(in, &random, 3);
        const char *why = "";
        cr_assert_eq(walk_check(pack_view(in), WALK_JSON, BODY_DEPTH_MAX, &why), BUS_OK, "%s", why);
        for (unsigned indent = 0; indent < 4; indent += 3) {
            bus_view_t back = from_json(out, to_json(pack_view(in), indent));
            cr_assert(view_equal(pack_view(in), back), "round %d", round);
        }
        most = pack_view(in).size > most ? pack_view(in).size : most;
    }
    cr_assert_gt(most, 5000);
}
