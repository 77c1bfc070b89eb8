// help.c - a stand-in for the service harness, the bus client, the loop and the transfers.
#include "help.h"
#include "core/ask.h"
#include "core/core.h"
#include "proto/transcode.h"
#include "proto/walk.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct client {
    help_t *help;
};

struct service {
    help_t *help;
    text_t *value; // of help_value
    client_t client;
    service_question_t *questions[HELP_CALLS_MAX]; // open ones
};

struct service_question {
    help_t *help;
    unsigned place; // in the service's list
};

const char *
help_text(const text_t *text)
{
    return text_view(text).data;
}

// --- The harness's functions, as the operations call them ----------------------------------------

static void
refuse(help_t *self, const char *message, bus_view_t details)
{
    text_clear(self->refusal);
    text_clear(self->details);
    text_add(self->refusal, view_from_text(message != NULL ? message : ""));
    if (details.data != NULL) {
        transcode_to_json(details, 0, self->details);
    }
}

bus_err_t
service_refuse(service_apply_t *self, bus_err_t err, const char *message, bus_view_t details)
{
    refuse(self->service->help, message, details);
    return err;
}

bus_err_t
service_query_refuse(service_query_t *self, bus_err_t err, const char *message, bus_view_t details)
{
    refuse(self->service->help, message, details);
    return err;
}

static void
keep(text_t *lines, const char *topic, bus_view_t body)
{
    text_add_format(lines, "%s ", topic);
    transcode_to_json(body, 0, lines);
    text_add(lines, VIEW_LITERAL("\n"));
}

bus_err_t
service_say(service_apply_t *self, const char *topic, bus_view_t body)
{
    keep(self->service->help->said, topic, body);
    return BUS_OK;
}

bus_err_t
service_begin_read(service_t *self, store_txn_t **ret_txn)
{
    return store_begin(self->help->store, STORE_READ, ret_txn);
}

client_t *
service_client(service_t *self)
{
    return &self->client;
}

loop_t *
service_loop(service_t *self BUS_UNUSED)
{
    return NULL;
}

service_question_t *
service_query_defer(service_query_t *self)
{
    service_question_t *question = calloc(1, sizeof *question);
    cr_assert_not_null(question);
    question->help = self->service->help;
    question->place = question->help->deferred++;
    cr_assert_lt(question->place, HELP_CALLS_MAX);
    self->service->questions[question->place] = question;
    return question;
}

void
service_question_answer(service_question_t **self_p, bus_err_t err, bus_view_t body)
{
    help_t *help = (*self_p)->help;
    cr_assert_eq(err, BUS_OK);
    transcode_to_json(body, 0, help->late);
    text_add(help->late, VIEW_LITERAL("\n"));
    help->service->questions[(*self_p)->place] = NULL;
    free(*self_p);
    *self_p = NULL;
}

// --- The client, the loop and the transfers ------------------------------------------------------

bus_err_t
client_send(client_t *self,
            const client_message_t *message,
            client_answer_fn *fn,
            void *arg,
            uint64_t *ret_call)
{
    help_t *help = self->help;
    if (help->send_err != BUS_OK) {
        return help->send_err;
    }
    cr_assert(message->want == CLIENT_WANT_NOTHING || fn != NULL);
    const char *why = "";
    cr_assert_eq(walk_check(message->body, WALK_ANY, 28, &why), BUS_OK, "%s", why);
    keep(help->sent, message->topic, message->body);
    if (strcmp(message->topic, "$bus.batch") == 0) {
        pack_clear(help->batch);
        pack_raw(help->batch, message->body);
    }
    cr_assert_lt(help->call_count, HELP_CALLS_MAX);
    help_call_t *call = &help->calls[help->call_count++];
    *call = (help_call_t){.is_open = true, .timeout_ms = message->timeout_ms, .fn = fn, .arg = arg};
    snprintf(call->topic, sizeof call->topic, "%s", message->topic);
    if (ret_call != NULL) {
        *ret_call = help->call_count;
    }
    return BUS_OK;
}

void
client_cancel(client_t *self, uint64_t call)
{
    cr_assert(call >= 1 && call <= self->help->call_count);
    self->help->calls[call - 1].is_open = false;
}

