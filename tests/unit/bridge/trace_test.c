// trace_test.c - which trace a request belongs to.
#include "bridge-http/trace.h"
#include <criterion/criterion.h>
#include <stdio.h>

#define PARENT "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static const char *
choose(const char *body, const char *header, const char *parent)
{
    static char text[BRIDGE_TRACE_TEXT_SIZE];
    bridge_trace_choose(view_from_text(body), view_from_text(header), view_from_text(parent), text);
    return text;
}

Test(trace, body_then_header_then_traceparent)
{
    cr_assert_str_eq(choose("b", "h", PARENT), "b");
    cr_assert_str_eq(choose(NULL, "h", PARENT), "h");
    cr_assert_str_eq(choose(NULL, NULL, PARENT), "0af7651916cd43dd8448eb211c80319c");
}

Test(trace, what_is_illegal_is_passed_over)
{
    cr_assert_str_eq(choose("has space", "h", NULL), "h");
    cr_assert_str_eq(choose("", "h", NULL), "h");
    cr_assert_str_eq(choose("quote\"", "h", NULL), "h");
    cr_assert_str_eq(choose("new\nline", "h", NULL), "h");
    cr_assert_str_eq(choose("\xc3\xbc", "h", NULL), "h");
}

Test(trace, without_one_it_is_made_of_32_hex_digits_and_never_the_same)
{
    char first[BRIDGE_TRACE_TEXT_SIZE];
    strcpy(first, choose(NULL, NULL, NULL));
    cr_assert_eq(strlen(first), 32);
    cr_assert_eq(strspn(first, "0123456789abcdef"), 32);
    cr_assert_str_neq(first, choose(NULL, NULL, NULL));
}

Test(trace, a_new_one_sorts_behind_those_before)
{
    char before[BRIDGE_TRACE_TEXT_SIZE] = "";
    for (int i = 0; i < 10000; i++) {
        const char *made = choose(NULL, NULL, NULL);
        cr_assert_gt(strcmp(made, before), 0, "%s after %s", made, before);
        snprintf(before, sizeof(before), "%s", made);
    }
}

Test(trace, up_to_128_characters)
{
    char text[130];
    memset(text, 'x', sizeof(text));
    cr_assert(bridge_trace_is_legal(view_from(text, 128)));
    cr_assert_not(bridge_trace_is_legal(view_from(text, 129)));
    cr_assert_not(bridge_trace_is_legal(VIEW_NONE));
}

Test(trace, a_malformed_traceparent_gives_nothing)
{
    static const char *const bad[] = {
        "",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        PARENT "-more",
        PARENT "x",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert_null(bridge_trace_from_parent(view_from_text(bad[i])).data, "%s", bad[i]);
    }
    cr_assert_not_null(
        bridge_trace_from_parent(
            VIEW_LITERAL("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more"))
            .data);
}
