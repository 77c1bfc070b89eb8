// walk_check_test.c - the check that every body passes: docs/protocol.md section 2, and pitfalls of
// msgpack readers.
#include "help.h"
#include "proto/limits.h"
#include "proto/walk.h"
#include <msgpack.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char cut_off[] = "an item is cut off, or is none";
static const char too_deep[] = "nested too deep";
static const char duplicate[] = "a map has the same key twice";

// Why `bytes` are refused, or NULL. They lie in memory of exactly their size.
static const char *
refusal(bus_view_t bytes, walk_mode_t mode, unsigned depth_max)
{
    BUS_AUTO(exact_free) bus_view_t copy = exact(bytes);
    const char *why = NULL;
    bus_err_t err = walk_check(copy, mode, depth_max, &why);
    cr_assert_eq(err, why == NULL ? BUS_OK : BUS_MALFORMED_MESSAGE);
    return why;
}

static void
assert_refusals(bus_view_t bytes, const char *any, const char *json)
{
    const char *got_any = refusal(bytes, WALK_ANY, BODY_DEPTH_MAX);
    const char *got_json = refusal(bytes, WALK_JSON, BODY_DEPTH_MAX);
    cr_assert((got_any == NULL) == (any == NULL) && (any == NULL || strcmp(any, got_any) == 0),
              "any: %s, not %s",
              got_any,
              any);
    cr_assert((got_json == NULL) == (json == NULL) && (json == NULL || strcmp(json, got_json) == 0),
              "json: %s, not %s",
              got_json,
              json);
}

Test(walk_check, takes_what_json_can_say)
{
    static const char *const texts[] = {
        "null",
        "true",
        "false",
        "0",
        "-1",
        "9223372036854775807",
        "-9223372036854775808",
        "1.5",
        "\"\"",
        "\"text\"",
        "[]",
        "{}",
        "[1,[2,[3]]]",
        "{\"a\":1,\"b\":{\"a\":1,\"b\":{}},\"c\":[{\"a\":1},{\"a\":1}]}",
        "{\"\":0}",
        "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
    };
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    for (size_t i = 0; i < COUNT(texts); i++) {
        assert_refusals(from_json(out, texts[i]), NULL, NULL);
    }
}

Test(walk_check, refuses_what_is_not_exactly_one_value)
{
    assert_refusals(VIEW_LITERAL(""), cut_off, cut_off);
    assert_refusals(
        VIEW_LITERAL("\xc0\xc0"), "there is more than one value", "there is more than one value");
    assert_refusals(
        VIEW_LITERAL("\x80\x01"), "there is more than one value", "there is more than one value");
    assert_refusals(VIEW_LITERAL("\xc1"), cut_off, cut_off);
    assert_refusals(VIEW_LITERAL("\x91\xc1"), cut_off, cut_off);
    const char *why = NULL;
    cr_assert_eq(walk_check(VIEW_NONE, WALK_JSON, BODY_DEPTH_MAX, &why), BUS_MALFORMED_MESSAGE);
}

Test(walk_check, refuses_each_truncation_of_a_body)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    bus_view_t whole = from_json(
        out, "{\"agent\":\"edumentor\",\"n\":[1,300,70000,-5,1.5,null,true],\"deep\":{\"x\":{}}}");
    assert_refusals(whole, NULL, NULL);
    for (size_t size = 0; size < whole.size; size++) {
        assert_refusals(view_from(whole.data, size), cut_off, cut_off);
    }
}

Test(walk_check, refuses_a_length_above_what_is_there)
{
    // What msgpack-c 4.0.0 asks malloc 128 GiB for.
    assert_refusals(VIEW_LITERAL("\xdd\xff\x00\x00\x00"), cut_off, cut_off);
    assert_refusals(VIEW_LITERAL("\xdf\xff\xff\xff\xff"), cut_off, cut_off);
    assert_refusals(VIEW_LITERAL("\xdf\x80\x00\x00\x00\xc0\xc0"), cut_off, cut_off);
    assert_refusals(VIEW_LITERAL("\xdb\xff\xff\xff\xff"), cut_off, cut_off);
    assert_refusals(VIEW_LITERAL("\xc6\xff\xff\xff\xff"), cut_off, cut_off);
    assert_refusals(VIEW_LITERAL("\xc9\xff\xff\xff\xff\x01"), cut_off, cut_off);
    assert_refusals(VIEW_LITERAL("\x9f\x9f\x9f\x9f"), cut_off, cut_off);
    // One more than what is there.
    assert_refusals(VIEW_LITERAL("\x92\xc0"), cut_off, cut_off);
    assert_refusals(VIEW_LITERAL("\x81\xa1x"), cut_off, cut_off);
}

