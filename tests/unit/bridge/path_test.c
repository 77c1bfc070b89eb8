// path_test.c - targets: split, matched, decoded.
#include "bridge-http/path.h"
#include <criterion/criterion.h>

static bus_view_t
view(const char *text)
{
    return view_from_text(text);
}

Test(path, splits_at_the_question_mark_and_drops_slashes_behind)
{
    bridge_path_t path = bridge_path_split(view("/core/events//?limit=1?2"));
    cr_assert(view_is(path.path, "/core/events"));
    cr_assert(view_is(path.query, "limit=1?2"));
    path = bridge_path_split(view("/"));
    cr_assert(view_is(path.path, "/"));
    cr_assert_null(path.query.data);
    path = bridge_path_split(view("/x?"));
    cr_assert(view_is(path.path, "/x"));
    cr_assert(path.query.size == 0);
}

Test(path, an_absolute_target_loses_its_front)
{
    cr_assert(view_is(bridge_path_split(view("http://a:80/x/y?z")).path, "/x/y"));
    cr_assert(view_is(bridge_path_split(view("https://a")).path, "/"));
}

Test(path, matches_literal_segments_and_takes_parameters)
{
    bridge_path_params_t params;
    cr_assert(bridge_path_match("/a/{x}/b/{long_name}", view("/a/1%2F2/b/z"), &params));
    cr_assert_eq(params.count, 2);
    cr_assert(view_is(params.at[0].name, "x"));
    cr_assert(view_is(params.at[0].value, "1%2F2"));
    cr_assert(view_is(params.at[1].name, "long_name"));
    cr_assert(view_is(params.at[1].value, "z"));
    cr_assert(bridge_path_match("/", view("/"), &params));
    cr_assert_eq(params.count, 0);
}

Test(path, does_not_match_what_is_more_less_or_empty)
{
    static const char *const others[] = {
        "/a", "/a/", "/a/1/b/", "/a//b/z", "/a/1/b/z/y", "/a/1/c/z", "a/1/b/z", "", "/A/1/b/z"};
    bridge_path_params_t params;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        cr_assert_not(bridge_path_match("/a/{x}/b/{y}", view(others[i]), &params), "%s", others[i]);
    }
}

static bool
decodes(const char *text, bool form, const char *expected)
{
    char out[64];
    size_t size = 0;
    return bridge_path_decode(view(text), form, out, &size) && size == strlen(expected) &&
           memcmp(out, expected, size) == 0;
}

Test(path, decodes_escapes_and_a_plus_in_forms_alone)
{
    cr_assert(decodes("a%2fb%C3%BC", false, "a/bü"));
    cr_assert(decodes("a+b%20c", true, "a b c"));
    cr_assert(decodes("a+b", false, "a+b"));
    cr_assert(decodes("", false, ""));
    cr_assert(decodes("%25", false, "%"));
}

Test(path, refuses_broken_escapes_control_bytes_and_bad_utf8)
{
    static const char *const bad[] = {"%",
                                      "%4",
                                      "a%",
                                      "a%4",
                                      "%zz",
                                      "%4g",
                                      "%00",
                                      "%0a",
                                      "a\x01",
                                      "%7f",
                                      "%ff",
                                      "%c3",
                                      "%ed%a0%80"};
    char out[64];
    size_t size;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert_not(bridge_path_decode(view(bad[i]), true, out, &size), "%s", bad[i]);
    }
}

Test(path, walks_the_pairs_of_a_query)
{
    bus_view_t query = view("a=1&&b&c=&d=2=3");
    bus_view_t name, value;
    static const char *const expected[][2] = {{"a", "1"}, {"b", ""}, {"c", ""}, {"d", "2=3"}};
    for (size_t i = 0; i < 4; i++) {
        cr_assert(bridge_path_next_pair(&query, &name, &value));
        cr_assert(view_is(name, expected[i][0]));
        cr_assert(value.size == strlen(expected[i][1]) &&
                  memcmp(value.data, expected[i][1], value.size) == 0);
    }
    cr_assert_not(bridge_path_next_pair(&query, &name, &value));
}
