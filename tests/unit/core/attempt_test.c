// attempt_test.c - agents that fail, die, hang or have left: what that costs a task, and whom it
// goes to then.
#include "runtime/clock.h"
#include "task_help.h"

static void
fails_with(const char *answer, bus_err_t err, const char *why)
{
    help_t *help = help_new();
    help_peers(help, "agent.one");
    cr_assert_eq(task_help_ask(help,
                               "{\"agent\":\"one\",\"input\":\"x\",\"task_id\":\"t1\","
                               "\"user_id\":\"u1\"}"),
                 BUS_OK);
    help_answer_call(help, help->call_count, err, answer);
    task_help_holds(help->late, "\"status\":500}");
    task_help_holds(help->late, why);
    task_help_holds(help->late, "\"status\":\"error\",\"agent_id\":\"one\"}");
    task_help_holds(help->sent, "core.event.task_error");
    task_help_lacks(help->sent, "core.event.rl_outcome");
    task_help_holds(help->sent, "\"action\":\"agent_failure\"");
    task_help_holds(help->sent, "\"user_id\":\"u1\"");
    help_apply_sent(help);
    task_help_has_learned(help, "one", "\"count\":1,\"average_reward\":0.0");
    task_help_has_learned(help, "one", "\"failures\":1");
    help_destroy(&help);
}

Test(attempt, is_an_error_where_its_agent_hangs_dies_or_lies)
{
    fails_with(NULL, BUS_TIMEOUT, "did not answer in time");
    fails_with("{}", BUS_OK, "has no result");
    fails_with("[1,2]", BUS_OK, "body");
    fails_with("{\"result\":\"x\",\"status\":\"ok\"}", BUS_OK, "status");
    fails_with("{\"status\":500,\"error\":\"bad day\"}", BUS_OK, "status 500: bad day");
}

Test(attempt, fails_at_once_where_its_agent_goes)
{
    help_t *help = help_new();
    help_peers(help, "agent.one agent.two");
    cr_assert_eq(task_help_ask(help, "{\"agent\":\"one\",\"input\":\"x\"}"), BUS_OK);
    help_peers(help, "agent.two");
    task_help_holds(help->late, "the agent has gone");
    help_destroy(&help);
}

Test(attempt, goes_to_another_where_its_agent_had_left_before_it_was_asked)
{
    help_t *help = help_new();
    help_peers(help, "agent.one agent.two");
    cr_assert_eq(task_help_ask(help, "{\"agent\":\"one\",\"input\":\"x\",\"task_id\":\"t1\"}"),
                 BUS_OK);
    help_answer_call(help, help->call_count, BUS_NO_RESPONDERS, NULL);
    task_help_holds(help->sent, "req.agent.two ");
    help_answer_call(help, help->call_count, BUS_NO_RESPONDERS, NULL);
    task_help_holds(help->late, "\"agent_id\":\"text_agent\"");
    task_help_holds(help->late, "\"success\"");
    task_help_holds(help->sent, "\"asked\":false");
    help_apply_sent(help);
    task_help_has_learned(help, "one", "\"count\":0");
    task_help_has_learned(help, "text_agent", "\"count\":1");
    help_destroy(&help);
}

Test(attempt, waits_for_an_agent_that_it_asked_after_the_list_without_it)
{
    help_t *help = help_new();
    help_peers(help, "agent.one agent.two");
    uint64_t listed_us = clock_boot_us() - 1;
    cr_assert_eq(task_help_ask(help, "{\"agent\":\"one\",\"input\":\"x\"}"), BUS_OK);
    core_registry_peers_begin(help->state.registry);
    core_registry_peers_end(help->state.registry);
    help_look(&help->state, listed_us);
    cr_assert_eq(text_view(help->late).size, 0, "the broker is to say whether it got it");
    help_look(&help->state, clock_boot_us());
    task_help_holds(help->late, "the agent has gone");
    help_destroy(&help);
}

Test(attempt, is_tried_again_elsewhere_where_the_caller_asked_for_it)
{
    help_t *help = help_new();
    help_peers(help, "agent.one agent.two");
    cr_assert_eq(task_help_ask(help,
                               "{\"agent\":\"one\",\"input\":\"x\",\"task_id\":\"t1\","
                               "\"retries\":2,\"fallback_model\":\"two\"}"),
                 BUS_OK);
    help_answer_call(help, help->call_count, BUS_TIMEOUT, NULL);
    task_help_holds(help->sent, "req.agent.two ");
    help_answer_call(help, help->call_count, BUS_OK, "{\"status\":500}");
    task_help_holds(help->late,
                    "\"status\":\"success\",\"agent_id\":\"text_agent\""); // nobody else is left
    task_help_holds(help->sent,
                    "\"attempts\":[{\"agent_id\":\"one\",\"error\":\"the agent did not answer in "
                    "time\"},{\"agent_id\":\"two\",\"error\":\"the agent answered status 500\"}]");
    help_apply_sent(help);
    task_help_has_learned(help, "one", "\"count\":1,\"average_reward\":0.0");
    task_help_has_learned(help, "two", "\"count\":1,\"average_reward\":0.0");
    task_help_has_learned(help, "text_agent", "\"count\":1,\"average_reward\":1.");
    help_destroy(&help);
}

Test(attempt, is_tried_no_oftener_than_asked)
{
    help_t *help = help_new();
    help_peers(help, "agent.one agent.two agent.three");
    cr_assert_eq(task_help_ask(help, "{\"agent\":\"one\",\"input\":\"x\",\"retries\":1}"), BUS_OK);
    help_answer_call(help, help->call_count, BUS_TIMEOUT, NULL);
    cr_assert_eq(task_help_times(help->sent, "req.agent."), 2);
    help_answer_call(help, help->call_count, BUS_TIMEOUT, NULL);
    cr_assert_eq(task_help_times(help->sent, "req.agent."), 2);
    task_help_holds(help->late, "\"status\":\"error\"");
    help_destroy(&help);
}
