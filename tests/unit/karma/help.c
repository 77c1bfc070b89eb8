// help.c - a stand-in for the service harness.
#include "help.h"
#include "proto/transcode.h"
#include "proto/walk.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct service_question {
    help_t *help; // NULL: not asked, or answered
};

enum { QUESTIONS_MAX = 16 };

struct service {
    help_t *help;
    loop_t *loop; // NULL until somebody wants it
    service_question_t questions[QUESTIONS_MAX];
};

const char *
help_text(const text_t *text)
{
    return text_view(text).data;
}

static void
open_store(help_t *self)
{
    char path[256];
    snprintf(path, sizeof path, "%s/karma", self->folder);
    store_options_t options = {
        .path = path,
        .tables = karma_definition.tables,
        .table_count = karma_definition.table_count,
        .size_max = 64 * 1024 * 1024,
        .durability = STORE_REPLAYED,
    };
    cr_assert_eq(store_open(&options, &self->store), BUS_OK);
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(self->store, STORE_WRITE, &txn), BUS_OK);
    cr_assert_eq(
        karma_definition.open(&(service_options_t){.dir = self->folder}, txn, &self->state),
        BUS_OK);
    cr_assert_eq(store_commit(&txn), BUS_OK);
}

void
help_close(help_t *self)
{
    karma_definition.close(&self->state);
    store_destroy(&self->store);
}

help_t *
help_new(void)
{
    help_t *self = calloc(1, sizeof *self);
    cr_assert_not_null(self);
    const char *temporary = getenv("TMPDIR");
    char folder[200];
    snprintf(folder, sizeof folder, "%s/karma-XXXXXX", temporary != NULL ? temporary : "/tmp");
    cr_assert_not_null(mkdtemp(folder));
    self->folder = strdup(folder);
    self->at = T0;
    self->answer = text_new();
    self->refusal = text_new();
    self->details = text_new();
    self->told = text_new();
    self->service = calloc(1, sizeof *self->service);
    self->service->help = self;
    open_store(self);
    cr_assert_eq(help_apply(self, "karma.config", "{\"test_helpers\":true}"), BUS_OK);
    return self;
}

void
help_destroy(help_t **self_p)
{
    help_t *self = *self_p;
    help_close(self);
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", self->folder);
    cr_assert_eq(system(command), 0);
    text_destroy(&self->answer);
    text_destroy(&self->refusal);
    text_destroy(&self->details);
    text_destroy(&self->told);
    loop_destroy(&self->service->loop);
    free(self->service);
    free(self->folder);
    free(self);
    *self_p = NULL;
}

void
help_reopen(help_t *self)
{
    help_close(self);
    open_store(self);
}

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

// The harness's functions, as the operations call them.

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

void
service_tell(service_apply_t *self, const char *topic, bus_view_t body)
{
    text_t *told = self->service->help->told;
    text_add_format(told, "%s ", topic);
    transcode_to_json(body, 0, told);
    text_add(told, view_from_text("\n"));
}

loop_t *
service_loop(service_t *self)
{
    if (self->loop == NULL) {
        self->loop = loop_new();
    }
    return self->loop;
}

bus_err_t
service_begin_read(service_t *self, store_txn_t **ret_txn)
{
    return store_begin(self->help->store, STORE_READ, ret_txn);
}

service_question_t *
service_query_defer(service_query_t *self)
{
    help_t *help = self->service->help;
    size_t i = 0;
    while (i < QUESTIONS_MAX && self->service->questions[i].help != NULL) {
        i++;
    }
    cr_assert_lt(i, QUESTIONS_MAX);
    self->service->questions[i].help = help;
    help->late++;
    return &self->service->questions[i];
}

void
service_question_answer(service_question_t **self_p, bus_err_t err, bus_view_t body)
{
    help_t *help = (*self_p)->help;
    text_clear(help->answer);
    transcode_to_json(body, 0, help->answer);
    help->late_err = err;
    help->late--;
    if (help->late == 0) {
        loop_stop(help->service->loop);
    }
    (*self_p)->help = NULL;
    *self_p = NULL;
}

