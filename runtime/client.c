// client.c - a peer's end of the bus: its life, the welcome, and the messages that wait for
// answers.
//
// A message that wants an answer becomes a call. A journaled one goes through the numbered window
// of client_stream.c until it is acked; any other is simply sent again after each welcome until it
// is answered. A command that is durable but whose reply a broken connection may have taken is said
// once more under its id, as its caller would do: the owner ignores the second and replies again.
#include "client_self.h"
#include "clock.h"
#include "proto/schema.h"
#include "proto/topic.h"
#include "proto/walk.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { REQUEST_TIMEOUT_MS = 2000, INBOX_RANDOM_DIGITS = 32 };

// --- Life ----------------------------------------------------------------------------------------

static char *
copy_text(const char *text)
{
    char *copy = text == NULL ? NULL : strdup(text);
    assert(text == NULL || copy != NULL);
    return copy;
}

// A connection broke, or came back.
static void
on_news(void *arg)
{
    client_t *self = arg;
    client_link_news_t news = client_link_news(&self->link);
    if (news.refused) {
        client_refused_later(self);
    }
    if (news.inbox_lost) {
        self->is_connected = false;
        client_pump(self);
    } else if (news.push_restored && self->is_connected) {
        client_resend(self);
    }
}

client_t *
client_new(loop_t *loop, const client_options_t *options)
{
    assert(loop != NULL && options->ingress != NULL && options->egress != NULL);
    assert(options->source != NULL && strlen(options->source) <= ID_SIZE_MAX);
    client_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    self->loop = loop;
    self->source = copy_text(options->cert != NULL ? options->cert->name : options->source);
    self->ingress = copy_text(options->ingress);
    self->egress = copy_text(options->egress);
    self->service = copy_text(options->service);
    self->hello.started_ms = options->started_ms;
    id_make(self->instance);
    char unique[INBOX_RANDOM_DIGITS + 1];
    id_random_hex(unique, INBOX_RANDOM_DIGITS);
    snprintf(self->inbox, sizeof(self->inbox), "_inbox.%s.%s", self->source, unique);
    bool is_legal = topic_is_inbox(view_from_text(self->inbox));
    size_t max = options->pending_max;
    self->calls = client_call_table_new(
        max == 0 || max > INBOX_OUTSTANDING_MAX ? INBOX_OUTSTANDING_MAX : max);
    client_stream_init(&self->stream);
    self->header = pack_new();
    self->body = pack_new();
    self->fetch.body = pack_new();
    if (!is_legal ||
        client_link_init(&self->link, self->ingress, self->egress, options->cert) != BUS_OK) {
        client_destroy(&self);
        return NULL;
    }
    loop_add_socket(loop, self->link.inbox, client_answer_readable, self);
    loop_add_socket(loop, self->link.inbox_news, on_news, self);
    loop_add_socket(loop, self->link.push_news, on_news, self);
    client_link_hear(self->link.inbox, view_from_text(self->inbox));
    return self;
}

static void
leave_queue(client_t *self, client_call_t *call)
{
    switch (call->kind) {
    case CLIENT_CALL_PLAIN:
        client_call_dequeue(&self->plain, call);
        break;
    case CLIENT_CALL_STREAM:
        client_call_dequeue(&self->stream.queue, call);
        break;
    case CLIENT_CALL_WAITING:
        client_call_dequeue(&self->waiting, call);
        break;
    }
}

static void
abort_calls(client_t *self)
{
    for (client_call_t *call = client_call_any(self->calls); call != NULL;
         call = client_call_any(self->calls)) {
        leave_queue(self, call);
        client_finish(self, call, &(client_answer_t){.event = CLIENT_FAILED, .err = BUS_ABORTED});
    }
}

void
client_destroy(client_t **self_p)
{
    client_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    self->is_closing = true;
    if (self->tick != 0) {
        loop_cancel_timer(self->loop, self->tick);
    }
    client_refused_clear(self);
    abort_calls(self);
    client_fetch_abort(self);
    if (self->link.context != NULL) {
        client_hello_bye(self);
        loop_remove_socket(self->loop, self->link.inbox);
        loop_remove_socket(self->loop, self->link.inbox_news);
        loop_remove_socket(self->loop, self->link.push_news);
    }
    client_subscribe_clear(self);
    client_link_clear(&self->link);
    client_call_table_destroy(&self->calls);
    pack_destroy(&self->header);
    pack_destroy(&self->body);
    pack_destroy(&self->fetch.body);
    free(self->source);
    free(self->ingress);
    free(self->egress);
    free(self->service);
    free(self);
    *self_p = NULL;
}

