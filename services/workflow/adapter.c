// adapter.c - what all adapters share: their table, checks, and what a transfer's end means.
#include "adapter.h"

#include "proto/transcode.h"
#include "proto/walk.h"

#include <assert.h>
#include <stdio.h>

enum {
    TITLE_SIZE_MAX = 4096, // as in proto/schema/workflow.def
    DESCRIPTION_SIZE_MAX = 262144,
    EXCERPT_MAX = 400, // bytes of what a server said that are kept
};

static const workflow_need_t task_needs[] = {
    {
        .field = "title",
        .instead = "content",
        .missing = "missing_task_title",
        .invalid = "invalid_task_title",
        .kind = "text",
        .size_max = TITLE_SIZE_MAX,
    },
    {
        .field = "description",
        .invalid = "invalid_task_description",
        .kind = "text",
        .size_max = DESCRIPTION_SIZE_MAX,
    },
};

static const workflow_adapter_t task_adapter = {
    .action = "task",
    .needs = task_needs,
    .need_count = sizeof task_needs / sizeof task_needs[0],
};

static const workflow_adapter_t *const adapters[WORKFLOW_ACTION_COUNT] = {
    [WORKFLOW_TASK] = &task_adapter,
    [WORKFLOW_EMAIL] = &workflow_email_adapter,
    [WORKFLOW_WHATSAPP] = &workflow_whatsapp_adapter,
    [WORKFLOW_AI] = &workflow_ai_adapter,
};

const workflow_adapter_t *
workflow_adapter_of(workflow_action_t action)
{
    assert(action < WORKFLOW_ACTION_COUNT);
    return adapters[action];
}

workflow_action_t
workflow_adapter_find(bus_view_t action_type)
{
    for (unsigned i = 0; i < WORKFLOW_ACTION_COUNT; i++) {
        if (view_is(action_type, adapters[i]->action)) {
            return (workflow_action_t) i;
        }
    }
    return WORKFLOW_ACTION_COUNT;
}

// --- Checking ------------------------------------------------------------------------------------

bus_view_t
workflow_adapter_text(bus_view_t map, const char *key, size_t size_max)
{
    bus_view_t value, text;
    if (walk_find(map, key, &value) != BUS_OK || walk_as_str(value, &text) != BUS_OK ||
        text.size == 0 || text.size > size_max) {
        return VIEW_NONE;
    }
    return text;
}

bool
workflow_adapter_check(const workflow_adapter_t *self,
                       bus_view_t payload,
                       workflow_values_t *ret_values,
                       workflow_fault_t *reterr_fault)
{
    for (size_t i = 0; i < self->need_count; i++) {
        const workflow_need_t *need = &self->needs[i];
        bus_view_t text = workflow_adapter_text(payload, need->field, SIZE_MAX);
        if (text.data == NULL && need->instead != NULL) {
            text = workflow_adapter_text(payload, need->instead, SIZE_MAX);
        }
        ret_values->at[i] = text;
        if (text.data == NULL && need->missing == NULL) {
            continue;
        }
        if (text.data == NULL) {
            reterr_fault->error_code = need->missing;
            (void) snprintf(reterr_fault->text,
                            sizeof reterr_fault->text,
                            "%s requires %s, a text",
                            self->action,
                            need->field);
            return false;
        }
        bool is_valid = need->is_valid == NULL || need->is_valid(text);
        if (!is_valid || text.size > need->size_max) {
            reterr_fault->error_code = need->invalid;
            (void) snprintf(reterr_fault->text,
                            sizeof reterr_fault->text,
                            "%s must be %s of at most %zu bytes",
                            need->field,
                            need->kind,
                            need->size_max);
            return false;
        }
    }
    return true;
}

// --- Letters -------------------------------------------------------------------------------------

void
workflow_adapter_letter_init(workflow_letter_t *letter)
{
    *letter = (workflow_letter_t){
        .url = text_new(),
        .recipient = text_new(),
        .body = text_new(),
    };
}

void
workflow_adapter_letter_clear(workflow_letter_t *letter)
{
    text_destroy(&letter->url);
    text_destroy(&letter->recipient);
    text_destroy(&letter->body);
}

// --- Results -------------------------------------------------------------------------------------

static void
pack_fault_pairs(const char *error_code, bus_view_t message, bool was_sent, pack_t *result)
{
    pack_pair_bool(result, "success", false);
    pack_pair_text(result, "error_code", error_code);
    pack_pair_str(result, "message", message);
    pack_pair_bool(result, "was_sent", was_sent);
}

