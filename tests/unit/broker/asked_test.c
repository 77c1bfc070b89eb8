// asked_test.c - requests that wait, and how they stop to.
#include "broker/asked.h"
#include <criterion/criterion.h>
#include <stdio.h>

#define INBOX VIEW_LITERAL("_inbox.me.1")

enum { PLACES = 4 };

static bus_view_t
id_of(int n)
{
    static char text[16];
    snprintf(text, sizeof(text), "id-%d", n);
    return view_from_text(text);
}

static uint32_t
count_all(const asked_t *asked)
{
    uint32_t sum = 0;
    for (uint32_t place = 0; place < PLACES; place++) {
        sum += asked_count(asked, place);
    }
    return sum;
}

// Ids 0 to count - 1, in turn at the first `places` places, a second apart from 1000 on. The seed
// is chance: where two of them push each other out, another is taken.
static asked_t *
asked_holding(uint32_t count, uint32_t places)
{
    for (int tries = 0; tries < 4; tries++) {
        asked_t *asked = asked_new(PLACES);
        for (uint32_t i = 0; i < count; i++) {
            asked_add(asked, INBOX, id_of((int) i), i % places, 1000 * (uint64_t) (i + 1));
        }
        if (count_all(asked) == count) {
            return asked;
        }
        asked_destroy(&asked);
    }
    cr_assert_fail("never counts %u", count);
    return NULL;
}

Test(asked, counts_what_is_not_answered)
{
    BUS_AUTO(asked_destroy) asked_t *asked = asked_holding(10, 2);
    cr_assert_eq(asked_count(asked, 0), 5);
    cr_assert_eq(asked_count(asked, 1), 5);
    asked_answered(asked, INBOX, id_of(4));
    cr_assert_eq(asked_count(asked, 0), 4);
    asked_answered(asked, INBOX, id_of(4)); // once
    asked_answered(asked, VIEW_LITERAL("_inbox.me.2"), id_of(6));
    asked_answered(asked, INBOX, id_of(60));
    asked_answered(asked, VIEW_NONE, VIEW_NONE);
    cr_assert_eq(asked_count(asked, 0), 4);
    cr_assert_eq(asked_count(asked, 1), 5);
}

Test(asked, forgets_what_is_never_answered)
{
    BUS_AUTO(asked_destroy) asked_t *asked = asked_holding(2, 1);
    asked_expire(asked, 1000 + ASKED_MS - 1);
    cr_assert_eq(asked_count(asked, 0), 2);
    asked_expire(asked, 1000 + ASKED_MS);
    cr_assert_eq(asked_count(asked, 0), 1);
    asked_expire(asked, 2000 + ASKED_MS);
    cr_assert_eq(asked_count(asked, 0), 0);
}

Test(asked, an_instance_that_begins_anew_owes_nothing)
{
    BUS_AUTO(asked_destroy) asked_t *asked = asked_new(PLACES);
    asked_add(asked, INBOX, id_of(1), 0, 1000);
    asked_add(asked, INBOX, id_of(2), 0, 1000);
    asked_forget(asked, 0);
    cr_assert_eq(asked_count(asked, 0), 0);
    asked_add(asked, INBOX, id_of(3), 0, 1000);
    asked_answered(asked, INBOX, id_of(1)); // of the former life
    asked_expire(asked, 1000);
    cr_assert_eq(asked_count(asked, 0), 1);
}

Test(asked, holds_no_more_than_its_bound_and_never_counts_too_many)
{
    BUS_AUTO(asked_destroy) asked_t *asked = asked_new(PLACES);
    for (int i = 0; i < 4 * ASKED_MAX; i++) {
        asked_add(asked, INBOX, id_of(i), 1, 1000);
    }
    cr_assert_leq(asked_count(asked, 1), ASKED_MAX);
    cr_assert_geq(asked_count(asked, 1), ASKED_MAX / 2);
    for (int i = 0; i < 4 * ASKED_MAX; i++) {
        asked_answered(asked, INBOX, id_of(i));
    }
    cr_assert_eq(asked_count(asked, 1), 0);
}
