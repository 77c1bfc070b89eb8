// execute.c - the executor's reducer. See execute.h.
//
// Order of the checks: docs/originals.md 4.2. What is wrong with the request itself is refused and
// leaves nothing behind; what is wrong with the action asked for is an execution that failed.
#include "execute.h"

#include "finish.h"
#include "index.h"
#include "proto/rfc3339.h"
#include "proto/walk.h"
#include "proto/workflow.h"
#include "task.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    ACTION_SIZE_MAX = 64, // bytes of an action_type that are kept
    UNORDERED_MAX = 1024, // pairs of payloads that are compared in whatever order
};

// A command that passed the checks of its form.
typedef struct {
    const schema_workflow_execute_t *asked;
    schema_workflow_payload_t known; // of the payload
    bus_view_t payload;
    bus_view_t trace_id;    // absent: it has none
    bus_view_t action_type; // absent: it names none
    workflow_action_t action;
} command_t;

// --- The form ------------------------------------------------------------------------------------

static bus_err_t
refuse_problems(service_apply_t *apply, const schema_problems_t *problems)
{
    BUS_AUTO(pack_destroy) pack_t *details = pack_new();
    schema_pack_problems(problems, details);
    return service_refuse(apply, BUS_VALIDATION_FAILED, NULL, pack_view(details));
}

// The trace of the body, else of the payload, else of the message.
static bus_view_t
find_trace(const service_apply_t *apply, const command_t *command)
{
    if (command->asked->trace_id.size > 0) {
        return command->asked->trace_id;
    }
    return command->known.trace_id.size > 0 ? command->known.trace_id : apply->header->trace_id;
}

// The action that the payload names, cut to what is kept of it.
static void
read_action(command_t *command)
{
    bus_view_t action = VIEW_NONE;
    bus_view_t given = command->known.action_type;
    command->action = WORKFLOW_ACTION_COUNT;
    if (given.data != NULL && walk_as_str(given, &action) != BUS_OK) {
        action = VIEW_LITERAL("(no text)");
    }
    if (action.size > 0) {
        command->action = workflow_adapter_find(action);
        command->action_type = action;
    }
    if (action.size > ACTION_SIZE_MAX) {
        command->action_type.size = walk_utf8_size(view_from(action.data, ACTION_SIZE_MAX));
    }
}

static bus_err_t
read_command(service_apply_t *apply, command_t *command)
{
    workflow_problems_t problems;
    bus_err_t err =
        workflow_payload(command->asked->data, &command->known, &command->payload, &problems);
    if (err == BUS_INVALID_REQUEST) {
        return service_refuse(apply, err, WORKFLOW_NO_PAYLOAD, VIEW_NONE);
    }
    if (err != BUS_OK) {
        return refuse_problems(apply, &problems.problems);
    }
    command->trace_id = find_trace(apply, command);
    read_action(command);
    return BUS_OK;
}

static bus_err_t
skip(service_apply_t *apply, const schema_workflow_execute_t *asked)
{
    pack_map(apply->answer, 3);
    pack_pair_str(apply->answer,
                  "trace_id",
                  asked->trace_id.size > 0 ? asked->trace_id : apply->header->trace_id);
    pack_pair_text(apply->answer, "status", "skipped");
    pack_pair_text(apply->answer, "reason", "decision_not_workflow");
    return BUS_OK;
}

// --- A key that came before ----------------------------------------------------------------------

