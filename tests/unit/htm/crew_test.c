// crew_test.c - workers: who is chosen, who is lost, what that costs a task.
#include "help.h"
#include "htm/state.h"
#include <criterion/criterion.h>
#include <stdio.h>

static void
ready(help_t *self, const char *worker, const char *instance, unsigned slots)
{
    help_take(self,
              "task.worker.ready",
              "{\"worker\":\"%s\",\"instance\":\"%s\",\"handlers\":[\"h\"],\"slots\":%u}",
              worker,
              instance,
              slots);
}

static void
enqueue(help_t *self, const char *name)
{
    help_take(self,
              "task.enqueue",
              "{\"task_id\":\"%s\",\"task_type\":\"x\",\"handler\":\"h\",\"lease_seconds\":10}",
              name);
}

Test(crew, gives_to_the_one_with_most_slots_left_then_by_name)
{
    help_t *self = help_new();
    ready(self, "b", "i", 2);
    ready(self, "a", "i", 2);
    ready(self, "c", "i", 3);
    for (unsigned i = 0; i < 8; i++) {
        enqueue(self, (char[]){(char) ('1' + (char) i), '\0'});
    }
    cr_expect_brief(self,
                    "started 1 c 1 0\nstarted 2 a 1 0\nstarted 3 b 1 0\nstarted 4 c 1 0\n"
                    "started 5 a 1 0\nstarted 6 b 1 0\nstarted 7 c 1 0\n");
    help_destroy(&self);
}

Test(crew, that_goes_leaves_its_tasks_to_others_at_once)
{
    help_t *self = help_new();
    ready(self, "a", "i1", 2);
    enqueue(self, "1");
    enqueue(self, "2");
    ready(self, "b", "i1", 1);
    help_forget(self);
    help_take(self, "task.worker.gone", "{\"worker\":\"a\",\"instance\":\"another\"}");
    cr_expect_brief(self, "");
    help_take(self, "task.worker.gone", "{\"worker\":\"a\",\"instance\":\"i1\"}");
    cr_expect_brief(self, "retry 1 1 gone 0.0\nretry 2 1 gone 0.0\nstarted 1 b 2 0\n");
    cr_assert_eq(help_count(self, "statistics.gone"), 2);
    help_take(self, "task.worker.gone", "{\"worker\":\"a\"}");
    help_take(self, "task.worker.gone", "{\"worker\":\"nobody\"}");
    cr_assert_eq(help_count(self, "statistics.gone"), 2);
    help_destroy(&self);
}

Test(crew, that_comes_back_as_another_process_lost_what_it_had)
{
    help_t *self = help_new();
    ready(self, "a", "i1", 1);
    enqueue(self, "1");
    help_forget(self);
    ready(self, "a", "i1", 1);
    cr_expect_brief(self, "");
    ready(self, "a", "i2", 1);
    cr_expect_brief(self, "retry 1 1 gone 0.0\nstarted 1 a 2 0\n");
    help_destroy(&self);
}

Test(crew, costs_a_task_its_life_when_lost_too_often)
{
    help_t *self = help_new();
    ready(self, "a", "i1", 1);
    enqueue(self, "1");
    help_forget(self);
    for (unsigned i = 1; i < 5; i++) { // losses_max is 5
        help_clock(self, 10 * SECOND - 1);
        cr_expect_brief(self, "");
        help_clock(self, 1);
        char expected[100];
        snprintf(expected, sizeof expected, "retry 1 %u lapsed 0.0\nstarted 1 a %u 0\n", i, i + 1);
        cr_expect_brief(self, expected);
        help_forget(self);
    }
    help_clock(self, 10 * SECOND);
    cr_expect_brief(self, "done 1 dead 5 false\n");
    cr_assert_not_null(strstr(help_task(self, "1", "reason"), "lease"));
    cr_assert_eq(help_count(self, "statistics.lapsed"), 5);
    help_destroy(&self);
}

Test(crew, that_renews_keeps_its_task)
{
    help_t *self = help_new();
    ready(self, "a", "i1", 1);
    enqueue(self, "1");
    help_forget(self);
    for (unsigned i = 0; i < 5; i++) {
        self->at += 6 * SECOND;
        help_take(self, "task.renew", "{\"task_id\":\"1\",\"attempt\":1,\"worker\":\"a\"}");
        help_clock(self, 0);
    }
    cr_expect_brief(self, "");
    help_take(self, "task.renew", "{\"task_id\":\"1\",\"attempt\":2,\"worker\":\"a\"}");
    help_take(self, "task.renew", "{\"task_id\":\"1\",\"attempt\":1,\"worker\":\"b\"}");
    help_take(self, "task.renew", "{\"task_id\":\"none\",\"attempt\":1,\"worker\":\"b\"}");
    help_clock(self, 10 * SECOND);
    cr_expect_brief(self, "retry 1 1 lapsed 0.0\nstarted 1 a 2 0\n");
    help_destroy(&self);
}

