// execute_test.c - the executor's reducer: what it decides, what it says, which record counts.
#include "help.h"
#include "proto/walk.h"
#include "workflow/execute.h"
#include "workflow/execution.h"
#include "workflow/finish.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define MAIL "{\"action_type\":\"email\",\"recipient\":\"a@b\",\"subject\":\"s\",\"body\":\"b\"}"
#define TASK "{\"action_type\":\"task\",\"title\":\"Review code\",\"user_id\":\"u\"}"
#define TIME "2026-01-01T00:00:00.000000Z"

static help_t *help;

static void
setup(void)
{
    help = help_new();
}

static void
teardown(void)
{
    help_destroy(&help);
}

TestSuite(execute, .init = setup, .fini = teardown);

static bus_err_t
started(uint64_t execution, const char *boot)
{
    char json[200];
    snprintf(json,
             sizeof json,
             "{\"execution\":%llu,\"boot\":\"%s\"}",
             (unsigned long long) execution,
             boot);
    help->source = "workflow_executor";
    bus_err_t err = help_apply(help, "workflow.started", json);
    help->source = "bhiv_core";
    return err;
}

static bus_err_t
finished(uint64_t execution, const char *boot, const char *result)
{
    char json[2000];
    snprintf(json,
             sizeof json,
             "{\"execution\":%llu,\"boot\":\"%s\",\"success\":%s,\"result\":%s,\"duration_us\":"
             "1500}",
             (unsigned long long) execution,
             boot,
             strstr(result, "\"success\":true") != NULL ? "true" : "false",
             result);
    help->source = "workflow_executor";
    bus_err_t err = help_apply(help, "workflow.finished", json);
    help->source = "bhiv_core";
    return err;
}

static const char *
status_of(const char *trace_id)
{
    char json[200];
    snprintf(json, sizeof json, "{\"trace_id\":\"%s\"}", trace_id);
    cr_assert_eq(help_ask(help, "status", json), BUS_OK);
    return help_at(help, "status");
}

// --- At once -------------------------------------------------------------------------------------

Test(execute, makes_a_task_and_tells_of_it_in_one_record)
{
    cr_assert_eq(help_execute(help, "t-1", TASK), BUS_OK);
    cr_assert(!help->is_deferred);
    cr_assert_str_eq(help_text(help->answer),
                     "{\"trace_id\":\"t-1\",\"status\":\"success\",\"execution_result\":{"
                     "\"success\":true,\"task_id\":\"task_00000001\",\"task_status\":\"CREATED\","
                     "\"reference\":\"local://tasks/task_00000001\",\"created_at\":\"" TIME "\","
                     "\"trace_id\":\"t-1\",\"timestamp\":\"" TIME "\"}}");
    cr_assert_str_eq(
        help_text(help->said),
        "workflow.task.created {\"task_id\":\"task_00000001\",\"title\":\"Review code\","
        "\"task_status\":\"CREATED\",\"reference\":\"local://tasks/task_00000001\","
        "\"user_id\":\"u\",\"trace_id\":\"t-1\",\"created_at\":\"" TIME "\"}\n"
        "core.event.workflow_execution {\"requester_id\":\"workflow_executor\","
        "\"event_type\":\"workflow_execution\",\"trace_id\":\"t-1\",\"action_type\":\"task\","
        "\"status\":\"success\",\"execution_result\":{\"success\":true,"
        "\"task_id\":\"task_00000001\",\"task_status\":\"CREATED\","
        "\"reference\":\"local://tasks/task_00000001\",\"created_at\":\"" TIME "\","
        "\"trace_id\":\"t-1\",\"timestamp\":\"" TIME "\"},\"metadata\":" TASK ","
        "\"karma\":\"direct\",\"user_id\":\"u\",\"timestamp\":\"" TIME "\"}\n"
        "karma.life_event {\"user_id\":\"u\",\"action\":\"workflow_success\",\"role\":\"user\","
        "\"note\":\"Workflow execution: task\",\"context\":{\"trace_id\":\"t-1\","
        "\"action_type\":\"task\",\"source\":\"workflow_executor\"},\"timestamp\":\"" TIME "\","
        "\"source\":\"workflow_executor\"}\n");
    cr_assert_str_eq(help_text(help->later), "", "its own reply is the answer");
}

