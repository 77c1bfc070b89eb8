// names_test.c - the map under every table of the broker.
#include "broker/names.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static bus_view_t
number_key(char text[16], unsigned number)
{
    return view_from(text, (size_t) snprintf(text, 16, "key-%u", number));
}

Test(names, finds_what_was_added_and_nothing_else)
{
    BUS_AUTO(names_destroy) names_t *names = names_new(8);
    cr_assert_eq(names_find(names, VIEW_LITERAL("a")), NAMES_NONE);
    cr_assert(names_add(names, VIEW_LITERAL("a"), 7));
    cr_assert(names_add(names, VIEW_LITERAL("ab"), 9));
    cr_assert_eq(names_find(names, VIEW_LITERAL("a")), 7);
    cr_assert_eq(names_find(names, VIEW_LITERAL("ab")), 9);
    cr_assert_eq(names_find(names, VIEW_LITERAL("abc")), NAMES_NONE);
    cr_assert_eq(names_find(names, VIEW_NONE), NAMES_NONE);
    cr_assert_eq(names_count(names), 2);
}

Test(names, keeps_a_copy_and_tells_keys_with_a_nul_apart)
{
    BUS_AUTO(names_destroy) names_t *names = names_new(8);
    char key[] = {'x', '\0', 'y'};
    cr_assert(names_add(names, view_from(key, 3), 1));
    key[2] = 'z';
    cr_assert_eq(names_find(names, view_from(key, 3)), NAMES_NONE);
    cr_assert_eq(names_find(names, VIEW_LITERAL("x\0y")), 1);
}

Test(names, says_that_it_is_full)
{
    BUS_AUTO(names_destroy) names_t *names = names_new(3);
    char text[16];
    for (unsigned i = 0; i < 3; i++) {
        cr_assert(names_add(names, number_key(text, i), i));
    }
    cr_assert_not(names_add(names, VIEW_LITERAL("one more"), 3));
    names_remove(names, number_key(text, 1));
    cr_assert(names_add(names, VIEW_LITERAL("one more"), 3));
}

Test(names, agrees_with_a_plain_array_through_10000_changes)
{
    enum { KEYS = 300 };
    BUS_AUTO(names_destroy) names_t *names = names_new(KEYS);
    bool there[KEYS] = {false};
    uint32_t state = 12345;
    char text[16];
    for (unsigned step = 0; step < 10000; step++) {
        state = state * 1664525u + 1013904223u;
        unsigned i = (state >> 8) % KEYS;
        if (there[i]) {
            names_remove(names, number_key(text, i));
        } else {
            cr_assert(names_add(names, number_key(text, i), i + 1000));
        }
        there[i] = !there[i];
        unsigned other = (state >> 16) % KEYS;
        uint32_t found = names_find(names, number_key(text, other));
        cr_assert_eq(found, there[other] ? other + 1000 : NAMES_NONE);
    }
    for (unsigned i = 0; i < KEYS; i++) {
        uint32_t found = names_find(names, number_key(text, i));
        cr_assert_eq(found, there[i] ? i + 1000 : NAMES_NONE);
    }
}
