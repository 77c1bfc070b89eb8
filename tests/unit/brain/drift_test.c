// drift_test.c - what is drift, what is said of it, and what is done.
#include "brain/drift.h"
#include "help.h"
#include <criterion/criterion.h>
#include <stdio.h>

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

TestSuite(drift, .init = setup, .fini = teardown);

Test(drift, says_what_the_seed_says)
{
    help_drill(help, "boot", "avg_boot_time", 301);
    cr_assert_str_eq(help_last(help, "layer3.intent.task"),
                     "{\"intent\":\"remediate_drift\","
                     "\"issue_type\":\"boot_performance_degradation\","
                     "\"details\":{\"metric\":\"boot_time_ms\",\"current\":301.0,"
                     "\"baseline\":200.0,\"action\":\"run_diagnostics\",\"depth\":0},"
                     "\"priority\":\"high\",\"sla_seconds\":3600.0,"
                     "\"reasoning\":\"Boot time exceeded threshold\","
                     "\"created_by\":\"agentic_brain_auto\",\"task_type\":\"run_diagnostics\","
                     "\"handler\":\"self_healing\"}");
    cr_assert_str_eq(help_last_trace(help, "layer3.intent.task"), "t-1");
    cr_assert_str_eq(help_last(help, "brain.drift"),
                     "{\"metric\":\"boot_time_ms\","
                     "\"issue_type\":\"boot_performance_degradation\",\"current\":301.0,"
                     "\"baseline\":200.0,\"threshold\":300.0,\"detector\":\"constant\","
                     "\"samples\":0,\"observed\":1,\"depth\":0,\"acted\":true,"
                     "\"reason\":\"boot_time_ms is 301 ms, above 300 ms (expected 200 ms). "
                     "run_diagnostics: the usual action for boot_performance_degradation, of which "
                     "nothing was tried yet\"}");
    cr_assert_str_eq(help_last_trace(help, "brain.drift"), "t-1");
}

Test(drift, rules_are_strict_at_their_thresholds)
{
    const struct {
        const char *key;
        double at, beyond;
        const char *issue_type, *action;
    } rows[] = {
        {"avg_boot_time", 300, 300.0001, "boot_performance_degradation", "run_diagnostics"},
        {"avg_boot_time", 299.9, 301, "boot_performance_degradation", "run_diagnostics"},
        {"avg_quality_score", 0.70, 0.6999999, "quality_degradation", "reprocess_low_quality"},
        {"avg_trust_score", 0.70, 0.6999999, "trust_degradation", "reprocess_low_quality"},
        {"sla_compliance_rate", 0.90, 0.8999999, "sla_compliance_issue", "optimize_htm_scheduling"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char quoted[64];
        help_trace(help, (int) i);
        help->at += 3600 * 24 * SECOND;
        help_forget(help);
        help_drill(help, "any", rows[i].key, rows[i].at);
        cr_assert_eq(help_count(help, "brain.drift"), 0, "%s at %g", rows[i].key, rows[i].at);
        help_forget(help);
        help_drill(help, "any", rows[i].key, rows[i].beyond);
        cr_assert_eq(help_count(help, "brain.drift"), 1, "%s at %g", rows[i].key, rows[i].beyond);
        snprintf(quoted, sizeof quoted, "\"%s\"", rows[i].issue_type);
        cr_assert_str_eq(help_last_at(help, "layer3.intent.task", "issue_type"), quoted);
        snprintf(quoted, sizeof quoted, "\"%s\"", rows[i].action);
        cr_assert_str_eq(help_last_at(help, "layer3.intent.task", "task_type"), quoted);
        help_done(help, "remediate_drift", rows[i].issue_type, rows[i].action, "{}");
    }
}

Test(drift, trust_is_not_quality)
{
    // The originals took avg_trust_score for chunk_quality; here each is its own.
    help_drill(help, "ingestion", "avg_trust_score", 0.5);
    cr_assert_str_eq(help_last_at(help, "brain.drift", "metric"), "\"trust_score\"");
    cr_assert_eq(help_count(help, "brain.drift"), 1);
}

Test(drift, two_metrics_of_one_drill_are_two_issues_of_one_depth)
{
    cr_assert_eq(help_apply(help,
                            "stress.ingestion.completed",
                            "{\"summary\":{\"avg_trust_score\":0.5,\"avg_quality_score\":0.5}}"),
                 BUS_OK);
    cr_assert_eq(help_count(help, "layer3.intent.task"), 2);
    cr_assert_str_eq(help_last_at(help, "layer3.intent.task", "details.depth"), "0");
}

Test(drift, what_is_no_value_of_the_metric_is_none)
{
    const char *none[] = {
        "{\"summary\":{}}",
        "{\"summary\":{\"avg_boot_time\":\"301\"}}",
        "{\"summary\":{\"avg_boot_time\":null}}",
        "{\"summary\":{\"avg_boot_time\":0.0,\"successful_boots\":0}}",
        "{\"summary\":{\"avg_boot_time\":1e300}}",
        "{\"summary\":{\"avg_trust_score\":-1,\"avg_quality_score\":-0.5}}",
        "{\"summary\":{\"sla_compliance_rate\":-3}}",
    };
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        cr_assert_eq(help_apply(help, "stress.boot.completed", none[i]), BUS_OK);
    }
    cr_assert_eq(help_apply(help, "stress.run.started", "{\"cycles\":5}"), BUS_OK);
    cr_assert_eq(help_count(help, "brain.drift"), 0);
    cr_assert_eq(help_apply(help, "stress.boot.completed", "{}"), BUS_VALIDATION_FAILED);
    cr_assert_eq(help_apply(help, "stress.boot.completed", "{\"summary\":3}"),
                 BUS_VALIDATION_FAILED);
}