Test(walk_check, refuses_in_json_what_json_cannot_say)
{
    static const char unsigned_[] = "an integer is over 2^63-1";
    static const char not_finite[] = "a float is not finite";
    static const char no_place[] = "bin and ext have no place in JSON's model";
    assert_refusals(VIEW_LITERAL("\xcf\x80\x00\x00\x00\x00\x00\x00\x00"), NULL, unsigned_);
    assert_refusals(VIEW_LITERAL("\xcf\x7f\xff\xff\xff\xff\xff\xff\xff"), NULL, NULL);
    assert_refusals(VIEW_LITERAL("\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00"), NULL, not_finite);
    assert_refusals(VIEW_LITERAL("\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00"), NULL, not_finite);
    assert_refusals(VIEW_LITERAL("\xcb\xff\xf0\x00\x00\x00\x00\x00\x00"), NULL, not_finite);
    assert_refusals(VIEW_LITERAL("\xca\x7f\x80\x00\x00"), NULL, not_finite);
    assert_refusals(VIEW_LITERAL("\xcb\x7f\xef\xff\xff\xff\xff\xff\xff"), NULL, NULL);
    assert_refusals(VIEW_LITERAL("\xc4\x01x"), NULL, no_place);
    assert_refusals(VIEW_LITERAL("\xd4\x01x"), NULL, no_place);
    assert_refusals(VIEW_LITERAL("\x91\xc7\x00\x01"), NULL, no_place);
    assert_refusals(VIEW_LITERAL("\xa1\xff"), NULL, "a text is not UTF-8");
    assert_refusals(VIEW_LITERAL("\x81\xa1\xff\x01"), NULL, "a text is not UTF-8");
}

Test(walk_check, refuses_in_json_keys_that_are_no_strings)
{
    static const char no_string[] = "a key is not a string";
    assert_refusals(VIEW_LITERAL("\x81\x01\x01"), NULL, no_string);
    assert_refusals(VIEW_LITERAL("\x81\xc0\x01"), NULL, no_string);
    assert_refusals(VIEW_LITERAL("\x81\x90\x01"), NULL, no_string);
    assert_refusals(VIEW_LITERAL("\x81\x81\xa1x\x01\x01"), NULL, no_string);
    // The second key, after a container as value.
    assert_refusals(VIEW_LITERAL("\x82\xa1"
                                 "a\x82\xa1x\x01\xa1y\x01\x05\x01"),
                    NULL,
                    no_string);
}

Test(walk_check, refuses_in_json_the_same_key_twice)
{
    assert_refusals(VIEW_LITERAL("\x82\xa1x\x01\xa1x\x01"), NULL, duplicate);
    assert_refusals(VIEW_LITERAL("\x82\xa0\x01\xa0\x01"), NULL, duplicate);
    // The same text in two forms is the same key.
    assert_refusals(VIEW_LITERAL("\x82\xa1x\x01\xd9\x01x\x01"), NULL, duplicate);
    // With a nested map in between that has the key too, which is legal.
    assert_refusals(VIEW_LITERAL("\x83\xa1x\x81\xa1x\x01\xa1y\x01\xa1x\x01"), NULL, duplicate);
    assert_refusals(VIEW_LITERAL("\x82\xa1x\x81\xa1x\x01\xa1y\x81\xa1x\x01"), NULL, NULL);
    // Nested in an array in a map.
    assert_refusals(VIEW_LITERAL("\x81\xa1"
                                 "a\x91\x82\xa1z\xc0\xa1z\xc0"),
                    NULL,
                    duplicate);
    // Texts that are alike in their first eight bytes, and in their size.
    assert_refusals(VIEW_LITERAL("\x82\xa9"
                                 "abcdefgh1\x01\xa9"
                                 "abcdefgh2\x01"),
                    NULL,
                    NULL);
    assert_refusals(VIEW_LITERAL("\x82\xa9"
                                 "abcdefgh1\x01\xa9"
                                 "abcdefgh1\x01"),
                    NULL,
                    duplicate);
    // A NUL is a byte like another.
    assert_refusals(VIEW_LITERAL("\x82\xa1"
                                 "a\x01\xa2"
                                 "a\0\x01"),
                    NULL,
                    NULL);
    assert_refusals(VIEW_LITERAL("\x82\xa2"
                                 "a\0\x01\xa2"
                                 "a\0\x01"),
                    NULL,
                    duplicate);
}

