// whatsapp.c - the whatsapp adapter: a text message by WhatsApp's Cloud API.
//
// POST {url}/{phone id}/messages, answered {messages: [{id}], …}. Source: Meta's Cloud API
// reference, "Messages".
#include "adapter.h"
#include "proto/rfc3339.h"
#include "proto/transcode.h"
#include "proto/walk.h"

enum {
    RECIPIENT_SIZE_MAX = 64,     // a number in international form, or an id
    MESSAGE_SIZE_MAX = 4 * 4096, // the API takes 4,096 characters
    ANSWER_SIZE_MAX = 65536,
    WAMID_SIZE_MAX = 256, // bytes of a message's id
};

enum { RECIPIENT, MESSAGE, NEED_COUNT };

static bool
is_number(bus_view_t text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = (unsigned char) text.data[i];
        if (byte < ' ' || byte > '~') {
            return false;
        }
    }
    return true;
}

static const workflow_need_t needs[NEED_COUNT] = {
    [RECIPIENT] = {.field = "recipient",
                   .instead = "phone",
                   .missing = "missing_recipient",
                   .invalid = "invalid_recipient",
                   .kind = "a phone number",
                   .size_max = RECIPIENT_SIZE_MAX,
                   .is_valid = is_number},
    [MESSAGE] = {.field = "message",
                 .instead = "content",
                 .missing = "missing_message",
                 .invalid = "invalid_message",
                 .kind = "text",
                 .size_max = MESSAGE_SIZE_MAX},
};

static bool
is_configured(const workflow_servers_t *servers)
{
    return servers->whatsapp_url != NULL && servers->whatsapp_phone_id != NULL;
}

static void
compose(const workflow_job_t *job, const workflow_servers_t *servers, workflow_letter_t *letter)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 5);
    pack_pair_text(body, "messaging_product", "whatsapp");
    pack_pair_text(body, "recipient_type", "individual");
    pack_pair_str(body, "to", job->values.at[RECIPIENT]);
    pack_pair_text(body, "type", "text");
    pack_text(body, "text");
    pack_map(body, 2);
    pack_pair_bool(body, "preview_url", false);
    pack_pair_str(body, "body", job->values.at[MESSAGE]);
    transcode_to_json(pack_view(body), 0, letter->body);
    text_add(letter->url, workflow_adapter_base(servers->whatsapp_url));
    text_add_format(letter->url, "/%s/messages", servers->whatsapp_phone_id);
    letter->headers[0] = "Content-Type: application/json";
    letter->request = (transfer_request_t){
        .url = text_view(letter->url).data,
        .headers = letter->headers,
        .header_count = 1,
        .body = text_view(letter->body),
        .bearer = servers->whatsapp_token,
        .answer_size_max = ANSWER_SIZE_MAX,
    };
}

// messages[0].id of the answer.
static bus_view_t
id_of(bus_view_t said)
{
    bus_view_t messages, first;
    walk_item_t head;
    if (walk_find(said, "messages", &messages) != BUS_OK) {
        return VIEW_NONE;
    }
    walk_t walk = walk_from(messages);
    if (walk_next(&walk, &head) != BUS_OK || head.type != WALK_ARRAY || head.count == 0 ||
        walk_skip(&walk, &first) != BUS_OK) {
        return VIEW_NONE;
    }
    return workflow_adapter_text(first, "id", WAMID_SIZE_MAX);
}

static bool
conclude(const workflow_job_t *job, const transfer_answer_t *answer, pack_t *result)
{
    BUS_AUTO(pack_destroy) pack_t *said = pack_new();
    bus_view_t id = workflow_adapter_json(answer, said) ? id_of(pack_view(said)) : VIEW_NONE;
    if (id.data == NULL) {
        workflow_adapter_pack_fault("invalid_adapter_response",
                                    "the server's answer has no messages[0].id",
                                    answer->was_sent,
                                    result);
        return false;
    }
    char at[RFC3339_SIZE];
    rfc3339_format(job->wall_us, at);
    pack_map(result, 7);
    pack_pair_bool(result, "success", true);
    pack_pair_str(result, "whatsapp_message_id", id);
    pack_pair_str(result, "recipient", job->values.at[RECIPIENT]);
    pack_pair_str(result, "message", job->values.at[MESSAGE]);
    pack_pair_text(result, "status", "SENT");
    pack_pair_text(result, "sent_at", at);
    pack_pair_bool(result, "was_sent", true);
    return true;
}

static const char *
secret(const workflow_servers_t *servers)
{
    return servers->whatsapp_token;
}

const workflow_adapter_t workflow_whatsapp_adapter = {
    .action = "whatsapp",
    .needs = needs,
    .need_count = NEED_COUNT,
    .is_configured = is_configured,
    .compose = compose,
    .conclude = conclude,
    .secret = secret,
};
