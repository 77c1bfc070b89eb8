// task_test.c - tasks from question to answer, without a bus: what is asked of whom, what is
// answered, what is told, and what was learned once that is applied.
#include "core/ask.h"
#include "core/history.h"
#include "core/show.h"
#include "task_help.h"
#include <stdio.h>
#include <stdlib.h>

Test(task, is_answered_by_the_built_in_agent)
{
    help_t *help = help_new();
    cr_assert_eq(
        task_help_ask(help, "{\"agent\":\"auto\",\"input\":\"a word\",\"task_id\":\"t1\"}"),
        BUS_OK);
    task_help_holds(help->late, "{\"task_id\":\"t1\",\"agent_output\":{\"result\":\"a word\"");
    task_help_holds(help->late, "\"status\":\"success\",\"agent_id\":\"text_agent\"}");
    // Two events, and karma, in one message; who asks nobody's karma moves the system's.
    cr_assert_eq(task_help_times(help->sent, "$bus.batch"), 1);
    task_help_holds(help->sent,
                    "[\"core.event.rl_outcome\",{\"trace_id\":\"trace-1\"},"
                    "{\"requester_id\":\"bhiv_core\",\"event_type\":\"rl_outcome\","
                    "\"task_id\":\"t1\",\"agent_id\":\"text_agent\",\"user_id\":\"system\","
                    "\"trace_id\":\"trace-1\",\"karma\":\"direct\",\"reward\":");
    task_help_holds(help->sent, "[\"core.event.agent_result\",{\"trace_id\":\"trace-1\"},");
    task_help_holds(help->sent,
                    "[\"karma.life_event\",{\"trace_id\":\"trace-1\"},{\"user_id\":\"system\","
                    "\"action\":\"agent_success\",\"role\":\"user\"");
    task_help_lacks(help->sent, "workflow.execute");
    help_destroy(&help);
}

Test(task, is_learned_from_when_it_is_applied)
{
    help_t *help = help_new();
    cr_assert_eq(
        task_help_ask(help, "{\"agent\":\"auto\",\"input\":\"a word\",\"task_id\":\"t1\"}"),
        BUS_OK);
    task_help_has_learned(help, "text_agent", "\"count\":0");
    help_apply_sent(help);
    task_help_has_learned(help, "text_agent", "\"count\":1");
    task_help_has_learned(help, "text_agent", "\"average_reward\":1.11"); // two words and a keyword
    cr_assert_eq(help_ask(help, core_ask_show, &SCHEMA_core_task_query, "{\"task_id\":\"t1\"}"),
                 BUS_OK);
    cr_assert_str_eq(help_value(help, "agent_output.result"), "\"a word\"");
    cr_assert_str_eq(help_value(help, "status"), "\"success\"");
    cr_assert_str_eq(help_value(help, "trace_id"), "\"trace-1\"");
    help_reopen(help);
    task_help_has_learned(help, "text_agent", "\"count\":1");
    cr_assert_eq(help_ask(help, core_ask_show, &SCHEMA_core_task_query, "{\"task_id\":\"t1\"}"),
                 BUS_OK);
    cr_assert_str_eq(help_value(help, "agent_output.result"), "\"a word\"");
    help_destroy(&help);
}

Test(task, can_be_read_before_its_outcome_is_applied)
{
    help_t *help = help_new();
    cr_assert_eq(
        task_help_ask(help, "{\"agent\":\"auto\",\"input\":\"a word\",\"task_id\":\"t1\"}"),
        BUS_OK);
    cr_assert_eq(help_ask(help, core_ask_show, &SCHEMA_core_task_query, "{\"task_id\":\"t1\"}"),
                 BUS_OK);
    cr_assert_str_eq(help_value(help, "agent_output.result"), "\"a word\"");
    cr_assert_eq(help_ask(help, core_ask_show, &SCHEMA_core_task_query, "{\"task_id\":\"t2\"}"),
                 BUS_NOT_FOUND);
    help_destroy(&help);
}