void
client_on_welcome(client_t *self, client_welcome_fn *fn, void *arg)
{
    self->welcome_fn = fn;
    self->welcome_arg = arg;
}

bool
client_is_connected(const client_t *self)
{
    return self->is_connected;
}

bool
client_is_awaiting_welcome(client_t *self)
{
    on_news(self);
    return self->link.inbox_open && !self->is_connected;
}

uint64_t
client_head(const client_t *self)
{
    return self->head;
}

const char *
client_instance(const client_t *self)
{
    return self->instance;
}

const char *
client_inbox(const client_t *self)
{
    return self->inbox;
}

// --- Sending -------------------------------------------------------------------------------------

bus_err_t
client_send_raw(client_t *self, bus_view_t topic, const header_t *header, bus_view_t body)
{
    pack_clear(self->header);
    header_encode(header, self->header);
    bus_err_t err = client_link_send(&self->link, topic, pack_view(self->header), body);
    if (err == BUS_OK) {
        self->stats.sent++;
    }
    return err;
}

static bool
is_acked_kind(const client_call_t *call)
{
    topic_class_t class_ = topic_class(call->topic);
    return call->is_batch || class_ == TOPIC_JOURNALED || class_ == TOPIC_LIVE;
}

static bus_err_t
send_call(client_t *self, const client_call_t *call)
{
    header_t header = {
        .id = call->id,
        .source = view_from_text(self->source),
        .trace_id = call->trace_id,
        .idem = call->idem,
        .time = call->time_us,
        .reply_to = view_from_text(self->inbox),
        .ack = is_acked_kind(call) ? HEADER_ACK_EACH : HEADER_ACK_NONE,
    };
    if (call->kind == CLIENT_CALL_STREAM) {
        header.pseq = call->pseq;
        header.pstream = view_from_text(self->stream.name);
    }
    return client_send_raw(self, call->topic, &header, call->body);
}

static void on_tick(void *arg);

// The timer runs only while something is waited for that time alone can end.
static void
see_to_tick(client_t *self)
{
    bool has_work =
        self->stream.queue.head != NULL || self->plain.next != NULL || self->fetch.is_unsent;
    bool is_needed = client_call_has_deadlines(self->calls) || self->ask_again_ms != 0 ||
                     (self->is_connected && has_work);
    if (is_needed && self->tick == 0) {
        self->tick = loop_add_timer(self->loop, CLIENT_TICK_MS, 0, on_tick, self);
    } else if (!is_needed && self->tick != 0) {
        loop_cancel_timer(self->loop, self->tick);
        self->tick = 0;
    }
}

void
client_pump(client_t *self)
{
    if (self->is_connected && !self->is_closing && !self->is_held) {
        uint64_t now_ms = clock_boot_ms();
        bus_err_t err = BUS_OK;
        client_call_t *call = client_stream_next(&self->stream, now_ms);
        while (call != NULL && err == BUS_OK) {
            err = send_call(self, call);
            if (err == BUS_OK) {
                client_stream_sent(&self->stream, call, now_ms);
                call = client_stream_next(&self->stream, now_ms);
            }
        }
        while (self->plain.next != NULL && err == BUS_OK) {
            err = send_call(self, self->plain.next);
            if (err == BUS_OK) {
                self->plain.next = self->plain.next->newer;
            }
        }
        if (err == BUS_OK && self->fetch.is_unsent) {
            client_fetch_resend(self);
        }
    }
    if (!self->is_closing) {
        see_to_tick(self);
    }
}

void
client_resend(client_t *self)
{
    self->stats.resent += client_call_count(self->calls);
    client_stream_again(&self->stream, clock_boot_ms());
    self->plain.next = self->plain.head;
    for (client_call_t *call = self->waiting.head; call != NULL; call = call->newer) {
        call->asks_again = true;
        self->ask_again_ms = clock_boot_ms() + CLIENT_ASK_AGAIN_MS;
    }
    client_fetch_resend(self);
    client_pump(self);
}

// --- Time ----------------------------------------------------------------------------------------

void
client_finish(client_t *self, client_call_t *call, client_answer_t *answer)
{
    client_answer_fn *fn = call->fn;
    void *arg = call->arg;
    if (answer->seq == 0) {
        answer->seq = call->seq;
        answer->at = call->at;
    }
    client_call_remove(self->calls, call);
    if (fn != NULL) {
        fn(arg, answer);
    }
}