Test(execute, decides_a_failure_of_form_at_once)
{
    cr_assert_eq(help_execute(help, "t-1", "{\"action_type\":\"email\",\"subject\":\"s\"}"),
                 BUS_OK);
    cr_assert(!help->is_deferred);
    cr_assert_str_eq(help_at(help, "execution_result.error_code"), "\"missing_recipient\"");
    cr_assert_not_null(strstr(help_text(help->said), "\"action\":\"workflow_failure\""));
}

Test(execute, leaves_nothing_of_what_is_refused)
{
    const struct {
        const char *json;
        bus_err_t err;
        const char *message;
    } cases[] = {
        {"{\"decision\":\"workflow\"}", BUS_INVALID_REQUEST, "missing_workflow_payload"},
        {"{\"decision\":\"workflow\",\"data\":{\"workflow_type\":\"workflow\",\"payload\":{}}}",
         BUS_INVALID_REQUEST,
         "missing_workflow_payload"},
        {"{\"decision\":\"workflow\",\"data\":{\"workflow_type\":\"x\",\"payload\":{}}}",
         BUS_VALIDATION_FAILED,
         "[{\"field\":\"workflow_type\",\"problem\":\"must be workflow\"}]"},
        {"{\"decision\":\"act\"}",
         BUS_VALIDATION_FAILED,
         "[{\"field\":\"decision\",\"problem\":\"must be respond, task, workflow, insight or "
         "fallback\"}]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_assert_eq(help_apply(help, "workflow.execute", cases[i].json), cases[i].err);
        cr_assert_str_eq(help_text(help->refusal), cases[i].message);
    }
    cr_assert_eq(help_apply(help, "workflow.execute", "{\"decision\":\"respond\"}"), BUS_OK);
    cr_assert_eq(help_ask(help, "executions", "{}"), BUS_OK);
    cr_assert_str_eq(help_text(help->answer), "{\"executions\":[],\"count\":0}");
    cr_assert_str_eq(help_text(help->said), "");
}

Test(execute, goes_by_the_switches_of_its_time)
{
    cr_assert_eq(
        help_apply(help, "workflow.config", "{\"enabled\":true,\"events\":false,\"karma\":true}"),
        BUS_OK);
    cr_assert_eq(help_execute(help, "t-1", TASK), BUS_OK);
    cr_assert_null(strstr(help_text(help->said), "core.event."));
    cr_assert_not_null(strstr(help_text(help->said), "karma.life_event"));
    help_forget(help);
    cr_assert_eq(
        help_apply(help, "workflow.config", "{\"enabled\":true,\"events\":true,\"karma\":false}"),
        BUS_OK);
    cr_assert_eq(help_execute(help, "t-2", TASK), BUS_OK);
    cr_assert_not_null(strstr(help_text(help->said), "core.event."));
    cr_assert_null(strstr(help_text(help->said), "karma.life_event"));
    cr_assert_eq(
        help_apply(help, "workflow.config", "{\"enabled\":false,\"events\":true,\"karma\":true}"),
        BUS_OK);
    cr_assert_eq(help_execute(help, "t-3", TASK), BUS_FORBIDDEN);
    cr_assert_eq(help_execute(help, "t-1", TASK), BUS_FORBIDDEN);
}

// --- Later ---------------------------------------------------------------------------------------

Test(execute, is_queued_started_and_finished_and_then_told)
{
    cr_assert_eq(help_execute(help, "t-1", MAIL), BUS_OK);
    cr_assert(help->is_deferred);
    cr_assert_str_eq(help_text(help->answer), "");
    cr_assert_str_eq(help_text(help->said), "");
    cr_assert_str_eq(status_of("t-1"), "\"queued\"");
    help->at += 1000000;
    cr_assert_eq(started(1, "b-1"), BUS_OK);
    cr_assert_str_eq(status_of("t-1"), "\"started\"");
    cr_assert_str_eq(help_text(help->said), "");
    help->at += 1000000;
    cr_assert_eq(finished(1, "b-1", "{\"success\":true,\"message_id\":\"m\",\"trace_id\":\"x\"}"),
                 BUS_OK);
    cr_assert_str_eq(help_text(help->later),
                     "1 OK {\"trace_id\":\"t-1\",\"status\":\"success\",\"execution_result\":{"
                     "\"success\":true,\"message_id\":\"m\",\"trace_id\":\"t-1\","
                     "\"timestamp\":\"2026-01-01T00:00:02.000000Z\"}}\n");
    cr_assert_not_null(strstr(help_text(help->said), "\"metadata\":" MAIL));
    cr_assert_not_null(strstr(help_text(help->said), "workflow_success"));
    cr_assert_eq(help_ask(help, "executions", "{\"status\":\"success\"}"), BUS_OK);
    cr_assert_str_eq(
        help_text(help->answer),
        "{\"executions\":[{\"seq\":1,\"trace_id\":\"t-1\",\"action_type\":\"email\","
        "\"user_id\":\"system\",\"requester_id\":\"bhiv_core\",\"status\":\"success\","
        "\"requested_at\":\"" TIME "\",\"started_at\":\"2026-01-01T00:00:01.000000Z\","
        "\"finished_at\":\"2026-01-01T00:00:02.000000Z\",\"duration_ms\":1.5,"
        "\"execution_result\":{\"success\":true,\"message_id\":\"m\",\"trace_id\":\"t-1\","
        "\"timestamp\":\"2026-01-01T00:00:02.000000Z\"}}],\"count\":1}");
}

static bool
count_boot(void *arg, workflow_action_t action, uint64_t seq, bus_view_t boot)
{
    text_add_format(
        arg, "%d %llu %.*s;", (int) action, (unsigned long long) seq, (int) boot.size, boot.data);
    return true;
}

// What there is to do, as a process that acts would see it.
static const char *
open_ones(workflow_open_t where)
{
    store_txn_t *txn = NULL;
    text_clear(help->scratch);
    cr_assert_eq(store_begin(help->store, STORE_READ, &txn), BUS_OK);
    for (unsigned i = 0; i < WORKFLOW_ACTION_COUNT; i++) {
        const workflow_execution_range_t range = {.where = where, .action = (workflow_action_t) i};
        cr_assert_eq(workflow_execution_walk_open(txn, &range, count_boot, help->scratch), BUS_OK);
    }
    store_rollback(&txn);
    return text_view(help->scratch).size == 0 ? "" : help_text(help->scratch);
}

Test(execute, shows_who_acts_what_there_is_to_do_by_action_and_age)
{
    cr_assert_eq(help_execute(help, "t-1", MAIL), BUS_OK);
    cr_assert_eq(help_execute(help, "t-2", "{\"action_type\":\"ai\",\"prompt\":\"p\"}"), BUS_OK);
    cr_assert_eq(help_execute(help, "t-3", MAIL), BUS_OK);
    cr_assert_str_eq(open_ones(WORKFLOW_IS_QUEUED), "1 1 ;1 3 ;3 2 ;");
    cr_assert_eq(started(3, "b-1"), BUS_OK);
    cr_assert_str_eq(open_ones(WORKFLOW_IS_QUEUED), "1 1 ;3 2 ;");
    cr_assert_str_eq(open_ones(WORKFLOW_IS_STARTED), "1 3 b-1;");
    cr_assert_eq(finished(3, "b-1", "{\"success\":false}"), BUS_OK);
    cr_assert_str_eq(open_ones(WORKFLOW_IS_STARTED), "");
}

Test(execute, counts_the_first_of_two_starts_and_of_two_ends)
{
    cr_assert_eq(help_execute(help, "t-1", MAIL), BUS_OK);
    cr_assert_eq(finished(1, "b-1", "{\"success\":true,\"n\":0}"), BUS_OK);
    cr_assert_str_eq(status_of("t-1"), "\"queued\"", "nobody had started it");
    cr_assert_eq(started(1, "b-1"), BUS_OK);
    cr_assert_eq(started(1, "b-2"), BUS_OK);
    cr_assert_str_eq(open_ones(WORKFLOW_IS_STARTED), "1 1 b-1;");
    cr_assert_eq(finished(1, "b-2", "{\"success\":false,\"n\":1}"), BUS_OK);
    cr_assert_eq(finished(1, "b-1", "{\"success\":true,\"n\":2}"), BUS_OK);
    cr_assert_eq(started(1, "b-3"), BUS_OK);
    cr_assert_str_eq(status_of("t-1"), "\"failed\"");
    cr_assert_str_eq(help_at(help, "execution_result.n"), "1");
    cr_assert_str_eq(open_ones(WORKFLOW_IS_STARTED), "");
    const char *told = strstr(help_text(help->said), "karma.life_event");
    cr_assert_not_null(told);
    cr_assert_null(strstr(told + 1, "karma.life_event"), "told twice");
}

Test(execute, takes_facts_from_the_executor_alone)
{
    cr_assert_eq(help_execute(help, "t-1", MAIL), BUS_OK);
    cr_assert_eq(help_apply(help, "workflow.started", "{\"execution\":1,\"boot\":\"b\"}"),
                 BUS_UNAUTHORIZED_ACCESS);
    cr_assert_eq(started(1, "b-1"), BUS_OK);
    cr_assert_eq(help_apply(help,
                            "workflow.finished",
                            "{\"execution\":1,\"boot\":\"b-1\",\"success\":true,\"result\":{},"
                            "\"duration_us\":0}"),
                 BUS_UNAUTHORIZED_ACCESS);
    cr_assert_eq(started(99, "b-1"), BUS_NOT_FOUND);
    cr_assert_eq(finished(99, "b-1", "{}"), BUS_NOT_FOUND);
    cr_assert_str_eq(status_of("t-1"), "\"started\"");
}

// Whoever may publish may use the executor's name: what no adapter makes must not stop it.
Test(execute, refuses_a_result_too_large_to_be_told_of)
{
    BUS_AUTO(text_destroy) text_t *json = text_new();
    cr_assert_eq(help_execute(help, "t-1", MAIL), BUS_OK);
    cr_assert_eq(started(1, "b-1"), BUS_OK);
    text_add_format(json,
                    "{\"execution\":1,\"boot\":\"b-1\",\"success\":true,\"result\":{\"x\":\"");
    for (unsigned i = 0; i < WORKFLOW_RESULT_SIZE_MAX; i++) {
        text_add(json, VIEW_LITERAL("x"));
    }
    text_add(json, VIEW_LITERAL("\"},\"duration_us\":1}"));
    help->source = "workflow_executor";
    cr_assert_eq(help_apply(help, "workflow.finished", text_view(json).data),
                 BUS_PAYLOAD_TOO_LARGE);
    cr_assert_str_eq(status_of("t-1"), "\"started\"");
    cr_assert_eq(finished(1, "b-1", "{\"success\":true}"), BUS_OK);
    cr_assert_str_eq(status_of("t-1"), "\"success\"");
}

Test(execute, tells_of_a_payload_that_grows_where_its_secrets_are_hidden)
{
    enum { SECRETS = 100000 }; // of 8 bytes, and of 18 when they are hidden
    BUS_AUTO(text_destroy) text_t *json = text_new();
    text_add(json,
             VIEW_LITERAL("{\"trace_id\":\"t-1\",\"decision\":\"workflow\",\"data\":{"
                          "\"workflow_type\":\"workflow\",\"payload\":{\"action_type\":\"task\","
                          "\"title\":\"t\",\"list\":[{\"token\":0}"));
    for (unsigned i = 1; i < SECRETS; i++) {
        text_add(json, VIEW_LITERAL(",{\"token\":0}"));
    }
    text_add(json, VIEW_LITERAL("]}}}"));
    cr_assert_eq(help_apply(help, "workflow.execute", text_view(json).data), BUS_OK);
    cr_assert_not_null(
        strstr(help_text(help->said), "\"metadata\":{\"omitted\":\"it is too large\"}"));
}

// --- Repeats -------------------------------------------------------------------------------------

Test(execute, answers_repeats_with_the_first_result_or_lets_them_wait_for_it)
{
    cr_assert_eq(help_execute(help, "t-1", MAIL), BUS_OK);
    cr_assert_eq(help_execute(help, "t-1", MAIL), BUS_OK);
    cr_assert(help->is_deferred);
    cr_assert_eq(started(1, "b"), BUS_OK);
    cr_assert_eq(help_execute(help, "t-1", MAIL), BUS_OK);
    cr_assert(help->is_deferred);
    cr_assert_eq(help_execute(help, "t-1", TASK), BUS_DUPLICATE_EXECUTION);
    cr_assert_eq(finished(1, "b", "{\"success\":true}"), BUS_OK);
    const char *later = help_text(help->later);
    cr_assert_not_null(strstr(later, "1 OK {"));
    cr_assert_not_null(strstr(later, "\n2 OK {"));
    cr_assert_not_null(strstr(later, "\n4 OK {"));
    help_forget(help);
    cr_assert_eq(help_execute(help, "t-1", MAIL), BUS_OK);
    cr_assert(!help->is_deferred);
    cr_assert_str_eq(help_at(help, "status"), "\"success\"");
    cr_assert_eq(help_execute(help, "t-1", TASK), BUS_DUPLICATE_EXECUTION);
    cr_assert_str_eq(help_text(help->said), "");
}

static void
write_many(unsigned first, unsigned last, text_t *json)
{
    text_clear(json);
    text_add(json,
             VIEW_LITERAL("{\"trace_id\":\"t-1\",\"decision\":\"workflow\",\"data\":{"
                          "\"workflow_type\":\"workflow\",\"payload\":{\"action_type\":\"task\","
                          "\"title\":\"t\""));
    int step = first < last ? 1 : -1;
    for (unsigned i = first; i != last; i += (unsigned) step) {
        text_add_format(json, ",\"%u\":0", i);
    }
    text_add(json, VIEW_LITERAL("}}}"));
}

// Looking for each of so many among all would hold up the executor for minutes, at each start too.
Test(execute, compares_payloads_of_very_many_pairs_quickly, .timeout = 20)
{
    enum { PAIRS = 100000 };
    BUS_AUTO(text_destroy) text_t *json = text_new();
    write_many(0, PAIRS, json);
    cr_assert_eq(help_apply(help, "workflow.execute", text_view(json).data), BUS_OK);
    cr_assert_eq(help_apply(help, "workflow.execute", text_view(json).data), BUS_OK);
    write_many(PAIRS, 0, json);
    cr_assert_eq(help_apply(help, "workflow.execute", text_view(json).data),
                 BUS_DUPLICATE_EXECUTION);
}

Test(execute, lets_so_many_repeats_wait_and_no_more)
{
    cr_assert_eq(help_execute(help, "t-1", MAIL), BUS_OK);
    for (int i = 0; i < WORKFLOW_REPEATS_MAX; i++) {
        cr_assert_eq(help_execute(help, "t-1", MAIL), BUS_OK);
    }
    cr_assert_eq(help_execute(help, "t-1", MAIL), BUS_BUSY);
    cr_assert_eq(started(1, "b"), BUS_OK);
    cr_assert_eq(finished(1, "b", "{\"success\":true}"), BUS_OK);
    size_t lines = 0;
    for (const char *at = help_text(help->later); (at = strchr(at, '\n')) != NULL; at++) {
        lines++;
    }
    cr_assert_eq(lines, WORKFLOW_REPEATS_MAX + 1);
}

Test(execute, queues_so_many_and_no_more)
{
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(help->store, STORE_WRITE, &txn), BUS_OK);
    for (uint64_t seq = 1; seq <= WORKFLOW_OPEN_MAX; seq++) {
        cr_assert_eq(
            workflow_execution_open(txn, WORKFLOW_IS_QUEUED, WORKFLOW_AI, 1000000 + seq, VIEW_NONE),
            BUS_OK);
    }
    cr_assert_eq(store_commit(&txn), BUS_OK);
    cr_assert_eq(help_execute(help, "t-1", MAIL), BUS_BUSY);
    cr_assert_eq(help_execute(help, "t-2", TASK), BUS_OK, "that waits for nobody");
    cr_assert_eq(help_execute(help, "t-3", "{\"action_type\":\"x\"}"), BUS_OK);
}

