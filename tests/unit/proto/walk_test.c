// walk_test.c - reading msgpack where it lies: items, finding, conversions.
#include "help.h"
#include "proto/walk.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

// Reads the one item that `bytes` are.
static walk_item_t
item_of(bus_view_t bytes)
{
    BUS_AUTO(exact_free) bus_view_t copy = exact(bytes);
    walk_t walk = walk_from(copy);
    walk_item_t item;
    cr_assert_eq(walk_next(&walk, &item), BUS_OK);
    return item;
}

Test(walk, integers_of_every_form)
{
    static const struct {
        bus_view_t bytes;
        int64_t value;
    } rows[] = {
        {{"\x00", 1}, 0},
        {{"\x7f", 1}, 127},
        {{"\xff", 1}, -1},
        {{"\xe0", 1}, -32},
        {{"\xcc\xff", 2}, 255},
        {{"\xcd\xff\xfe", 3}, 65534},
        {{"\xce\xff\xff\xff\xff", 5}, 4294967295},
        {{"\xcf\x00\x00\x00\x00\x00\x00\x00\x05", 9}, 5}, // a long form of a small number
        {{"\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", 9}, INT64_MAX},
        {{"\xd0\x80", 2}, -128},
        {{"\xd0\x7f", 2}, 127},
        {{"\xd1\x80\x00", 3}, -32768},
        {{"\xd2\x80\x00\x00\x00", 5}, INT32_MIN},
        {{"\xd3\x80\x00\x00\x00\x00\x00\x00\x00", 9}, INT64_MIN},
        {{"\xd3\xff\xff\xff\xff\xff\xff\xff\xff", 9}, -1},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        walk_item_t item = item_of(rows[i].bytes);
        cr_assert_eq(item.type, WALK_INT, "row %zu", i);
        cr_assert_eq(item.integer, rows[i].value, "row %zu: %ld", i, (long) item.integer);
    }
}

Test(walk, an_integer_over_int64_is_unsigned)
{
    walk_item_t item = item_of(VIEW_LITERAL("\xcf\x80\x00\x00\x00\x00\x00\x00\x00"));
    cr_assert_eq(item.type, WALK_UINT);
    cr_assert_eq(item.unsigned_, (uint64_t) 1 << 63);
}

Test(walk, nil_booleans_and_floats)
{
    cr_assert_eq(item_of(VIEW_LITERAL("\xc0")).type, WALK_NIL);
    cr_assert_eq(item_of(VIEW_LITERAL("\xc2")).boolean, false);
    cr_assert_eq(item_of(VIEW_LITERAL("\xc3")).boolean, true);
    cr_assert_eq(item_of(VIEW_LITERAL("\xc3")).type, WALK_BOOL);
    walk_item_t item = item_of(VIEW_LITERAL("\xca\x3f\xc0\x00\x00"));
    cr_assert_eq(item.type, WALK_FLOAT);
    cr_assert_eq(item.real, 1.5);
    item = item_of(VIEW_LITERAL("\xcb\xbf\xb9\x99\x99\x99\x99\x99\x9a"));
    cr_assert_eq(item.type, WALK_FLOAT);
    cr_assert_eq(item.real, -0.1);
}

