// observe_test.c - anomalies, broken promises, telemetry, a full queue, drills.
#include "brain/live.h"
#include "help.h"
#include "proto/transcode.h"
#include <criterion/criterion.h>
#include <stdio.h>

static help_t *help;

static void
setup(void)
{
    help = help_new();
    help_configure(help, 60, 3);
    help->trace = "t-1";
}

static void
teardown(void)
{
    help_destroy(&help);
}

TestSuite(observe, .init = setup, .fini = teardown);

static void
anomalies(const char *list)
{
    cr_assert_eq(help_apply_format(help,
                                   "hunter.anomaly.detected",
                                   "{\"anomalies\":%s,\"timestamp\":\"2026-01-01T00:00:00Z\"}",
                                   list),
                 BUS_OK);
}

Test(observe, each_type_of_anomaly_is_investigated_once_a_cooldown)
{
    const char *two = "[{\"type\":\"high_cpu\",\"value\":93.5,\"threshold\":90,\"severity\":"
                      "\"high\"},{\"type\":\"high_memory\",\"value\":90,\"threshold\":85}]";
    anomalies(two);
    cr_assert_eq(help_count(help, "layer3.intent.task"), 2);
    anomalies("[{\"type\":\"high_cpu\",\"value\":93.5,\"threshold\":90,\"severity\":\"high\"}]");
    anomalies(two);
    cr_assert_eq(help_count(help, "layer3.intent.task"), 2);
    help_done(help, "investigate_anomalies", "high_cpu", "run_diagnostics", "{}");
    help_forget(help);
    help->at += 61 * SECOND;
    help->trace = "t-2";
    anomalies(two);
    cr_assert_eq(help_count(help, "layer3.intent.task"), 1, "the other is still open");
    cr_assert_str_eq(help_last(help, "layer3.intent.task"),
                     "{\"intent\":\"investigate_anomalies\",\"issue_type\":\"high_cpu\","
                     "\"details\":{\"type\":\"high_cpu\",\"value\":93.5,\"threshold\":90,"
                     "\"severity\":\"high\"},\"priority\":\"high\",\"sla_seconds\":1800.0,"
                     "\"reasoning\":\"high_cpu was detected\","
                     "\"created_by\":\"agentic_brain_auto\",\"task_type\":\"run_diagnostics\","
                     "\"handler\":\"self_healing\"}");
}

Test(observe, what_names_no_type_is_no_anomaly)
{
    anomalies(
        "[3,{},{\"type\":7},{\"type\":\"\"},{\"type\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}]");
    cr_assert_eq(help_count(help, "layer3.intent.task"), 0);
}

Test(observe, anomalies_of_ever_new_names_reach_a_limit)
{
    help_batch_begin(help);
    for (int i = 0; i < 1100; i++) {
        char list[64];
        snprintf(list, sizeof list, "[{\"type\":\"x%d\"}]", i);
        help_trace(help, (int) i);
        anomalies(list);
    }
    help_batch_end(help);
    cr_assert_eq(help_count(help, "layer3.intent.task"), 1024 + 1);
    help_drill(help, "boot", "avg_boot_time", 400);
    cr_assert_eq(help_count(help, "layer3.intent.task"), 1024 + 2, "our own issues have room");
}

Test(observe, made_up_names_lock_no_new_one_out_for_ever)
{
    help_batch_begin(help);
    for (int i = 0; i < 1024; i++) {
        help_trace(help, i);
        char list[64];
        snprintf(list, sizeof list, "[{\"type\":\"x%d\"}]", i);
        anomalies(list);
    }
    help_batch_end(help);
    unsigned before = help_count(help, "layer3.intent.task");
    help_trace(help, 5000);
    anomalies("[{\"type\":\"audit_damaged\"}]");
    cr_assert_eq(help_count(help, "layer3.intent.task"), before + 1);
    help_trace(help, 5001);
    anomalies("[{\"type\":\"build_mismatch\"}]");
    cr_assert_eq(help_count(help, "layer3.intent.task"), before + 1, "one of them is open");
    help_trace(help, 5000);
    help_done(help, "investigate_anomalies", "audit_damaged", "run_diagnostics", "{}");
    help->at += 61 * SECOND;
    help_trace(help, 5002);
    anomalies("[{\"type\":\"build_mismatch\"}]");
    cr_assert_eq(help_count(help, "layer3.intent.task"), before + 2);
}

