// help.c - a stand-in for the service harness. See help.h.
#include "help.h"
#include "proto/transcode.h"
#include "proto/walk.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct service {
    help_t *help;
};

const char *
help_text(const text_t *text)
{
    return text_view(text).data;
}

help_t *
help_new(const service_definition_t *definition)
{
    help_t *self = calloc(1, sizeof *self);
    cr_assert_not_null(self);
    const char *temporary = getenv("TMPDIR");
    char folder[200], path[220];
    snprintf(folder, sizeof folder, "%s/kernel-XXXXXX", temporary != NULL ? temporary : "/tmp");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/store", folder);
    self->definition = definition;
    self->folder = strdup(folder);
    self->at = T0;
    self->source = "tests";
    self->answer = text_new();
    self->refusal = text_new();
    self->said = text_new();
    self->scratch = text_new();
    self->service = calloc(1, sizeof *self->service);
    self->service->help = self;
    store_options_t options = {
        .path = path,
        .tables = definition->tables,
        .table_count = definition->table_count,
        .size_max = 256 * 1024 * 1024,
        .durability = STORE_REPLAYED,
    };
    cr_assert_eq(store_open(&options, &self->store), BUS_OK);
    if (definition->open != NULL) {
        store_txn_t *txn = NULL;
        cr_assert_eq(store_begin(self->store, STORE_WRITE, &txn), BUS_OK);
        cr_assert_eq(definition->open(&(service_options_t){.dir = folder}, txn, &self->state),
                     BUS_OK);
        cr_assert_eq(store_commit(&txn), BUS_OK);
    }
    return self;
}

void
help_destroy(help_t **self_p)
{
    help_t *self = *self_p;
    if (self->definition->close != NULL) {
        self->definition->close(&self->state);
    }
    store_destroy(&self->store);
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", self->folder);
    cr_assert_eq(system(command), 0);
    text_destroy(&self->answer);
    text_destroy(&self->refusal);
    text_destroy(&self->said);
    text_destroy(&self->scratch);
    free(self->service);
    free(self->folder);
    free(self);
    *self_p = NULL;
}

void
help_forget(help_t *self)
{
    text_clear(self->said);
}

static void
add_json(text_t *out, bus_view_t body)
{
    const char *why = "";
    cr_assert_eq(walk_check(body, WALK_JSON, 24, &why), BUS_OK, "%s", why);
    transcode_to_json(body, 0, out);
}

// --- The harness's functions, as the kernels call them -------------------------------------------

bus_err_t
service_refuse(service_apply_t *self, bus_err_t err, const char *message, bus_view_t details)
{
    help_t *help = self->service->help;
    text_clear(help->refusal);
    text_add(help->refusal, view_from_text(message != NULL ? message : ""));
    if (details.data != NULL) {
        add_json(help->refusal, details);
    }
    return err;
}

bus_err_t
service_query_refuse(service_query_t *self, bus_err_t err, const char *message, bus_view_t details)
{
    service_apply_t apply = {.service = self->service};
    return service_refuse(&apply, err, message, details);
}

static void
say(help_t *help, const char *topic, bus_view_t body)
{
    text_add_format(help->said, "%s ", topic);
    add_json(help->said, body);
    text_add(help->said, view_from_text("\n"));
}

bus_err_t
service_say(service_apply_t *self, const char *topic, bus_view_t body)
{
    say(self->service->help, topic, body);
    return BUS_OK;
}

bus_err_t
service_query_say(service_query_t *self, const char *topic, bus_view_t body)
{
    say(self->service->help, topic, body);
    return BUS_OK;
}

void
service_tell(service_apply_t *self, const char *topic, bus_view_t body)
{
    say(self->service->help, topic, body);
}

void
service_trace(service_apply_t *self BUS_UNUSED, bus_view_t trace_id BUS_UNUSED)
{
}

bus_err_t
service_begin_read(service_t *self, store_txn_t **ret_txn)
{
    return store_begin(self->help->store, STORE_READ, ret_txn);
}

service_question_t *
service_query_defer(service_query_t *self BUS_UNUSED)
{
    return NULL;
}

void
service_question_answer(service_question_t **self_p BUS_UNUSED,
                        bus_err_t err BUS_UNUSED,
                        bus_view_t body BUS_UNUSED)
{
    abort();
}

void
service_tick_soon(service_t *self BUS_UNUSED)
{
}

loop_t *
service_loop(service_t *self BUS_UNUSED)
{
    abort();
}

client_t *
service_client(service_t *self BUS_UNUSED)
{
    abort();
}

bus_err_t
service_keep(service_t *self BUS_UNUSED)
{
    abort();
}

const char *
service_boot(const service_t *self BUS_UNUSED)
{
    return "boot-1";
}

// --- Applying and asking -------------------------------------------------------------------------

static void
keep_answer(help_t *self, bus_err_t err, const pack_t *packed)
{
    text_clear(self->answer);
    if (err == BUS_OK && pack_view(packed).size > 0) {
        add_json(self->answer, pack_view(packed));
    }
}

