// ask.c - asking the bus on behalf of a request.
#include "ask.h"
#include "admit.h"
#include "health.h"
#include "link.h"
#include "proto/limits.h"
#include "proto/topic.h"
#include "proto/walk.h"
#include "runtime/clock.h"
#include "runtime/id.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static void
forget(bridge_request_t *self)
{
    free(self->topic);
    self->topic = NULL;
    pack_destroy(&self->message);
}

static void
stop_waiting(bridge_request_t *self)
{
    if (!self->is_waiting) {
        return;
    }
    self->is_waiting = false;
    if (self->next_waiting != NULL) {
        self->next_waiting->prev_waiting = self->prev_waiting;
    }
    *(self->prev_waiting != NULL ? &self->prev_waiting->next_waiting : &self->bridge->waiting) =
        self->next_waiting;
    self->next_waiting = self->prev_waiting = NULL;
}

static void
start_waiting(bridge_request_t *self)
{
    self->is_waiting = true;
    self->prev_waiting = NULL;
    self->next_waiting = self->bridge->waiting;
    if (self->next_waiting != NULL) {
        self->next_waiting->prev_waiting = self;
    }
    self->bridge->waiting = self;
}

// Journaled, but not decided in time: it will be.
static void
answer_queued(bridge_request_t *self)
{
    const topic_row_t *row = topic_find(view_from_text(self->topic));
    char queue[96];
    (void) snprintf(queue,
                    sizeof(queue),
                    "/%s/queue/%llu",
                    row == NULL || row->owner[0] == '\0' ? "bucket" : row->owner,
                    (unsigned long long) self->seq);
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 5);
    pack_pair_text(body, "status", "accepted");
    pack_pair_bool(body, "queued", true);
    pack_pair_uint(body, "seq", self->seq);
    pack_pair_text(body, "trace_id", bridge_request_trace(self));
    pack_pair_text(body, "queue", queue);
    forget(self);
    bridge_answer(self, MHD_HTTP_ACCEPTED, pack_view(body));
}

static void
succeed(bridge_request_t *self, const client_answer_t *answer)
{
    forget(self);
    if (self->then != NULL) {
        bridge_then_fn *then = self->then;
        self->then = NULL;
        then(self, answer);
    } else {
        bridge_answer(self, MHD_HTTP_OK, answer->body);
    }
}

static bool
writes(const bridge_request_t *self)
{
    return self->kind == BRIDGE_ASK_RECORD || self->kind == BRIDGE_ASK_COMMAND;
}

// What to do about something that was sent and that nobody confirmed.
static const char *
late_words(const bridge_request_t *self)
{
    if (self->route->method != BRIDGE_POST) {
        return "nobody confirmed it in time: it may still be written";
    }
    return bridge_request_header(self, "Idempotency-Key").data != NULL
               ? "nobody confirmed it in time: it may still be written; repeat it with the same "
                 "Idempotency-Key"
               : "nobody confirmed it in time: it may still be written; send an Idempotency-Key to "
                 "make a repeat safe";
}

static void
fail(bridge_request_t *self, const client_answer_t *answer)
{
    bool may_be_applied = answer->err == BUS_TIMEOUT || answer->err == BUS_ABORTED;
    if (self->kind == BRIDGE_ASK_REFUSAL && self->seq > 0 && may_be_applied) {
        succeed(self, &(client_answer_t){.event = CLIENT_ACKED, .seq = self->seq});
        return;
    }
    if (self->kind == BRIDGE_ASK_COMMAND && self->seq > 0 && may_be_applied) {
        answer_queued(self);
        return;
    }
    forget(self);
    if (self->late != NULL && answer->err == BUS_TIMEOUT) {
        bridge_then_fn *late = self->late;
        self->late = NULL;
        late(self, answer);
        return;
    }
    if (self->kind != BRIDGE_ASK_QUESTION && answer->err == BUS_ABORTED) {
        bridge_answer_refuse(self, BUS_TIMEOUT, "the bridge is stopping; it may have been sent");
        return;
    }
    if (writes(self) && answer->event == CLIENT_FAILED && answer->err == BUS_TIMEOUT) {
        bridge_answer_refuse(self, BUS_TIMEOUT, late_words(self));
        return;
    }
    bridge_answer_from_bus(self, answer);
}

// The journal's clock is not ours: it stays where the broker found it when ours is stepped.
static void
note_time(bridge_t *bridge, const client_answer_t *answer)
{
    if (answer->event == CLIENT_ACKED && !answer->duplicate && answer->at > 0) {
        bridge->knows_ahead = true;
        bridge->ahead_us = (int64_t) (answer->at - clock_boot_us());
    }
}