static const service_apply_row_t *
find_row(const char *topic)
{
    for (size_t i = 0; i < karma_definition.apply_count; i++) {
        if (strcmp(karma_definition.applies[i].prefix, topic) == 0) {
            return &karma_definition.applies[i];
        }
    }
    cr_assert(false, "no row takes %s", topic);
    abort();
}

static void
answer(help_t *self, bus_err_t err, const pack_t *packed)
{
    text_clear(self->answer);
    if (err == BUS_OK && pack_view(packed).size > 0) {
        const char *why = "";
        cr_assert_eq(walk_check(pack_view(packed), WALK_JSON, 24, &why), BUS_OK, "%s", why);
        transcode_to_json(pack_view(packed), 0, self->answer);
    }
}

bus_err_t
help_apply(help_t *self, const char *topic, const char *json)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    BUS_AUTO(pack_destroy) pack_t *packed = pack_new();
    cr_assert_eq(transcode_from_json(view_from_text(json), body, NULL, 0), BUS_OK, "%s", json);
    const service_apply_row_t *row = find_row(topic);
    header_t header = {
        .source = view_from_text("tests"),
        .trace_id = view_from_text("trace-1"),
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
        if (err == BUS_OK) {
            cr_assert_eq(store_commit(&txn), BUS_OK);
        } else {
            store_rollback(&txn);
        }
    }
    free(message);
    answer(self, err, packed);
    return err;
}

void
help_act(help_t *self, const char *user_id, const char *action)
{
    char json[300];
    snprintf(json,
             sizeof json,
             "{\"user_id\":\"%s\",\"action\":\"%s\",\"role\":\"learner\"}",
             user_id,
             action);
    cr_assert_eq(help_apply(self, "karma.life_event", json), BUS_OK, "%s", json);
}

bus_err_t
help_begin(help_t *self, const char *operation, const char *json)
{
    const service_query_row_t *row = NULL;
    for (size_t i = 0; i < karma_definition.query_count; i++) {
        if (strcmp(karma_definition.queries[i].operation, operation) == 0) {
            row = &karma_definition.queries[i];
        }
    }
    cr_assert_not_null(row, "no row answers %s", operation);
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    BUS_AUTO(pack_destroy) pack_t *packed = pack_new();
    cr_assert_eq(transcode_from_json(view_from_text(json), body, NULL, 0), BUS_OK, "%s", json);
    void *message = calloc(1, row->schema != NULL ? row->schema->size : 1);
    if (row->schema != NULL) {
        schema_problems_t problems;
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
    unsigned late = self->late;
    bus_err_t err = row->query(&query, message);
    store_rollback(&txn);
    free(message);
    if (self->late > late) {
        cr_assert(err == BUS_OK && pack_view(packed).size == 0, "deferred and answered");
        return BUS_BUSY;
    }
    answer(self, err, packed);
    return err;
}

bus_err_t
help_finish(help_t *self)
{
    while (self->late > 0) {
        loop_run(self->service->loop);
    }
    return self->late_err;
}

bus_err_t
help_ask(help_t *self, const char *operation, const char *json)
{
    unsigned late = self->late;
    bus_err_t err = help_begin(self, operation, json);
    return self->late > late ? help_finish(self) : err;
}

const char *
help_at(help_t *self, const char *path)
{
    BUS_AUTO(pack_destroy) pack_t *packed = pack_new();
    cr_assert_eq(transcode_from_json(text_view(self->answer), packed, NULL, 0), BUS_OK);
    bus_view_t value;
    cr_assert_eq(walk_find_path(pack_view(packed), path, &value), BUS_OK, "no %s", path);
    text_clear(self->details);
    transcode_to_json(value, 0, self->details);
    return help_text(self->details);
}

const char *
help_value(help_t *self, const char *operation, const char *user_id, const char *path)
{
    char json[300];
    snprintf(json, sizeof json, "{\"user_id\":\"%s\"}", user_id);
    cr_assert_eq(help_ask(self, operation, json), BUS_OK, "%s %s", operation, json);
    return help_at(self, path);
}