static const service_apply_row_t *
find_row(const service_definition_t *definition, const char *topic)
{
    const service_apply_row_t *found = NULL;
    for (size_t i = 0; i < definition->apply_count; i++) {
        const service_apply_row_t *row = &definition->applies[i];
        if (strncmp(row->prefix, topic, strlen(row->prefix)) == 0 &&
            (found == NULL || strlen(row->prefix) > strlen(found->prefix))) {
            found = row;
        }
    }
    cr_assert_not_null(found, "no row takes %s", topic);
    return found;
}

bus_err_t
help_apply(help_t *self, const char *topic, const char *json)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    BUS_AUTO(pack_destroy) pack_t *packed = pack_new();
    cr_assert_eq(transcode_from_json(view_from_text(json), body, NULL, 0), BUS_OK, "%s", json);
    const service_apply_row_t *row = find_row(self->definition, topic);
    header_t header = {
        .source = view_from_text(self->source),
        .trace_id = view_from_text(self->trace_id),
        .seq = ++self->seq,
        .at = self->at,
    };
    void *message = calloc(1, row->schema->size);
    schema_problems_t problems;
    bus_err_t err = schema_decode(row->schema, pack_view(body), message, &problems);
    if (err == BUS_OK) {
        store_txn_t *txn = NULL;
        cr_assert_eq(store_begin(self->store, STORE_WRITE, &txn), BUS_OK);
        service_apply_t apply = {
            .service = self->service,
            .state = self->state,
            .txn = txn,
            .header = &header,
            .topic = view_from_text(topic),
            .body = pack_view(body),
            .answer = packed,
        };
        err = row->apply(&apply, message);
        cr_assert(err != BUS_CORRUPT && err != BUS_FULL && err != BUS_IO, "retried for ever");
        cr_assert_eq(store_commit(&txn), BUS_OK); // a refusal is a record that was taken, too
    }
    free(message);
    keep_answer(self, err, packed);
    return err;
}

static bus_err_t
query(help_t *self,
      bus_err_t (*fn)(service_query_t *query, const void *message),
      const void *message,
      bus_view_t body)
{
    BUS_AUTO(pack_destroy) pack_t *packed = pack_new();
    header_t header = {.source = view_from_text("tests"), .at = self->at};
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(self->store, STORE_READ, &txn), BUS_OK);
    service_query_t this = {
        .service = self->service,
        .state = self->state,
        .txn = txn,
        .header = &header,
        .body = body,
        .answer = packed,
    };
    bus_err_t err = fn(&this, message);
    store_rollback(&txn);
    keep_answer(self, err, packed);
    return err;
}

bus_err_t
help_ask(help_t *self, const char *operation, const char *json)
{
    const service_query_row_t *row = NULL;
    for (size_t i = 0; i < self->definition->query_count; i++) {
        if (strcmp(self->definition->queries[i].operation, operation) == 0) {
            row = &self->definition->queries[i];
        }
    }
    cr_assert_not_null(row, "no row answers %s", operation);
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    cr_assert_eq(transcode_from_json(view_from_text(json), body, NULL, 0), BUS_OK, "%s", json);
    void *message = calloc(1, row->schema != NULL ? row->schema->size : 1);
    schema_problems_t problems;
    if (row->schema != NULL) {
        cr_assert_eq(schema_decode(row->schema, pack_view(body), message, &problems), BUS_OK);
    }
    bus_err_t err = query(self, row->query, message, pack_view(body));
    free(message);
    return err;
}

static bus_err_t
tick(service_query_t *self, const void *definition)
{
    ((const service_definition_t *) definition)->tick(self);
    return BUS_OK;
}

void
help_tick(help_t *self)
{
    cr_assert_eq(query(self, tick, self->definition, VIEW_NONE), BUS_OK);
}

const char *
help_at(help_t *self, const char *path)
{
    BUS_AUTO(pack_destroy) pack_t *packed = pack_new();
    bus_view_t value;
    text_clear(self->scratch);
    if (text_view(self->answer).size > 0) {
        cr_assert_eq(transcode_from_json(text_view(self->answer), packed, NULL, 0), BUS_OK);
        if (walk_find_path(pack_view(packed), path, &value) == BUS_OK) {
            transcode_to_json(value, 0, self->scratch);
        }
    }
    return text_view(self->scratch).size == 0 ? "" : help_text(self->scratch);
}

void
help_damage(help_t *self, unsigned table, bus_view_t key)
{
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(self->store, STORE_WRITE, &txn), BUS_OK);
    cr_assert_eq(store_put(txn, table, key, VIEW_LITERAL("\xc1")), BUS_OK);
    cr_assert_eq(store_commit(&txn), BUS_OK);
}

uint64_t
help_count(help_t *self, unsigned table)
{
    store_txn_t *txn = NULL;
    uint64_t count = 0;
    cr_assert_eq(store_begin(self->store, STORE_READ, &txn), BUS_OK);
    cr_assert_eq(store_count(txn, table, &count), BUS_OK);
    store_rollback(&txn);
    return count;
}