Test(observe, a_breach_is_investigated_and_a_warning_is_not)
{
    const char *json = "{\"task_id\":\"task_7\",\"task_type\":\"x\",\"handler\":\"h\","
                       "\"priority\":\"high\",\"status\":\"waiting\",\"sla_seconds\":1,"
                       "\"elapsed_seconds\":2}";
    cr_assert_eq(help_apply(help, "task.sla.warning", json), BUS_OK);
    cr_assert_eq(help_count(help, "layer3.intent.task"), 0);
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(help_apply(help, "task.sla.breached", json), BUS_OK);
    }
    cr_assert_eq(help_count(help, "layer3.intent.task"), 1);
    cr_assert_str_eq(help_last_at(help, "layer3.intent.task", "reasoning"),
                     "\"Task task_7 broke its SLA\"");
}

Test(observe, a_drill_with_breaches_is_investigated)
{
    help_drill(help, "htm", "sla_breaches", 0);
    cr_assert_eq(help_count(help, "layer3.intent.task"), 0);
    help_drill(help, "htm", "sla_breaches", 1);
    cr_assert_str_eq(help_last_at(help, "layer3.intent.task", "issue_type"), "\"sla_breach\"");
}

Test(observe, weak_trust_is_to_be_improved_before_it_is_drift)
{
    help_drill(help, "ingestion", "avg_trust_score", 0.8);
    cr_assert_eq(help_count(help, "layer3.intent.task"), 0);
    help_drill(help, "ingestion", "avg_trust_score", 0.79);
    cr_assert_str_eq(help_last_at(help, "layer3.intent.task", "intent"),
                     "\"improve_trust_scores\"");
    cr_assert_str_eq(help_last_at(help, "layer3.intent.task", "priority"), "\"high\"");
    cr_assert_eq(help_count(help, "brain.drift"), 0);
}

// --- Live ----------------------------------------------------------------------------------------

Test(observe, a_full_queue_is_to_be_put_in_order)
{
    const char *full = "{\"kind\":\"queue\",\"values\":{\"queued\":%d,\"running\":4}}";
    cr_assert_eq(help_apply_format(help, "brain.observation", full, 6), BUS_OK);
    cr_assert_eq(help_count(help, "layer3.intent.task"), 0, "ten are not more than ten");
    cr_assert_eq(help_apply_format(help, "brain.observation", full, 7), BUS_OK);
    cr_assert_eq(help_apply_format(help, "brain.observation", full, 70), BUS_OK);
    cr_assert_eq(help_count(help, "layer3.intent.task"), 1);
    cr_assert_str_eq(help_last_at(help, "layer3.intent.task", "intent"), "\"optimize_retrieval\"");
    cr_assert_str_eq(help_last_at(help, "layer3.intent.task", "priority"), "\"low\"");
    cr_assert_eq(
        help_apply(help, "brain.observation", "{\"kind\":\"queue\",\"values\":{\"queued\":\"x\"}}"),
        BUS_OK);
    cr_assert_eq(help_apply(help, "brain.observation", "{\"kind\":\"else\",\"values\":{}}"),
                 BUS_OK);
}

Test(observe, telemetry_that_leaves_what_was_learned_is_drift)
{
    const char *json = "{\"kind\":\"telemetry\",\"values\":{\"cpu_percent\":%d,\"nonsense\":3}}";
    help->trace = NULL;
    for (int i = 0; i < 30; i++) {
        cr_assert_eq(help_apply_format(help, "brain.observation", json, 20 + i % 5), BUS_OK);
    }
    cr_assert_eq(help_count(help, "brain.drift"), 0);
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(help_apply_format(help, "brain.observation", json, 70), BUS_OK);
    }
    cr_assert_eq(help_count(help, "brain.drift"), 1);
    cr_assert_str_eq(help_last_at(help, "brain.drift", "issue_type"), "\"cpu_usage_drift\"");
    cr_assert_str_eq(help_last_at(help, "layer3.intent.task", "task_type"), "\"run_diagnostics\"");
}