Test(drift, without_a_trace_gets_one_that_the_story_shares)
{
    help->trace = NULL;
    help_drill(help, "boot", "avg_boot_time", 400);
    cr_assert_str_eq(help_last_trace(help, "brain.drift"), "drift_1");
    cr_assert_str_eq(help_last_trace(help, "layer3.intent.task"), "drift_1");
}

Test(drift, of_what_was_learned_is_said_once_and_then_learned_anew)
{
    help_configure(help, 0, 3);
    for (int i = 0; i < 40; i++) {
        help->at += SECOND;
        help_drill(help, "boot", "avg_boot_time", 80 + i % 3);
    }
    cr_assert_eq(help_count(help, "brain.drift"), 0);
    unsigned until = 0;
    while (help_count(help, "brain.drift") == 0 && until < 20) {
        help_drill(help, "boot", "avg_boot_time", 140);
        until++;
    }
    cr_assert_eq(until, 4);
    cr_assert_str_eq(help_last_at(help, "brain.drift", "detector"), "\"page\"");
    cr_assert_str_eq(help_last_at(help, "brain.drift", "acted"), "true");
    cr_assert_str_eq(help_last_at(help, "layer3.intent.task", "reasoning"),
                     "\"Boot time drifted above what was learned\"");
    cr_assert_neq(strstr(help_last_at(help, "brain.drift", "reason"), "(Page's test)"), NULL);
    for (int i = 0; i < 200; i++) {
        help_drill(help, "boot", "avg_boot_time", 140);
    }
    cr_assert_eq(help_count(help, "brain.drift"), 1, "140 is what is usual now");
}

Test(drift, prefers_what_worked_and_says_why)
{
    help_configure(help, 1, 3);
    help_drill(help, "boot", "avg_boot_time", 400);
    help_done(help,
              "remediate_drift",
              "boot_performance_degradation",
              "run_diagnostics",
              "{\"issue_resolved\":true,\"quality_score\":0.9}");
    help->at += 2 * SECOND;
    help->trace = "t-2";
    help_drill(help, "boot", "avg_boot_time", 400);
    // .5 + .3 * .9 + .2 / 1.1 = 0.951818…
    cr_assert_str_eq(help_last_at(help, "layer3.intent.task", "reasoning"),
                     "\"Boot time exceeded threshold; run_diagnostics: worked best for "
                     "boot_performance_degradation so far, scoring 0.95 over 1 task\"");
    cr_assert_str_eq(help_last_at(help, "layer3.intent.task", "task_type"), "\"run_diagnostics\"");
}

Test(drift, explores_another_action_where_the_usual_does_badly)
{
    help_configure(help, 1, 3);
    help_drill(help, "boot", "avg_boot_time", 400);
    help_done(help,
              "remediate_drift",
              "boot_performance_degradation",
              "run_diagnostics",
              "{\"issue_resolved\":false}");
    help->at += 2 * SECOND;
    help->trace = "t-2";
    cr_assert_eq(help_apply(help,
                            "stress.boot.completed",
                            "{\"summary\":{\"avg_boot_time\":400,\"components\":{\"broker\":900,"
                            "\"bucket\":200,\"karma\":300,\"core\":\"x\"}}}"),
                 BUS_OK);
    cr_assert_str_eq(help_last_at(help, "layer3.intent.task", "task_type"), "\"restart_peer\"");
    cr_assert_str_eq(help_last_at(help, "layer3.intent.task", "details.part"), "\"karma\"");
    cr_assert_neq(strstr(help_last_at(help, "brain.drift", "reason"),
                         "restart_peer: explored, because the best so far, run_diagnostics, "
                         "scores 0.33 over 1 task"),
                  NULL);
    help_done(help,
              "remediate_drift",
              "boot_performance_degradation",
              "restart_peer",
              "{\"issue_resolved\":true}");
    help->at += 2 * SECOND;
    help->trace = "t-3";
    help_drill(help, "boot", "avg_boot_time", 400);
    cr_assert_str_eq(help_last_at(help, "layer3.intent.task", "task_type"), "\"restart_peer\"");
    cr_assert_eq(help_ask(help, "why", "{\"issue_type\":\"boot_performance_degradation\"}"),
                 BUS_OK);
    cr_assert_str_eq(help_at(help, "choice"), "\"restart_peer\"");
    cr_assert_str_eq(help_at(help, "why"),
                     "\"restart_peer: worked best for boot_performance_degradation so far, scoring "
                     "0.83 over 1 task\"");
}

Test(drift, a_damaged_record_begins_anew)
{
    help_drill(help, "boot", "avg_boot_time", 80);
    help_damage(help, BRAIN_METRICS, VIEW_LITERAL("boot_time_ms"));
    help_damage(help, BRAIN_ISSUES, VIEW_LITERAL("remediate_drift boot_performance_degradation"));
    help_damage(help, BRAIN_SINGLES, VIEW_LITERAL("config"));
    help_drill(help, "boot", "avg_boot_time", 400);
    cr_assert_eq(help_count(help, "layer3.intent.task"), 1);
}
