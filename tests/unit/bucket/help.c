// help.c - a stand-in for the service harness.
#include "help.h"
#include "bucket/audit.h"
#include "proto/transcode.h"
#include "proto/walk.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct service {
    help_t *help;
    text_t *value; // of help_value
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
    help_t *help = self->service->help;
    if (help->say_err == BUS_OK) {
        keep(help->said, topic, body);
    }
    return help->say_err;
}

void
service_tell(service_apply_t *self, const char *topic, bus_view_t body)
{
    keep(self->service->help->told, topic, body);
}

bus_err_t
service_query_say(service_query_t *self, const char *topic, bus_view_t body)
{
    keep(self->service->help->said, topic, body);
    return self->service->help->say_err;
}

// --- Life ----------------------------------------------------------------------------------------

static void
load_state(help_t *self)
{
    store_txn_t *txn = self->txn;
    if (txn == NULL) {
        cr_assert_eq(store_begin(self->store, STORE_READ, &txn), BUS_OK);
    }
    cr_assert_eq(bucket_tables_load(txn, &self->state.totals), BUS_OK);
    cr_assert_eq(bucket_audit_load(txn, &self->state.tree), BUS_OK);
    if (self->txn == NULL) {
        store_rollback(&txn);
    }
}

static void
open_store(help_t *self)
{
    char path[256];
    snprintf(path, sizeof path, "%s/bucket", self->folder);
    const store_options_t options = {.path = path,
                                     .tables = bucket_tables,
                                     .table_count = BUCKET_TABLE_COUNT,
                                     .size_max = 256 * 1024 * 1024,
                                     .durability = STORE_REPLAYED};
    cr_assert_eq(store_open(&options, &self->store), BUS_OK);
    load_state(self);
}

help_t *
help_new(void)
{
    help_t *self = calloc(1, sizeof *self);
    cr_assert_not_null(self);
    const char *temporary = getenv("TMPDIR");
    char folder[200];
    snprintf(folder, sizeof folder, "%s/bucket-XXXXXX", temporary != NULL ? temporary : "/tmp");
    cr_assert_not_null(mkdtemp(folder));
    self->folder = strdup(folder);
    self->at = HELP_T0;
    self->source = "tests";
    self->say_err = BUS_OK;
    self->state.scratch = pack_new();
    self->body = pack_new();
    self->packed = pack_new();
    self->answer = text_new();
    self->refusal = text_new();
    self->details = text_new();
    self->said = text_new();
    self->told = text_new();
    self->service = calloc(1, sizeof *self->service);
    self->service->help = self;
    self->service->value = text_new();
    open_store(self);
    return self;
}

void
help_destroy(help_t **self_p)
{
    help_t *self = *self_p;
    store_rollback(&self->txn);
    store_destroy(&self->store);
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", self->folder);
    cr_assert_eq(system(command), 0);
    pack_destroy(&self->state.scratch);
    pack_destroy(&self->body);
    pack_destroy(&self->packed);
    text_destroy(&self->answer);
    text_destroy(&self->refusal);
    text_destroy(&self->details);
    text_destroy(&self->said);
    text_destroy(&self->told);
    text_destroy(&self->service->value);
    free(self->service);
    free(self->folder);
    free(self);
    *self_p = NULL;
}

void
help_reopen(help_t *self)
{
    store_destroy(&self->store);
    open_store(self);
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
    load_state(self);
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
    text_clear(self->told);
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
    header_t header = {.source = view_from_text(self->source), .at = self->at};
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
