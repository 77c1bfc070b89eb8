// agent_http.c - agents behind an OpenAI-compatible endpoint: POST <url>/chat/completions.
//
// What comes back is somebody else's: it is parsed as strict JSON, bounded, and reduced to what an
// agent's answer is. The key goes into the request alone; `why` never repeats what the server said
// in an error beyond its status, because servers say keys back.
#include "attempt.h"
#include "proto/text.h"
#include "proto/transcode.h"
#include "proto/walk.h"

#include <stdio.h>

enum { STATUS_OK_MIN = 200, STATUS_OK_MAX = 299 };

static void
pack_message(pack_t *out, const char *role, bus_view_t content)
{
    pack_map(out, 2);
    pack_pair_text(out, "role", role);
    pack_pair_str(out, "content", content);
}

static void
write_request(const core_task_t *task, const core_agent_t *agent, text_t *out)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    BUS_AUTO(text_destroy) text_t *known = text_new();
    bool has_context = core_context_is_there(&task->context);
    if (has_context) {
        BUS_AUTO(pack_destroy) pack_t *context = pack_new();
        core_context_pack(&task->context, context);
        text_add(known, VIEW_LITERAL("What is known of the user and of you, as JSON: "));
        transcode_to_json(pack_view(context), 0, known);
    }
    pack_map(body, 3);
    pack_pair_text(body, "model", agent->model);
    pack_pair_bool(body, "stream", false);
    pack_text(body, "messages");
    pack_array(body, 1 + (agent->system != NULL ? 1u : 0u) + (has_context ? 1u : 0u));
    if (agent->system != NULL) {
        pack_message(body, "system", view_from_text(agent->system));
    }
    if (has_context) {
        pack_message(body, "system", text_view(known));
    }
    pack_map(body, 2);
    pack_pair_text(body, "role", "user");
    pack_pair_raw(body, "content", pack_view(task->input));
    transcode_to_json(pack_view(body), 0, out);
}

// Whether it can stand in a header as it is: what came over the bus may hold anything.
static bool
is_plain(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text <= ' ' || *text > '~') {
            return false;
        }
    }
    return true;
}

// choices[0].message.content.
static bus_err_t
find_content(bus_view_t reply, bus_view_t *ret_content)
{
    bus_view_t choices;
    bus_view_t first;
    bus_view_t content;
    walk_item_t head;
    if (walk_find(reply, "choices", &choices) != BUS_OK) {
        return BUS_NOT_FOUND;
    }
    walk_t walk = walk_from(choices);
    if (walk_next(&walk, &head) != BUS_OK || head.type != WALK_ARRAY || head.count == 0 ||
        walk_skip(&walk, &first) != BUS_OK ||
        walk_find_path(first, "message.content", &content) != BUS_OK) {
        return BUS_NOT_FOUND;
    }
    return walk_as_str(content, ret_content);
}

static void
pack_answer(const core_agent_t *agent, bus_view_t reply, bus_view_t content, pack_t *out)
{
    bus_view_t usage;
    bus_view_t value;
    bus_view_t model = VIEW_NONE;
    bool has_usage = walk_find(reply, "usage", &usage) == BUS_OK;
    if (walk_find(reply, "model", &value) != BUS_OK || walk_as_str(value, &model) != BUS_OK ||
        model.size == 0 || model.size > 128) {
        model = agent == NULL ? VIEW_LITERAL("") : view_from_text(agent->model);
    }
    pack_map(out, 3 + (has_usage ? 1u : 0u));
    pack_pair_str(out, "result", content);
    pack_pair_int(out, "status", 200);
    pack_pair_str(out, "model", model);
    if (has_usage) {
        pack_pair_raw(out, "usage", usage);
    }
}

static void
on_answer(void *arg, const transfer_answer_t *answer)
{
    core_task_t *task = arg;
    task->transfer = 0;
    if (answer->err != BUS_OK) {
        core_task_answered(task, answer->err, answer->why, VIEW_NONE);
        return;
    }
    char why[64];
    if (answer->status < STATUS_OK_MIN || answer->status > STATUS_OK_MAX) {
        (void) snprintf(why, sizeof why, "the agent's server answered HTTP %d", answer->status);
        core_task_answered(task, BUS_IO, why, VIEW_NONE);
        return;
    }
    BUS_AUTO(pack_destroy) pack_t *reply = pack_new();
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    bus_view_t content;
    if (transcode_from_json(answer->body, reply, NULL, 0) != BUS_OK) {
        core_task_answered(task, BUS_IO, "the agent's server answered no JSON", VIEW_NONE);
        return;
    }
    if (find_content(pack_view(reply), &content) != BUS_OK) {
        core_task_answered(
            task, BUS_IO, "the agent's server answered no choices[0].message.content", VIEW_NONE);
        return;
    }
    bus_view_t id = view_from_text(core_task_agent(task));
    const core_agent_t *agent = core_registry_find(task->core->registry, id);
    pack_answer(agent, pack_view(reply), content, out);
    core_task_answered(task, BUS_OK, NULL, pack_view(out));
}

bus_err_t
core_agent_http_ask(core_task_t *task, const core_agent_t *agent, unsigned timeout_ms)
{
    BUS_AUTO(text_destroy) text_t *url = text_new();
    BUS_AUTO(text_destroy) text_t *body = text_new();
    char trace[NAME_SIZE_MAX + 32];
    text_add_format(url, "%s/chat/completions", agent->url);
    write_request(task, agent, body);
    (void) snprintf(trace, sizeof trace, "X-Trace-Id: %s", task->trace_id);
    const char *const headers[] = {
        "Content-Type: application/json",
        "Accept: application/json",
        trace,
    };
    const transfer_request_t request = {
        .url = text_view(url).data,
        .headers = headers,
        .header_count = is_plain(task->trace_id) ? 3 : 2,
        .body = text_view(body),
        .bearer = agent->key,
        .timeout_ms = timeout_ms,
        .answer_size_max = CORE_ANSWER_SIZE_MAX,
    };
    return transfer_start(task->core->transfers, &request, on_answer, task, &task->transfer);
}
