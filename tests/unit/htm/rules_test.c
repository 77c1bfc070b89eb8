// rules_test.c - deadlines, pressure, the reserve, intents and governance.
#include "help.h"
#include <criterion/criterion.h>
#include <stdio.h>

static void
ready(help_t *self, const char *handler, unsigned slots)
{
    help_take(self,
              "task.worker.ready",
              "{\"worker\":\"w-%s\",\"handlers\":[\"%s\"],\"slots\":%u}",
              handler,
              handler,
              slots);
}

static void
enqueue(help_t *self, const char *name, const char *priority, unsigned sla_seconds)
{
    help_take(self,
              "task.enqueue",
              "{\"task_id\":\"%s\",\"task_type\":\"x\",\"handler\":\"h\",\"priority\":\"%s\","
              "\"sla_seconds\":%u}",
              name,
              priority,
              sla_seconds);
}

// --- Deadlines -----------------------------------------------------------------------------------

Test(rules, raise_a_waiting_task_at_half_and_at_a_fifth_and_say_each_once)
{
    help_t *self = help_new();
    enqueue(self, "a", "low", 100);
    help_clock(self, 50 * SECOND);
    cr_expect_brief(self, "");
    help_clock(self, 1);
    cr_expect_brief(self, "escalated a low high\n");
    help_forget(self);
    help_clock(self, 30 * SECOND - 1);
    cr_expect_brief(self, "sla.warning a waiting\n");
    help_forget(self);
    help_clock(self, 1);
    cr_expect_brief(self, "escalated a high critical\n");
    help_forget(self);
    help_clock(self, 20 * SECOND - 2);
    cr_expect_brief(self, "");
    help_clock(self, 1);
    cr_expect_brief(self, "sla.breached a waiting\n");
    help_clock(self, 1000 * SECOND);
    cr_expect_brief(self, "sla.breached a waiting\n");
    ready(self, "h", 1);
    help_forget(self);
    help_take(self, "task.completed", "{\"task_id\":\"a\"}");
    cr_expect_brief(self, "done a completed 1 false\n");
    cr_assert_eq(help_count(self, "statistics.escalations"), 2);
    cr_assert_eq(help_count(self, "statistics.sla_warnings"), 1);
    cr_assert_eq(help_count(self, "statistics.sla_breaches"), 1);
    help_destroy(&self);
}

Test(rules, raise_past_those_that_were_before_it)
{
    help_t *self = help_new();
    enqueue(self, "a", "high", 1000);
    enqueue(self, "b", "low", 100);
    help_clock(self, 90 * SECOND);
    help_forget(self);
    ready(self, "h", 1);
    cr_expect_brief(self, "started b w-h 1 1\n");
    cr_assert_eq(help_count(self, "statistics.overtakes"), 1);
    help_destroy(&self);
}

Test(rules, do_not_raise_a_running_task)
{
    help_t *self = help_new();
    ready(self, "h", 1);
    help_take(self,
              "task.enqueue",
              "{\"task_id\":\"a\",\"task_type\":\"x\",\"handler\":\"h\",\"priority\":\"low\","
              "\"sla_seconds\":10,\"lease_seconds\":60}");
    help_forget(self);
    help_clock(self, 11 * SECOND);
    cr_expect_brief(self, "sla.warning a running\nsla.breached a running\n");
    help_destroy(&self);
}

Test(rules, of_escalation_can_be_ordered)
{
    help_t *self = help_new();
    help_take(self, "task.order", "{\"escalate_percent\":75}");
    cr_assert_str_eq(help_at(self, "escalate_percent"), "75");
    enqueue(self, "a", "normal", 100);
    help_clock(self, 25 * SECOND + 1);
    cr_expect_brief(self, "escalated a normal high\n");
    help_destroy(&self);
}

Test(rules, take_no_more_than_a_thousand_things_a_record)
{
    help_t *self = help_new();
    for (unsigned i = 0; i < 1100; i++) {
        help_take(self, "task.enqueue", "{\"task_type\":\"x\",\"sla_seconds\":1}");
    }
    help_clock(self, 600000);
    cr_assert_eq(help_count(self, "statistics.escalations"), 1000);
    help_clock(self, 0);
    cr_assert_eq(help_count(self, "statistics.escalations"), 1100);
    help_destroy(&self);
}

Test(rules, start_no_more_than_a_thousand_tasks_a_record_and_the_rest_with_the_next)
{
    help_t *self = help_new();
    for (unsigned i = 0; i < 1100; i++) {
        help_take(self, "task.enqueue", "{\"task_type\":\"x\",\"handler\":\"h\"}");
    }
    ready(self, "h", 1024);
    cr_assert_eq(help_count(self, "queue_sizes.running"), 1000);
    help_reopen(self);
    help_clock(self, 1);
    cr_assert_eq(help_count(self, "queue_sizes.running"), 1024);
    help_destroy(&self);
}

