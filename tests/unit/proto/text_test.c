// text_test.c - the growing text.
#include "help.h"

Test(text, starts_empty_and_ends_in_a_nul)
{
    BUS_AUTO(text_destroy) text_t *text = text_new();
    cr_assert_eq(text_view(text).size, 0);
    cr_assert_str_eq(text_view(text).data, "");
    text_add(text, VIEW_LITERAL("abc"));
    cr_assert_str_eq(text_view(text).data, "abc");
    text_clear(text);
    cr_assert_str_eq(text_view(text).data, "");
}

Test(text, adds_nothing_for_an_absent_view)
{
    BUS_AUTO(text_destroy) text_t *text = text_new();
    text_add(text, VIEW_NONE);
    cr_assert_eq(text_view(text).size, 0);
}

Test(text, keeps_a_nul_inside)
{
    BUS_AUTO(text_destroy) text_t *text = text_new();
    text_add(text, VIEW_LITERAL("a\0b"));
    cr_assert_eq(text_view(text).size, 3);
    cr_assert_eq(memcmp(text_view(text).data, "a\0b", 4), 0);
}

Test(text, formats_across_every_boundary_of_its_growth)
{
    BUS_AUTO(text_destroy) text_t *text = text_new();
    size_t size = 0;
    for (int i = 0; i < 5000; i++) {
        text_add_format(text, "%d,", i);
        size += (size_t) snprintf(NULL, 0, "%d,", i);
        cr_assert_eq(text_view(text).size, size);
        cr_assert_eq(text_view(text).data[size], '\0');
        cr_assert_eq(text_view(text).data[size - 1], ',');
    }
    cr_assert_eq(strncmp(text_view(text).data, "0,1,2,3,", 8), 0);
    cr_assert_str_eq(text_view(text).data + size - 10, "4998,4999,");
}

Test(text, takes_one_format_far_above_its_size)
{
    BUS_AUTO(text_destroy) text_t *text = text_new();
    text_add_format(text, "%*s|", 100000, "x");
    cr_assert_eq(text_view(text).size, 100001);
    cr_assert_str_eq(text_view(text).data + 99998, " x|");
}

Test(text, destroying_sets_the_pointer_to_null)
{
    text_t *text = text_new();
    text_destroy(&text);
    cr_assert_null(text);
    text_destroy(&text);
}