void
workflow_adapter_pack_fault(const char *error_code,
                            const char *message,
                            bool was_sent,
                            pack_t *result)
{
    pack_map(result, 4);
    pack_fault_pairs(error_code, view_from_text(message), was_sent, result);
}

bool
workflow_adapter_json(const transfer_answer_t *answer, pack_t *out)
{
    bus_err_t err = transcode_from_json(answer->body, out, NULL, 0);
    return err == BUS_OK;
}

bus_view_t
workflow_adapter_base(const char *url)
{
    bus_view_t base = view_from_text(url);
    while (base.size > 0 && base.data[base.size - 1] == '/') {
        base.size--;
    }
    return base;
}

// A piece of what a server said, for a person: one line of text, without the secret that it may
// have been told.
static bus_view_t
make_excerpt(bus_view_t said, const char *secret, char text[EXCERPT_MAX + 1])
{
    size_t secret_size = secret == NULL ? 0 : strlen(secret);
    size_t size = 0;
    for (size_t i = 0; i < said.size && size < EXCERPT_MAX;) {
        bus_view_t rest = view_from(said.data + i, said.size - i);
        if (secret_size > 0 && view_starts(rest, view_from(secret, secret_size))) {
            text[size++] = '*';
            i += secret_size;
            continue;
        }
        text[size] = said.data[i++];
        if ((unsigned char) text[size] < ' ' || text[size] == 0x7f) {
            text[size] = ' ';
        }
        size++;
    }
    size = walk_utf8_size(view_from(text, size));
    text[size] = '\0';
    return view_from(text, size);
}

// Whether the far end said no, rather than nothing. SMTP's refusals come as a transfer that broke
// off with the reply's code.
static bool
is_refusal(const workflow_adapter_t *self, const transfer_answer_t *answer)
{
    return self->is_mail ? answer->err == BUS_IO && answer->status >= 400
                         : answer->err == BUS_OK && answer->status >= 300;
}

static bool
pack_refusal(const workflow_adapter_t *self,
             const workflow_servers_t *servers,
             const transfer_answer_t *answer,
             pack_t *result)
{
    const char *secret = self->secret == NULL ? NULL : self->secret(servers);
    char excerpt[EXCERPT_MAX + 1];
    char message[64];
    bus_view_t said = self->is_mail ? view_from_text(answer->why) : answer->body;
    // A server that failed may have done it all the same; one that refused has not.
    bool was_sent = !self->is_mail && answer->status >= 500 && answer->was_sent;
    (void) snprintf(message, sizeof message, "the server answered %d", answer->status);
    pack_map(result, 6);
    pack_fault_pairs("adapter_rejected", view_from_text(message), was_sent, result);
    pack_pair_int(result, "status_code", answer->status);
    pack_pair_str(result, "excerpt", make_excerpt(said, secret, excerpt));
    return false;
}

static bool
pack_broken(const workflow_adapter_t *self,
            const workflow_servers_t *servers,
            const transfer_answer_t *answer,
            pack_t *result)
{
    const char *secret = self->secret == NULL ? NULL : self->secret(servers);
    char excerpt[EXCERPT_MAX + 1];
    bus_view_t why = make_excerpt(view_from_text(answer->why), secret, excerpt);
    const char *error_code = "adapter_unreachable";
    if (answer->err == BUS_TIMEOUT) {
        error_code = "adapter_timeout";
    } else if (answer->err == BUS_PAYLOAD_TOO_LARGE) {
        error_code = "invalid_adapter_response";
        why = VIEW_LITERAL("the server's answer is too large");
    } else if (answer->err == BUS_UNAUTHENTICATED) {
        error_code = "adapter_rejected";
        why = VIEW_LITERAL("the server refused the login");
    }
    pack_map(result, 4);
    pack_fault_pairs(error_code, why, answer->was_sent, result);
    return false;
}

bool
workflow_adapter_conclude(const workflow_adapter_t *self,
                          const workflow_job_t *job,
                          const workflow_servers_t *servers,
                          const transfer_answer_t *answer,
                          pack_t *result)
{
    if (is_refusal(self, answer)) {
        return pack_refusal(self, servers, answer, result);
    }
    if (answer->err != BUS_OK) {
        return pack_broken(self, servers, answer, result);
    }
    return self->conclude(job, answer, result);
}