Test(walk, bytes_of_every_form)
{
    static const struct {
        bus_view_t bytes;
        walk_type_t type;
        const char *text;
    } rows[] = {
        {{"\xa0", 1}, WALK_STR, ""},
        {{"\xa2hi", 3}, WALK_STR, "hi"},
        {{"\xd9\x02hi", 4}, WALK_STR, "hi"},
        {{"\xda\x00\x02hi", 5}, WALK_STR, "hi"},
        {{"\xdb\x00\x00\x00\x02hi", 7}, WALK_STR, "hi"},
        {{"\xc4\x02hi", 4}, WALK_BIN, "hi"},
        {{"\xc5\x00\x02hi", 5}, WALK_BIN, "hi"},
        {{"\xc6\x00\x00\x00\x02hi", 7}, WALK_BIN, "hi"},
        {{"\xd4\x05h", 3}, WALK_EXT, "h"},
        {{"\xd5\x05hi", 4}, WALK_EXT, "hi"},
        {{"\xd6\x05"
          "abcd",
          6},
         WALK_EXT,
         "abcd"},
        {{"\xd7\xff"
          "abcdefgh",
          10},
         WALK_EXT,
         "abcdefgh"},
        {{"\xd8\x05"
          "abcdefghijklmnop",
          18},
         WALK_EXT,
         "abcdefghijklmnop"},
        {{"\xc7\x02\x05hi", 5}, WALK_EXT, "hi"},
        {{"\xc8\x00\x02\x05hi", 6}, WALK_EXT, "hi"},
        {{"\xc9\x00\x00\x00\x02\x05hi", 8}, WALK_EXT, "hi"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        BUS_AUTO(exact_free) bus_view_t copy = exact(rows[i].bytes);
        walk_t walk = walk_from(copy);
        walk_item_t item;
        cr_assert_eq(walk_next(&walk, &item), BUS_OK, "row %zu", i);
        cr_assert_eq(item.type, rows[i].type, "row %zu", i);
        assert_text(item.bytes, rows[i].text);
        cr_assert_eq(walk.at, walk.end);
    }
}

Test(walk, a_container_is_its_head_and_then_its_members)
{
    walk_t walk = walk_from(VIEW_LITERAL("\x82\xa1"
                                         "a\x01\xa1"
                                         "b\x92\xc0\xc3"));
    walk_item_t item;
    static const walk_type_t types[] = {
        WALK_MAP, WALK_STR, WALK_INT, WALK_STR, WALK_ARRAY, WALK_NIL, WALK_BOOL};
    for (size_t i = 0; i < COUNT(types); i++) {
        cr_assert_eq(walk_next(&walk, &item), BUS_OK);
        cr_assert_eq(item.type, types[i], "item %zu", i);
    }
    cr_assert_eq(walk_next(&walk, &item), BUS_MALFORMED_MESSAGE);
}

Test(walk, containers_of_every_form)
{
    cr_assert_eq(item_of(VIEW_LITERAL("\x91\xc0")).count, 1);
    cr_assert_eq(item_of(VIEW_LITERAL("\xdc\x00\x01\xc0")).count, 1);
    cr_assert_eq(item_of(VIEW_LITERAL("\xdd\x00\x00\x00\x01\xc0")).count, 1);
    cr_assert_eq(item_of(VIEW_LITERAL("\x81\xc0\xc0")).count, 1);
    cr_assert_eq(item_of(VIEW_LITERAL("\xde\x00\x01\xc0\xc0")).count, 1);
    cr_assert_eq(item_of(VIEW_LITERAL("\xdf\x00\x00\x00\x01\xc0\xc0")).count, 1);
    cr_assert_eq(item_of(VIEW_LITERAL("\xdf\x00\x00\x00\x01\xc0\xc0")).type, WALK_MAP);
    cr_assert_eq(item_of(VIEW_LITERAL("\x80")).count, 0);
}

Test(walk, what_is_cut_off_is_refused_and_the_walk_stays)
{
    static const bus_view_t whole[] = {
        {"\xcc\xff", 2},
        {"\xcf\x00\x00\x00\x00\x00\x00\x00\x05", 9},
        {"\xca\x3f\xc0\x00\x00", 5},
        {"\xcb\x3f\xc0\x00\x00\x00\x00\x00\x00", 9},
        {"\xa2hi", 3},
        {"\xd9\x02hi", 4},
        {"\xdb\x00\x00\x00\x02hi", 7},
        {"\xc4\x02hi", 4},
        {"\xd5\x05hi", 4},
        {"\xc7\x02\x05hi", 5},
        {"\xc9\x00\x00\x00\x02\x05hi", 8},
    };
    for (size_t i = 0; i < COUNT(whole); i++) {
        for (size_t size = 0; size < whole[i].size; size++) {
            BUS_AUTO(exact_free) bus_view_t copy = exact(view_from(whole[i].data, size));
            walk_t walk = walk_from(copy);
            walk_item_t item;
            cr_assert_eq(walk_next(&walk, &item), BUS_MALFORMED_MESSAGE, "row %zu at %zu", i, size);
            cr_assert_eq(walk_skip(&walk, NULL), BUS_MALFORMED_MESSAGE);
            cr_assert_eq((const char *) walk.at, copy.data);
        }
    }
}

Test(walk, the_byte_that_msgpack_never_uses_is_refused)
{
    walk_t walk = walk_from(VIEW_LITERAL("\xc1\xc0"));
    walk_item_t item;
    cr_assert_eq(walk_next(&walk, &item), BUS_MALFORMED_MESSAGE);
}

Test(walk, an_absent_view_is_no_item)
{
    walk_t walk = walk_from(VIEW_NONE);
    walk_item_t item;
    cr_assert_eq(walk_next(&walk, &item), BUS_MALFORMED_MESSAGE);
}

Test(walk, skipping_steps_over_a_whole_value)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    bus_view_t array = from_json(out, "[{\"a\":[1,{\"b\":[]}],\"c\":\"x\"}, 7]");
    walk_t walk = walk_from(array);
    walk_item_t item;
    cr_assert_eq(walk_next(&walk, &item), BUS_OK);
    bus_view_t value;
    cr_assert_eq(walk_skip(&walk, &value), BUS_OK);
    cr_assert_eq(value.data, array.data + 1);
    cr_assert_eq(walk_next(&walk, &item), BUS_OK);
    cr_assert_eq(item.integer, 7);
    cr_assert_eq(walk_skip(&walk, &value), BUS_MALFORMED_MESSAGE);
}