Test(task, asks_the_agent_that_is_named)
{
    help_t *help = help_new();
    help_peers(help, "agent.one agent.two");
    cr_assert_eq(task_help_ask(help,
                               "{\"agent\":\"two\",\"input\":\"x\",\"task_id\":\"t1\","
                               "\"tags\":[\"a\"],\"pdf_path\":\"/p\"}"),
                 BUS_OK);
    task_help_holds(help->sent,
                    "req.agent.two {\"task_id\":\"t1\",\"input\":\"x\",\"input_type\":\"text\","
                    "\"tags\":[\"a\"],\"pdf_path\":\"/p\",\"trace_id\":\"trace-1\"}");
    cr_assert_eq(help->calls[help->call_count - 1].timeout_ms / 1000, 119);
    cr_assert_str_eq(help_text(help->late) == NULL ? "" : help_text(help->late), "");
    cr_assert_eq(help_ask(help, core_ask_show, &SCHEMA_core_task_query, "{\"task_id\":\"t1\"}"),
                 BUS_OK);
    cr_assert_str_eq(help_value(help, "status"), "\"running\"");
    help_answer_call(help, help->call_count, BUS_OK, "{\"result\":\"done\",\"more\":[1]}");
    task_help_holds(help->late,
                    "\"agent_output\":{\"result\":\"done\",\"more\":[1],\"status\":200");
    help_destroy(&help);
}

Test(task, goes_to_the_selector_where_the_named_agent_cannot)
{
    help_t *help = help_new();
    help_peers(help, "agent.one");
    cr_assert_eq(task_help_ask(help, "{\"agent\":\"nobody\",\"input\":\"x\"}"), BUS_OK);
    task_help_holds(help->sent, "req.agent.one "); // and not to text_agent, which is on standby
    cr_assert_eq(
        task_help_ask(help, "{\"agent\":\"one\",\"input\":\"x\",\"input_type\":\"image\"}"),
        BUS_OK);
    task_help_holds(help->late, "no agent is there that takes image");
    task_help_holds(help->late, "\"status\":\"error\"");
    task_help_holds(help->sent, "core.event.task_error");
    cr_assert_eq(task_help_times(help->sent, "core.event."), 1);
    help_destroy(&help);
}

Test(task, goes_to_whoever_shares_a_tag)
{
    help_t *help = help_new();
    help_peers(help, "agent.one");
    cr_assert_eq(task_help_ask(help, "{\"agent\":\"auto\",\"input\":\"x\",\"tags\":[\"summary\"]}"),
                 BUS_OK);
    task_help_holds(help->late, "\"agent_id\":\"text_agent\"");
    help_destroy(&help);
}

Test(task, gives_its_agent_what_is_known_of_the_user)
{
    help_t *help = help_new();
    help_peers(help, "agent.one bucket karma");
    cr_assert_eq(task_help_ask(help, "{\"agent\":\"one\",\"input\":\"x\",\"user_id\":\"u1\"}"),
                 BUS_OK);
    task_help_holds(help->sent,
                    "bucket.context.read {\"agent_id\":\"one\",\"requester_id\":\"bhiv_core\"}");
    task_help_holds(help->sent, "req.karma.profile {\"user_id\":\"u1\"}");
    task_help_lacks(help->sent, "req.agent.");
    cr_assert_eq(help->calls[help->call_count - 1].timeout_ms, 2000);
    help_answer_call(help, help->call_count, BUS_OK, "{\"merit_score\":1.5}");
    task_help_lacks(help->sent, "req.agent.");
    help_answer_call(help, help->call_count - 1, BUS_OK, "{\"context\":{\"event_count\":3}}");
    task_help_holds(help->sent,
                    "\"user_id\":\"u1\",\"context\":{\"karma\":{\"merit_score\":1.5},"
                    "\"bucket\":{\"context\":{\"event_count\":3}}}}");
    help_destroy(&help);
}

Test(task, waits_for_nobody_who_is_not_there)
{
    help_t *help = help_new();
    help_peers(help, "agent.one");
    cr_assert_eq(task_help_ask(help, "{\"agent\":\"one\",\"input\":\"x\",\"user_id\":\"u1\"}"),
                 BUS_OK);
    task_help_holds(help->sent, "req.agent.one ");
    task_help_lacks(help->sent, "bucket.context.read");
    help_destroy(&help);
}

