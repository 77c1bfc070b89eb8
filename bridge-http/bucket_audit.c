// bucket_audit.c - what of the audit log is text: signed notes, as they are.
#include "answer.h"
#include "ask.h"
#include "handler.h"
#include "params.h"
#include "proto/walk.h"

// Answers the text that the reply holds under `key`.
static void
answer_text(bridge_request_t *self, const client_answer_t *answer, const char *key)
{
    bus_view_t value, note;
    if (walk_find(answer->body, key, &value) != BUS_OK || walk_as_str(value, &note) != BUS_OK) {
        bridge_answer_refuse(self, BUS_INTERNAL, "Bucket answered without the text");
        return;
    }
    text_t *text = text_new();
    text_add(text, note);
    bridge_answer_text(self, MHD_HTTP_OK, "text/plain; charset=utf-8", &text);
}

static void
on_checkpoint(bridge_request_t *self, const client_answer_t *answer)
{
    answer_text(self, answer, "checkpoint");
}

static void
on_receipt(bridge_request_t *self, const client_answer_t *answer)
{
    answer_text(self, answer, "receipt");
}

void
bridge_bucket_audit_checkpoint(bridge_request_t *self)
{
    bridge_ask(self,
               &(bridge_ask_t){.kind = BRIDGE_ASK_QUESTION,
                               .topic = self->route->topic,
                               .body = PACK_EMPTY_MAP,
                               .then = on_checkpoint});
}

void
bridge_bucket_audit_receipt(bridge_request_t *self)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    if (bridge_params_read(self, body, NULL)) {
        bridge_ask(self,
                   &(bridge_ask_t){.kind = BRIDGE_ASK_QUESTION,
                                   .topic = self->route->topic,
                                   .body = pack_view(body),
                                   .then = on_receipt});
    }
}