size_t
client_pending(const client_t *self)
{
    return self->help->pending;
}

bus_err_t
client_subscribe(client_t *self BUS_UNUSED,
                 const char *pattern BUS_UNUSED,
                 client_heard_fn *fn BUS_UNUSED,
                 void *arg BUS_UNUSED)
{
    return BUS_OK;
}

int
loop_add_timer(loop_t *self BUS_UNUSED,
               unsigned delay_ms BUS_UNUSED,
               unsigned times BUS_UNUSED,
               loop_fn *fn BUS_UNUSED,
               void *arg BUS_UNUSED)
{
    return 1;
}

void
loop_cancel_timer(loop_t *self BUS_UNUSED, int timer_id BUS_UNUSED)
{
    // No time goes by here.
}

transfers_t *
transfer_pool_new(loop_t *loop BUS_UNUSED)
{
    return malloc(1);
}

void
transfer_pool_destroy(transfers_t **self_p)
{
    free(*self_p);
    *self_p = NULL;
}

bus_err_t
transfer_start(transfers_t *self BUS_UNUSED,
               const transfer_request_t *request BUS_UNUSED,
               transfer_fn *fn BUS_UNUSED,
               void *arg BUS_UNUSED,
               uint64_t *ret_id BUS_UNUSED)
{
    return BUS_BUSY;
}

void
transfer_cancel(transfers_t *self BUS_UNUSED, uint64_t id BUS_UNUSED)
{
    // Nothing is ever under way.
}

void
help_answer_call(help_t *self, unsigned number, bus_err_t err, const char *json)
{
    cr_assert(number >= 1 && number <= self->call_count);
    help_call_t *call = &self->calls[number - 1];
    cr_assert(call->is_open, "nobody waits for call %u any more", number);
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    if (json != NULL) {
        cr_assert_eq(transcode_from_json(view_from_text(json), body, NULL, 0), BUS_OK, "%s", json);
    }
    call->is_open = false;
    const client_answer_t answer = {
        .event = err == BUS_OK ? CLIENT_REPLIED : CLIENT_FAILED,
        .err = err,
        .body = json == NULL ? VIEW_NONE : pack_view(body),
    };
    call->fn(call->arg, &answer);
}

void
help_peers(help_t *self, const char *services)
{
    BUS_AUTO(text_destroy) text_t *json = text_new();
    text_add(json, VIEW_LITERAL("{\"peers\":["));
    const char *separator = "";
    while (*services != '\0') {
        size_t size = strcspn(services, " ");
        text_add_format(json, "%s{\"service\":\"%.*s\"}", separator, (int) size, services);
        separator = ",";
        services += size + (services[size] == ' ' ? 1 : 0);
    }
    text_add(json, VIEW_LITERAL("]}"));
    core_presence_destroy(&self->state.presence);
    cr_assert_eq(
        core_presence_new(
            self->service, self->state.registry, help_look, &self->state, &self->state.presence),
        BUS_OK);
    help_answer_call(self, self->call_count, BUS_OK, help_text(json));
}

static void
apply_one(help_t *self, bus_view_t topic, bus_view_t body)
{
    for (size_t i = 0; i < core_definition.apply_count; i++) {
        const service_apply_row_t *row = &core_definition.applies[i];
        if (view_is(topic, row->prefix)) {
            BUS_AUTO(text_destroy) text_t *json = text_new();
            const char *source = self->source;
            transcode_to_json(body, 0, json);
            self->source = "bhiv_core";
            cr_assert_eq(help_apply(self, row->apply, row->schema, row->prefix, help_text(json)),
                         BUS_OK);
            self->source = source;
        }
    }
}

