// hearing_test.c - what a connection asked to hear, and how much that may be.
#include "broker/hearing.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define A VIEW_LITERAL("core.")

static bus_view_t
prefix_of(char text[16], int i)
{
    int size = snprintf(text, 16, "t%05d.", i);
    return view_from(text, (size_t) size);
}

Test(hearing, knows_a_prefix_from_its_subscription_to_its_end)
{
    BUS_AUTO(hearing_destroy) hearing_t *hearing = hearing_new();
    int32_t inbox;
    cr_assert_not(hearing_remove(hearing, 5, A, &inbox));
    cr_assert_not_null(hearing_require(hearing, 5, A));
    cr_assert_not_null(hearing_require(hearing, 5, A)); // again is once
    cr_assert_eq(hearing_count(hearing, 5), 1);
    cr_assert_not(hearing_remove(hearing, 6, A, &inbox)); // another's
    cr_assert(hearing_remove(hearing, 5, A, &inbox));
    cr_assert_eq(inbox, HEARING_NO_INBOX);
    cr_assert_eq(hearing_count(hearing, 5), 0);
}

Test(hearing, is_bounded_whatever_else_is_taken_back)
{
    BUS_AUTO(hearing_destroy) hearing_t *hearing = hearing_new();
    char text[16];
    int32_t inbox;
    for (int i = 0; i < HEARING_PREFIXES_MAX; i++) {
        cr_assert_not_null(hearing_require(hearing, 5, prefix_of(text, i)));
        cr_assert_not(hearing_remove(hearing, 5, VIEW_LITERAL("never.asked."), &inbox));
    }
    cr_assert_null(hearing_require(hearing, 5, A));
    cr_assert_not_null(hearing_require(hearing, 6, A));
    cr_assert(hearing_remove(hearing, 5, prefix_of(text, 77), &inbox));
    cr_assert_not_null(hearing_require(hearing, 5, A));
}

Test(hearing, is_bounded_in_bytes)
{
    BUS_AUTO(hearing_destroy) hearing_t *hearing = hearing_new();
    char text[1024];
    memset(text, 'x', sizeof(text));
    size_t bytes = 0;
    for (size_t i = 0; bytes + sizeof(text) <= HEARING_BYTES_MAX; i++) {
        memcpy(text, &i, sizeof(i));
        cr_assert_not_null(hearing_require(hearing, 5, view_from(text, sizeof(text))));
        bytes += sizeof(text);
    }
    text[0]++;
    text[1] = 'y';
    cr_assert_null(hearing_require(hearing, 5, view_from(text, sizeof(text))));
}

Test(hearing, knows_no_descriptor_that_is_none)
{
    BUS_AUTO(hearing_destroy) hearing_t *hearing = hearing_new();
    int32_t inbox;
    cr_assert_null(hearing_require(hearing, -1, A));
    cr_assert_null(hearing_require(hearing, HEARING_FDS_MAX, A));
    cr_assert_not(hearing_remove(hearing, -1, A, &inbox));
    cr_assert_eq(hearing_count(hearing, HEARING_FDS_MAX), 0);
}

static void
add_up(void *arg, int32_t inbox)
{
    int *sum = arg;
    *sum += inbox;
}

Test(hearing, of_a_connection_that_ended_tells_its_inboxes)
{
    BUS_AUTO(hearing_destroy) hearing_t *hearing = hearing_new();
    char text[16];
    for (int i = 0; i < 10; i++) {
        hearing_prefix_t *prefix = hearing_require(hearing, 5, prefix_of(text, i));
        cr_assert_not_null(prefix);
        prefix->inbox = i < 4 ? i : HEARING_NO_INBOX;
    }
    int sum = 0;
    hearing_forget(hearing, 6, add_up, &sum);
    cr_assert_eq(sum, 0);
    hearing_forget(hearing, 5, add_up, &sum);
    cr_assert_eq(sum, 0 + 1 + 2 + 3);
    cr_assert_eq(hearing_count(hearing, 5), 0);
    hearing_forget(hearing, 5, add_up, &sum);
    cr_assert_eq(sum, 0 + 1 + 2 + 3);
}
