// control.c - what a peer says to the broker: the operations of docs/protocol.md section 4, one row
// each.
#include "proto/schema.h"
#include "router_state.h"
#include "runtime/clock.h"
#include "worker.h"
#include <assert.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef struct {
    const char *topic;
    const schema_t *schema; // of the body; NULL: it is not looked at here
    bool checks_body;       // `handle` checks the body's msgpack itself
    // `body` is decoded by the schema. What it returns is refused, with *reterr_why.
    bus_err_t (*handle)(router_t *self,
                        message_t *message,
                        const void *body,
                        const char **reterr_why);
} operation_t;

// --- Who is there -------------------------------------------------------------------------------

// The answer waits for its place among what was said before: it comes when the block comes back.
static bus_err_t
handle_hello(router_t *self, message_t *message, const void *body, const char **reterr_why)
{
    const schema_hello_t *hello = body;
    bus_err_t err = presence_take(self, message, hello, reterr_why);
    if (err == BUS_OK) {
        peer_began(self->peers, hello->instance);
    }
    if (err != BUS_OK || message->header.reply_to.data == NULL) {
        return err;
    }
    batch_entry_t entry = {.kind = BATCH_HELLO, .header = message->header};
    entry.header.pstream = hello->pstream;
    err = gather_reserve(self->gather, 1, message->header_bytes.size + hello->pstream.size);
    if (err == BUS_OK) {
        gather_add(self->gather, &entry);
    }
    return err;
}

static bus_err_t
handle_beat(router_t *self, message_t *message, const void *body, const char **reterr_why)
{
    return presence_take(self, message, body, reterr_why);
}

static bus_err_t
handle_bye(router_t *self, message_t *message, const void *body, const char **reterr_why)
{
    const schema_bye_t *bye = body;
    bus_err_t err = warden_is_own_instance(self, message, bye->instance, reterr_why);
    if (err == BUS_OK) {
        presence_leave(self, bye->instance);
    }
    return err;
}

static bus_view_t
said(bus_view_t text)
{
    return text.data == NULL ? VIEW_LITERAL("") : text;
}

static void
pack_peer(void *arg, const peer_t *peer)
{
    pack_t *out = arg;
    pack_map(out, 9);
    pack_pair_str(out, "service", said(peer->service));
    pack_pair_str(out, "instance", peer->instance);
    pack_pair_str(out, "source", peer->source);
    pack_pair_uint(out, "since", peer->since);
    pack_pair_real(out, "boot_ms", peer->boot_ms);
    pack_pair_str(out, "version", said(peer->version));
    pack_pair_int(out, "pid", peer->pid);
    pack_pair_str(out, "build", said(peer->build));
    pack_pair_str(out, "host", said(peer->host));
}

static bus_err_t
handle_peers(router_t *self,
             message_t *message,
             const void *body BUS_UNUSED,
             const char **reterr_why BUS_UNUSED)
{
    pack_clear(self->body);
    pack_map(self->body, 1);
    pack_text(self->body, "peers");
    pack_array(self->body, peer_count(self->peers));
    peer_each(self->peers, pack_peer, self->body);
    answer_to_t to = answer_to_header(&message->header, false);
    answer_body(self->answer, &to, pack_view(self->body));
    return BUS_OK;
}

// --- The journal's readers ----------------------------------------------------------------------