// Whether two payloads say the same: the same pairs, in whatever order. Every pair is looked for
// among all: of very many, which no adapter has a use for, the order counts too.
static bool
is_same(bus_view_t one, bus_view_t other)
{
    walk_pairs_t pairs = walk_pairs(one);
    walk_pairs_t counted = walk_pairs(other);
    bus_view_t key, value;
    if (view_equal(one, other)) {
        return true;
    }
    if (pairs.left != counted.left || pairs.left > UNORDERED_MAX) {
        return false;
    }
    while (walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
        bus_view_t other_key, other_value;
        walk_pairs_t others = walk_pairs(other);
        bool found = false;
        while (!found && walk_pairs_next(&others, &other_key, &other_value) == BUS_OK) {
            found = view_equal(key, other_key) && view_equal(value, other_value);
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

static bus_err_t
refuse_damaged(service_apply_t *apply)
{
    return service_refuse(apply,
                          BUS_INTERNAL,
                          "what is kept of this trace_id and execution_id is damaged: nothing was "
                          "done",
                          VIEW_NONE);
}

// Answers as the first time, when that is known; or refuses another payload.
static bus_err_t
repeat(service_apply_t *apply, const command_t *command, uint64_t seq)
{
    workflow_state_t *state = apply->state;
    bus_view_t before;
    bus_err_t err = store_get(apply->txn, WORKFLOW_PAYLOADS, STORE_U64(seq), &before);
    if (err == BUS_OK && !is_same(before, command->payload)) {
        return service_refuse(apply, BUS_DUPLICATE_EXECUTION, NULL, VIEW_NONE);
    }
    workflow_execution_t execution = {.status = VIEW_NONE};
    if (err == BUS_OK) {
        err = workflow_execution_load(apply->txn, seq, state->record, &execution);
    }
    if (err != BUS_OK) {
        return err == BUS_CORRUPT || err == BUS_NOT_FOUND ? refuse_damaged(apply) : err;
    }
    if (execution.execution_result.data == NULL) {
        return workflow_finish_wait(apply, seq);
    }
    workflow_execution_answer(&execution, apply->answer);
    return BUS_OK;
}

// --- A new one -----------------------------------------------------------------------------------

static bus_err_t
add(service_apply_t *apply, const command_t *command)
{
    store_txn_t *txn = apply->txn;
    uint64_t seq = apply->header->seq;
    bus_err_t err = store_put(txn, WORKFLOW_PAYLOADS, STORE_U64(seq), command->payload);
    if (err == BUS_OK && command->trace_id.size > 0) {
        err = workflow_execution_put_key(txn, command->trace_id, command->known.execution_id, seq);
    }
    if (err == BUS_OK && command->trace_id.size > 0) {
        err = workflow_index_add(txn, WORKFLOW_INDEX_TRACE, command->trace_id, seq);
    }
    return err;
}

// What is wrong with the action asked for. False: nothing, and *ret_values is what it needs.
static bool
find_fault(const command_t *command, workflow_values_t *ret_values, workflow_fault_t *ret_fault)
{
    const char *code = NULL;
    ret_fault->text[0] = '\0';
    if (command->trace_id.size == 0) {
        code = "missing_trace_id";
        (void) snprintf(ret_fault->text, sizeof ret_fault->text, "payload requires trace_id");
    } else if (command->action_type.size == 0) {
        code = "missing_action_type";
        (void) snprintf(ret_fault->text, sizeof ret_fault->text, "payload requires action_type");
    } else if (command->action == WORKFLOW_ACTION_COUNT) {
        code = "unsupported_action_type";
        (void) snprintf(ret_fault->text,
                        sizeof ret_fault->text,
                        "action_type '%.*s' is not supported",
                        (int) command->action_type.size,
                        command->action_type.data);
    }
    ret_fault->error_code = code;
    return code != NULL ||
           !workflow_adapter_check(
               workflow_adapter_of(command->action), command->payload, ret_values, ret_fault);
}

// Ends it in the transaction that it came in.
static bus_err_t
finish_now(service_apply_t *apply,
           const command_t *command,
           workflow_execution_t *execution,
           bool success,
           bus_view_t result)
{
    const workflow_outcome_t outcome = {
        .success = success,
        .result = result,
        .action = command->action,
        .payload = command->payload,
    };
    bus_err_t err = workflow_finish(apply, execution, &outcome);
    if (err == BUS_OK) {
        workflow_execution_answer(execution, apply->answer);
    }
    return err;
}

static bus_err_t
queue(service_apply_t *apply, const command_t *command, workflow_execution_t *execution)
{
    workflow_state_t *state = apply->state;
    store_txn_t *txn = apply->txn;
    uint64_t seq = apply->header->seq;
    execution->status = view_from_text(WORKFLOW_QUEUED);
    bus_err_t err = workflow_execution_save(txn, execution, state->written);
    if (err == BUS_OK) {
        err = workflow_index_add(txn, WORKFLOW_INDEX_STATUS, execution->status, seq);
    }
    if (err == BUS_OK) {
        err = workflow_execution_open(txn, WORKFLOW_IS_QUEUED, command->action, seq, VIEW_NONE);
    }
    return err == BUS_OK ? service_defer(apply) : err;
}

static bus_err_t
execute_new(service_apply_t *apply, const command_t *command)
{
    workflow_fault_t fault;
    workflow_values_t values;
    uint64_t open = 0;
    bool has_fault = find_fault(command, &values, &fault);
    bool needs_effect = !has_fault && command->action != WORKFLOW_TASK;
    bus_err_t err = store_count(apply->txn, WORKFLOW_OPEN, &open);
    if (err == BUS_OK && needs_effect && open >= WORKFLOW_OPEN_MAX) {
        return service_refuse(apply, BUS_BUSY, "too many executions are waiting", VIEW_NONE);
    }
    const schema_workflow_execute_t *asked = command->asked;
    char at[RFC3339_SIZE];
    rfc3339_format(apply->header->at, at);
    bool has_user = command->known.user_id.size > 0;
    workflow_execution_t execution = {
        .seq = {.has = true, .value = (int64_t) apply->header->seq},
        .trace_id = command->trace_id,
        .execution_id = command->known.execution_id,
        .action_type = command->action_type,
        .user_id = has_user ? command->known.user_id : VIEW_LITERAL("system"),
        .requester_id = asked->requester_id.size > 0 ? asked->requester_id : apply->header->source,
        .requested_at = view_from_text(at),
    };
    err = err == BUS_OK ? add(apply, command) : err;
    if (err != BUS_OK) {
        return err;
    }
    if (needs_effect) {
        return queue(apply, command, &execution);
    }
    BUS_AUTO(pack_destroy) pack_t *result = pack_new();
    if (has_fault) {
        workflow_adapter_pack_fault(fault.error_code, fault.text, false, result);
    } else {
        err = workflow_task_create(apply, &execution, &values, result);
    }
    return err == BUS_OK ? finish_now(apply, command, &execution, !has_fault, pack_view(result))
                         : err;
}

bus_err_t
workflow_execute(service_apply_t *apply, const void *message)
{
    command_t command = {.asked = message};
    if (!workflow_is_decision(command.asked->decision)) {
        const schema_problems_t problems = {
            .count = 1,
            .at = {{"decision", "must be respond, task, workflow, insight or fallback"}}};
        return refuse_problems(apply, &problems);
    }
    if (!view_is(command.asked->decision, "workflow")) {
        return skip(apply, command.asked);
    }
    bus_err_t err = read_command(apply, &command);
    if (err != BUS_OK) {
        return err;
    }
    workflow_switches_t switches;
    err = workflow_config_get(apply->txn, &switches);
    if (err == BUS_OK && !switches.enabled) {
        return service_refuse(
            apply, BUS_FORBIDDEN, "the execution of workflows is switched off", VIEW_NONE);
    }
    uint64_t seq = 0;
    if (err == BUS_OK && command.trace_id.size > 0) {
        err =
            workflow_execution_find(apply->txn, command.trace_id, command.known.execution_id, &seq);
    } else if (err == BUS_OK) {
        err = BUS_NOT_FOUND;
    }
    if (err == BUS_OK) {
        return repeat(apply, &command, seq);
    }
    if (err == BUS_CORRUPT) {
        return refuse_damaged(apply);
    }
    return err == BUS_NOT_FOUND ? execute_new(apply, &command) : err;
}

// --- Facts ---------------------------------------------------------------------------------------

// The execution that a fact of ours is about, in state->record. Refuses what is nobody's to say.
static bus_err_t
find_subject(service_apply_t *apply, int64_t seq, workflow_execution_t *ret_execution)
{
    workflow_state_t *state = apply->state;
    if (!view_is(apply->header->source, "workflow_executor")) {
        return service_refuse(
            apply, BUS_UNAUTHORIZED_ACCESS, "only the executor knows that", VIEW_NONE);
    }
    bus_err_t err =
        workflow_execution_load(apply->txn, (uint64_t) seq, state->record, ret_execution);
    if (err == BUS_NOT_FOUND) {
        return service_refuse(apply, BUS_NOT_FOUND, "there is no such execution", VIEW_NONE);
    }
    if (err == BUS_CORRUPT) {
        err = workflow_finish_damaged(apply, (uint64_t) seq);
        return err == BUS_OK
                   ? service_refuse(apply, BUS_INTERNAL, "its record is damaged", VIEW_NONE)
                   : err;
    }
    return err;
}

bus_err_t
workflow_execute_started(service_apply_t *apply, const void *message)
{
    const schema_workflow_started_t *fact = message;
    workflow_state_t *state = apply->state;
    store_txn_t *txn = apply->txn;
    uint64_t seq = (uint64_t) fact->execution.value;
    workflow_execution_t execution = {.status = VIEW_NONE};
    bus_err_t err = find_subject(apply, fact->execution.value, &execution);
    if (err != BUS_OK || !view_is(execution.status, WORKFLOW_QUEUED)) {
        return err; // somebody was first
    }
    char at[RFC3339_SIZE];
    rfc3339_format(apply->header->at, at);
    workflow_action_t action = workflow_adapter_find(execution.action_type);
    assert(action < WORKFLOW_ACTION_COUNT); // it is queued
    execution.status = view_from_text(WORKFLOW_STARTED);
    execution.started_at = view_from_text(at);
    err = workflow_execution_save(txn, &execution, state->written);
    if (err == BUS_OK) {
        err =
            workflow_index_remove(txn, WORKFLOW_INDEX_STATUS, view_from_text(WORKFLOW_QUEUED), seq);
    }
    if (err == BUS_OK) {
        err = workflow_index_add(txn, WORKFLOW_INDEX_STATUS, execution.status, seq);
    }
    if (err == BUS_OK) {
        err = workflow_execution_close(txn, WORKFLOW_IS_QUEUED, action, seq);
    }
    return err == BUS_OK
               ? workflow_execution_open(txn, WORKFLOW_IS_STARTED, action, seq, fact->boot)
               : err;
}

bus_err_t
workflow_execute_finished(service_apply_t *apply, const void *message)
{
    const schema_workflow_finished_t *fact = message;
    workflow_execution_t execution = {.status = VIEW_NONE};
    bus_err_t err = find_subject(apply, fact->execution.value, &execution);
    if (err != BUS_OK || !view_is(execution.status, WORKFLOW_STARTED)) {
        return err; // it had ended
    }
    if (fact->result.size > WORKFLOW_RESULT_SIZE_MAX) { // none of ours: anybody may use our name
        return service_refuse(apply, BUS_PAYLOAD_TOO_LARGE, NULL, VIEW_NONE);
    }
    const workflow_outcome_t outcome = {
        .success = fact->success.value,
        .result = fact->result,
        .duration_us = (uint64_t) fact->duration_us.value,
        .action = workflow_adapter_find(execution.action_type),
    };
    err = workflow_finish(apply, &execution, &outcome);
    return err == BUS_OK ? workflow_finish_answer(apply, &execution) : err;
}