Test(task, goes_on_in_silence_where_what_is_known_does_not_come)
{
    help_t *help = help_new();
    help_peers(help, "agent.one bucket karma");
    cr_assert_eq(task_help_ask(help, "{\"agent\":\"one\",\"input\":\"x\",\"user_id\":\"u1\"}"),
                 BUS_OK);
    unsigned karma = help->call_count;
    help_answer_call(help, karma - 1, BUS_TIMEOUT, NULL); // Bucket's
    task_help_holds(help->sent,
                    "governance.service_failure {\"service_failure\":\"write_timeout\"");
    task_help_holds(help->sent,
                    "\"sla_violated\":\"5_second_response_time\","
                    "\"escalation\":\"EXECUTOR_NOTIFIED\"");
    help_answer_call(help, karma, BUS_USER_NOT_FOUND, NULL);
    task_help_holds(help->sent, "req.agent.one {");
    task_help_lacks(help->sent, "\"context\"");
    // Bucket is left alone for a while: the next task waits for Karma only, and says nothing.
    cr_assert_eq(task_help_ask(help, "{\"agent\":\"one\",\"input\":\"x\",\"user_id\":\"u1\"}"),
                 BUS_OK);
    task_help_lacks(help->sent, "bucket.context.read");
    task_help_lacks(help->sent, "governance.service_failure");
    task_help_holds(help->sent, "req.karma.profile");
    help_destroy(&help);
}

Test(task, asks_for_a_workflow_where_its_agent_does)
{
    help_t *help = help_new();
    help_peers(help, "agent.one");
    cr_assert_eq(
        task_help_ask(help,
                      "{\"agent\":\"one\",\"input\":\"x\",\"task_id\":\"t1\",\"user_id\":\"u1\"}"),
        BUS_OK);
    help_answer_call(help,
                     help->call_count,
                     BUS_OK,
                     "{\"result\":\"x\",\"requires_workflow\":true,\"workflow_payload\":"
                     "{\"title\":\"Review\",\"trace_id\":\"forged\",\"execution_id\":\"forged\"}}");
    task_help_holds(help->late, "\"workflow\":{\"trace_id\":\"trace-1\",\"status\":\"requested\"}");
    task_help_holds(
        help->sent,
        "[\"workflow.execute\",{\"trace_id\":\"trace-1\"},{\"trace_id\":\"trace-1\","
        "\"decision\":\"workflow\",\"requester_id\":\"bhiv_core\",\"task_id\":\"t1\",\"data\":"
        "{\"workflow_type\":\"workflow\",\"payload\":{\"action_type\":\"task\",\"user_id\":"
        "\"u1\",\"trace_id\":\"trace-1\",\"execution_id\":\"t1\",\"title\":\"Review\"}}}]");
    help_apply_sent(help);
    cr_assert_eq(help_ask(help, core_ask_show, &SCHEMA_core_task_query, "{\"task_id\":\"t1\"}"),
                 BUS_OK);
    cr_assert_str_eq(help_value(help, "workflow.status"), "\"requested\"");
    char finished[200];
    snprintf(finished,
             sizeof finished,
             "{\"execution\":%llu,\"boot\":\"b\",\"success\":true,\"result\":{\"task_id\":\"w\"},"
             "\"duration_us\":5}",
             (unsigned long long) help->seq);
    cr_assert_eq(help_apply(help, core_history_finished, NULL, "workflow.finished", finished),
                 BUS_OK); // of somebody else: nothing
    cr_assert_eq(help_ask(help, core_ask_show, &SCHEMA_core_task_query, "{\"task_id\":\"t1\"}"),
                 BUS_OK);
    cr_assert_str_eq(help_value(help, "workflow.status"), "\"requested\"");
    help->source = "workflow_executor";
    cr_assert_eq(help_apply(help, core_history_finished, NULL, "workflow.finished", finished),
                 BUS_OK);
    cr_assert_eq(help_ask(help, core_ask_show, &SCHEMA_core_task_query, "{\"task_id\":\"t1\"}"),
                 BUS_OK);
    cr_assert_str_eq(help_value(help, "workflow.status"), "\"success\"");
    cr_assert_str_eq(help_value(help, "workflow.result.task_id"), "\"w\"");
    help_destroy(&help);
}

Test(task, shows_what_the_executor_tells_of_its_workflow)
{
    static const char execution[] =
        "{\"execution_id\":\"t1\",\"trace_id\":\"%s\",\"status\":\"failed\","
        "\"execution_result\":{\"error_code\":\"missing_task_title\"}}";
    char json[300];
    help_t *help = help_new();
    help_peers(help, "agent.one");
    cr_assert_eq(task_help_ask(help, "{\"agent\":\"one\",\"input\":\"x\",\"task_id\":\"t1\"}"),
                 BUS_OK);
    help_answer_call(
        help, help->call_count, BUS_OK, "{\"result\":\"x\",\"requires_workflow\":true}");
    help_apply_sent(help);
    help->source = "workflow_executor";
    snprintf(json, sizeof json, execution, "another");
    cr_assert_eq(
        help_apply(help, core_history_execution, NULL, "core.event.workflow_execution", json),
        BUS_OK);
    cr_assert_eq(help_ask(help, core_ask_show, &SCHEMA_core_task_query, "{\"task_id\":\"t1\"}"),
                 BUS_OK);
    cr_assert_str_eq(help_value(help, "workflow.status"), "\"requested\"");
    snprintf(json, sizeof json, execution, "trace-1");
    cr_assert_eq(
        help_apply(help, core_history_execution, NULL, "core.event.workflow_execution", json),
        BUS_OK);
    cr_assert_eq(help_ask(help, core_ask_show, &SCHEMA_core_task_query, "{\"task_id\":\"t1\"}"),
                 BUS_OK);
    cr_assert_str_eq(help_value(help, "workflow.status"), "\"failed\"");
    cr_assert_str_eq(help_value(help, "workflow.result.error_code"), "\"missing_task_title\"");
    help_destroy(&help);
}