void
help_apply_sent(help_t *self)
{
    BUS_AUTO(pack_destroy) pack_t *batch = self->batch;
    self->batch = pack_new();
    walk_t walk = walk_from(pack_view(batch));
    walk_item_t item;
    cr_assert_eq(walk_next(&walk, &item), BUS_OK);
    for (uint32_t i = 0, count = item.count; i < count; i++) {
        walk_item_t head;
        walk_item_t topic;
        bus_view_t header;
        bus_view_t body;
        cr_assert_eq(walk_next(&walk, &head), BUS_OK);
        cr_assert_eq(walk_next(&walk, &topic), BUS_OK);
        cr_assert_eq(walk_skip(&walk, &header), BUS_OK);
        cr_assert_eq(walk_skip(&walk, &body), BUS_OK);
        apply_one(self, topic.bytes, body);
    }
}

void
help_look(void *arg, uint64_t asked_us)
{
    core_task_look(arg, asked_us);
}

// --- Life ----------------------------------------------------------------------------------------

static void
open_store(help_t *self)
{
    char path[256];
    snprintf(path, sizeof path, "%s/core", self->folder);
    const store_options_t options = {.path = path,
                                     .tables = core_tables,
                                     .table_count = CORE_TABLE_COUNT,
                                     .size_max = 256 * 1024 * 1024,
                                     .durability = STORE_REPLAYED};
    cr_assert_eq(store_open(&options, &self->store), BUS_OK);
}

static void
start(help_t *self)
{
    core_state_t *state = &self->state;
    *state = (core_state_t){.service = self->service,
                            .random = {.state = 1},
                            .runs_workflows = true,
                            .scratch = pack_new(),
                            .transfers = transfer_pool_new(NULL)};
    cr_assert_eq(core_registry_new(&state->registry), BUS_OK);
    help_peers(self, "");
}

static void
stop(help_t *self)
{
    core_state_t *state = &self->state;
    core_task_clear(state);
    core_multi_clear(state);
    core_presence_destroy(&state->presence);
    for (unsigned i = 0; i < self->call_count; i++) { // as the client's end does
        if (self->calls[i].is_open && self->calls[i].fn != NULL) {
            help_answer_call(self, i + 1, BUS_ABORTED, NULL);
        }
    }
    for (unsigned i = 0; i < self->deferred; i++) {
        free(self->service->questions[i]);
        self->service->questions[i] = NULL;
    }
    transfer_pool_destroy(&state->transfers);
    core_registry_destroy(&state->registry);
    pack_destroy(&state->scratch);
}

help_t *
help_new(void)
{
    help_t *self = calloc(1, sizeof *self);
    cr_assert_not_null(self);
    log_set_level(LOG_ERROR);
    const char *temporary = getenv("TMPDIR");
    char folder[200];
    snprintf(folder, sizeof folder, "%s/core-XXXXXX", temporary != NULL ? temporary : "/tmp");
    cr_assert_not_null(mkdtemp(folder));
    self->folder = strdup(folder);
    self->at = HELP_T0;
    self->source = "tests";
    self->body = pack_new();
    self->packed = pack_new();
    self->batch = pack_new();
    self->answer = text_new();
    self->refusal = text_new();
    self->details = text_new();
    self->said = text_new();
    self->late = text_new();
    self->sent = text_new();
    self->service = calloc(1, sizeof *self->service);
    self->service->help = self;
    self->service->client.help = self;
    self->service->value = text_new();
    open_store(self);
    start(self);
    return self;
}

void
help_destroy(help_t **self_p)
{
    help_t *self = *self_p;
    stop(self);
    store_rollback(&self->txn);
    store_destroy(&self->store);
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", self->folder);
    cr_assert_eq(system(command), 0);
    pack_destroy(&self->body);
    pack_destroy(&self->packed);
    pack_destroy(&self->batch);
    text_destroy(&self->answer);
    text_destroy(&self->refusal);
    text_destroy(&self->details);
    text_destroy(&self->said);
    text_destroy(&self->late);
    text_destroy(&self->sent);
    text_destroy(&self->service->value);
    free(self->service);
    free(self->folder);
    free(self);
    *self_p = NULL;
}

void
help_reopen(help_t *self)
{
    stop(self);
    store_destroy(&self->store);
    open_store(self);
    start(self);
}

void
help_begin(help_t *self)
{
    cr_assert_null(self->txn);
    cr_assert_eq(store_begin(self->store, STORE_WRITE, &self->txn), BUS_OK);
}

