// breach_test.c - what is refused is counted, told once a minute, and bounded.
#include "broker/breach.h"
#include <criterion/criterion.h>
#include <stdio.h>

typedef struct {
    uint64_t facts;
    uint64_t count;
    char last[256];
    bool is_deaf;
} heard_t;

static bool
hear(void *arg, const breach_fact_t *fact)
{
    heard_t *heard = arg;
    if (heard->is_deaf) {
        return false;
    }
    heard->facts++;
    heard->count += fact->count;
    snprintf(heard->last,
             sizeof(heard->last),
             "%s %s %.*s",
             fact->name,
             fact->reason,
             (int) fact->subject.size,
             fact->subject.data);
    return true;
}

Test(breach, one_fact_a_minute_for_each_name_and_reason_with_how_often)
{
    breach_t *self = breach_new();
    heard_t heard = {0};
    cr_assert(breach_add(self, "a", BREACH_PUBLISH, VIEW_LITERAL("x.y"), 1));
    cr_assert_not(breach_add(self, "a", BREACH_PUBLISH, VIEW_LITERAL("x.z"), 1));
    breach_tell(self, 1000, false, hear, &heard);
    cr_assert_eq(heard.facts, 1);
    cr_assert_eq(heard.count, 2);
    cr_assert_str_eq(heard.last, "a publish x.z");
    for (int i = 0; i < 100; i++) {
        breach_add(self, "a", BREACH_PUBLISH, VIEW_LITERAL("x.z"), 1);
    }
    breach_tell(self, 1000 + BREACH_TOLD_MS - 1, false, hear, &heard);
    cr_assert_eq(heard.facts, 1);
    breach_tell(self, 1000 + BREACH_TOLD_MS, false, hear, &heard);
    cr_assert_eq(heard.facts, 2);
    cr_assert_eq(heard.count, 102);
    breach_add(self, "a", BREACH_FETCH, VIEW_NONE, 1);
    breach_tell(self, 1001 + BREACH_TOLD_MS, false, hear, &heard);
    cr_assert_eq(heard.facts, 3);
    cr_assert_eq(breach_total(self), 103);
    breach_destroy(&self);
}

Test(breach, what_cannot_be_told_stays_due_and_the_end_tells_all)
{
    breach_t *self = breach_new();
    heard_t heard = {.is_deaf = true};
    breach_add(self, "a", BREACH_SERVE, VIEW_NONE, 3);
    breach_tell(self, 1, false, hear, &heard);
    heard.is_deaf = false;
    breach_tell(self, 2, false, hear, &heard);
    cr_assert_eq(heard.count, 3);
    breach_add(self, "a", BREACH_SERVE, VIEW_NONE, 4);
    breach_tell(self, 3, false, hear, &heard);
    cr_assert_eq(heard.count, 3);
    breach_tell(self, 4, true, hear, &heard);
    cr_assert_eq(heard.count, 7);
    breach_destroy(&self);
}

Test(breach, more_names_than_there_is_room_for_are_counted_together)
{
    breach_t *self = breach_new();
    heard_t heard = {0};
    char name[32];
    for (int i = 0; i < BREACH_MAX + 1000; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        breach_add(self, name, BREACH_PUBLISH, VIEW_NONE, 1);
    }
    breach_tell(self, 1, false, hear, &heard);
    cr_assert_eq(heard.facts, BREACH_MAX + 1);
    cr_assert_eq(heard.count, BREACH_MAX + 1000);
    cr_assert_str_eq(heard.last, "(others) publish ");
    breach_destroy(&self);
}

Test(breach, what_was_tried_is_kept_short_and_printable)
{
    breach_t *self = breach_new();
    heard_t heard = {0};
    breach_add(self, "a", BREACH_SOURCE, VIEW_LITERAL("x\n\xff\x1b[2J"), 1);
    breach_tell(self, 1, false, hear, &heard);
    cr_assert_str_eq(heard.last, "a source x???[2J");
    breach_destroy(&self);
}
