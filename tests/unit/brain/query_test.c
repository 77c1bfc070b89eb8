// query_test.c - what the brain answers, whole and in order.
#include "help.h"
#include <criterion/criterion.h>

static help_t *help;

static void
setup(void)
{
    help = help_new();
    help->trace = "t-1";
}

static void
teardown(void)
{
    help_destroy(&help);
}

TestSuite(query, .init = setup, .fini = teardown);

static bool
says(const char *path, const char *words)
{
    return strstr(help_at(help, path), words) != NULL;
}

Test(query, the_status_of_a_brain_that_saw_nothing_is_whole)
{
    cr_assert_eq(help_ask(help, "status", "{}"), BUS_OK);
    const char *const empty[] = {
        "learned", "open", "issues", "drifts", "scores", "recommendations"};
    for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++) {
        cr_assert_str_eq(help_at(help, empty[i]), "[]", "%s", empty[i]);
    }
    cr_assert_str_eq(help_at(help, "drift_count"), "0");
    cr_assert_str_eq(help_at(help, "queue"), "{\"known\":false}");
    cr_assert_str_eq(help_at(help, "sla"), "{\"tasks\":0,\"compliance\":1.0}");
    cr_assert_str_eq(help_at(help, "drills"),
                     "{\"asked\":0,\"open\":false,\"last_at\":null,\"ended_at\":null}");
    cr_assert_str_eq(help_at(help, "config"),
                     "{\"drill_seconds\":300.0,\"cooldown_seconds\":60.0,\"depth_max\":3,"
                     "\"drills\":true}");
    cr_assert(says("baselines",
                   "{\"metric\":\"boot_time_ms\",\"source\":\"drill\","
                   "\"issue_type\":\"boot_performance_degradation\",\"worse\":\"above\","
                   "\"baseline\":200.0,\"threshold\":300.0,\"well\":250.0}"));
    cr_assert(says("intents", "\"intent\":\"remediate_drift\""));
}

Test(query, the_status_shows_what_was_learned_once_there_are_twenty_values)
{
    help_batch_begin(help);
    for (int i = 0; i < 19; i++) {
        help_drill(help, "boot", "avg_boot_time", 80);
    }
    help_batch_end(help);
    cr_assert_eq(help_ask(help, "status", "{}"), BUS_OK);
    cr_assert(says("learned", "\"samples\":19,\"last\":80.0,"));
    cr_assert_not(says("learned", "\"mean\""));
    help_drill(help, "boot", "avg_boot_time", 80);
    cr_assert_eq(help_ask(help, "status", "{}"), BUS_OK);
    cr_assert(says("learned", "\"mean\":80.0,\"deviation\":10.0,\"sum\":0.0,\"sum_max\":8.0"));
}

Test(query, what_is_open_is_shown_until_it_is_over)
{
    help_drill(help, "boot", "avg_boot_time", 400);
    cr_assert_eq(help_ask(help, "status", "{}"), BUS_OK);
    cr_assert(says("open",
                   "[{\"intent\":\"remediate_drift\","
                   "\"issue_type\":\"boot_performance_degradation\",\"state\":\"open\","));
    cr_assert(says("open", "\"action\":\"run_diagnostics\",\"trace_id\":\"t-1\"}]"));
    help_done(help, "remediate_drift", "boot_performance_degradation", "run_diagnostics", "{}");
    cr_assert_eq(help_ask(help, "status", "{}"), BUS_OK);
    cr_assert_str_eq(help_at(help, "open"), "[]");
    cr_assert(says("issues", "\"state\":\"over\""));
    cr_assert_eq(help_ask(help, "scores", "{}"), BUS_OK);
    cr_assert(says("outcomes",
                   "[{\"issue_type\":\"boot_performance_degradation\","
                   "\"action\":\"run_diagnostics\",\"score\":"));
}

Test(query, drifts_come_the_latest_first_and_no_more_than_asked_for)
{
    for (int i = 1; i <= 5; i++) {
        help->at = T0 + (uint64_t) i * SECOND;
        help_drill(help, "boot", "avg_boot_time", 400 + i);
    }
    cr_assert_eq(help_ask(help, "drifts", "{\"limit\":2}"), BUS_OK);
    cr_assert_str_eq(help_at(help, "count"), "2");
    cr_assert(says("drifts", "[{\"at\":\"2026-01-01T00:00:05.000000Z\",\"trace_id\":\"t-1\","));
    cr_assert(says("drifts", "\"current\":404.0"));
    cr_assert_not(says("drifts", "\"current\":403.0"));
    cr_assert_eq(help_ask(help, "drifts", "{}"), BUS_OK);
    cr_assert_str_eq(help_at(help, "count"), "5");
}

Test(query, an_issue_that_nobody_knows_has_a_usual_action)
{
    cr_assert_eq(help_ask(help, "why", "{\"issue_type\":\"something_else\"}"), BUS_OK);
    cr_assert_str_eq(help_at(help, "choice"), "\"run_diagnostics\"");
    cr_assert_str_eq(help_at(help, "why"),
                     "\"run_diagnostics: the usual action for something_else, of which nothing was "
                     "tried yet\"");
}