// --- Damage --------------------------------------------------------------------------------------

Test(execute, ends_an_execution_whose_record_is_damaged_with_an_error_and_does_not_act)
{
    for (int with_start = 0; with_start < 2; with_start++) {
        char trace[20];
        snprintf(trace, sizeof trace, "t-%d", with_start);
        cr_assert_eq(help_execute(help, trace, MAIL), BUS_OK);
        uint64_t seq = help->seq;
        help_forget(help);
        if (with_start) {
            cr_assert_eq(started(seq, "b"), BUS_OK);
        }
        help_damage(help, WORKFLOW_EXECUTIONS, STORE_U64(seq));
        cr_assert_eq(with_start ? finished(seq, "b", "{\"success\":true}") : started(seq, "b"),
                     BUS_INTERNAL);
        cr_assert_not_null(strstr(help_text(help->later), " INTEGRITY_ERROR {"));
        cr_assert_str_eq(open_ones(WORKFLOW_IS_STARTED), "");
        cr_assert_str_eq(open_ones(WORKFLOW_IS_QUEUED), "");
        cr_assert_eq(help_execute(help, trace, MAIL), BUS_INTERNAL, "it may have happened");
    }
}

Test(execute, goes_on_beside_damaged_records)
{
    cr_assert_eq(help_execute(help, "t-1", TASK), BUS_OK);
    help_damage(help, WORKFLOW_CONFIG, VIEW_LITERAL("config"));
    help_damage(help, WORKFLOW_METRICS, VIEW_LITERAL("task success"));
    help_damage(help, WORKFLOW_TASKS, STORE_U64(1));
    help_damage(help, WORKFLOW_PAYLOADS, STORE_U64(1));
    help_damage(help, WORKFLOW_EXECUTIONS, STORE_U64(1));
    cr_assert_eq(help_execute(help, "t-2", TASK), BUS_OK);
    cr_assert_eq(help_ask(help, "executions", "{}"), BUS_OK);
    cr_assert_str_eq(help_at(help, "count"), "1");
    cr_assert_eq(help_ask(help, "tasks", "{}"), BUS_OK);
    cr_assert_str_eq(help_at(help, "count"), "1");
    cr_assert_eq(help_apply(help, "workflow.task.complete", "{\"task_id\":\"task_00000001\"}"),
                 BUS_INTERNAL);
    cr_assert_eq(help_execute(help, "t-1", TASK), BUS_DUPLICATE_EXECUTION);
}