// A map of `count` keys, of which key `twice` stands again at the end (none where it is `count`).
static void
pack_wide_map(pack_t *out, uint32_t count, uint32_t twice, const char *format)
{
    char key[64];
    // 7919 is a prime that divides no count used here: each number comes once, out of order.
    pack_map(out, count + (twice < count));
    for (uint32_t i = 0; i < count; i++) {
        snprintf(key, sizeof(key), format, (i * 7919U) % count);
        pack_pair_uint(out, key, i);
    }
    if (twice < count) {
        snprintf(key, sizeof(key), format, twice);
        pack_pair_nil(out, key);
    }
}

Test(walk_check, finds_a_double_key_in_maps_of_every_width)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    static const char *const formats[] = {"%u", "k%u", "a_long_common_start_of_all_keys_%u"};
    for (size_t f = 0; f < COUNT(formats); f++) {
        for (uint32_t count = 1; count < 200; count++) {
            pack_clear(out);
            pack_wide_map(out, count, count, formats[f]);
            assert_refusals(pack_view(out), NULL, NULL);
            for (uint32_t twice = 0; twice < count; twice += 1 + count / 5) {
                pack_clear(out);
                pack_wide_map(out, count, twice, formats[f]);
                assert_refusals(pack_view(out), NULL, duplicate);
            }
        }
    }
}

Test(walk_check, takes_and_refuses_maps_as_wide_as_a_body_permits)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    pack_wide_map(out, 100000, 100000, "%u");
    cr_assert_lt(pack_view(out).size, BODY_SIZE_MAX);
    assert_refusals(pack_view(out), NULL, NULL);
    pack_clear(out);
    pack_wide_map(out, 100000, 77777, "%u");
    assert_refusals(pack_view(out), NULL, duplicate);
}

Test(walk_check, finds_a_double_key_around_wide_nested_maps)
{
    // {a: wide, b: [wide, wide], c: wide, a: nil}: the keys of the outer map survive the inner
    // ones.
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    for (int broken = 0; broken < 2; broken++) {
        pack_clear(out);
        pack_map(out, 4);
        pack_text(out, "a");
        pack_wide_map(out, 150, 150, "%u");
        pack_text(out, "b");
        pack_array(out, 2);
        pack_wide_map(out, 40, 40, "%u");
        pack_wide_map(out, 10, 10, "%u");
        pack_text(out, "c");
        pack_wide_map(out, 150, 150, "%u");
        pack_pair_nil(out, broken ? "a" : "d");
        assert_refusals(pack_view(out), NULL, broken ? duplicate : NULL);
    }
}

// `depth` arrays, or maps, around nil.
static void
pack_nested(pack_t *out, unsigned depth, bool maps)
{
    pack_clear(out);
    for (unsigned i = 0; i < depth; i++) {
        if (maps) {
            pack_map(out, 1);
            pack_text(out, "k");
        } else {
            pack_array(out, 1);
        }
    }
    pack_nil(out);
}

Test(walk_check, counts_levels_exactly)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    for (int maps = 0; maps < 2; maps++) {
        pack_nested(out, 24, maps);
        assert_refusals(pack_view(out), NULL, NULL);
        pack_nested(out, 25, maps);
        assert_refusals(pack_view(out), too_deep, too_deep);
        pack_nested(out, 100000, maps);
        assert_refusals(pack_view(out), too_deep, too_deep);
    }
    cr_assert_null(refusal(VIEW_LITERAL("\xc0"), WALK_JSON, 0));
    cr_assert_str_eq(refusal(VIEW_LITERAL("\x90"), WALK_JSON, 0), too_deep);
    // An empty container is a level too, and a closed one none.
    cr_assert_str_eq(refusal(VIEW_LITERAL("\x91\x90"), WALK_JSON, 1), too_deep);
    cr_assert_null(refusal(VIEW_LITERAL("\x93\x90\x90\x90"), WALK_JSON, 2));
}

Test(walk_check, depth_through_container_keys_is_counted_too)
{
    pack_t *out = pack_new();
    for (unsigned i = 0; i < 25; i++) {
        pack_map(out, 1); // each map's key is the next map
    }
    pack_nil(out);
    for (unsigned i = 0; i < 25; i++) {
        pack_nil(out);
    }
    cr_assert_str_eq(refusal(pack_view(out), WALK_ANY, 24), too_deep);
    cr_assert_null(refusal(pack_view(out), WALK_ANY, 25));
    pack_destroy(&out);
}

