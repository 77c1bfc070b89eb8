// memory_test.c - the kernel memory: episodes, and what is recalled of them.
#include "help.h"
#include "kernel/memory_episode.h"
#include <criterion/criterion.h>
#include <stdio.h>

static help_t *help;

static void
setup(void)
{
    help = help_new(&kernel_memory_definition);
    help->source = "htm"; // whose word it takes for starts and ends
}

static void
teardown(void)
{
    help_destroy(&help);
}

TestSuite(memory, .init = setup, .fini = teardown);

static uint64_t
intend(const char *issue, const char *trace)
{
    char json[400];
    snprintf(json,
             sizeof json,
             "{\"intent\":\"remediate_drift\",\"issue_type\":\"%s\",\"details\":{\"current\":0.5},"
             "\"created_by\":\"agentic_brain_auto\",\"reasoning\":\"since\"}",
             issue);
    help->trace_id = trace;
    cr_assert_eq(help_apply(help, "layer3.intent.task", json), BUS_OK);
    return help->seq;
}

static void
begin(const char *task_id, const char *type, unsigned attempt)
{
    char json[500];
    snprintf(json,
             sizeof json,
             "{\"task_id\":\"%s\",\"task_type\":\"%s\",\"handler\":\"self_healing\",\"priority\":"
             "\"high\",\"worker\":\"w%u\",\"attempt\":%u,\"at\":1,\"cause\":1,\"queued_us\":5,"
             "\"dispatch_us\":5,\"overtook\":0}",
             task_id,
             type,
             attempt,
             attempt);
    cr_assert_eq(help_apply(help, "task.started", json), BUS_OK);
}

static void
finish(const char *task_id, const char *type, const char *status, const char *result)
{
    char json[900];
    snprintf(json,
             sizeof json,
             "{\"task_id\":\"%s\",\"task_type\":\"%s\",\"handler\":\"self_healing\",\"priority\":"
             "\"high\",\"status\":\"%s\",\"attempts\":1,\"worker\":\"w1\",\"queued_us\":2000000,"
             "\"run_us\":60000000,\"sla_seconds\":3600,\"sla_met\":true%s%s}",
             task_id,
             type,
             status,
             result[0] != '\0' ? ",\"result\":" : "",
             result);
    cr_assert_eq(help_apply(help, "task.done", json), BUS_OK);
}

// A whole story.
static void
live(const char *issue, const char *trace, const char *type, const char *status, const char *result)
{
    char task_id[32];
    snprintf(task_id, sizeof task_id, "task_%llu", (unsigned long long) intend(issue, trace));
    begin(task_id, type, 1);
    finish(task_id, type, status, result);
}

static const char *
recall(const char *json, const char *path)
{
    cr_assert_eq(help_ask(help, "recall", json), BUS_OK);
    return help_at(help, path);
}

Test(memory, makes_one_episode_of_an_intent_its_starts_and_its_end)
{
    help->at = T0;
    uint64_t seq = intend("trust_degradation", "t-1");
    cr_assert_eq(seq, 1);
    help->at = T0 + 1000000;
    begin("task_1", "run_diagnostics", 1);
    help->at = T0 + 2000000;
    begin("task_1", "run_diagnostics", 2);
    help->at = T0 + 62000000;
    finish("task_1", "run_diagnostics", "completed", "{\"quality_score\":0.9,\"n\":1}");
    // .5 * 1 + .3 * .9 + .2 / (1 + 1 minute)
    cr_assert_str_eq(
        recall("{}", "episodes"),
        "[{\"episode\":1,\"task_id\":\"task_1\",\"trace_id\":\"t-1\",\"intent\":\"remediate_"
        "drift\","
        "\"issue_type\":\"trust_degradation\",\"created_by\":\"agentic_brain_auto\",\"reasoning\":"
        "\"since\",\"details\":{\"current\":0.5},\"handler\":\"self_healing\",\"task_type\":"
        "\"run_diagnostics\",\"priority\":\"high\",\"status\":\"completed\",\"worker\":\"w1\","
        "\"attempts\":1,\"asked_at\":\"2026-01-01T00:00:00.000000Z\",\"started_at\":"
        "\"2026-01-01T00:00:02.000000Z\",\"ended_at\":\"2026-01-01T00:01:02.000000Z\","
        "\"queued_seconds\":2.0,\"run_seconds\":60.0,\"sla_met\":true,\"success\":true,"
        "\"quality_score\":0.9,\"score\":0.87,\"result\":{\"quality_score\":0.9,\"n\":1}}]");
    cr_assert_eq(help_count(help, KERNEL_MEMORY_EPISODES), 1);
}