Test(walk, finds_the_value_of_a_key)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    bus_view_t map = from_json(out, "{\"ab\":1,\"a\":{\"b\":[2]},\"c\":null}");
    bus_view_t value;
    int64_t integer;
    cr_assert_eq(walk_find(map, "ab", &value), BUS_OK);
    cr_assert_eq(walk_as_int(value, &integer), BUS_OK);
    cr_assert_eq(integer, 1);
    cr_assert_eq(walk_find(map, "a", &value), BUS_OK);
    cr_assert(view_equal(value,
                         VIEW_LITERAL("\x81\xa1"
                                      "b\x91\x02")));
    cr_assert_eq(walk_find(map, "b", &value), BUS_NOT_FOUND);
    cr_assert_eq(walk_find(map, "", &value), BUS_NOT_FOUND);
    cr_assert_eq(walk_find(VIEW_LITERAL("\x91\x01"), "a", &value), BUS_NOT_FOUND);
    cr_assert_eq(walk_find(VIEW_NONE, "a", &value), BUS_NOT_FOUND);
    // A key that is no string is passed over.
    cr_assert_eq(walk_find(VIEW_LITERAL("\x82\x91\x01\x02\xa1"
                                        "a\x03"),
                           "a",
                           &value),
                 BUS_OK);
    cr_assert(view_equal(value, VIEW_LITERAL("\x03")));
}

Test(walk, finds_through_nested_maps)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    bus_view_t map = from_json(out, "{\"result\":{\"status\":200,\"deep\":{\"x\":\"y\"}},\"n\":1}");
    bus_view_t value;
    bus_view_t text;
    int64_t integer;
    cr_assert_eq(walk_find_path(map, "result.status", &value), BUS_OK);
    cr_assert_eq(walk_as_int(value, &integer), BUS_OK);
    cr_assert_eq(integer, 200);
    cr_assert_eq(walk_find_path(map, "result.deep.x", &value), BUS_OK);
    cr_assert_eq(walk_as_str(value, &text), BUS_OK);
    assert_text(text, "y");
    cr_assert_eq(walk_find_path(map, "n", &value), BUS_OK);
    cr_assert_eq(walk_find_path(map, "n.x", &value), BUS_NOT_FOUND);
    cr_assert_eq(walk_find_path(map, "result.", &value), BUS_NOT_FOUND);
    cr_assert_eq(walk_find_path(map, "result.nothing", &value), BUS_NOT_FOUND);
}