// Passes the fetch on. The reader looks at its body; only where a new consumer would find no room
// is it looked at here.
static bus_err_t
handle_fetch(router_t *self,
             message_t *message,
             const void *body BUS_UNUSED,
             const char **reterr_why)
{
    const header_t *header = &message->header;
    if (header->reply_to.data == NULL) {
        *reterr_why = "a fetch needs reply_to";
        return BUS_MALFORMED_MESSAGE;
    }
    if (!egress_is_live(self->egress, header->reply_to)) {
        self->stats.orphans++;
        return BUS_OK;
    }
    bus_err_t err = warden_may_fetch(self, message, reterr_why);
    if (err != BUS_OK) {
        return err;
    }
    schema_fetch_t fetch;
    schema_problems_t problems;
    if (consumer_count(self->consumers) == CONSUMERS_MAX &&
        schema_decode(&SCHEMA_fetch, message->body, &fetch, &problems) == BUS_OK && fetch.ack.has &&
        fetch.ack.value > 0 && !consumer_fits(self->consumers, fetch.consumer)) {
        *reterr_why = "as many consumers are known as may be: forget one";
        return BUS_FULL;
    }
    bus_view_t texts[] = {VIEW_LITERAL("F"), header->reply_to, header->id, header->trace_id};
    zmq_msg_t frames[COUNT(texts)];
    for (size_t i = 0; i < COUNT(texts); i++) {
        egress_frame(&frames[i], texts[i]);
    }
    if (worker_send(&frames[0], self->reader_socket, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0) {
        for (size_t i = 0; i < COUNT(texts); i++) {
            zmq_msg_close(&frames[i]);
        }
        *reterr_why = "too many fetches wait for the reader";
        return BUS_BUSY;
    }
    // The first frame found room, and with it the whole message.
    for (size_t i = 1; i < COUNT(texts); i++) {
        int rc = worker_send(&frames[i], self->reader_socket, ZMQ_SNDMORE);
        assert(rc >= 0);
    }
    int rc = worker_send(&message->frames[2], self->reader_socket, 0);
    assert(rc >= 0);
    return BUS_OK;
}

static bus_err_t
handle_forget(router_t *self, message_t *message, const void *body, const char **reterr_why)
{
    const schema_forget_t *forget = body;
    bus_err_t err = warden_may_consume(self, message, forget->consumer, true, reterr_why);
    if (err != BUS_OK) {
        return err;
    }
    batch_entry_t entry = {.kind = BATCH_FORGET, .header = message->header};
    entry.header.source = forget->consumer;
    err = gather_reserve(self->gather, 1, message->header_bytes.size + forget->consumer.size);
    if (err == BUS_OK) {
        consumer_forget(self->consumers, forget->consumer);
        gather_add(self->gather, &entry);
    }
    return err;
}

// --- A batch ------------------------------------------------------------------------------------

static bus_err_t
refuse_batch(router_t *self, message_t *message, bus_err_t err, const group_problem_t *problem)
{
    refusal_t refusal = {.err = err, .why = problem->why};
    if (problem->index != UINT32_MAX) {
        pack_clear(self->body);
        pack_map(self->body, 2);
        pack_pair_uint(self->body, "index", problem->index);
        pack_pair_text(self->body, "problem", problem->why);
        refusal.details = pack_view(self->body);
    }
    refusal_send(self, &message->header, true, &refusal);
    return BUS_OK;
}

static bus_err_t
handle_batch(router_t *self,
             message_t *message,
             const void *body BUS_UNUSED,
             const char **reterr_why BUS_UNUSED)
{
    group_problem_t problem;
    bus_err_t err =
        group_read(self->group, message->body, &message->header, message->peer, &problem);
    const group_claims_t claims = group_claims(self->group);
    warden_count_claims(self, message, &claims);
    if (err == BUS_UNAUTHORIZED_ACCESS && message->peer != NULL) {
        warden_breach(self, message->peer->name, BREACH_PUBLISH, problem.topic);
    }
    if (err != BUS_OK) {
        return refuse_batch(self, message, err, &problem);
    }
    const uint32_t count = group_count(self->group);
    size_t bytes = group_bytes(self->group) + message->header_bytes.size;
    err = gather_reserve(self->gather, count + 1, bytes);
    if (err != BUS_OK) {
        return err;
    }
    batch_entry_t head = {.kind = BATCH_GROUP, .count = count, .header = message->header};
    if (head.header.ack == HEADER_ACK_NONE && head.header.reply_to.data != NULL) {
        head.header.ack = HEADER_ACK_EACH;
    }
    gather_add(self->gather, &head);
    for (uint32_t i = 0; i < count; i++) {
        group_record_t record = group_record(self->group, i);
        const batch_entry_t entry = {
            .kind = BATCH_RECORD,
            .grouped = true,
            .topic = record.topic,
            .header_bytes = record.header,
            .body = record.body,
            .header = {.trace_id = record.trace_id,
                       .cause_seq = record.cause_seq,
                       .cause_n = record.cause_n},
        };
        gather_add(self->gather, &entry);
    }
    return BUS_OK;
}

// --- Counters -----------------------------------------------------------------------------------

static bus_err_t
handle_stats(router_t *self,
             message_t *message,
             const void *body BUS_UNUSED,
             const char **reterr_why BUS_UNUSED)
{
    const router_position_t *position = &self->position;
    pack_t *out = self->body;
    pack_clear(out);
    size_t place = pack_map_begin(out);
    pack_pair_text(out, "version", BHIV_VERSION);
    pack_pair_text(out, "build", position->identity.build);
    pack_pair_uint(out, "protocol", IDENTITY_PROTOCOL);
    pack_pair_text(out, "schemas", position->identity.schemas);
    pack_pair_text(out, "host", position->identity.host);
    pack_pair_int(out, "pid", getpid());
    pack_pair_text(out, "epoch", position->epoch);
    pack_pair_text(out, "boot", position->boot);
    pack_pair_uint(out, "uptime_ms", clock_boot_ms() - position->started_ms);
    pack_pair_uint(out, "head", position->head);
    pack_pair_uint(out, "first", position->first);
    pack_pair_uint(out, "at", position->at);
    pack_pair_uint(out, "bytes", position->bytes);
    pack_pair_uint(out, "pending_bytes", gather_bytes(self->gather));
    pack_pair_uint(out, "connections", gate_connections(self->gate));
    pack_pair_uint(out, "peers", peer_count(self->peers));
    pack_pair_uint(out, "inboxes", egress_inboxes(self->egress));
    pack_text(out, "consumers");
    consumer_pack(self->consumers, position->head, out);
    uint32_t count = 18 + stats_pack(&self->stats, out);
    if (self->who != NULL) {
        warden_pack(self, out);
        count++;
    }
    pack_count(out, place, count);
    answer_to_t to = answer_to_header(&message->header, false);
    answer_body(self->answer, &to, pack_view(out));
    return BUS_OK;
}

// --- The table ----------------------------------------------------------------------------------

static const operation_t operations[] = {
    {"$bus.hello", &SCHEMA_hello, false, handle_hello},
    {"$bus.beat", &SCHEMA_hello, false, handle_beat},
    {"$bus.bye", &SCHEMA_bye, false, handle_bye},
    {"$bus.fetch", NULL, false, handle_fetch},
    {"$bus.forget", &SCHEMA_forget, false, handle_forget},
    {"$bus.batch", NULL, true, handle_batch},
    {"$bus.stats", NULL, false, handle_stats},
    {"$bus.peers", NULL, false, handle_peers},
};

// Room for the struct of any operation's schema.
typedef union {
    schema_hello_t hello;
    schema_bye_t bye;
    schema_forget_t forget;
} operation_body_t;

static const operation_t *
find_operation(bus_view_t topic)
{
    for (size_t i = 0; i < COUNT(operations); i++) {
        if (view_is(topic, operations[i].topic)) {
            return &operations[i];
        }
    }
    return NULL;
}

bool
control_checks_body(bus_view_t topic)
{
    const operation_t *operation = find_operation(topic);
    return operation != NULL && operation->checks_body;
}

// Decodes the body, or refuses the message and returns false.
static bool
decode(router_t *self, const message_t *message, const schema_t *schema, operation_body_t *ret_body)
{
    schema_problems_t problems;
    assert(schema->size <= sizeof(*ret_body));
    bus_err_t err = schema_decode(schema, message->body, ret_body, &problems);
    if (err == BUS_OK) {
        return true;
    }
    pack_clear(self->body);
    schema_pack_problems(&problems, self->body);
    const refusal_t refusal = {.err = err, .details = pack_view(self->body)};
    refusal_send(self, &message->header, false, &refusal);
    return false;
}

void
control_handle(router_t *self, message_t *message)
{
    const operation_t *operation = find_operation(message->topic);
    refusal_t refusal = {.err = BUS_INVALID_TOPIC, .why = "the bus has no such operation"};
    if (operation == NULL) {
        refusal_send(self, &message->header, false, &refusal);
        return;
    }
    if (message->header.source.data == NULL) {
        message->header.source = VIEW_LITERAL("anonymous");
    }
    operation_body_t body = {0};
    if (operation->schema != NULL && !decode(self, message, operation->schema, &body)) {
        return;
    }
    refusal.why = NULL;
    refusal.err = operation->handle(self, message, &body, &refusal.why);
    if (refusal.err != BUS_OK) {
        refusal_send(self, &message->header, operation->handle == handle_batch, &refusal);
    }
}

// --- Once a second ------------------------------------------------------------------------------

static bool
store_consumer(void *arg, bus_view_t name, uint64_t ack)
{
    router_t *self = arg;
    const batch_entry_t entry = {.kind = BATCH_CONSUMER, .seq = ack, .header = {.source = name}};
    if (gather_reserve(self->gather, 1, name.size) != BUS_OK) {
        return false; // the next second
    }
    gather_add(self->gather, &entry);
    return true;
}

void
control_hear_consumer(router_t *self, bus_view_t consumer, uint64_t next, uint64_t ack)
{
    uint32_t known = consumer_count(self->consumers);
    if (consumer_heard(self->consumers, consumer, next, ack, false) == BUS_OK &&
        consumer_count(self->consumers) > known) {
        consumer_store(self->consumers, store_consumer, self); // a new one at once
        commit_flush(self);
    }
}

void
control_trim(router_t *self)
{
    if (!self->options.is_trimming || self->is_trim_pending ||
        gather_reserve(self->gather, 1, 0) != BUS_OK) {
        return;
    }
    const batch_entry_t trim = {.kind = BATCH_TRIM, .seq = consumer_floor(self->consumers)};
    gather_add(self->gather, &trim);
    self->is_trim_pending = true;
}

void
control_tick(router_t *self)
{
    consumer_store(self->consumers, store_consumer, self);
    control_trim(self);
}
