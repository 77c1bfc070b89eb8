// ai.c - the ai adapter: one question to an OpenAI-compatible server.
//
// POST {url}/chat/completions, answered {id, choices: [{message: {content}}], …}. Source: OpenAI's
// API reference, "Create chat completion".
#include "adapter.h"
#include "proto/rfc3339.h"
#include "proto/transcode.h"
#include "proto/walk.h"

#include <stdio.h>

enum {
    PROMPT_SIZE_MAX = 262144,
    ANSWER_SIZE_MAX = 1 << 20,  // of the whole answer
    RESPONSE_SIZE_MAX = 262144, // of its text: prompt and response are kept in one record
    REQUEST_ID_SIZE_MAX = 256,
    MODEL_SIZE_MAX = 256,
};

static const workflow_need_t needs[] = {
    {.field = "prompt",
     .instead = "content",
     .missing = "missing_prompt",
     .invalid = "invalid_prompt",
     .kind = "text",
     .size_max = PROMPT_SIZE_MAX},
};

static bool
is_configured(const workflow_servers_t *servers)
{
    return servers->ai_url != NULL;
}

static void
compose(const workflow_job_t *job, const workflow_servers_t *servers, workflow_letter_t *letter)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, servers->ai_model == NULL ? 2 : 3);
    if (servers->ai_model != NULL) {
        pack_pair_text(body, "model", servers->ai_model);
    }
    pack_text(body, "messages");
    pack_array(body, 1);
    pack_map(body, 2);
    pack_pair_text(body, "role", "user");
    pack_pair_str(body, "content", job->values.at[0]);
    pack_pair_bool(body, "stream", false);
    transcode_to_json(pack_view(body), 0, letter->body);
    text_add(letter->url, workflow_adapter_base(servers->ai_url));
    text_add(letter->url, VIEW_LITERAL("/chat/completions"));
    letter->headers[0] = "Content-Type: application/json";
    letter->request = (transfer_request_t){
        .url = text_view(letter->url).data,
        .headers = letter->headers,
        .header_count = 1,
        .body = text_view(letter->body),
        .bearer = servers->ai_key,
        .answer_size_max = ANSWER_SIZE_MAX,
    };
}

// choices[0].message.content of the answer.
static bus_view_t
response_of(bus_view_t said)
{
    bus_view_t choices, first, message;
    walk_item_t head;
    if (walk_find(said, "choices", &choices) != BUS_OK) {
        return VIEW_NONE;
    }
    walk_t walk = walk_from(choices);
    if (walk_next(&walk, &head) != BUS_OK || head.type != WALK_ARRAY || head.count == 0 ||
        walk_skip(&walk, &first) != BUS_OK || walk_find(first, "message", &message) != BUS_OK) {
        return VIEW_NONE;
    }
    return workflow_adapter_text(message, "content", RESPONSE_SIZE_MAX);
}

static void
pack_success(const workflow_job_t *job, bus_view_t said, bus_view_t response, pack_t *result)
{
    char own_id[32];
    char at[RFC3339_SIZE];
    rfc3339_format(job->wall_us, at);
    bus_view_t id = workflow_adapter_text(said, "id", REQUEST_ID_SIZE_MAX);
    bus_view_t model = workflow_adapter_text(said, "model", MODEL_SIZE_MAX);
    if (id.data == NULL) {
        (void) snprintf(own_id, sizeof own_id, "ai_%08llx", (unsigned long long) job->seq);
        id = view_from_text(own_id);
    }
    pack_map(result, 8);
    pack_pair_bool(result, "success", true);
    pack_pair_str(result, "request_id", id);
    pack_pair_str(result, "prompt", job->values.at[0]);
    pack_pair_str(result, "response", response);
    pack_pair_str(result, "model", model);
    pack_pair_text(result, "health", "OK");
    pack_pair_text(result, "requested_at", at);
    pack_pair_bool(result, "was_sent", true);
}

static bool
conclude(const workflow_job_t *job, const transfer_answer_t *answer, pack_t *result)
{
    BUS_AUTO(pack_destroy) pack_t *said = pack_new();
    bool is_json = workflow_adapter_json(answer, said);
    bus_view_t response = is_json ? response_of(pack_view(said)) : VIEW_NONE;
    if (response.data == NULL) {
        workflow_adapter_pack_fault("invalid_adapter_response",
                                    "the server's answer has no choices[0].message.content of a "
                                    "size that we take",
                                    answer->was_sent,
                                    result);
        return false;
    }
    pack_success(job, pack_view(said), response, result);
    return true;
}

static const char *
secret(const workflow_servers_t *servers)
{
    return servers->ai_key;
}

const workflow_adapter_t workflow_ai_adapter = {
    .action = "ai",
    .needs = needs,
    .need_count = 1,
    .is_configured = is_configured,
    .compose = compose,
    .conclude = conclude,
    .secret = secret,
};