Test(task, asks_for_no_workflow_where_that_is_switched_off)
{
    help_t *help = help_new();
    help_peers(help, "agent.one");
    help->state.runs_workflows = false;
    cr_assert_eq(task_help_ask(help, "{\"agent\":\"one\",\"input\":\"x\"}"), BUS_OK);
    help_answer_call(
        help, help->call_count, BUS_OK, "{\"result\":\"x\",\"requires_workflow\":true}");
    task_help_lacks(help->sent, "workflow.execute");
    task_help_lacks(help->late, "\"workflow\":");
    help_destroy(&help);
}

Test(task, gives_a_repeat_the_same_answer)
{
    static const char request[] = "{\"agent\":\"one\",\"input\":\"x\",\"task_id\":\"t1\"}";
    help_t *help = help_new();
    help_peers(help, "agent.one");
    cr_assert_eq(task_help_ask(help, request), BUS_OK);
    unsigned call = help->call_count;
    cr_assert_eq(task_help_ask(help, request), BUS_OK); // while it runs: both wait
    cr_assert_eq(help->call_count, call);
    cr_assert_eq(task_help_ask(help, "{\"agent\":\"one\",\"input\":\"y\",\"task_id\":\"t1\"}"),
                 BUS_CONFLICT);
    help_answer_call(help, call, BUS_OK, "{\"result\":\"once\"}");
    cr_assert_eq(task_help_times(help->late, "once"), 2);
    cr_assert_eq(task_help_ask(help, request), BUS_OK); // before it is applied
    task_help_holds(help->answer, "once");
    help_apply_sent(help);
    cr_assert_eq(task_help_ask(help, request), BUS_OK); // and after
    task_help_holds(help->answer, "once");
    cr_assert_eq(task_help_ask(help, "{\"agent\":\"one\",\"input\":\"y\",\"task_id\":\"t1\"}"),
                 BUS_CONFLICT);
    task_help_has_learned(help, "one", "\"count\":1");
    help_destroy(&help);
}

Test(task, is_refused_where_it_makes_no_sense_or_too_much_is_pending)
{
    help_t *help = help_new();
    cr_assert_eq(
        task_help_ask(help, "{\"agent\":\"auto\",\"input\":\"x\",\"input_type\":\"video\"}"),
        BUS_VALIDATION_FAILED);
    cr_assert_eq(task_help_ask(help, "{\"agent\":\"auto\",\"input\":\"x\",\"tags\":[1]}"),
                 BUS_VALIDATION_FAILED);
    help->pending = 8000;
    cr_assert_eq(task_help_ask(help, "{\"agent\":\"auto\",\"input\":\"x\"}"), BUS_BUSY);
    cr_assert_eq(help->deferred, 0);
    help_destroy(&help);
}

Test(task, is_not_kept_where_the_broker_refuses_its_outcome)
{
    help_t *help = help_new();
    cr_assert_eq(task_help_ask(help, "{\"agent\":\"auto\",\"input\":\"x\",\"task_id\":\"t1\"}"),
                 BUS_OK);
    help_answer_call(help, help->call_count, BUS_JOURNAL_FULL, NULL);
    cr_assert_eq(help->state.facts_lost, 1);
    cr_assert_eq(help_ask(help, core_ask_show, &SCHEMA_core_task_query, "{\"task_id\":\"t1\"}"),
                 BUS_NOT_FOUND);
    help->send_err = BUS_BUSY;
    cr_assert_eq(task_help_ask(help, "{\"agent\":\"auto\",\"input\":\"x\",\"task_id\":\"t2\"}"),
                 BUS_OK);
    cr_assert_eq(help->state.facts_lost, 2);
    task_help_holds(help->late, "\"status\":\"success\"");
    cr_assert_null(help->state.tasks);
    help_destroy(&help);
}