// --- Pressure and order --------------------------------------------------------------------------

Test(rules, leave_a_quarter_of_the_slots_to_the_others_on_a_strained_machine)
{
    help_t *self = help_new();
    ready(self, "h", 4);
    cr_assert_eq(help_apply(self,
                            "task.pressure",
                            "{\"strained\":true,\"cpu_percent\":99,\"memory_percent\":1}"),
                 BUS_UNAUTHORIZED_ACCESS,
                 "HTM alone says so");
    self->source = "htm";
    help_take(self, "task.pressure", "{\"strained\":true,\"cpu_percent\":99,\"memory_percent\":1}");
    enqueue(self, "a", "low", 100);
    enqueue(self, "b", "normal", 100);
    enqueue(self, "c", "high", 100);
    enqueue(self, "d", "critical", 100);
    enqueue(self, "e", "normal", 100);
    cr_expect_brief(self, "started a w-h 1 0\nstarted c w-h 1 1\nstarted d w-h 1 1\n");
    cr_assert_eq(help_ask(self, "status", "{}"), BUS_OK);
    cr_assert_str_eq(help_at(self, "system_health"), "\"strained\"");
    help_forget(self);
    self->at += 5 * SECOND;
    help_take(self, "task.pressure", "{\"strained\":false,\"cpu_percent\":9,\"memory_percent\":1}");
    cr_expect_brief(self, "started b w-h 1 0\n");
    cr_assert_not_null(strstr(help_text(self->said), "\"dispatch_us\":5000000,"));
    help_destroy(&self);
}

Test(rules, keep_a_reserve_for_high_and_critical)
{
    help_t *self = help_new();
    help_take(self, "task.order", "{\"reserve\":50}");
    ready(self, "h", 4);
    enqueue(self, "a", "low", 1000);
    enqueue(self, "b", "low", 1000);
    enqueue(self, "c", "low", 1000);
    enqueue(self, "d", "high", 1000);
    cr_expect_brief(self, "started a w-h 1 0\nstarted b w-h 1 0\nstarted d w-h 1 1\n");
    help_forget(self);
    help_take(self, "task.completed", "{\"task_id\":\"d\"}");
    cr_expect_brief(self, "done d completed 1 true\n");
    help_forget(self);
    help_take(self, "task.completed", "{\"task_id\":\"a\"}");
    cr_expect_brief(self, "done a completed 1 true\nstarted c w-h 1 0\n");
    help_destroy(&self);
}

Test(rules, leave_a_single_slot_to_everybody)
{
    help_t *self = help_new();
    help_take(self, "task.order", "{\"reserve\":50}");
    ready(self, "h", 1);
    enqueue(self, "a", "low", 1000);
    cr_expect_brief(self, "started a w-h 1 0\n");
    help_destroy(&self);
}

// --- Intents -------------------------------------------------------------------------------------

Test(rules, make_a_task_of_an_intent_in_its_trace)
{
    help_t *self = help_new();
    self->trace = "drift-1";
    help_take(self,
              "layer3.intent.task",
              "{\"intent\":\"remediate_drift\",\"issue_type\":\"quality_degradation\","
              "\"details\":{\"metric\":\"m\",\"action\":\"reprocess_low_quality\",\"depth\":0,"
              "\"intent\":\"spoof\"},\"priority\":\"high\",\"sla_seconds\":3600,"
              "\"created_by\":\"agentic_brain_auto\"}");
    cr_assert_str_eq(help_at(self, "task_id"), "\"task_1\"");
    cr_assert_str_eq(help_task(self, "task_1", "task_type"), "\"reprocess_low_quality\"");
    cr_assert_str_eq(help_task(self, "task_1", "handler"), "\"self_healing\"");
    cr_assert_str_eq(help_task(self, "task_1", "intent"), "\"remediate_drift\"");
    cr_assert_str_eq(help_task(self, "task_1", "issue_type"), "\"quality_degradation\"");
    cr_assert_str_eq(help_task(self, "task_1", "requester_id"), "\"agentic_brain_auto\"");
    cr_assert_str_eq(help_task(self, "task_1", "trace_id"), "\"drift-1\"");
    cr_assert_str_eq(help_task(self, "task_1", "context"),
                     "{\"metric\":\"m\",\"action\":\"reprocess_low_quality\",\"depth\":0,"
                     "\"intent\":\"remediate_drift\",\"issue_type\":\"quality_degradation\"}");
    help_take(self, "layer3.intent.task", "{\"intent\":\"audit_external_feeds\"}");
    cr_assert_str_eq(help_task(self, "task_2", "task_type"), "\"audit_external_feeds\"");
    cr_assert_str_eq(help_task(self, "task_2", "handler"), "\"unknown\"");
    cr_assert_str_eq(help_task(self, "task_2", "priority"), "\"normal\"");
    help_destroy(&self);
}