void
help_commit(help_t *self)
{
    cr_assert_eq(store_commit(&self->txn), BUS_OK);
}

void
help_undo(help_t *self)
{
    store_rollback(&self->txn);
}

// --- Records and questions -----------------------------------------------------------------------

static void
pack_json(const char *json, pack_t *out)
{
    pack_clear(out);
    char why[200] = "";
    bus_err_t err =
        transcode_from_json(view_from_text(json == NULL ? "{}" : json), out, why, sizeof why);
    cr_assert_eq(err, BUS_OK, "%s: %s", why, json);
}

service_apply_t
help_record(help_t *self, const char *topic, const char *json)
{
    cr_assert_not_null(self->txn);
    pack_json(json, self->body);
    pack_clear(self->packed);
    text_clear(self->answer);
    text_clear(self->refusal);
    text_clear(self->details);
    text_clear(self->said);
    self->seq++;
    snprintf(self->id, sizeof self->id, "id-%llu", (unsigned long long) self->seq);
    self->header = (header_t){
        .id = view_from_text(self->id),
        .source = view_from_text(self->source),
        .trace_id = VIEW_LITERAL("trace-1"),
        .seq = self->seq,
        .at = self->at,
    };
    return (service_apply_t){
        .service = self->service,
        .state = &self->state,
        .txn = self->txn,
        .header = &self->header,
        .topic = view_from_text(topic),
        .body = pack_view(self->body),
        .answer = self->packed,
    };
}

static void
keep_answer(help_t *self)
{
    text_clear(self->answer);
    if (pack_view(self->packed).size > 0) {
        const char *why = "";
        cr_assert_eq(walk_check(pack_view(self->packed), WALK_ANY, 28, &why), BUS_OK, "%s", why);
        transcode_to_json(pack_view(self->packed), 0, self->answer);
    }
}

bus_err_t
help_apply(
    help_t *self, help_apply_fn *fn, const schema_t *schema, const char *topic, const char *json)
{
    bool is_own = self->txn == NULL;
    if (is_own) {
        help_begin(self);
    }
    service_apply_t apply = help_record(self, topic, json);
    void *message = calloc(1, schema != NULL ? schema->size : 1);
    if (schema != NULL) {
        schema_problems_t problems;
        cr_assert_eq(schema_decode(schema, apply.body, message, &problems), BUS_OK, "%s", json);
    }
    bus_err_t err = fn(&apply, schema != NULL ? message : NULL);
    free(message);
    keep_answer(self);
    bool is_lost = err == BUS_FULL || err == BUS_IO || err == BUS_CORRUPT;
    if (is_own && is_lost) {
        help_undo(self);
    } else if (is_own) {
        help_commit(self);
    }
    return err;
}

bus_err_t
help_ask(help_t *self, help_query_fn *fn, const schema_t *schema, const char *json)
{
    cr_assert_null(self->txn);
    pack_json(json, self->body);
    pack_clear(self->packed);
    text_clear(self->refusal);
    text_clear(self->details);
    void *message = calloc(1, schema != NULL ? schema->size : 1);
    if (schema != NULL) {
        schema_problems_t problems;
        bus_err_t err = schema_decode(schema, pack_view(self->body), message, &problems);
        cr_assert_eq(err, BUS_OK, "%s", json);
    }
    header_t header = {.source = view_from_text(self->source),
                       .trace_id = VIEW_LITERAL("trace-1"),
                       .at = self->at};
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(self->store, STORE_READ, &txn), BUS_OK);
    service_query_t query = {
        .service = self->service,
        .state = &self->state,
        .txn = txn,
        .header = &header,
        .body = pack_view(self->body),
        .answer = self->packed,
    };
    bus_err_t err = fn(&query, schema != NULL ? message : NULL);
    store_rollback(&txn);
    free(message);
    keep_answer(self);
    return err;
}

const char *
help_value(help_t *self, const char *path)
{
    text_t *value = self->service->value;
    text_clear(value);
    bus_view_t found;
    if (walk_find_path(pack_view(self->packed), path, &found) == BUS_OK) {
        transcode_to_json(found, 0, value);
    }
    return help_text(value);
}