static void
on_answer(void *arg, const client_answer_t *answer)
{
    bridge_request_t *self = arg;
    if (answer->seq > 0) {
        self->seq = answer->seq;
    }
    note_time(self->bridge, answer);
    switch (answer->event) {
    case CLIENT_ACKED:
        if (self->kind == BRIDGE_ASK_RECORD) {
            self->call = 0;
            succeed(self, answer);
        } else if (self->kind == BRIDGE_ASK_REFUSAL &&
                   !bridge_health_has_bucket(self->bridge->health)) {
            client_cancel(self->bridge->client, self->call);
            self->call = 0;
            succeed(self, &(client_answer_t){.event = CLIENT_ACKED, .seq = self->seq});
        }
        return;
    case CLIENT_REPLIED:
        self->call = 0;
        if (answer->err == BUS_OK) {
            succeed(self, answer);
        } else {
            fail(self, answer);
        }
        return;
    case CLIENT_FAILED:
        self->call = 0;
        fail(self, answer);
        return;
    }
}

static unsigned
wants(bridge_ask_kind_t kind)
{
    switch (kind) {
    case BRIDGE_ASK_QUESTION:
        return CLIENT_WANT_REPLY;
    case BRIDGE_ASK_RECORD:
        return CLIENT_WANT_ACK;
    case BRIDGE_ASK_COMMAND:
    case BRIDGE_ASK_READ:
    case BRIDGE_ASK_REFUSAL:
        return CLIENT_WANT_ACK | CLIENT_WANT_REPLY;
    }
    return CLIENT_WANT_NOTHING;
}

static void
send_now(bridge_request_t *self, bus_view_t body, bool with_idem)
{
    char idem[IDEM_SIZE_MAX + 1] = "";
    if (with_idem) {
        bridge_request_idem(self, idem);
    }
    uint64_t now_us = clock_boot_us();
    uint64_t left_us = self->deadline_us > now_us ? self->deadline_us - now_us : 1000;
    const client_message_t message = {
        .topic = self->topic,
        .body = body,
        .id = self->message_id,
        .trace_id = view_from_text(bridge_request_trace(self)),
        .idem = idem[0] == '\0' ? VIEW_NONE : view_from_text(idem),
        .want = wants((bridge_ask_kind_t) self->kind),
        .timeout_ms = (unsigned) (left_us / 1000),
    };
    bus_err_t err = client_send(self->bridge->client, &message, on_answer, self, &self->call);
    if (err != BUS_OK) {
        self->call = 0;
        forget(self);
        bridge_answer_refuse(self, err, NULL);
    }
}

void
bridge_ask(bridge_request_t *self, const bridge_ask_t *ask)
{
    assert(self->call == 0 && !self->is_waiting);
    bridge_t *bridge = self->bridge;
    if (bridge->is_stopping) {
        bridge_answer_refuse(self, BUS_SERVICE_UNAVAILABLE, "the bridge is stopping");
        return;
    }
    bool connected = bridge_is_connected(bridge);
    if (ask->kind == BRIDGE_ASK_QUESTION && !connected) {
        bridge_answer_refuse(self, BUS_SERVICE_UNAVAILABLE, "the broker is not there");
        return;
    }
    self->kind = ask->kind;
    self->then = ask->then;
    self->late = ask->late;
    self->topic = strdup(ask->topic);
    assert(self->topic != NULL);
    self->seq = 0;
    id_make(self->message_id);
    unsigned wait_ms = ask->wait_ms == 0 ? BRIDGE_WAIT_MS : ask->wait_ms;
    self->deadline_us = clock_boot_us() + wait_ms * 1000ULL;
    // Whose a record is stands in it, so that its own requester is shown it later.
    BUS_AUTO(pack_destroy) pack_t *named = pack_new();
    bool is_named = ask->kind != BRIDGE_ASK_QUESTION && bridge_admit_name(self, ask->body, named);
    bus_view_t body = is_named ? pack_view(named) : ask->body;
    if (connected) {
        send_now(self, body, ask->idem);
        return;
    }
    self->message = pack_new();
    pack_raw(self->message, body);
    self->waits_with_idem = ask->idem;
    start_waiting(self);
}

void
bridge_ask_cancel(bridge_request_t *self)
{
    stop_waiting(self);
    if (self->call != 0) {
        client_cancel(self->bridge->client, self->call);
        self->call = 0;
    }
    forget(self);
}

void
bridge_ask_connected(bridge_t *bridge)
{
    while (bridge->waiting != NULL) {
        bridge_request_t *request = bridge->waiting;
        stop_waiting(request);
        send_now(request, pack_view(request->message), request->waits_with_idem);
    }
}

void
bridge_ask_sweep(bridge_t *bridge, uint64_t now_us)
{
    bridge_request_t *request = bridge->waiting;
    while (request != NULL) {
        bridge_request_t *next = request->next_waiting;
        if (now_us >= request->deadline_us || bridge->is_stopping) {
            stop_waiting(request);
            forget(request);
            bridge_answer_refuse(
                request, BUS_SERVICE_UNAVAILABLE, "the broker is not there; nothing was sent");
        }
        request = next;
    }
}

