// client_answer.c - what comes to the inbox: welcomes, answers, and requests handed to us.
//
// An answer finds its call by `re`. The broker's own say whether the message is durable, the
// owner's what became of it; a reply may overtake the ack, and is the last word to the caller all
// the same, while the message stays in its window until the broker has spoken.
#include "client_self.h"
#include "clock.h"
#include "proto/schema.h"
#include "proto/walk.h"

client_refusal_t
client_answer_refusal(bus_view_t body)
{
    client_refusal_t refusal = {.err = BUS_INTERNAL};
    bus_view_t value, text;
    if (walk_find(body, "error_code", &value) == BUS_OK && walk_as_str(value, &text) == BUS_OK) {
        refusal.err = error_from_text(text.data, text.size);
    }
    uint64_t number;
    if (walk_find_path(body, "details.expected", &value) == BUS_OK &&
        walk_as_uint(value, &number) == BUS_OK) {
        refusal.expected = number;
    }
    if (walk_find(body, "retry_after", &value) == BUS_OK &&
        walk_as_uint(value, &number) == BUS_OK) {
        refusal.retry_after_s = number;
    }
    return refusal;
}

static void
on_refused(client_t *self, client_call_t *call, bus_view_t body)
{
    client_refusal_t refusal = client_answer_refusal(body);
    bool is_over = true;
    switch (call->kind) {
    case CLIENT_CALL_PLAIN:
        client_call_dequeue(&self->plain, call);
        break;
    case CLIENT_CALL_STREAM:
        is_over = client_stream_refused(&self->stream, call, &refusal, clock_boot_ms());
        break;
    case CLIENT_CALL_WAITING:
        is_over = false; // a late answer to a copy: the message is durable
        break;
    }
    self->stats.refused++;
    if (is_over) {
        client_answer_t answer = {.event = CLIENT_FAILED, .err = refusal.err, .body = body};
        client_finish(self, call, &answer);
    }
}

// Says that the message is durable, once, to a caller who awaits more.
static void
tell_acked(client_call_t *call, client_answer_t *answer)
{
    if (!call->is_acked && call->fn != NULL) {
        call->is_acked = true;
        call->fn(call->arg, answer);
    }
}

static void
on_acked(client_t *self, client_call_t *call, bus_view_t body)
{
    schema_ack_t ack;
    schema_problems_t problems;
    if (schema_decode(&SCHEMA_ack, body, &ack, &problems) != BUS_OK) {
        self->stats.orphans++;
        return;
    }
    client_answer_t answer = {
        .event = CLIENT_ACKED,
        .seq = (uint64_t) ack.seq.value,
        .at = (uint64_t) ack.at.value,
        .first = ack.first.has ? (uint64_t) ack.first.value : (uint64_t) ack.seq.value,
        .count = ack.count.has ? (uint64_t) ack.count.value : 1,
        .duplicate = ack.duplicate.value,
        .body = body,
    };
    if (answer.seq > self->head) {
        self->head = answer.seq;
    }
    if (call->kind == CLIENT_CALL_WAITING) {
        return; // a second ack, of a copy
    }
    if (!call->is_acked) {
        call->seq = answer.seq;
        call->at = answer.at;
    }
    if (call->kind == CLIENT_CALL_STREAM) {
        client_stream_acked(&self->stream, call, clock_boot_ms());
        if (call->wants_reply) {
            call->kind = CLIENT_CALL_WAITING;
            client_call_enqueue(&self->waiting, call);
        }
    } else if (!call->wants_reply) {
        client_call_dequeue(&self->plain, call);
    }
    if (call->wants_reply) {
        tell_acked(call, &answer);
    } else {
        client_finish(self, call, &answer);
    }
}

static void
on_replied(client_t *self, client_call_t *call, bus_err_t err, bus_view_t body)
{
    client_answer_t answer = {
        .event = CLIENT_REPLIED, .err = err, .seq = call->seq, .at = call->at, .body = body};
    self->stats.answered++;
    if (call->kind == CLIENT_CALL_STREAM) {
        // Before its ack: the number is used until the broker has spoken.
        client_answer_fn *fn = call->fn;
        void *arg = call->arg;
        client_call_set_deadline(self->calls, call, 0);
        call->fn = NULL;
        call->wants_reply = false;
        if (fn != NULL) {
            fn(arg, &answer);
        }
        return;
    }
    client_call_dequeue(call->kind == CLIENT_CALL_PLAIN ? &self->plain : &self->waiting, call);
    client_finish(self, call, &answer);
}

