// life_test.c - a task from its enqueueing to its end.
#include "help.h"
#include <criterion/criterion.h>
#include <stdio.h>

static void
ready(help_t *self, const char *worker, const char *handler, unsigned slots)
{
    help_take(self,
              "task.worker.ready",
              "{\"worker\":\"%s\",\"instance\":\"i-%s\",\"handlers\":[\"%s\"],\"slots\":%u}",
              worker,
              worker,
              handler,
              slots);
}

static void
configure(help_t *self, const char *more)
{
    self->source = "htm";
    help_take(self,
              "task.config",
              "{\"lease_seconds\":10,\"losses_max\":3,\"backoff_seconds\":2,\"strained_cpu\":90,"
              "\"strained_memory\":85%s}",
              more);
    self->source = "py_tests";
}

Test(life, begins_waiting_with_the_defaults_of_its_priority)
{
    help_t *self = help_new();
    static const struct {
        const char *priority, *shown, *sla, *retries;
    } rows[] = {{"critical", "\"critical\"", "300.0", "3"},
                {"high", "\"high\"", "1800.0", "1"},
                {"normal", "\"normal\"", "14400.0", "1"},
                {"low", "\"low\"", "86400.0", "1"},
                {"urgent!", "\"normal\"", "14400.0", "1"},
                {"", "\"normal\"", "14400.0", "1"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char name[20];
        snprintf(name, sizeof name, "a%zu", i);
        help_take(self,
                  "task.enqueue",
                  "{\"task_id\":\"%s\",\"task_type\":\"x\",\"priority\":\"%s\"}",
                  name,
                  rows[i].priority);
        cr_assert_str_eq(help_at(self, "status"), "\"waiting\"");
        cr_assert_str_eq(help_at(self, "handler"), "\"unknown\"");
        cr_assert_str_eq(help_task(self, name, "priority"), rows[i].shown);
        cr_assert_str_eq(help_task(self, name, "sla_seconds"), rows[i].sla);
        cr_assert_str_eq(help_task(self, name, "max_retries"), rows[i].retries);
    }
    cr_assert_eq(help_count(self, "queue_sizes.normal"), 3);
    help_destroy(&self);
}

Test(life, goes_to_a_worker_that_is_ready_in_the_record_that_brought_it)
{
    help_t *self = help_new();
    ready(self, "w", "h", 1);
    self->trace = "t-1";
    help_take(
        self,
        "task.enqueue",
        "{\"task_type\":\"x\",\"handler\":\"h\",\"context\":{\"a\":[1]},\"lease_seconds\":7}");
    cr_assert_str_eq(help_at(self, "status"), "\"running\"");
    cr_assert_str_eq(help_at(self, "task_id"), "\"task_2\"", "task_<seq>");
    cr_expect_brief(self, "started task_2 w 1 0\n");
    cr_assert_str_eq(
        help_text(self->told),
        "task.execute.h t-1 {\"task_id\":\"task_2\",\"task_type\":\"x\",\"handler\":\"h\","
        "\"priority\":\"normal\",\"context\":{\"a\":[1]},\"worker\":\"w\",\"attempt\":1,"
        "\"lease_seconds\":7.0,\"sla_seconds\":14400.0}\n");
    cr_assert_not_null(strstr(help_text(self->said), "task.started t-1 "));
    cr_assert_not_null(strstr(help_text(self->said), "\"cause\":2,"));
    help_destroy(&self);
}

Test(life, of_one_that_waited_is_told_in_its_own_trace)
{
    help_t *self = help_new();
    self->trace = "t-1";
    help_take(self, "task.enqueue", "{\"task_id\":\"a\",\"task_type\":\"x\",\"handler\":\"h\"}");
    self->trace = NULL;
    help_take(self, "task.enqueue", "{\"task_id\":\"b\",\"task_type\":\"x\",\"handler\":\"h\"}");
    self->trace = "t-2";
    self->at += 3 * SECOND;
    ready(self, "w", "h", 1);
    cr_assert_eq(strncmp(help_text(self->said), "task.started t-1 ", 17), 0);
    cr_assert_not_null(strstr(help_text(self->said), "\"queued_us\":3000000,\"dispatch_us\":0,"));
    help_forget(self);
    help_take(self, "task.completed", "{\"task_id\":\"a\",\"worker\":\"w\",\"result\":{\"n\":1}}");
    cr_assert_eq(strncmp(help_text(self->said), "task.done t-1 ", 14), 0);
    cr_assert_not_null(strstr(help_text(self->said), "\ntask.started - "));
    cr_assert_not_null(strstr(help_text(self->said), "\"result\":{\"n\":1}"));
    cr_assert_str_eq(help_task(self, "a", "result.n"), "1");
    cr_assert_str_eq(help_task(self, "a", "trace_id"), "\"t-1\"");
    help_destroy(&self);
}

Test(life, is_in_order_of_priority_then_deadline_then_arrival)
{
    help_t *self = help_new();
    static const struct {
        const char *name, *priority;
        unsigned sla;
    } rows[] = {{"e", "low", 1},
                {"c", "high", 500},
                {"d", "high", 500},
                {"b", "high", 400},
                {"g", "low", 9000},
                {"f", "low", 2},
                {"a", "critical", 9000}};
    for (size_t i = 0; i < 7; i++) {
        help_take(self,
                  "task.enqueue",
                  "{\"task_id\":\"%s\",\"task_type\":\"x\",\"handler\":\"h\",\"priority\":\"%s\","
                  "\"sla_seconds\":%u}",
                  rows[i].name,
                  rows[i].priority,
                  rows[i].sla);
    }
    ready(self, "w", "h", 7);
    cr_expect_brief(self,
                    "started a w 1 6\nstarted b w 1 1\nstarted c w 1 1\nstarted d w 1 1\n"
                    "started e w 1 0\nstarted f w 1 0\nstarted g w 1 0\n");
    help_destroy(&self);
}

Test(life, ends_with_the_first_word_of_whatever_attempt_and_once)
{
    help_t *self = help_new();
    configure(self, "");
    ready(self, "w", "h", 1);
    help_take(self, "task.enqueue", "{\"task_id\":\"a\",\"task_type\":\"x\",\"handler\":\"h\"}");
    help_clock(self, 10 * SECOND);
    help_forget(self);
    cr_assert_str_eq(help_task(self, "a", "attempts"), "2", "the lease ended, and began anew");
    help_take(self, "task.completed", "{\"task_id\":\"a\",\"attempt\":1,\"result\":{\"n\":1}}");
    cr_expect_brief(self, "done a completed 2 true\n");
    help_take(self, "task.completed", "{\"task_id\":\"a\",\"attempt\":2,\"result\":{\"n\":2}}");
    help_take(self, "task.failed", "{\"task_id\":\"a\",\"attempt\":2,\"error\":\"late\"}");
    cr_expect_brief(self, "done a completed 2 true\n");
    cr_assert_str_eq(help_task(self, "a", "result.n"), "1");
    cr_assert_eq(help_count(self, "statistics.tasks_completed"), 1);
    cr_assert_eq(help_count(self, "statistics.duplicates"), 2);
    cr_assert_eq(help_count(self, "queue_sizes.running"), 0);
    help_destroy(&self);
}

Test(life, does_not_end_by_words_about_what_was_never_handed_out)
{
    help_t *self = help_new();
    help_take(self, "task.enqueue", "{\"task_id\":\"a\",\"task_type\":\"x\",\"handler\":\"h\"}");
    cr_assert_eq(help_apply(self, "task.completed", "{\"task_id\":\"a\"}"), BUS_CONFLICT);
    cr_assert_eq(help_apply(self, "task.completed", "{\"task_id\":\"none\"}"), BUS_INVALID_REQUEST);
    ready(self, "w", "h", 1);
    cr_assert_eq(help_apply(self, "task.completed", "{\"task_id\":\"a\",\"attempt\":2}"),
                 BUS_CONFLICT);
    cr_assert_eq(help_count(self, "statistics.strays"), 3);
    cr_assert_str_eq(help_task(self, "a", "status"), "\"running\"");
    help_destroy(&self);
}

Test(life, goes_on_after_failures_with_longer_and_longer_pauses)
{
    help_t *self = help_new();
    configure(self, "");
    ready(self, "w", "h", 1);
    help_take(self,
              "task.enqueue",
              "{\"task_id\":\"a\",\"task_type\":\"x\",\"handler\":\"h\",\"max_retries\":9,"
              "\"lease_seconds\":80000}");
    static const unsigned pauses[] = {2, 4, 8, 16, 32, 64, 120, 120, 120}; // 60 times 2 s at most
    for (unsigned i = 0; i < 9; i++) {
        help_forget(self);
        help_take(self, "task.failed", "{\"task_id\":\"a\",\"worker\":\"w\",\"error\":\"no\"}");
        char expected[100];
        snprintf(expected, sizeof expected, "retry a %u failed %u.0\n", i + 1, pauses[i]);
        cr_expect_brief(self, expected);
        help_clock(self, pauses[i] * SECOND - 1);
        cr_expect_brief(self, expected);
        help_clock(self, 1);
        cr_assert_str_eq(help_task(self, "a", "status"), "\"running\"");
    }
    help_forget(self);
    help_take(self, "task.failed", "{\"task_id\":\"a\",\"worker\":\"w\",\"error\":\"never\"}");
    cr_expect_brief(self, "done a dead 10 false\n");
    cr_assert_str_eq(help_task(self, "a", "reason"), "\"never\"");
    cr_assert_eq(help_count(self, "statistics.tasks_failed"), 1);
    cr_assert_eq(help_count(self, "statistics.retries"), 9);
    help_destroy(&self);
}

Test(life, is_over_at_once_where_its_worker_says_not_again)
{
    help_t *self = help_new();
    ready(self, "w", "h", 1);
    help_take(self,
              "task.enqueue",
              "{\"task_id\":\"a\",\"task_type\":\"x\",\"handler\":\"h\",\"max_retries\":9}");
    help_forget(self);
    help_take(self, "task.failed", "{\"task_id\":\"a\",\"error\":\"no\",\"retry\":false}");
    cr_expect_brief(self, "done a dead 1 false\n");
    help_destroy(&self);
}

Test(life, does_not_change_by_a_failure_of_an_attempt_that_is_over)
{
    help_t *self = help_new();
    configure(self, "");
    ready(self, "w", "h", 1);
    help_take(self, "task.enqueue", "{\"task_id\":\"a\",\"task_type\":\"x\",\"handler\":\"h\"}");
    help_clock(self, 10 * SECOND);
    help_forget(self);
    help_take(self, "task.failed", "{\"task_id\":\"a\",\"attempt\":1,\"error\":\"late\"}");
    cr_expect_brief(self, "");
    cr_assert_str_eq(help_task(self, "a", "status"), "\"running\"");
    cr_assert_str_eq(help_task(self, "a", "failures"), "0");
    help_destroy(&self);
}

Test(life, of_a_dead_letter_begins_anew_but_for_the_numbers_of_its_attempts)
{
    help_t *self = help_new();
    ready(self, "w", "h", 1);
    help_take(self,
              "task.enqueue",
              "{\"task_id\":\"a\",\"task_type\":\"x\",\"handler\":\"h\",\"sla_seconds\":100}");
    cr_assert_eq(help_apply(self, "task.requeue", "{\"task_id\":\"a\"}"), BUS_CONFLICT);
    help_take(self, "task.failed", "{\"task_id\":\"a\",\"error\":\"no\",\"retry\":false}");
    help_forget(self);
    self->at += 1000 * SECOND;
    help_take(self, "task.requeue", "{\"task_id\":\"a\"}");
    cr_expect_brief(self, "started a w 2 0\n");
    help_clock(self, 1);
    cr_expect_brief(self, "started a w 2 0\n");
    help_take(self, "task.completed", "{\"task_id\":\"a\",\"attempt\":2}");
    cr_expect_brief(self, "started a w 2 0\ndone a completed 2 true\n");
    cr_assert_str_eq(help_task(self, "a", "requeues"), "1");
    cr_assert_not_null(strstr(help_task(self, "a", "events"), "\"what\":\"requeued\""));
    cr_assert_eq(help_rows(self, HTM_OVER), 1);
    cr_assert_eq(help_apply(self, "task.requeue", "{\"task_id\":\"b\"}"), BUS_NOT_FOUND);
    help_destroy(&self);
}

Test(life, ends_with_a_cancel_wherever_it_is)
{
    help_t *self = help_new();
    ready(self, "w", "h", 1);
    help_take(self, "task.enqueue", "{\"task_id\":\"a\",\"task_type\":\"x\",\"handler\":\"h\"}");
    help_take(self, "task.enqueue", "{\"task_id\":\"b\",\"task_type\":\"x\",\"handler\":\"h\"}");
    help_take(self,
              "task.enqueue",
              "{\"task_id\":\"c\",\"task_type\":\"x\",\"handler\":\"h\",\"delay_seconds\":5}");
    help_forget(self);
    help_take(self, "task.cancel", "{\"task_id\":\"c\",\"reason\":\"why not\"}");
    help_take(self, "task.cancel", "{\"task_id\":\"b\"}");
    help_take(self, "task.cancel", "{\"task_id\":\"a\"}");
    cr_expect_brief(self,
                    "done c cancelled 0 false\ndone b cancelled 0 false\n"
                    "done a cancelled 1 false\n");
    cr_assert_str_eq(help_task(self, "c", "reason"), "\"why not\"");
    help_take(self, "task.completed", "{\"task_id\":\"a\",\"worker\":\"w\"}");
    cr_assert_str_eq(help_task(self, "a", "status"), "\"cancelled\"", "its result is ignored");
    cr_assert_eq(help_apply(self, "task.cancel", "{\"task_id\":\"a\"}"), BUS_CONFLICT);
    cr_assert_eq(help_apply(self, "task.cancel", "{\"task_id\":\"x\"}"), BUS_NOT_FOUND);
    help_clock(self, 100000 * SECOND);
    cr_assert_eq(help_rows(self, HTM_DUE) + help_rows(self, HTM_ORDER) +
                     help_rows(self, HTM_DELAYED) + help_rows(self, HTM_RUNNING),
                 0);
    help_destroy(&self);
}

Test(life, that_is_enqueued_twice_is_lived_once)
{
    help_t *self = help_new();
    static const char once[] =
        "{\"task_id\":\"a\",\"task_type\":\"x\",\"handler\":\"h\",\"context\":{\"n\":1}}";
    help_take(self, "task.enqueue", "%s", once);
    cr_assert_str_eq(help_at(self, "duplicate"), "false");
    help_take(self, "task.enqueue", "%s", once);
    cr_assert_str_eq(help_at(self, "duplicate"), "true");
    cr_assert_str_eq(help_at(self, "seq"), "1");
    cr_assert_eq(help_rows(self, HTM_TASKS), 1);
    cr_assert_eq(help_apply(self,
                            "task.enqueue",
                            "{\"task_id\":\"a\",\"task_type\":\"x\",\"handler\":\"g\"}"),
                 BUS_CONFLICT);
    cr_assert_eq(help_count(self, "statistics.tasks_queued"), 1);
    cr_assert_eq(help_count(self, "statistics.duplicates"), 1);
    help_destroy(&self);
}

Test(life, keeps_the_queues_own_names_from_others)
{
    // Governance and memory find an intent's task by task_<seq>: nobody may be there before it.
    help_t *self = help_new();
    static const char *const names[] = {"task_2", "task_0", "task_18446744073709551616"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char body[96];
        (void) snprintf(body, sizeof body, "{\"task_id\":\"%s\",\"task_type\":\"x\"}", names[i]);
        cr_assert_eq(help_apply(self, "task.enqueue", body), BUS_VALIDATION_FAILED, "%s", names[i]);
    }
    help_take(self, "task.enqueue", "{\"task_id\":\"task_2b\",\"task_type\":\"x\"}");
    help_take(self, "layer3.intent.task", "{\"intent\":\"i\"}");
    cr_assert_str_eq(help_at(self, "task_id"), "\"task_5\"");
    cr_assert_eq(help_count(self, "statistics.tasks_queued"), 2);
    help_destroy(&self);
}

Test(life, does_not_begin_with_nonsense)
{
    help_t *self = help_new();
    static const char *const bodies[] = {
        "{\"task_type\":\"x\",\"handler\":\"a.b\"}",
        "{\"task_type\":\"x\",\"handler\":\"a b\"}",
        "{\"task_type\":\"x\",\"handler\":\"$bus\"}",
        "{\"task_type\":\"x\",\"sla_seconds\":0}",
        "{\"task_type\":\"x\",\"sla_seconds\":-1}",
        "{\"task_type\":\"x\",\"sla_seconds\":1e300}",
        "{\"task_type\":\"x\",\"sla_seconds\":1e-300}",
        "{\"task_type\":\"x\",\"lease_seconds\":0.01}",
        "{\"task_type\":\"x\",\"lease_seconds\":-5}",
        "{\"task_type\":\"x\",\"lease_seconds\":1e9}",
        "{\"task_type\":\"x\",\"delay_seconds\":-1}",
        "{\"task_type\":\"x\",\"delay_seconds\":1e18}",
        "{\"task_type\":\"x\",\"max_retries\":21}",
        "{\"handler\":\"x\"}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        cr_assert_eq(
            help_apply(self, "task.enqueue", bodies[i]), BUS_VALIDATION_FAILED, "%s", bodies[i]);
    }
    cr_assert_eq(help_rows(self, HTM_TASKS) + help_rows(self, HTM_IDS), 0);
    help_destroy(&self);
}

Test(life, shows_its_history)
{
    help_t *self = help_new();
    configure(self, "");
    ready(self, "w", "h", 1);
    help_take(self,
              "task.enqueue",
              "{\"task_id\":\"a\",\"task_type\":\"x\",\"handler\":\"h\",\"requester_id\":\"me\"}");
    help_take(self, "task.failed", "{\"task_id\":\"a\",\"error\":\"no\"}");
    cr_assert_str_eq(help_task(self, "a", "events"),
                     "[{\"at\":\"2026-01-01T00:00:00.000000Z\",\"what\":\"failed\",\"attempt\":1,"
                     "\"worker\":\"w\",\"detail\":\"no\"}]");
    cr_assert_str_eq(help_task(self, "a", "requester_id"), "\"me\"");
    cr_assert_str_eq(help_task(self, "a", "created_at"), "\"2026-01-01T00:00:00.000000Z\"");
    help_destroy(&self);
}