Test(memory, takes_a_result_that_leaves_the_issue_open_for_no_success)
{
    live("i", "t", "a", "completed", "{\"issue_resolved\":false,\"quality_score\":1}");
    live("i", "t", "a", "dead", "");
    cr_assert_str_eq(
        recall("{\"limit\":1}", "actions"),
        "[{\"handler\":\"self_healing\",\"task_type\":\"a\",\"count\":2,\"successes\":0,"
        "\"average_score\":0.325}]"); // (.3 + .1 + .15 + .1) / 2
}

Test(memory, recalls_by_issue_by_trace_and_by_both_the_best_first)
{
    live("boot", "t-1", "run_diagnostics", "dead", "");
    live("boot", "t-2", "restart_peer", "completed", "{\"issue_resolved\":true}");
    live("trust", "t-2", "reprocess", "completed", "{}");
    live("boot", "t-3", "run_diagnostics", "completed", "{\"quality_score\":1}");
    intend("boot", "t-4"); // not over
    cr_assert_str_eq(recall("{\"issue_type\":\"boot\"}", "matched"), "4");
    const char *text = help_text(help->answer);
    const char *best = strstr(text, "\"trace_id\":\"t-3\"");
    const char *good = strstr(text, "\"trace_id\":\"t-2\"");
    const char *bad = strstr(text, "\"trace_id\":\"t-1\"");
    const char *open = strstr(text, "\"trace_id\":\"t-4\"");
    cr_assert(best != NULL && best < good && good < bad && bad < open);
    cr_assert_str_eq(recall("{\"trace_id\":\"t-2\"}", "count"), "2");
    cr_assert_str_eq(recall("{\"trace_id\":\"t-2\",\"issue_type\":\"trust\"}", "count"), "1");
    cr_assert_str_eq(recall("{\"trace_id\":\"t-9\"}", "count"), "0");
    cr_assert_str_eq(recall("{\"trace_id\":\"t-\"}", "count"), "0"); // a part is none
    cr_assert_str_eq(recall("{\"task_type\":\"run_diagnostics\"}", "count"), "2");
    cr_assert_str_eq(recall("{\"handler\":\"self_healing\",\"limit\":3}", "count"), "3");
    cr_assert_str_eq(recall("{\"handler\":\"self_healing\",\"limit\":3}", "matched"), "4");
}

Test(memory, remembers_a_task_that_no_intent_asked_for)
{
    help->trace_id = "t-7";
    begin("mine", "count", 1);
    finish("mine", "count", "completed", "{}");
    finish("never-started", "count", "cancelled", "");
    cr_assert_str_eq(recall("{\"task_type\":\"count\"}", "count"), "2");
    cr_assert_str_eq(recall("{\"trace_id\":\"t-7\"}", "count"), "2");
}

Test(memory, forgets_the_oldest_of_a_class_and_nothing_of_the_other)
{
    char task_id[32];
    live("boot", "t-1", "a", "completed", "{}");
    for (unsigned i = 0; i < KERNEL_MEMORY_EPISODES_MAX + 2; i++) {
        snprintf(task_id, sizeof task_id, "n%u", i);
        begin(task_id, "flood", 1);
    }
    cr_assert_eq(help_count(help, KERNEL_MEMORY_EPISODES), KERNEL_MEMORY_EPISODES_MAX + 1);
    cr_assert_eq(help_count(help, KERNEL_MEMORY_TASKS), KERNEL_MEMORY_EPISODES_MAX + 1);
    cr_assert_str_eq(recall("{\"issue_type\":\"boot\"}", "count"), "1");
    begin("n0", "flood", 1); // forgotten: an episode of its own again
    cr_assert_eq(help_count(help, KERNEL_MEMORY_EPISODES), KERNEL_MEMORY_EPISODES_MAX + 1);
}

Test(memory, goes_on_where_an_episode_is_damaged)
{
    intend("boot", "t-1");
    help_damage(help, KERNEL_MEMORY_EPISODES, STORE_U64(1));
    begin("task_1", "a", 1);
    finish("task_1", "a", "completed", "{}");
    cr_assert_str_eq(recall("{\"task_type\":\"a\"}", "count"), "1");
    cr_assert_str_eq(recall("{\"issue_type\":\"boot\"}", "count"), "0");
}