Test(observe, a_drill_is_asked_for_while_the_queue_is_light_and_none_is_open)
{
    const char *clock = "{\"queued\":%d,\"running\":%d}";
    help->trace = NULL;
    cr_assert_eq(help_apply_format(help, "brain.clock", clock, 3, 2), BUS_OK);
    cr_assert_eq(help_apply(help, "brain.clock", "{}"), BUS_OK);
    cr_assert_eq(help_apply_format(help, "brain.clock", clock, 5, 0), BUS_OK);
    cr_assert_eq(help_apply(help, "brain.clock", "{\"queued\":9223372036854775807,\"running\":1}"),
                 BUS_OK);
    cr_assert_eq(help_count(help, "layer3.intent.task"), 0);
    cr_assert_eq(help_apply_format(help, "brain.clock", clock, 2, 2), BUS_OK);
    cr_assert_str_eq(help_last(help, "layer3.intent.task"),
                     "{\"intent\":\"proactive_stress_test\",\"priority\":\"low\","
                     "\"sla_seconds\":86400.0,"
                     "\"reasoning\":\"Queue light, opportunistic stress testing\","
                     "\"created_by\":\"agentic_brain_auto\",\"task_type\":\"run_stress_drill\","
                     "\"handler\":\"stress_runner\"}");
    help->at += 300 * SECOND;
    cr_assert_eq(help_apply_format(help, "brain.clock", clock, 0, 0), BUS_OK);
    cr_assert_eq(help_count(help, "layer3.intent.task"), 1, "one is open");
    char trace[32];
    snprintf(trace, sizeof trace, "%s", help_last_trace(help, "layer3.intent.task"));
    cr_assert_str_eq(trace, "drill_6");
    help->trace = trace;
    help_done(help, "proactive_stress_test", NULL, "run_stress_drill", "{}");
    help->trace = NULL;
    cr_assert_eq(help_apply_format(help, "brain.clock", clock, 0, 0), BUS_OK);
    cr_assert_eq(help_count(help, "layer3.intent.task"), 2, "300 s since the last");
    help->at += 299 * SECOND;
    cr_assert_eq(help_apply_format(help, "brain.clock", clock, 0, 0), BUS_OK);
    cr_assert_eq(help_count(help, "layer3.intent.task"), 2);
}

Test(observe, no_drill_is_asked_for_where_they_are_off)
{
    cr_assert_eq(help_apply(help,
                            "brain.config",
                            "{\"drill_seconds\":1,\"cooldown_seconds\":1,\"depth_max\":3,"
                            "\"drills\":false}"),
                 BUS_OK);
    cr_assert_eq(help_apply(help, "brain.clock", "{\"queued\":0,\"running\":0}"), BUS_OK);
    cr_assert_eq(help_count(help, "layer3.intent.task"), 0);
}

static bus_view_t
packed(const char *json, pack_t *out)
{
    pack_clear(out);
    cr_assert_eq(transcode_from_json(view_from_text(json), out, NULL, 0), BUS_OK);
    return pack_view(out);
}

Test(observe, of_telemetry_only_known_metrics_are_journaled)
{
    BUS_AUTO(pack_destroy) pack_t *in = pack_new();
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    BUS_AUTO(text_destroy) text_t *json = text_new();
    bus_view_t summary = packed("{\"cpu_percent\":{\"min\":1,\"mean\":12.5,\"max\":90},"
                                "\"memory_percent\":40,\"load1\":{\"mean\":3},"
                                "\"lag\":{\"mean\":\"x\"}}",
                                in);
    cr_assert_eq(brain_live_pick(summary, out), 2);
    transcode_to_json(pack_view(out), 0, json);
    cr_assert_str_eq(text_view(json).data, "{\"cpu_percent\":12.5,\"memory_percent\":40.0}");
    pack_clear(out);
    cr_assert_eq(brain_live_pick(packed("{\"cpu_percent\":101}", in), out), 0);
}

Test(observe, a_queue_is_summed_up_as_htm_says_it)
{
    BUS_AUTO(pack_destroy) pack_t *in = pack_new();
    int64_t queued = -1, running = -1;
    cr_assert(brain_live_sum(packed("{\"critical\":1,\"high\":2,\"normal\":3,\"low\":4,"
                                    "\"running\":5,\"held\":6}",
                                    in),
                             &queued,
                             &running));
    cr_assert_eq(queued, 16);
    cr_assert_eq(running, 5);
    cr_assert_not(brain_live_sum(packed("{}", in), &queued, &running));
    cr_assert_not(brain_live_sum(packed("{\"low\":\"x\"}", in), &queued, &running));
    cr_assert_not(brain_live_sum(packed("3", in), &queued, &running));
    cr_assert_not(brain_live_sum(packed("{\"low\":-1}", in), &queued, &running));
}