// --- The same journal, the same state ------------------------------------------------------------

static void
live(help_t *self)
{
    help_t *before = help;
    help = self;
    cr_assert_eq(help_execute(help, "t-1", MAIL), BUS_OK);
    cr_assert_eq(help_execute(help, "t-2", TASK), BUS_OK);
    cr_assert_eq(help_execute(help, "t-1", MAIL), BUS_OK);
    cr_assert_eq(started(1, "b"), BUS_OK);
    help->at += 12345;
    cr_assert_eq(finished(1, "b", "{\"success\":false,\"error_code\":\"x\"}"), BUS_OK);
    cr_assert_eq(help_execute(help, "t-4", MAIL), BUS_OK);
    cr_assert_eq(help_apply(help, "workflow.task.complete", "{\"task_id\":\"task_00000002\"}"),
                 BUS_OK);
    help = before;
}

Test(execute, makes_the_same_state_of_the_same_journal)
{
    char hashes[2][STORE_HASH_SIZE];
    help_t *other = help_new();
    help_t *both[] = {help, other};
    for (size_t i = 0; i < 2; i++) {
        live(both[i]);
        store_txn_t *txn = NULL;
        cr_assert_eq(store_begin(both[i]->store, STORE_READ, &txn), BUS_OK);
        cr_assert_eq(store_state_hash(txn, hashes[i]), BUS_OK);
        store_rollback(&txn);
    }
    cr_assert_str_eq(hashes[0], hashes[1]);
    help_destroy(&other);
}