// Whoever waited waits no more. Where the number is used the message goes its way without it.
// Returns whether the call is out of its queue, to be removed.
static bool
abandon(client_t *self, client_call_t *call)
{
    client_call_set_deadline(self->calls, call, 0);
    if (call->kind != CLIENT_CALL_STREAM) {
        leave_queue(self, call);
        return true;
    }
    if (client_stream_abandon(&self->stream, call)) {
        return true;
    }
    call->fn = NULL;
    call->wants_reply = false;
    return false;
}

static void
expire(client_t *self, client_call_t *call)
{
    client_answer_t answer = {.event = CLIENT_FAILED, .err = BUS_TIMEOUT, .seq = call->seq};
    client_answer_fn *fn = call->fn;
    void *arg = call->arg;
    self->stats.timeouts++;
    if (abandon(self, call)) {
        client_finish(self, call, &answer);
    } else if (fn != NULL) {
        fn(arg, &answer);
    }
}

// Says commands again whose reply was perhaps lost with the connection.
static void
ask_again(client_t *self)
{
    self->ask_again_ms = 0;
    client_call_t *newer;
    for (client_call_t *call = self->waiting.head; call != NULL; call = newer) {
        newer = call->newer;
        if (call->asks_again) {
            call->asks_again = false;
            client_call_dequeue(&self->waiting, call);
            client_stream_add(&self->stream, call);
        }
    }
}

static void
on_tick(void *arg)
{
    client_t *self = arg;
    uint64_t now_ms = clock_boot_ms();
    for (client_call_t *call = client_call_expired(self->calls, now_ms); call != NULL;
         call = client_call_expired(self->calls, now_ms)) {
        expire(self, call);
    }
    if (self->is_connected) {
        client_stream_tick(&self->stream, now_ms);
        if (self->ask_again_ms != 0 && now_ms >= self->ask_again_ms) {
            ask_again(self);
        }
    }
    client_pump(self);
}

// --- Saying --------------------------------------------------------------------------------------

// Whether the message can be sent at all.
static bus_err_t
check(const client_message_t *message, bus_view_t topic)
{
    if (!topic_is_legal(topic, NULL) || topic_class(topic) == TOPIC_INBOX) {
        return BUS_INVALID_TOPIC;
    }
    if (message->body.size > BODY_SIZE_MAX || message->trace_id.size > NAME_SIZE_MAX ||
        message->idem.size > IDEM_SIZE_MAX) {
        return BUS_PAYLOAD_TOO_LARGE;
    }
    return BUS_OK;
}

// Sends what nobody awaits an answer to.
static bus_err_t
send_away(client_t *self, const client_message_t *message, bus_view_t topic, bus_view_t id)
{
    header_t header = {
        .id = id,
        .source = view_from_text(self->source),
        .trace_id = message->trace_id,
        .idem = message->idem,
        .time = clock_wall_us(),
    };
    return client_send_raw(self, topic, &header, message->body);
}

static uint64_t
deadline_of(const client_message_t *message, topic_class_t class_)
{
    bool is_request = class_ == TOPIC_REQUEST ||
                      (class_ == TOPIC_BUS && strcmp(message->topic, "$bus.batch") != 0);
    unsigned timeout_ms = message->timeout_ms;
    if (timeout_ms == 0 && is_request) {
        timeout_ms = REQUEST_TIMEOUT_MS;
    }
    return timeout_ms == 0 ? 0 : clock_boot_ms() + timeout_ms;
}

static void
queue_call(client_t *self, client_call_t *call, unsigned want)
{
    topic_class_t class_ = topic_class(call->topic);
    call->is_batch = view_is(call->topic, "$bus.batch");
    call->wants_reply = !call->is_batch && ((want & CLIENT_WANT_REPLY) != 0 ||
                                            class_ == TOPIC_REQUEST || class_ == TOPIC_BUS);
    call->time_us = clock_wall_us();
    if (class_ == TOPIC_JOURNALED || call->is_batch) {
        client_stream_add(&self->stream, call);
    } else {
        client_call_enqueue(&self->plain, call);
    }
}

// The same message is still on its way for a caller that gave up: it is the new caller's now.
static bus_err_t
adopt(client_t *self, client_call_t *call, const client_message_t *message)
{
    if (call->fn != NULL) {
        return BUS_CONFLICT;
    }
    call->wants_reply = !call->is_batch && (message->want & CLIENT_WANT_REPLY) != 0;
    call->is_acked = false;
    client_call_set_deadline(self->calls, call, deadline_of(message, topic_class(call->topic)));
    return BUS_OK;
}