// --- Feedback ------------------------------------------------------------------------------------

static bus_err_t
feedback(help_t *help, const char *task_id, const char *reward)
{
    char json[200];
    snprintf(json, sizeof json, "{\"task_id\":\"%s\",\"reward\":%s}", task_id, reward);
    return help_apply(help, core_history_feedback, &SCHEMA_core_feedback, "core.feedback", json);
}

Test(feedback, takes_the_place_of_the_formula)
{
    help_t *help = help_new();
    for (unsigned i = 0; i < 2; i++) {
        char json[100];
        snprintf(json,
                 sizeof json,
                 "{\"agent\":\"text_agent\",\"input\":\"a word\",\"task_id\":\"t%u\"}",
                 i);
        cr_assert_eq(task_help_ask(help, json), BUS_OK);
        help_apply_sent(help);
    }
    task_help_has_learned(help, "text_agent", "\"count\":2,\"average_reward\":1.11");
    cr_assert_eq(feedback(help, "t0", "-1.0"), BUS_OK);
    cr_assert_str_eq(help_value(help, "previous"), "1.11");
    cr_assert_str_eq(help_value(help, "agent_id"), "\"text_agent\"");
    cr_assert_str_eq(help_value(help, "count"), "2");
    task_help_has_learned(help, "text_agent", "\"count\":2,\"average_reward\":0.05");
    task_help_has_learned(help, "text_agent", "\"feedbacks\":1");
    cr_assert_eq(feedback(help, "t0", "3"), BUS_OK); // a second word replaces the first
    cr_assert_str_eq(help_value(help, "previous"), "-1.0");
    task_help_has_learned(help, "text_agent", "\"count\":2,\"average_reward\":2.05");
    task_help_has_learned(help, "text_agent", "\"feedbacks\":1");
    help_destroy(&help);
}

Test(feedback, is_refused_beyond_its_range_and_for_unknown_tasks)
{
    help_t *help = help_new();
    cr_assert_eq(feedback(help, "none", "1"), BUS_NOT_FOUND);
    cr_assert_eq(task_help_ask(help, "{\"agent\":\"auto\",\"input\":\"x\",\"task_id\":\"t1\"}"),
                 BUS_OK);
    help_apply_sent(help);
    cr_assert_eq(feedback(help, "t1", "10.5"), BUS_VALIDATION_FAILED);
    cr_assert_eq(feedback(help, "t1", "-10.5"), BUS_VALIDATION_FAILED);
    cr_assert_eq(feedback(help, "t1", "10"), BUS_OK);
    help_destroy(&help);
}

// --- What is kept --------------------------------------------------------------------------------

Test(history, learns_nothing_from_what_others_say)
{
    help_t *help = help_new();
    help->source = "somebody";
    cr_assert_eq(help_apply(help,
                            core_history_outcome,
                            NULL,
                            "core.event.rl_outcome",
                            "{\"requester_id\":\"bhiv_core\",\"task_id\":\"t\",\"agent_id\":\"a\","
                            "\"reward\":100.0}"),
                 BUS_OK);
    help->source = "bhiv_core";
    cr_assert_eq(help_apply(help, core_history_outcome, NULL, "core.event.rl_outcome", "{}"),
                 BUS_OK);
    cr_assert_eq(help_ask(help, core_show_rl, NULL, "{}"), BUS_OK);
    cr_assert_str_eq(help_value(help, "total_tasks"), "0");
    help_destroy(&help);
}

// Two of them would make its sum infinite, and a third no number: no feedback could mend that.
Test(history, learns_nothing_from_a_reward_that_nobody_can_earn)
{
    static const char *const rewards[] = {"1e308", "1e308", "-1e308", "10.5"};
    help_t *help = help_new();
    help->source = "bhiv_core";
    for (size_t i = 0; i < sizeof rewards / sizeof rewards[0]; i++) {
        char json[128] = "{\"task_id\":\"t\",\"agent_id\":\"a\",\"reward\":";
        strcat(strcat(json, rewards[i]), "}");
        cr_assert_eq(help_apply(help, core_history_outcome, NULL, "core.event.rl_outcome", json),
                     BUS_OK);
        cr_assert_eq(help_apply(help, core_history_error, NULL, "core.event.task_error", json),
                     BUS_OK);
    }
    cr_assert_eq(help_ask(help, core_show_rl, NULL, "{}"), BUS_OK);
    cr_assert_str_eq(help_value(help, "total_tasks"), "0");
    help_destroy(&help);
}