Test(rules, say_of_an_intent_that_becomes_no_task_that_it_is_over)
{
    // Governance and the brain count it as open until then.
    help_t *self = help_new();
    char body[200];
    (void) snprintf(body, sizeof body, "{\"intent\":\"i\",\"details\":{\"action\":\"%065d\"}}", 1);
    cr_assert_eq(help_apply(self, "layer3.intent.task", body), BUS_VALIDATION_FAILED);
    cr_expect_brief(self, "done task_1 cancelled 0 false\n");
    help_forget(self);
    cr_assert_eq(help_apply(self, "layer3.intent.task", "{\"intent\":\"i\",\"handler\":\"a.b\"}"),
                 BUS_VALIDATION_FAILED);
    cr_expect_brief(self, "done task_2 cancelled 0 false\n");
    cr_assert_eq(help_rows(self, HTM_TASKS), 0);
    cr_assert_eq(help_count(self, "statistics.tasks_cancelled"), 0);
    help_destroy(&self);
}

Test(rules, hold_intents_until_governance_spoke)
{
    help_t *self = help_new();
    ready(self, "unknown", 4);
    help_take(self, "layer3.intent.task", "{\"intent\":\"one\"}");
    cr_expect_brief(self, "started task_2 w-unknown 1 0\n");
    help_forget(self);
    help_take(self, "governance.gate", "{\"on\":true}");
    help_take(self, "layer3.intent.task", "{\"intent\":\"two\",\"sla_seconds\":1}");
    help_take(self, "layer3.intent.task", "{\"intent\":\"three\"}");
    cr_assert_str_eq(help_at(self, "status"), "\"held\"");
    help_clock(self, 10 * SECOND);
    cr_assert_eq(help_count(self, "queue_sizes.held"), 2);
    help_forget(self);
    cr_assert_eq(
        help_apply(self,
                   "governance.verdict",
                   "{\"intent_seq\":4,\"intent\":\"two\",\"allowed\":true,\"rule\":\"r\"}"),
        BUS_UNAUTHORIZED_ACCESS);
    cr_expect_brief(self, "");
    self->source = "kernel-governance";
    help_take(self,
              "governance.verdict",
              "{\"intent_seq\":4,\"intent\":\"two\",\"allowed\":true,\"rule\":\"r\"}");
    cr_expect_brief(self, "started task_4 w-unknown 1 0\n");
    help_forget(self);
    help_take(self,
              "governance.verdict",
              "{\"intent_seq\":5,\"intent\":\"three\",\"allowed\":false,\"rule\":\"r\","
              "\"reason\":\"no\"}");
    cr_expect_brief(self, "done task_5 cancelled 0 false\n");
    cr_assert_str_eq(help_task(self, "task_5", "reason"), "\"no\"");
    help_forget(self);
    help_take(self,
              "governance.verdict",
              "{\"intent_seq\":5,\"intent\":\"three\",\"allowed\":true,\"rule\":\"r\"}");
    help_take(self,
              "governance.verdict",
              "{\"intent_seq\":999,\"intent\":\"x\",\"allowed\":true,\"rule\":\"r\"}");
    cr_expect_brief(self, "");
    help_take(self, "governance.gate", "{\"on\":false}");
    help_take(self, "layer3.intent.task", "{\"intent\":\"four\"}");
    cr_assert_str_eq(help_at(self, "status"), "\"running\"");
    cr_assert_eq(help_rows(self, HTM_HELD), 0);
    help_destroy(&self);
}

Test(rules, do_not_touch_what_never_waited_for_a_verdict)
{
    help_t *self = help_new();
    enqueue(self, "a", "high", 100);
    self->source = "kernel-governance";
    help_take(self,
              "governance.verdict",
              "{\"intent_seq\":1,\"intent\":\"x\",\"allowed\":false,\"rule\":\"r\"}");
    cr_assert_str_eq(help_task(self, "a", "status"), "\"waiting\"");
    help_destroy(&self);
}

Test(rules, let_a_held_intent_be_cancelled)
{
    help_t *self = help_new();
    help_take(self, "governance.gate", "{\"on\":true}");
    help_take(self, "layer3.intent.task", "{\"intent\":\"two\"}");
    help_take(self, "task.cancel", "{\"task_id\":\"task_2\"}");
    cr_assert_eq(help_rows(self, HTM_HELD), 0);
    cr_assert_eq(help_count(self, "queue_sizes.held"), 0);
    help_destroy(&self);
}
