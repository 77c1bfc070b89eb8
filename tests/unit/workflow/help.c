// help.c - a stand-in for the service harness.
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
help_new(void)
{
    help_t *self = calloc(1, sizeof *self);
    cr_assert_not_null(self);
    const char *temporary = getenv("TMPDIR");
    char folder[200], path[220];
    snprintf(folder, sizeof folder, "%s/workflow-XXXXXX", temporary != NULL ? temporary : "/tmp");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/store", folder);
    self->folder = strdup(folder);
    self->at = T0;
    self->source = "bhiv_core";
    self->answer = text_new();
    self->refusal = text_new();
    self->said = text_new();
    self->later = text_new();
    self->scratch = text_new();
    self->service = calloc(1, sizeof *self->service);
    self->service->help = self;
    store_options_t options = {
        .path = path,
        .tables = workflow_definition.tables,
        .table_count = workflow_definition.table_count,
        .size_max = 256 * 1024 * 1024,
        .durability = STORE_REPLAYED,
    };
    cr_assert_eq(store_open(&options, &self->store), BUS_OK);
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(self->store, STORE_WRITE, &txn), BUS_OK);
    cr_assert_eq(workflow_definition.open(&(service_options_t){.dir = folder}, txn, &self->state),
                 BUS_OK);
    cr_assert_eq(store_commit(&txn), BUS_OK);
    return self;
}

void
help_destroy(help_t **self_p)
{
    help_t *self = *self_p;
    workflow_definition.close(&self->state);
    store_destroy(&self->store);
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", self->folder);
    cr_assert_eq(system(command), 0);
    text_destroy(&self->answer);
    text_destroy(&self->refusal);
    text_destroy(&self->said);
    text_destroy(&self->later);
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
    text_clear(self->later);
}

static void
add_json(text_t *out, bus_view_t body)
{
    const char *why = "";
    cr_assert_eq(walk_check(body, WALK_JSON, 24, &why), BUS_OK, "%s", why);
    transcode_to_json(body, 0, out);
}

// --- The harness's functions, as the operations call them ----------------------------------------

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

bus_err_t
service_say(service_apply_t *self, const char *topic, bus_view_t body)
{
    text_t *said = self->service->help->said;
    text_add_format(said, "%s ", topic);
    add_json(said, body);
    text_add(said, view_from_text("\n"));
    return BUS_OK;
}

bus_err_t
service_defer(service_apply_t *self)
{
    self->service->help->is_deferred = true;
    return BUS_OK;
}

bus_err_t
service_answer(service_apply_t *self, uint64_t seq, bus_err_t err, bus_view_t body)
{
    text_t *later = self->service->help->later;
    text_add_format(later, "%llu %s ", (unsigned long long) seq, error_text(err));
    add_json(later, body);
    text_add(later, view_from_text("\n"));
    return BUS_OK;
}

// Nothing here acts.
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

const char *
service_boot(const service_t *self BUS_UNUSED)
{
    abort();
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
find_row(const char *topic)
{
    for (size_t i = 0; i < workflow_definition.apply_count; i++) {
        if (strcmp(workflow_definition.applies[i].prefix, topic) == 0) {
            return &workflow_definition.applies[i];
        }
    }
    cr_assert(false, "no row takes %s", topic);
    abort();
}

bus_err_t
help_apply(help_t *self, const char *topic, const char *json)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    BUS_AUTO(pack_destroy) pack_t *packed = pack_new();
    cr_assert_eq(transcode_from_json(view_from_text(json), body, NULL, 0), BUS_OK, "%s", json);
    const service_apply_row_t *row = find_row(topic);
    header_t header = {.source = view_from_text(self->source), .seq = ++self->seq, .at = self->at};
    void *message = calloc(1, row->schema->size);
    schema_problems_t problems;
    self->is_deferred = false;
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

bus_err_t
help_execute(help_t *self, const char *trace_id, const char *payload)
{
    char json[2000];
    int size = snprintf(json,
                        sizeof json,
                        "{\"trace_id\":\"%s\",\"decision\":\"workflow\",\"data\":{\"workflow_"
                        "type\":\"workflow\",\"payload\":%s}}",
                        trace_id,
                        payload);
    cr_assert(size > 0 && size < (int) sizeof json);
    return help_apply(self, "workflow.execute", json);
}

bus_err_t
help_ask(help_t *self, const char *operation, const char *json)
{
    const service_query_row_t *row = NULL;
    for (size_t i = 0; i < workflow_definition.query_count; i++) {
        if (strcmp(workflow_definition.queries[i].operation, operation) == 0) {
            row = &workflow_definition.queries[i];
        }
    }
    cr_assert_not_null(row, "no row answers %s", operation);
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    BUS_AUTO(pack_destroy) pack_t *packed = pack_new();
    cr_assert_eq(transcode_from_json(view_from_text(json), body, NULL, 0), BUS_OK, "%s", json);
    void *message = calloc(1, row->schema != NULL ? row->schema->size : 1);
    schema_problems_t problems;
    if (row->schema != NULL) {
        cr_assert_eq(schema_decode(row->schema, pack_view(body), message, &problems), BUS_OK);
    }
    header_t header = {.source = view_from_text("tests")};
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(self->store, STORE_READ, &txn), BUS_OK);
    service_query_t query = {
        .service = self->service,
        .state = self->state,
        .txn = txn,
        .header = &header,
        .body = pack_view(body),
        .answer = packed,
    };
    bus_err_t err = row->query(&query, message);
    store_rollback(&txn);
    free(message);
    keep_answer(self, err, packed);
    return err;
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
help_damage(help_t *self, workflow_table_t table, bus_view_t key)
{
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(self->store, STORE_WRITE, &txn), BUS_OK);
    cr_assert_eq(store_put(txn, table, key, VIEW_LITERAL("\xc1")), BUS_OK);
    cr_assert_eq(store_commit(&txn), BUS_OK);
}