Test(crew, that_fell_silent_is_tried_last_and_with_one_task)
{
    help_t *self = help_new();
    ready(self, "a", "i", 8);
    enqueue(self, "1");
    ready(self, "b", "i", 1);
    help_forget(self);
    help_clock(self, 10 * SECOND);
    cr_expect_brief(self, "retry 1 1 lapsed 0.0\nstarted 1 b 2 0\n");
    cr_assert_eq(help_ask(self, "workers", "{}"), BUS_OK);
    cr_assert_not_null(strstr(help_text(self->answer), "\"free\":1,\"silent\":true"));
    enqueue(self, "2");
    enqueue(self, "3");
    cr_expect_brief(self, "retry 1 1 lapsed 0.0\nstarted 1 b 2 0\nstarted 2 a 1 0\n");
    help_forget(self);
    help_reopen(self);
    help_take(self, "task.renew", "{\"task_id\":\"2\",\"attempt\":1,\"worker\":\"a\"}");
    cr_expect_brief(self, "started 3 a 1 0\n");
    help_destroy(&self);
}

Test(crew, serves_several_handlers_in_order)
{
    help_t *self = help_new();
    help_take(self, "task.enqueue", "{\"task_id\":\"1\",\"task_type\":\"x\",\"handler\":\"g\"}");
    help_take(self,
              "task.enqueue",
              "{\"task_id\":\"2\",\"task_type\":\"x\",\"handler\":\"h\",\"priority\":\"high\"}");
    help_take(self, "task.enqueue", "{\"task_id\":\"3\",\"task_type\":\"x\",\"handler\":\"k\"}");
    help_take(self,
              "task.worker.ready",
              "{\"worker\":\"w\",\"handlers\":[\"g\",\"h\",\"k\",\"g\"],\"slots\":3}");
    cr_expect_brief(self, "started 2 w 1 0\nstarted 1 w 1 0\nstarted 3 w 1 0\n");
    help_destroy(&self);
}

Test(crew, is_not_joined_by_nonsense)
{
    help_t *self = help_new();
    static const char *const bodies[] = {
        "{\"worker\":\"w\",\"handlers\":[]}",
        "{\"worker\":\"w\",\"handlers\":[\"\"]}",
        "{\"worker\":\"w\",\"handlers\":[\"a.b\"]}",
        "{\"worker\":\"w\",\"handlers\":[7]}",
        "{\"worker\":\"a.b\",\"handlers\":[\"h\"]}",
        "{\"worker\":\"w\",\"handlers\":[\"h\"],\"slots\":0}",
        "{\"worker\":\"w\",\"handlers\":[\"h\"],\"slots\":1025}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        cr_assert_eq(help_apply(self, "task.worker.ready", bodies[i]),
                     BUS_VALIDATION_FAILED,
                     "%s",
                     bodies[i]);
    }
    char many[400] = "{\"worker\":\"w\",\"handlers\":[\"h0\"";
    for (unsigned i = 1; i < 33; i++) {
        size_t size = strlen(many);
        snprintf(many + size, sizeof many - size, ",\"h%u\"", i);
    }
    strcat(many, "]}");
    cr_assert_eq(help_apply(self, "task.worker.ready", many), BUS_VALIDATION_FAILED);
    cr_assert_eq(help_rows(self, HTM_WORKERS), 0);
    help_destroy(&self);
}

Test(crew, has_a_bounded_number_of_slots)
{
    help_t *self = help_new();
    char name[20];
    for (unsigned i = 0; i < 16; i++) {
        snprintf(name, sizeof name, "w%u", i);
        ready(self, name, "i", 1024);
    }
    cr_assert_eq(help_apply(self, "task.worker.ready", "{\"worker\":\"x\",\"handlers\":[\"h\"]}"),
                 BUS_BUSY);
    ready(self, "w3", "i", 1000);
    help_take(self, "task.worker.ready", "{\"worker\":\"x\",\"handlers\":[\"h\"],\"slots\":24}");
    help_destroy(&self);
}

Test(crew, that_says_fewer_slots_than_it_has_tasks_makes_no_room)
{
    help_t *self = help_new();
    htm_state_t *state = self->state;
    enqueue(self, "1");
    enqueue(self, "2");
    ready(self, "a", "i", 2);
    ready(self, "a", "i", 1);
    state->totals.running += 16384 - 2; // as if others had done the same
    cr_assert_eq(help_apply(self, "task.worker.ready", "{\"worker\":\"x\",\"handlers\":[\"h\"]}"),
                 BUS_BUSY);
    ready(self, "a", "i", 2); // its own two are not counted twice
    state->totals.running -= 16384 - 2;
    help_destroy(&self);
}

Test(crew, has_all_leases_begin_anew_when_the_queue_was_away)
{
    help_t *self = help_new();
    ready(self, "a", "i", 2);
    enqueue(self, "1");
    enqueue(self, "2");
    help_forget(self);
    self->at += 3600 * SECOND;
    cr_assert_eq(help_apply(self, "task.clock", "{\"resumed\":true}"),
                 BUS_UNAUTHORIZED_ACCESS,
                 "HTM alone says so");
    self->source = "htm";
    help_take(self, "task.clock", "{\"resumed\":true}");
    cr_expect_brief(self, "");
    help_clock(self, 10 * SECOND - 1);
    cr_expect_brief(self, "");
    help_clock(self, 1);
    cr_assert_eq(help_count(self, "statistics.lapsed"), 2);
    help_destroy(&self);
}