static void
on_answer(client_t *self, client_call_t *call, const header_t *header, bus_view_t body)
{
    bool is_error = view_is(header->status, "error");
    if (header->is_ack || view_is(header->source, "$bus")) {
        if (is_error) {
            on_refused(self, call, body);
        } else if (header->is_ack || call->is_batch) {
            on_acked(self, call, body);
        } else {
            on_replied(self, call, BUS_OK, body);
        }
    } else if (call->wants_reply) {
        bus_err_t err = is_error ? client_answer_refusal(body).err : BUS_OK;
        on_replied(self, call, err, body);
    } else {
        self->stats.orphans++;
    }
}

static void
on_welcome(client_t *self, bus_view_t body)
{
    schema_welcome_t said;
    schema_problems_t problems;
    if (schema_decode(&SCHEMA_welcome, body, &said, &problems) != BUS_OK) {
        self->stats.orphans++;
        return;
    }
    // A loss that came before this welcome must not be heard after it: all is sent again now, and
    // waits in the socket where that is not connected yet.
    (void) client_link_news(&self->link);
    self->link.push_lost = false;
    char epoch[ID_SIZE_MAX + 1] = "";
    char boot[ID_SIZE_MAX + 1] = "";
    memcpy(epoch, said.epoch.data, said.epoch.size);
    memcpy(boot, said.boot.data, said.boot.size);
    self->is_connected = true;
    self->head = (uint64_t) said.head.value;
    client_welcome_t welcome = {
        .epoch = epoch, .boot = boot, .head = self->head, .again = self->stats.welcomes > 0};
    self->stats.welcomes++;
    if (self->welcome_fn != NULL) {
        self->welcome_fn(self->welcome_arg, &welcome);
    }
    client_outbox_forget(self);
    client_hello_say(self);
    client_resend(self);
}

static void
on_request(client_t *self, const client_link_message_t *message, const header_t *header)
{
    if (header->topic.data == NULL || self->request_fn == NULL) {
        self->stats.orphans++;
        return;
    }
    client_heard_t heard = {.topic = header->topic,
                            .header_bytes = message->header,
                            .header = *header,
                            .body = message->body};
    self->request_fn(self->request_arg, &heard);
}

static void
on_message(client_t *self, const client_link_message_t *message)
{
    header_t header;
    const char *why;
    if (header_decode(message->header, &header, &why) != BUS_OK) {
        self->stats.orphans++;
        return;
    }
    if (client_fetch_answered(self, &header, message->body)) {
        return; // a page was checked record by record when it was journaled
    }
    if (walk_check(message->body, WALK_ANY, INBOX_BODY_DEPTH_MAX, &why) != BUS_OK) {
        self->stats.orphans++;
        return;
    }
    client_call_t *call = NULL;
    if (header.re.data == NULL) {
        on_request(self, message, &header);
    } else if (view_is(header.re, "welcome") && view_is(header.source, "$bus")) {
        on_welcome(self, message->body);
    } else if ((call = client_call_find(self->calls, header.re)) != NULL) {
        on_answer(self, call, &header, message->body);
    } else if (!client_hello_answered(self, &header, message->body) &&
               !client_outbox_answered(self, &header, message->body)) {
        self->stats.orphans++;
    }
}

void
client_answer_readable(void *arg)
{
    client_t *self = arg;
    client_link_message_t message;
    uint64_t until_us = clock_boot_us() + CLIENT_DRAIN_US;
    for (int i = 0; i < CLIENT_DRAIN_MAX && client_link_receive(self->link.inbox, &message); i++) {
        if (view_is(message.topic, self->inbox)) {
            on_message(self, &message);
        }
        client_link_release(&message);
        if (clock_boot_us() >= until_us) {
            break; // the loop comes back here after everything else that is due
        }
    }
    client_pump(self);
}
