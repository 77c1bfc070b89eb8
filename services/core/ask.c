// ask.c - the questions that make tasks. See ask.h.
#include "ask.h"

#include "history.h"
#include "proto/rfc3339.h"
#include "proto/walk.h"

#include <assert.h>
#include <stdio.h>
#include <xxhash.h>

enum { TAG_SIZE_MAX = 128 };

// --- Checks --------------------------------------------------------------------------------------

bus_err_t
core_ask_invalid(service_query_t *query, const char *field, const char *problem)
{
    BUS_AUTO(pack_destroy) pack_t *details = pack_new();
    const schema_problems_t problems = {.count = 1, .at = {{field, problem}}};
    schema_pack_problems(&problems, details);
    return service_query_refuse(query, BUS_VALIDATION_FAILED, NULL, pack_view(details));
}

bus_err_t
core_ask_read_input(service_query_t *query, bus_view_t word, core_input_t *ret_input)
{
    core_input_t input = word.data == NULL ? CORE_INPUT_TEXT : core_selector_input(word);
    if (input == CORE_INPUT_COUNT) {
        return core_ask_invalid(query, "input_type", "must be text, pdf, image or audio");
    }
    *ret_input = input;
    return BUS_OK;
}

bus_err_t
core_ask_check_tags(service_query_t *query, bus_view_t tags)
{
    bool fits =
        tags.data == NULL || core_registry_is_texts(tags, CORE_REGISTRY_TAGS_MAX, TAG_SIZE_MAX);
    return fits ? BUS_OK
                : core_ask_invalid(query, "tags", "must be at most 32 texts of 1 to 128 bytes");
}

// --- A task that is known already ----------------------------------------------------------------

static bus_err_t
refuse_other(service_query_t *query)
{
    bool has_key = query->header->idem.data != NULL;
    return service_query_refuse(query,
                                has_key ? BUS_IDEMPOTENCY_KEY_REUSED : BUS_CONFLICT,
                                has_key ? NULL : "another request has this task_id",
                                VIEW_NONE);
}

static bus_err_t
join_running(service_query_t *query, core_task_t *task)
{
    if (task->is_done) {
        core_task_pack_answer(task, query->answer);
        return BUS_OK;
    }
    if (task->question_count == CORE_TASK_QUESTIONS_MAX) {
        return BUS_BUSY;
    }
    service_question_t *question = service_query_defer(query);
    if (question == NULL) {
        return BUS_BUSY;
    }
    task->questions[task->question_count++] = question;
    return BUS_OK;
}

static void
pack_workflow(const schema_core_task_t *task, pack_t *out)
{
    bool has_result = task->workflow_result.data != NULL;
    pack_text(out, "workflow");
    pack_map(out, has_result ? 3 : 2);
    pack_pair_str(out, "trace_id", task->trace_id);
    pack_pair_str(out, "status", task->workflow);
    if (has_result) {
        pack_pair_raw(out, "result", task->workflow_result);
    }
}

// The answer as it was given, from the store.
static bus_err_t
answer_kept(service_query_t *query, uint64_t seq, const schema_core_task_t *task)
{
    bus_view_t output;
    bus_err_t err = core_history_output(query->txn, seq, &output);
    if (err != BUS_OK && err != BUS_NOT_FOUND) {
        return err;
    }
    bool has_workflow = task->workflow.data != NULL;
    pack_map(query->answer, has_workflow ? 5 : 4);
    pack_pair_str(query->answer, "task_id", task->task_id);
    pack_pair_raw(query->answer, "agent_output", err == BUS_OK ? output : PACK_EMPTY_MAP);
    pack_pair_str(query->answer, "status", task->status);
    pack_pair_str(query->answer, "agent_id", task->agent_id);
    if (has_workflow) {
        pack_workflow(task, query->answer);
    }
    return BUS_OK;
}

// Answers, or joins, a task of this id that is there already. BUS_NOT_FOUND: there is none.
static bus_err_t
find_known(service_query_t *query, bus_view_t task_id)
{
    core_state_t *core = query->state;
    char hash[CORE_TASK_HASH_SIZE];
    (void) snprintf(hash,
                    sizeof hash,
                    "%016llx",
                    (unsigned long long) XXH3_64bits(query->body.data, query->body.size));
    core_task_t *running = core_task_find(core, task_id);
    if (running != NULL) {
        bool is_same = strcmp(running->hash, hash) == 0;
        return is_same ? join_running(query, running) : refuse_other(query);
    }
    schema_core_task_t kept;
    uint64_t seq;
    bus_err_t err = core_history_find(query->txn, task_id, &seq, &kept);
    if (err != BUS_OK) {
        return err;
    }
    return view_is(kept.request_hash, hash) ? answer_kept(query, seq, &kept) : refuse_other(query);
}

// --- A new one -----------------------------------------------------------------------------------

static bus_err_t
begin(service_query_t *query, core_task_ask_t *ask)
{
    core_state_t *core = query->state;
    if (ask->task_id.data != NULL) {
        bus_err_t err = find_known(query, ask->task_id);
        if (err != BUS_NOT_FOUND) {
            return err;
        }
    }
    ask->trace_id = query->header->trace_id;
    ask->hashed = query->body;
    core_task_t *task = core_task_new(core, ask);
    if (task == NULL) {
        return BUS_BUSY;
    }
    service_question_t *question = service_query_defer(query);
    if (question == NULL) {
        core_task_abandon(task);
        return BUS_BUSY;
    }
    task->questions[task->question_count++] = question;
    core_task_start(task);
    return BUS_OK;
}