Test(history, lets_go_of_what_is_a_week_old)
{
    help_t *help = help_new();
    cr_assert_eq(task_help_ask(help, "{\"agent\":\"auto\",\"input\":\"x\",\"task_id\":\"old\"}"),
                 BUS_OK);
    help_apply_sent(help);
    help->at += 6 * HELP_DAY;
    cr_assert_eq(task_help_ask(help, "{\"agent\":\"auto\",\"input\":\"x\",\"task_id\":\"young\"}"),
                 BUS_OK);
    help_apply_sent(help);
    cr_assert_eq(help_ask(help, core_ask_show, &SCHEMA_core_task_query, "{\"task_id\":\"old\"}"),
                 BUS_OK);
    help->at += HELP_DAY + 1;
    cr_assert_eq(task_help_ask(help, "{\"agent\":\"auto\",\"input\":\"x\",\"task_id\":\"new\"}"),
                 BUS_OK);
    help_apply_sent(help);
    cr_assert_eq(help_ask(help, core_ask_show, &SCHEMA_core_task_query, "{\"task_id\":\"old\"}"),
                 BUS_NOT_FOUND);
    cr_assert_eq(help_ask(help, core_ask_show, &SCHEMA_core_task_query, "{\"task_id\":\"young\"}"),
                 BUS_OK);
    task_help_has_learned(help, "text_agent", "\"count\":3"); // what was learned stays
    help_destroy(&help);
}

// --- Several at once -----------------------------------------------------------------------------

Test(multi, answers_when_all_are_done_in_the_order_of_the_files)
{
    help_t *help = help_new();
    help_peers(help, "agent.one");
    cr_assert_eq(help_ask(help,
                          core_multi_ask,
                          &SCHEMA_handle_multi_task,
                          "{\"agent\":\"one\",\"task_id\":\"m\",\"files\":[{\"data\":\"first\","
                          "\"type\":\"text\"},{\"path\":\"/b.pdf\",\"type\":\"pdf\"},"
                          "{\"data\":\"third\",\"path\":\"c\"}]}"),
                 BUS_OK);
    cr_assert_eq(task_help_times(help->sent, "req.agent.one"), 2); // the pdf failed at once
    help_answer_call(help, help->call_count, BUS_OK, "{\"result\":\"3\"}");
    unsigned first = 0;
    while (strcmp(help->calls[first].topic, "req.agent.one") != 0) {
        first++;
    }
    help_answer_call(help, first + 1, BUS_OK, "{\"result\":\"1\"}");
    task_help_holds(help->late,
                    "{\"multi_task_id\":\"m\",\"total_files\":3,\"successful_files\":2,"
                    "\"failed_files\":1,");
    task_help_holds(help->late,
                    "\"results\":[{\"file_index\":0,\"filename\":\"\",\"task_id\":\"m-0\","
                    "\"status\":\"success\",\"result\":{\"result\":\"1\"");
    task_help_holds(help->late,
                    "{\"file_index\":1,\"filename\":\"/b.pdf\",\"task_id\":\"m-1\",\"status\":"
                    "\"error\",\"error\":\"Task processing failed: no agent");
    cr_assert_eq(task_help_times(help->sent, "$bus.batch"), 3);
    help_destroy(&help);
}

Test(multi, is_refused_where_it_makes_no_sense)
{
    help_t *help = help_new();
    static const char *const bad[] = {
        "{\"files\":[]}",
        "{\"files\":[{}]}",
        "{\"files\":[1]}",
        "{\"files\":[{\"data\":\"x\",\"type\":\"video\"}]}",
        "{\"files\":[{\"data\":\"x\"}],\"tags\":[1]}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_eq(help_ask(help, core_multi_ask, &SCHEMA_handle_multi_task, bad[i]),
                     BUS_VALIDATION_FAILED,
                     "%s",
                     bad[i]);
    }
    help_destroy(&help);
}

Test(multi, ends_with_the_process)
{
    help_t *help = help_new();
    help_peers(help, "agent.one");
    cr_assert_eq(help_ask(help,
                          core_multi_ask,
                          &SCHEMA_handle_multi_task,
                          "{\"agent\":\"one\",\"files\":[{\"data\":\"x\"},{\"data\":\"y\"}]}"),
                 BUS_OK);
    help_destroy(&help); // nothing leaks, nobody is called
}
