// attempt.c - asking one agent for one task. See attempt.h.
#include "attempt.h"

#include "proto/walk.h"
#include "runtime/clock.h"

#include <assert.h>
#include <stdio.h>

enum {
    WORDS_SIZE = 256, // of an agent's own words for its failure
    TOPIC_SIZE = 16 + CORE_AGENT_ID_MAX
};

// What is left of the task's time, or the agent's own limit where that is less; 0: nothing.
static unsigned
time_left(const core_task_t *task, const core_agent_t *agent)
{
    uint64_t now_us = clock_boot_us();
    if (now_us >= task->deadline_us) {
        return 0;
    }
    uint64_t left_ms = (task->deadline_us - now_us) / 1000;
    if (agent->timeout_ms != 0 && agent->timeout_ms < left_ms) {
        left_ms = agent->timeout_ms;
    }
    return (unsigned) left_ms;
}

static void
pack_request(const core_task_t *task, pack_t *out)
{
    bool has_user = task->user_id[0] != '\0';
    bool has_context = core_context_is_there(&task->context);
    pack_map(out, 6 + (has_user ? 1u : 0u) + (has_context ? 1u : 0u));
    pack_pair_text(out, "task_id", task->task_id);
    pack_pair_raw(out, "input", pack_view(task->input));
    pack_pair_text(out, "input_type", core_selector_input_text(task->input_type));
    pack_pair_raw(out, "tags", pack_view(task->tags));
    pack_pair_raw(out, "pdf_path", pack_view(task->pdf_path));
    pack_pair_text(out, "trace_id", task->trace_id);
    if (has_user) {
        pack_pair_text(out, "user_id", task->user_id);
    }
    if (has_context) {
        pack_text(out, "context");
        core_context_pack(&task->context, out);
    }
}

static const char *
why_of(bus_err_t err)
{
    if (err == BUS_TIMEOUT) {
        return "the agent did not answer in time";
    }
    if (err == BUS_NO_RESPONDERS || err == BUS_SERVICE_UNAVAILABLE) {
        return "the agent is not there";
    }
    return error_meaning(err);
}

// What an agent itself says of its failure, cut to what a person reads; else what the error means.
static const char *
words_of(const client_answer_t *answer, char *words, size_t size)
{
    bus_view_t value;
    bus_view_t text;
    if (answer->event != CLIENT_REPLIED || walk_find(answer->body, "message", &value) != BUS_OK ||
        walk_as_str(value, &text) != BUS_OK || text.size == 0) {
        return why_of(answer->err);
    }
    (void) snprintf(words, size, "%.*s", (int) text.size, text.data);
    words[walk_utf8_size(view_from_text(words))] = '\0';
    return words;
}

static void
on_bus_answer(void *arg, const client_answer_t *answer)
{
    core_task_t *task = arg;
    char words[WORDS_SIZE];
    if (answer->event == CLIENT_ACKED) {
        return;
    }
    task->call = 0;
    if (answer->err == BUS_ABORTED && answer->event == CLIENT_FAILED) {
        return; // the process stops
    }
    core_task_answered(task, answer->err, words_of(answer, words, sizeof words), answer->body);
}

static bus_err_t
ask_bus(core_task_t *task, const core_agent_t *agent, unsigned timeout_ms)
{
    core_state_t *core = task->core;
    char topic[TOPIC_SIZE];
    (void) snprintf(topic, sizeof topic, "req.agent.%s", agent->id);
    pack_clear(core->scratch);
    pack_request(task, core->scratch);
    const client_message_t message = {
        .topic = topic,
        .body = pack_view(core->scratch),
        .trace_id = view_from_text(task->trace_id),
        .want = CLIENT_WANT_REPLY,
        .timeout_ms = timeout_ms,
    };
    task->called_us = clock_boot_us();
    return client_send(service_client(core->service), &message, on_bus_answer, task, &task->call);
}

core_attempt_t
core_attempt_ask(core_task_t *task, const core_agent_t *agent, store_txn_t *txn)
{
    core_attempt_t attempt = {.err = BUS_OK};
    unsigned timeout_ms = time_left(task, agent);
    bus_view_t text = VIEW_NONE;
    const char *why = NULL;
    if (timeout_ms == 0) {
        return (core_attempt_t){.err = BUS_TIMEOUT, .why = "the task's time is up"};
    }
    switch (agent->kind) {
    case CORE_AGENT_TEXT:
        attempt.answer = pack_new();
        attempt.err = walk_as_str(pack_view(task->input), &text);
        assert(attempt.err == BUS_OK); // we packed it
        core_agent_text_answer(text, attempt.answer);
        break;
    case CORE_AGENT_KNOWLEDGE:
        attempt.answer = pack_new();
        attempt.err = core_agent_knowledge_answer(task, txn, attempt.answer, &why);
        break;
    case CORE_AGENT_BUS:
        attempt.err = ask_bus(task, agent, timeout_ms);
        break;
    case CORE_AGENT_HTTP:
        attempt.err = core_agent_http_ask(task, agent, timeout_ms);
        break;
    }
    attempt.is_under_way = attempt.err == BUS_OK && attempt.answer == NULL;
    attempt.why = why != NULL ? why : why_of(attempt.err);
    return attempt;
}

void
core_attempt_cancel(core_task_t *task)
{
    if (task->call != 0) {
        client_cancel(service_client(task->core->service), task->call);
        task->call = 0;
    }
    if (task->transfer != 0) {
        transfer_cancel(task->core->transfers, task->transfer);
        task->transfer = 0;
    }
}