bus_err_t
core_ask_task(service_query_t *query, const void *message)
{
    const schema_handle_task_t *asked = message;
    core_input_t input_type = CORE_INPUT_TEXT;
    bus_err_t err = core_ask_read_input(query, asked->input_type, &input_type);
    if (err == BUS_OK) {
        err = core_ask_check_tags(query, asked->tags);
    }
    if (err != BUS_OK) {
        return err;
    }
    bool has_fallback = asked->fallback_model.size > 0;
    core_task_ask_t ask = {
        .task_id = asked->task_id,
        .agent = asked->agent,
        .fallback = asked->fallback_model,
        .user_id = asked->user_id,
        .input = asked->input,
        .pdf_path = asked->pdf_path,
        .tags = asked->tags,
        .input_type = input_type,
        .complexity = core_selector_complexity(input_type),
        // A failure is told, unless the caller asked for another try.
        .retries = asked->retries.has ? (unsigned) asked->retries.value : (has_fallback ? 1 : 0),
    };
    return begin(query, &ask);
}

bus_err_t
core_ask_kb(service_query_t *query, const void *message)
{
    const schema_query_kb_t *asked = message;
    bus_err_t err = core_ask_check_tags(query, asked->tags);
    if (err != BUS_OK) {
        return err;
    }
    core_task_ask_t ask = {
        .task_id = asked->task_id,
        .agent = VIEW_LITERAL("knowledge_agent"),
        .user_id = asked->user_id,
        .input = asked->query,
        .tags = asked->tags.data != NULL ? asked->tags : VIEW_LITERAL("\x91\xafsemantic_search"),
        .filters = asked->filters,
        .limit = asked->limit.has ? asked->limit.value : 0,
        .input_type = CORE_INPUT_TEXT,
        .complexity = core_selector_complexity(CORE_INPUT_TEXT),
    };
    return begin(query, &ask);
}

// --- What became of one --------------------------------------------------------------------------

static void
show_running(const core_task_t *task, pack_t *out)
{
    pack_map(out, 6);
    pack_pair_text(out, "task_id", task->task_id);
    pack_pair_text(out, "status", "running");
    pack_pair_text(out, "agent_id", core_task_agent(task));
    pack_pair_text(out, "trace_id", task->trace_id);
    pack_pair_text(out, "input_type", core_selector_input_text(task->input_type));
    pack_text(out, "attempts");
    pack_array(out, task->attempt_count);
    pack_raw(out, pack_view(task->attempts));
}

static void
pack_optional(pack_t *out, const char *key, bus_view_t value, uint32_t *count)
{
    if (value.data != NULL) {
        pack_pair_str(out, key, value);
        (*count)++;
    }
}

static bus_err_t
show_kept(service_query_t *query, uint64_t seq, const schema_core_task_t *task)
{
    pack_t *out = query->answer;
    bus_view_t output;
    char at[RFC3339_SIZE];
    bus_err_t err = core_history_output(query->txn, seq, &output);
    if (err != BUS_OK && err != BUS_NOT_FOUND) {
        return err;
    }
    rfc3339_format((uint64_t) task->at.value, at);
    size_t place = pack_map_begin(out);
    uint32_t count = 7;
    pack_pair_str(out, "task_id", task->task_id);
    pack_pair_str(out, "status", task->status);
    pack_pair_str(out, "agent_id", task->agent_id);
    pack_pair_raw(out, "agent_output", err == BUS_OK ? output : PACK_EMPTY_MAP);
    pack_pair_real(out, "reward", task->reward.value);
    pack_pair_text(out, "finished_at", at);
    pack_pair_uint(out, "seq", seq);
    pack_optional(out, "user_id", task->user_id, &count);
    pack_optional(out, "trace_id", task->trace_id, &count);
    pack_optional(out, "input_type", task->input_type, &count);
    if (task->processing_time.has) {
        pack_pair_real(out, "processing_time", task->processing_time.value);
        count++;
    }
    if (task->feedback.has) {
        pack_pair_real(out, "feedback", task->feedback.value);
        count++;
    }
    if (task->attempts.data != NULL) {
        pack_pair_raw(out, "attempts", task->attempts);
        count++;
    }
    if (task->workflow.data != NULL) {
        pack_workflow(task, out);
        count++;
    }
    pack_count(out, place, count);
    return BUS_OK;
}

bus_err_t
core_ask_show(service_query_t *query, const void *message)
{
    const schema_core_task_query_t *asked = message;
    const core_task_t *running = core_task_find(query->state, asked->task_id);
    if (running != NULL && running->is_done) { // told, and about to be kept
        core_task_pack_answer(running, query->answer);
        return BUS_OK;
    }
    if (running != NULL) {
        show_running(running, query->answer);
        return BUS_OK;
    }
    if (core_multi_is_running(query->state, asked->task_id)) {
        pack_map(query->answer, 2);
        pack_pair_str(query->answer, "task_id", asked->task_id);
        pack_pair_text(query->answer, "status", "running");
        return BUS_OK;
    }
    schema_core_task_t task;
    uint64_t seq;
    bus_err_t err = core_history_find(query->txn, asked->task_id, &seq, &task);
    if (err == BUS_NOT_FOUND) {
        return service_query_refuse(query, err, "no task of this id is kept", VIEW_NONE);
    }
    return err == BUS_OK ? show_kept(query, seq, &task) : err;
}
