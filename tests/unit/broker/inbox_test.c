// inbox_test.c - who listens where, and that no inbox covers another.
#include "broker/inbox.h"
#include <criterion/criterion.h>
#include <stdio.h>

#define NAME(text) VIEW_LITERAL("_inbox." text)

Test(inbox, is_live_from_its_subscription_to_its_end)
{
    BUS_AUTO(inbox_table_destroy) inbox_table_t *inboxes = inbox_table_new();
    int place;
    cr_assert_eq(inbox_find(inboxes, NAME("a.1")), INBOX_NONE);
    cr_assert_eq(inbox_add(inboxes, NAME("a.1"), &place), BUS_OK);
    cr_assert_eq(inbox_find(inboxes, NAME("a.1")), place);
    cr_assert_eq(inbox_count(inboxes), 1);
    cr_assert(inbox_release(inboxes, place));
    cr_assert_eq(inbox_find(inboxes, NAME("a.1")), INBOX_NONE);
    cr_assert_eq(inbox_count(inboxes), 0);
}

Test(inbox, that_would_hear_another_is_refused)
{
    BUS_AUTO(inbox_table_destroy) inbox_table_t *inboxes = inbox_table_new();
    int place;
    cr_assert_eq(inbox_add(inboxes, NAME("a.12"), &place), BUS_OK);
    cr_assert_eq(inbox_add(inboxes, NAME("a.1"), &place), BUS_CONFLICT);
    cr_assert_eq(inbox_find(inboxes, NAME("a.1")), INBOX_NONE);
}

Test(inbox, that_another_would_hear_is_refused)
{
    BUS_AUTO(inbox_table_destroy) inbox_table_t *inboxes = inbox_table_new();
    int first;
    int place;
    cr_assert_eq(inbox_add(inboxes, NAME("a.1"), &first), BUS_OK);
    cr_assert_eq(inbox_add(inboxes, NAME("a.0"), &place), BUS_OK);
    cr_assert_eq(inbox_add(inboxes, NAME("a.1x"), &place), BUS_CONFLICT);
    cr_assert_eq(inbox_add(inboxes, NAME("a.2"), &place), BUS_OK);
    cr_assert(inbox_release(inboxes, first));
    cr_assert_eq(inbox_add(inboxes, NAME("a.1x"), &place), BUS_OK);
}

Test(inbox, of_a_peer_that_came_back_outlives_its_old_connection)
{
    BUS_AUTO(inbox_table_destroy) inbox_table_t *inboxes = inbox_table_new();
    int first;
    int again;
    cr_assert_eq(inbox_add(inboxes, NAME("a.1"), &first), BUS_OK);
    cr_assert_eq(inbox_add(inboxes, NAME("a.1"), &again), BUS_OK);
    cr_assert_eq(first, again);
    cr_assert_not(inbox_release(inboxes, first)); // the old one was seen to end
    cr_assert_eq(inbox_find(inboxes, NAME("a.1")), first);
    cr_assert(inbox_release(inboxes, first));
}

Test(inbox, is_counted_by_its_whole_name)
{
    BUS_AUTO(inbox_table_destroy) inbox_table_t *inboxes = inbox_table_new();
    int place;
    static const char *const names[] = {
        "_inbox.a.1", "_inbox.a.2", "_inbox.a-b.1", "_inbox.aa.1", "_inbox.b.1", "_inbox.a.z"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        cr_assert_eq(inbox_add(inboxes, view_from_text(names[i]), &place), BUS_OK);
    }
    cr_assert_eq(inbox_count_of(inboxes, VIEW_LITERAL("a")), 3);
    cr_assert_eq(inbox_count_of(inboxes, VIEW_LITERAL("a-b")), 1);
    cr_assert_eq(inbox_count_of(inboxes, VIEW_LITERAL("c")), 0);
}

Test(inbox, one_over_the_limit_is_refused_until_one_goes)
{
    BUS_AUTO(inbox_table_destroy) inbox_table_t *inboxes = inbox_table_new();
    char text[64];
    int place;
    for (int i = 0; i < INBOXES_MAX; i++) {
        int size = snprintf(text, sizeof(text), "_inbox.peer.%05d", i);
        cr_assert_eq(inbox_add(inboxes, view_from(text, (size_t) size), &place), BUS_OK);
    }
    cr_assert_eq(inbox_count_of(inboxes, VIEW_LITERAL("peer")), INBOXES_MAX);
    cr_assert_eq(inbox_add(inboxes, NAME("more.1"), &place), BUS_BUSY);
    cr_assert(inbox_release(inboxes, inbox_find(inboxes, NAME("peer.00777"))));
    cr_assert_eq(inbox_add(inboxes, NAME("more.1"), &place), BUS_OK);
    cr_assert_eq(inbox_count(inboxes), INBOXES_MAX);
    cr_assert_geq(inbox_find(inboxes, NAME("peer.16383")), 0);
}