Test(walk, reads_values_as_the_types_of_c)
{
    int64_t integer;
    uint64_t natural;
    double real;
    bool boolean;
    bus_view_t text;
    cr_assert_eq(walk_as_int(VIEW_LITERAL("\xff"), &integer), BUS_OK);
    cr_assert_eq(integer, -1);
    cr_assert_eq(walk_as_uint(VIEW_LITERAL("\xff"), &natural), BUS_NOT_FOUND);
    cr_assert_eq(walk_as_uint(VIEW_LITERAL("\x05"), &natural), BUS_OK);
    cr_assert_eq(natural, 5);
    bus_view_t huge = VIEW_LITERAL("\xcf\xff\xff\xff\xff\xff\xff\xff\xff");
    cr_assert_eq(walk_as_uint(huge, &natural), BUS_OK);
    cr_assert_eq(natural, UINT64_MAX);
    cr_assert_eq(walk_as_int(huge, &integer), BUS_NOT_FOUND);
    cr_assert_eq(walk_as_real(huge, &real), BUS_OK);
    cr_assert_eq(real, 18446744073709551616.0);
    cr_assert_eq(walk_as_real(VIEW_LITERAL("\xff"), &real), BUS_OK);
    cr_assert_eq(real, -1.0);
    cr_assert_eq(walk_as_real(VIEW_LITERAL("\xca\x3f\xc0\x00\x00"), &real), BUS_OK);
    cr_assert_eq(real, 1.5);
    cr_assert_eq(walk_as_bool(VIEW_LITERAL("\xc3"), &boolean), BUS_OK);
    cr_assert(boolean);
    cr_assert_eq(walk_as_str(VIEW_LITERAL("\xa1x"), &text), BUS_OK);
    assert_text(text, "x");
}

Test(walk, another_type_is_not_found)
{
    int64_t integer;
    double real;
    bool boolean;
    bus_view_t text;
    cr_assert_eq(walk_as_int(VIEW_LITERAL("\xca\x3f\x80\x00\x00"), &integer), BUS_NOT_FOUND);
    cr_assert_eq(walk_as_bool(VIEW_LITERAL("\x01"), &boolean), BUS_NOT_FOUND);
    cr_assert_eq(walk_as_real(VIEW_LITERAL("\xa1x"), &real), BUS_NOT_FOUND);
    cr_assert_eq(walk_as_str(VIEW_LITERAL("\xc4\x01x"), &text), BUS_NOT_FOUND);
    cr_assert_eq(walk_as_str(VIEW_LITERAL("\xc0"), &text), BUS_NOT_FOUND);
    cr_assert_eq(walk_as_str(VIEW_NONE, &text), BUS_NOT_FOUND);
}

// --- Pairs ---------------------------------------------------------------------------------------

Test(walk, gives_the_pairs_of_a_map_in_their_order)
{
    // {"a": 1, 7: "x", "b": [2, 3]}
    walk_pairs_t pairs = walk_pairs(VIEW_LITERAL("\x83\xa1"
                                                 "a\x01\x07\xa1x\xa1"
                                                 "b\x92\x02\x03"));
    bus_view_t key;
    bus_view_t value;
    cr_assert_eq(walk_pairs_next(&pairs, &key, &value), BUS_OK);
    cr_assert(view_is(key, "a") && view_equal(value, VIEW_LITERAL("\x01")));
    cr_assert_eq(walk_pairs_next(&pairs, &key, &value), BUS_OK);
    cr_assert(key.data == NULL && view_equal(value, VIEW_LITERAL("\xa1x")), "7 is no text");
    cr_assert_eq(walk_pairs_next(&pairs, &key, &value), BUS_OK);
    cr_assert(view_is(key, "b") && view_equal(value, VIEW_LITERAL("\x92\x02\x03")));
    cr_assert_eq(walk_pairs_next(&pairs, &key, &value), BUS_NOT_FOUND);
    cr_assert_eq(walk_pairs_next(&pairs, &key, &value), BUS_NOT_FOUND);
}