// --- Refusing with an audit ---------------------------------------------------------------------

// Of what is told to Bucket, as schema/bucket.def has it.
enum { REQUESTER_SIZE_MAX = 255, PRODUCT_SIZE_MAX = 64, SUBJECT_SIZE_MAX = 255 };

// What is kept of it until it is journaled.
typedef struct {
    bus_err_t err;
    const char *message;
    bool says_success;
} kept_t;

// The answer: what Bucket made of it, or that it will be in the audit log.
static void
on_refusal_recorded(bridge_request_t *self, const client_answer_t *answer)
{
    const kept_t *kept = self->state_data;
    BUS_AUTO(pack_destroy) pack_t *extra = pack_new();
    bus_view_t value;
    bool is_told =
        answer->body.data != NULL && walk_find(answer->body, "audit_id", &value) == BUS_OK;
    if (is_told) {
        bridge_answer_pack_extra(answer->body, kept->says_success ? 1 : 0, extra);
    } else {
        char audit_id[32];
        (void) snprintf(audit_id, sizeof(audit_id), "audit_%llu", (unsigned long long) self->seq);
        pack_map(extra, kept->says_success ? 3 : 2);
        pack_pair_text(extra, "decision", "refused");
        pack_pair_text(extra, "audit_id", audit_id);
    }
    if (kept->says_success) {
        pack_pair_bool(extra, "success", false);
    }
    bridge_answer_error(self,
                        &(bridge_error_t){.err = kept->err,
                                          .message = view_from_text(kept->message),
                                          .extra = pack_view(extra)});
}

static bus_view_t
cut(bus_view_t text, size_t size_max)
{
    if (text.size > size_max) {
        text.size = walk_utf8_size(view_from(text.data, size_max));
    }
    return text;
}

static void
pack_attempt(const bridge_request_t *self, pack_t *out)
{
    const bridge_identity_t *identity = &self->identity;
    pack_map(out, identity->is_set ? 5 : 3);
    if (identity->is_set) {
        pack_pair_text(out, "identity", identity->role);
        pack_pair_text(out, "token", identity->token_id);
    }
    pack_pair_text(out, "method", self->method);
    pack_pair_text(out, "route", self->route == NULL ? "" : self->route->path);
    pack_pair_text(out, "address", self->link->address);
}

// Whether one more refusal of this identity is audited: the log is kept for ever, and nobody is to
// fill it with what he may not.
static bool
is_audited(const bridge_request_t *self)
{
    char key[BRIDGE_REQUEST_CALLER_SIZE];
    bridge_limit_t *limit = self->bridge->limit;
    (void) snprintf(key, sizeof(key), "refused %s", self->identity.role);
    return limit == NULL || !self->identity.is_set ||
           bridge_limit_take(limit, view_from_text(key), BRIDGE_LIMIT_REFUSAL, self->started_us)
               .allowed;
}

void
bridge_ask_refuse(bridge_request_t *self, const bridge_ask_refusal_t *refusal)
{
    if (!is_audited(self)) {
        bridge_answer_error(self,
                            &(bridge_error_t){.err = BUS_RATE_LIMIT_EXCEEDED, .retry_after_s = 1});
        return;
    }
    kept_t *kept = malloc(sizeof(*kept));
    assert(kept != NULL && self->state_data == NULL);
    *kept = (kept_t){
        .err = refusal->err, .message = refusal->message, .says_success = refusal->says_success};
    self->state_data = kept;
    self->state_free = free;

    BUS_AUTO(pack_destroy) pack_t *details = pack_new();
    pack_attempt(self, details);
    bus_view_t requester =
        refusal->requester.size > 0 ? refusal->requester : view_from_text(self->link->address);
    if (bridge_identity_is_limited(&self->identity)) {
        requester = view_from_text(self->identity.role); // whatever it claims
    }
    const schema_refused_t refused = {
        .requester_id = cut(requester, REQUESTER_SIZE_MAX),
        .operation = view_from_text(refusal->operation),
        .error_code = view_from_text(error_text(refusal->err)),
        .details = pack_view(details),
        .violation = view_from_text(refusal->violation),
        .product = cut(refusal->product, PRODUCT_SIZE_MAX),
        .subject = cut(refusal->artifact_id, SUBJECT_SIZE_MAX),
    };
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    schema_encode(&SCHEMA_refused, &refused, body);
    bridge_ask(self,
               &(bridge_ask_t){.kind = BRIDGE_ASK_REFUSAL,
                               .topic = "bucket.refused",
                               .body = pack_view(body),
                               .idem = true,
                               .then = on_refusal_recorded});
}