Test(walk_check, utf8_table)
{
    // Unicode 15, table 3-7, and Markus Kuhn's list of what decoders wrongly take.
    static const struct {
        const char *text;
        bool valid;
    } rows[] = {
        {"\xc2\x80", true},
        {"\xdf\xbf", true},
        {"\xe0\xa0\x80", true},
        {"\xed\x9f\xbf", true},
        {"\xee\x80\x80", true},
        {"\xef\xbf\xbf", true},
        {"\xf0\x90\x80\x80", true},
        {"\xf4\x8f\xbf\xbf", true},
        {"\x7f", true},
        {"\x80", false},
        {"\xbf", false},
        {"\xc0\x80", false},
        {"\xc1\xbf", false},
        {"\xc2", false},
        {"\xc2\x41", false},
        {"\xc2\xc2", false},
        {"\xe0\x9f\xbf", false},
        {"\xe0\xa0", false},
        {"\xe1\x80\x41", false},
        {"\xed\xa0\x80", false},
        {"\xed\xbf\xbf", false},
        {"\xf0\x8f\xbf\xbf", false},
        {"\xf0\x90\x80", false},
        {"\xf1\x80\x80\x41", false},
        {"\xf1\x80\x41\x80", false},
        {"\xf4\x90\x80\x80", false},
        {"\xf5\x80\x80\x80", false},
        {"\xf8\x88\x80\x80\x80", false},
        {"\xfe", false},
        {"\xff", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        // At every place relative to the eight-byte steps, with ASCII before and behind.
        for (size_t before = 0; before < 20; before++) {
            for (size_t behind = 0; behind < 10; behind++) {
                char text[64];
                size_t size = strlen(rows[i].text);
                memset(text, 'x', sizeof(text));
                memcpy(text + before, rows[i].text, size);
                BUS_AUTO(exact_free)
                bus_view_t copy = exact(view_from(text, before + size + behind));
                cr_assert_eq(walk_utf8(copy), rows[i].valid, "row %zu, %zu before", i, before);
                cr_assert(walk_utf8_size(copy) >= before);
            }
        }
    }
    cr_assert(walk_utf8(VIEW_NONE));
    cr_assert(walk_utf8(VIEW_LITERAL("a\0b")));
    cr_assert_eq(walk_utf8_size(VIEW_LITERAL("ab\xc3\xa9\xff"
                                             "cd")),
                 4);
}

// Whether msgpack-c takes `bytes` as exactly one value. It cannot be asked about lengths that are
// not there, nor about depth over 32.
static bool
msgpack_c_takes(bus_view_t bytes)
{
    msgpack_unpacked result;
    msgpack_unpacked_init(&result);
    size_t offset = 0;
    msgpack_unpack_return ret = msgpack_unpack_next(&result, bytes.data, bytes.size, &offset);
    msgpack_unpacked_destroy(&result);
    return ret == MSGPACK_UNPACK_SUCCESS && offset == bytes.size;
}

Test(walk_check, agrees_with_msgpack_c_on_random_bytes)
{
    uint64_t random = 2;
    unsigned taken = 0;
    for (int round = 0; round < 200000; round++) {
        // Mostly heads of small containers and short items, so that many of them are whole.
        static const char heads[] =
            "\x81\x82\x91\x92\x90\x80\xa1\xa0\xc0\xc3\x01\xff\xcc\xd0\xd9\xc4"
            "\xd4\xcd\xd1\xc7\xc1";
        char bytes[24];
        size_t size = 1 + next_random(&random) % sizeof(bytes);
        for (size_t i = 0; i < size; i++) {
            uint64_t r = next_random(&random);
            bytes[i] = r % 4 == 0 ? (char) (r >> 8 & 0x7f) : heads[(r >> 8) % (sizeof(heads) - 1)];
        }
        bus_view_t view = view_from(bytes, size);
        bool ours = refusal(view, WALK_ANY, 24) == NULL;
        cr_assert_eq(ours, msgpack_c_takes(view), "round %d", round);
        taken += ours;
        if (refusal(view, WALK_JSON, 24) == NULL) {
            cr_assert(ours);
        }
    }
    cr_assert_gt(taken, 1000);
}