bus_err_t
client_send(client_t *self,
            const client_message_t *message,
            client_answer_fn *fn,
            void *arg,
            uint64_t *ret_call)
{
    assert(message->topic != NULL && message->body.data != NULL);
    assert(message->want == CLIENT_WANT_NOTHING || fn != NULL);
    bus_view_t topic = view_from_text(message->topic);
    bus_err_t err = check(message, topic);
    if (err != BUS_OK) {
        return err;
    }
    if (self->is_closing) {
        return BUS_ABORTED;
    }
    char made[ID_TEXT_SIZE];
    if (message->id == NULL) {
        id_make(made);
    }
    bus_view_t id = view_from_text(message->id == NULL ? made : message->id);
    if (id.size == 0 || id.size > ID_SIZE_MAX) {
        return BUS_PAYLOAD_TOO_LARGE;
    }
    if (message->want == CLIENT_WANT_NOTHING) {
        return send_away(self, message, topic, id);
    }
    client_call_t *call = client_call_find(self->calls, id);
    if (call != NULL) {
        err = adopt(self, call, message);
    } else if (client_call_table_is_full(self->calls)) {
        err = BUS_BUSY;
    } else {
        call = client_call_add(self->calls, message, id, deadline_of(message, topic_class(topic)));
        queue_call(self, call, message->want);
    }
    if (err != BUS_OK) {
        return err;
    }
    call->fn = fn;
    call->arg = arg;
    if (ret_call != NULL) {
        *ret_call = call->number;
    }
    client_pump(self);
    return BUS_OK;
}

void
client_hold(client_t *self)
{
    assert(!self->is_held);
    self->is_held = true;
}

void
client_release(client_t *self)
{
    assert(self->is_held);
    self->is_held = false;
    client_pump(self);
}

void
client_cancel(client_t *self, uint64_t number)
{
    client_call_t *call = client_call_numbered(self->calls, number);
    if (call != NULL && abandon(self, call)) {
        client_call_remove(self->calls, call);
    }
}

size_t
client_pending(const client_t *self)
{
    return client_call_count(self->calls);
}

// --- Hearing -------------------------------------------------------------------------------------

void
client_on_request(client_t *self, client_heard_fn *fn, void *arg)
{
    self->request_fn = fn;
    self->request_arg = arg;
}

void
client_reply(client_t *self, const header_t *asked, bus_err_t err, bus_view_t body)
{
    if (asked->reply_to.data == NULL || asked->id.data == NULL) {
        return;
    }
    header_t header = {
        .source = view_from_text(self->source),
        .trace_id = asked->trace_id,
        .re = asked->id,
        .status = err == BUS_OK ? VIEW_LITERAL("success") : VIEW_LITERAL("error"),
    };
    if (body.data == NULL) {
        pack_clear(self->body);
        if (err == BUS_OK) {
            pack_map(self->body, 0);
        } else {
            schema_pack_error(self->body, err, NULL, VIEW_NONE, 0);
        }
        body = pack_view(self->body);
    }
    if (client_send_raw(self, asked->reply_to, &header, body) != BUS_OK) {
        self->stats.refused++;
    }
}

// --- Reading pages -------------------------------------------------------------------------------

client_records_t
client_records(const client_page_t *page)
{
    client_records_t records = {.bytes = VIEW_NONE};
    walk_t walk = walk_from(page->records);
    walk_item_t head;
    if (walk_next(&walk, &head) == BUS_OK && head.type == WALK_ARRAY) {
        records.bytes = view_from(walk.at, (size_t) (walk.end - walk.at));
        records.left = head.count;
    }
    return records;
}

bus_err_t
client_next_record(client_records_t *self, client_heard_t *ret_record)
{
    if (self->left == 0) {
        return BUS_NOT_FOUND;
    }
    walk_t walk = walk_from(self->bytes);
    walk_item_t record, topic;
    walk_t before = walk;
    if (walk_next(&walk, &record) != BUS_OK || record.type != WALK_ARRAY || record.count != 3 ||
        walk_next(&walk, &topic) != BUS_OK || topic.type != WALK_STR ||
        walk_skip(&walk, &ret_record->header_bytes) != BUS_OK ||
        walk_skip(&walk, &ret_record->body) != BUS_OK) {
        return BUS_MALFORMED_MESSAGE;
    }
    assert(walk.at > before.at);
    ret_record->topic = topic.bytes;
    self->bytes = view_from(walk.at, (size_t) (walk.end - walk.at));
    self->left--;
    const char *why;
    return header_decode(ret_record->header_bytes, &ret_record->header, &why);
}

void
client_stats(const client_t *self, client_stats_t *ret_stats)
{
    *ret_stats = self->stats;
}
