// inbox_test.c - who listens where, and that no inbox covers another.
#include "broker/inbox.h"
#include <criterion/criterion.h>
#include <stdio.h>

#define NAME(text) VIEW_LITERAL("_inbox." text)

Test(inbox, is_live_from_its_subscription_to_its_end)
{
    BUS_AUTO(inbox_table_destroy) inbox_table_t *inboxes = inbox_table_new();
    cr_assert_eq(inbox_find(inboxes, NAME("a.1")), INBOX_NONE);
    cr_assert_eq(inbox_add(inboxes, NAME("a.1"), 5), BUS_OK);
    cr_assert_geq(inbox_find(inboxes, NAME("a.1")), 0);
    cr_assert_eq(inbox_count(inboxes), 1);
    cr_assert(inbox_remove(inboxes, NAME("a.1"), -1));
    cr_assert_eq(inbox_find(inboxes, NAME("a.1")), INBOX_NONE);
    cr_assert_eq(inbox_count(inboxes), 0);
}

Test(inbox, that_would_hear_another_is_refused)
{
    BUS_AUTO(inbox_table_destroy) inbox_table_t *inboxes = inbox_table_new();
    cr_assert_eq(inbox_add(inboxes, NAME("a.12"), 5), BUS_OK);
    cr_assert_eq(inbox_add(inboxes, NAME("a.1"), 6), BUS_CONFLICT);
    cr_assert_eq(inbox_find(inboxes, NAME("a.1")), INBOX_NONE);
}

Test(inbox, that_another_would_hear_is_refused)
{
    BUS_AUTO(inbox_table_destroy) inbox_table_t *inboxes = inbox_table_new();
    cr_assert_eq(inbox_add(inboxes, NAME("a.1"), 5), BUS_OK);
    cr_assert_eq(inbox_add(inboxes, NAME("a.0"), 5), BUS_OK);
    cr_assert_eq(inbox_add(inboxes, NAME("a.1x"), 6), BUS_CONFLICT);
    cr_assert_eq(inbox_add(inboxes, NAME("a.2"), 6), BUS_OK);
    cr_assert(inbox_remove(inboxes, NAME("a.1"), 5));
    cr_assert_eq(inbox_add(inboxes, NAME("a.1x"), 6), BUS_OK);
}

Test(inbox, of_a_peer_that_came_back_outlives_its_old_connection)
{
    BUS_AUTO(inbox_table_destroy) inbox_table_t *inboxes = inbox_table_new();
    cr_assert_eq(inbox_add(inboxes, NAME("a.1"), 5), BUS_OK);
    cr_assert_eq(inbox_add(inboxes, NAME("a.1"), 6), BUS_OK);
    cr_assert_not(inbox_remove(inboxes, NAME("a.1"), -1)); // the old one was seen to end
    cr_assert_geq(inbox_find(inboxes, NAME("a.1")), 0);
    cr_assert(inbox_remove(inboxes, NAME("a.1"), 6));
}

Test(inbox, subscribed_twice_by_one_connection_ends_with_it)
{
    BUS_AUTO(inbox_table_destroy) inbox_table_t *inboxes = inbox_table_new();
    cr_assert_eq(inbox_add(inboxes, NAME("a.1"), 5), BUS_OK);
    cr_assert_eq(inbox_add(inboxes, NAME("a.1"), 5), BUS_OK);
    cr_assert(inbox_remove(inboxes, NAME("a.1"), -1));
}

Test(inbox, is_not_silenced_by_a_stranger)
{
    BUS_AUTO(inbox_table_destroy) inbox_table_t *inboxes = inbox_table_new();
    cr_assert_eq(inbox_add(inboxes, NAME("a.1"), 5), BUS_OK);
    cr_assert_not(inbox_remove(inboxes, NAME("a.1"), 9));
    cr_assert_geq(inbox_find(inboxes, NAME("a.1")), 0);
}

Test(inbox, counts_more_connections_than_it_remembers)
{
    BUS_AUTO(inbox_table_destroy) inbox_table_t *inboxes = inbox_table_new();
    for (int fd = 10; fd < 20; fd++) {
        cr_assert_eq(inbox_add(inboxes, NAME("a.1"), fd), BUS_OK);
    }
    for (int i = 0; i < 9; i++) {
        cr_assert_not(inbox_remove(inboxes, NAME("a.1"), -1));
    }
    cr_assert(inbox_remove(inboxes, NAME("a.1"), -1));
    cr_assert_not(inbox_remove(inboxes, NAME("a.1"), -1));
}

Test(inbox, one_over_the_limit_is_refused_until_one_goes)
{
    BUS_AUTO(inbox_table_destroy) inbox_table_t *inboxes = inbox_table_new();
    char text[64];
    for (int i = 0; i < INBOXES_MAX; i++) {
        int size = snprintf(text, sizeof(text), "_inbox.peer.%05d", i);
        cr_assert_eq(inbox_add(inboxes, view_from(text, (size_t) size), i), BUS_OK);
    }
    cr_assert_eq(inbox_add(inboxes, NAME("more.1"), 1), BUS_BUSY);
    cr_assert(inbox_remove(inboxes, NAME("peer.00777"), -1));
    cr_assert_eq(inbox_add(inboxes, NAME("more.1"), 1), BUS_OK);
    cr_assert_eq(inbox_count(inboxes), INBOXES_MAX);
    cr_assert_geq(inbox_find(inboxes, NAME("peer.16383")), 0);
}