Test(walk, has_no_pairs_for_what_is_no_map_or_breaks_off)
{
    bus_view_t key;
    bus_view_t value;
    walk_pairs_t array = walk_pairs(VIEW_LITERAL("\x92\x01\x02"));
    cr_assert_eq(walk_pairs_next(&array, &key, &value), BUS_MALFORMED_MESSAGE);
    walk_pairs_t nothing = walk_pairs(VIEW_NONE);
    cr_assert_eq(walk_pairs_next(&nothing, &key, &value), BUS_MALFORMED_MESSAGE);
    walk_pairs_t empty = walk_pairs(VIEW_LITERAL("\x80"));
    cr_assert_eq(walk_pairs_next(&empty, &key, &value), BUS_NOT_FOUND);
    walk_pairs_t cut = walk_pairs(VIEW_LITERAL("\x82\xa1"
                                               "a\x01\xa1"
                                               "b"));
    cr_assert_eq(walk_pairs_next(&cut, &key, &value), BUS_OK);
    cr_assert_eq(walk_pairs_next(&cut, &key, &value), BUS_MALFORMED_MESSAGE);
    cr_assert_eq(walk_pairs_next(&cut, &key, &value), BUS_MALFORMED_MESSAGE, "and stays so");
}

// --- What stands at a path -----------------------------------------------------------------------

// {"a": {"text": "x", "n": 7, "r": 1.5, "yes": true}, "list": [1, "x"]}
#define BODY                                                                                       \
    VIEW_LITERAL("\x82\xa1"                                                                        \
                 "a\x84\xa4text\xa1x\xa1n\x07\xa1r\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00\xa3yes\xc3" \
                 "\xa4list\x92\x01\xa1x")

Test(walk, reads_what_stands_at_a_path)
{
    assert_text(walk_text_at(BODY, "a.text"), "x");
    cr_assert_eq(walk_uint_at(BODY, "a.n", 9), 7);
    cr_assert_eq(walk_real_at(BODY, "a.r", 9), 1.5);
    cr_assert_eq(walk_real_at(BODY, "a.n", 9), 7, "an integer is a number too");
    cr_assert(walk_bool_at(BODY, "a.yes", false));
}

Test(walk, reads_the_other_value_where_nothing_fits_a_path)
{
    static const char *const paths[] = {"b", "a.b", "a", "list", "a.text.b"};
    for (size_t i = 0; i < COUNT(paths); i++) {
        cr_assert(walk_text_at(BODY, paths[i]).data == NULL, "%s", paths[i]);
        cr_assert_eq(walk_uint_at(BODY, paths[i], 9), 9, "%s", paths[i]);
        cr_assert_eq(walk_real_at(BODY, paths[i], 0.5), 0.5, "%s", paths[i]);
        cr_assert(walk_bool_at(BODY, paths[i], true), "%s", paths[i]);
        cr_assert(!walk_bool_at(BODY, paths[i], false), "%s", paths[i]);
    }
    cr_assert_eq(walk_uint_at(BODY, "a.r", 9), 9, "1.5 is no count");
    cr_assert_eq(walk_uint_at(VIEW_NONE, "a", 9), 9, "an absent body says nothing");
    cr_assert(walk_text_at(VIEW_NONE, "a").data == NULL);
}

// --- Items ---------------------------------------------------------------------------------------

Test(walk, gives_the_items_of_an_array_in_their_order)
{
    walk_items_t items = walk_items_at(BODY, "list");
    bus_view_t item;
    cr_assert_eq(items.left, 2);
    cr_assert(walk_items_next(&items, &item) && view_equal(item, VIEW_LITERAL("\x01")));
    cr_assert(walk_items_next(&items, &item) && view_equal(item, VIEW_LITERAL("\xa1x")));
    cr_assert(!walk_items_next(&items, &item));
    cr_assert(!walk_items_next(&items, &item));
}

Test(walk, has_no_items_for_what_is_no_array_or_breaks_off)
{
    bus_view_t item;
    walk_items_t map = walk_items_at(BODY, "a");
    cr_assert(!walk_items_next(&map, &item));
    walk_items_t nothing = walk_items(VIEW_NONE);
    cr_assert(!walk_items_next(&nothing, &item));
    walk_items_t cut = walk_items(VIEW_LITERAL("\x92\x01\xa5x"));
    cr_assert(walk_items_next(&cut, &item));
    cr_assert(!walk_items_next(&cut, &item));
    cr_assert(!walk_items_next(&cut, &item), "and stays so");
}
