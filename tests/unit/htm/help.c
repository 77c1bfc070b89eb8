// help.c - a stand-in for the service harness.
#include "help.h"
#include "../rig.h"
#include "proto/transcode.h"
#include "proto/walk.h"
#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct service {
    help_t *help;
};

const char *
help_text(const text_t *text)
{
    return text_view(text).data;
}

static void
open_state(help_t *self)
{
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(self->store, STORE_WRITE, &txn), BUS_OK);
    const service_options_t options = {.dir = self->folder};
    cr_assert_eq(htm_definition.open(&options, txn, &self->state), BUS_OK);
    cr_assert_eq(store_commit(&txn), BUS_OK);
}

help_t *
help_new(void)
{
    help_t *self = calloc(1, sizeof *self);
    cr_assert_not_null(self);
    self->at = T0;
    self->source = "py_tests";
    self->answer = text_new();
    self->refusal = text_new();
    self->said = text_new();
    self->told = text_new();
    self->brief = text_new();
    self->scratch = text_new();
    self->service = calloc(1, sizeof *self->service);
    self->service->help = self;
    rig_open(&htm_definition, &self->folder, &self->store);
    open_state(self);
    return self;
}

void
help_destroy(help_t **self_p)
{
    help_t *self = *self_p;
    htm_definition.close(&self->state);
    rig_close(&self->folder, &self->store);
    text_destroy(&self->answer);
    text_destroy(&self->refusal);
    text_destroy(&self->said);
    text_destroy(&self->told);
    text_destroy(&self->brief);
    text_destroy(&self->scratch);
    free(self->service);
    free(self);
    *self_p = NULL;
}

void
help_reopen(help_t *self)
{
    htm_definition.close(&self->state);
    open_state(self);
}

void
help_forget(help_t *self)
{
    text_clear(self->said);
    text_clear(self->told);
    text_clear(self->brief);
}

// --- The harness's functions, as the operations call them ----------------------------------------

bus_err_t
service_refuse(service_apply_t *self, bus_err_t err, const char *message, bus_view_t details)
{
    help_t *help = self->service->help;
    text_clear(help->refusal);
    text_add(help->refusal, view_from_text(message != NULL ? message : ""));
    if (details.data != NULL) {
        rig_add_json(help->refusal, details);
    }
    return err;
}

bus_err_t
service_query_refuse(service_query_t *self, bus_err_t err, const char *message, bus_view_t details)
{
    service_apply_t apply = {.service = self->service};
    return service_refuse(&apply, err, message, details);
}

void
service_trace(service_apply_t *self, bus_view_t trace_id)
{
    self->service->help->spoken = trace_id;
}

static void
add_field(text_t *out, bus_view_t body, const char *name)
{
    bus_view_t value, text;
    if (walk_find(body, name, &value) != BUS_OK) {
        return;
    }
    text_add(out, VIEW_LITERAL(" "));
    if (walk_as_str(value, &text) == BUS_OK) {
        text_add(out, text);
    } else {
        transcode_to_json(value, 0, out);
    }
}

static void
add_brief(text_t *out, const char *topic, bus_view_t body)
{
    static const struct {
        const char *topic;
        const char *fields[4];
    } rows[] = {
        {"task.started", {"task_id", "worker", "attempt", "overtook"}},
        {"task.retry", {"task_id", "attempt", "reason", "delay_seconds"}},
        {"task.escalated", {"task_id", "from", "to", NULL}},
        {"task.sla.warning", {"task_id", "status", NULL, NULL}},
        {"task.sla.breached", {"task_id", "status", NULL, NULL}},
        {"task.done", {"task_id", "status", "attempts", "sla_met"}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(rows[i].topic, topic) == 0) {
            text_add(out, view_from_text(topic + strlen("task.")));
            for (size_t j = 0; j < 4 && rows[i].fields[j] != NULL; j++) {
                add_field(out, body, rows[i].fields[j]);
            }
            text_add(out, VIEW_LITERAL("\n"));
            return;
        }
    }
    cr_assert(false, "it says %s", topic);
}

static void
check_schema(const char *topic, bus_view_t body)
{
    for (size_t i = 0; i < schema_count; i++) {
        const schema_t *schema = schema_all[i];
        size_t size = strlen(schema->topic);
        bool is_it = size > 0 && schema->topic[size - 1] == '.'
                         ? strncmp(topic, schema->topic, size) == 0
                         : strcmp(topic, schema->topic) == 0;
        if (is_it && strncmp(topic, "task.", 5) == 0) {
            void *message = calloc(1, schema->size);
            schema_problems_t problems = {.count = 0};
            cr_assert_eq(schema_decode(schema, body, message, &problems),
                         BUS_OK,
                         "%s: %s %s",
                         topic,
                         problems.at[0].field,
                         problems.at[0].problem);
            free(message);
            return;
        }
    }
    cr_assert(false, "%s has no schema", topic);
}

static void
add_line(const help_t *help, text_t *out, const char *topic, bus_view_t body)
{
    check_schema(topic, body);
    bus_view_t trace = help->spoken.data == NULL ? VIEW_LITERAL("-") : help->spoken;
    text_add_format(out, "%s %.*s ", topic, (int) trace.size, trace.data);
    rig_add_json(out, body);
    text_add(out, VIEW_LITERAL("\n"));
}

bus_err_t
service_say(service_apply_t *self, const char *topic, bus_view_t body)
{
    help_t *help = self->service->help;
    add_line(help, help->said, topic, body);
    add_brief(help->brief, topic, body);
    return BUS_OK;
}

void
service_tell(service_apply_t *self, const char *topic, bus_view_t body)
{
    help_t *help = self->service->help;
    add_line(help, help->told, topic, body);
}

// Nothing here lives.
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

void
service_tick_soon(service_t *self BUS_UNUSED)
{
    abort();
}

bus_err_t
service_begin_read(service_t *self BUS_UNUSED, store_txn_t **ret_txn BUS_UNUSED)
{
    abort();
}

bus_err_t
service_query_say(service_query_t *self BUS_UNUSED,
                  const char *topic BUS_UNUSED,
                  bus_view_t body BUS_UNUSED)
{
    abort();
}

// --- Applying ------------------------------------------------------------------------------------

// Applies within `txn`.
static bus_err_t
apply_in(help_t *self, store_txn_t *txn, const char *topic, const char *json, pack_t *packed)
{
    const header_t header = {
        .source = view_from_text(self->source),
        .trace_id = view_from_text(self->trace),
        .seq = ++self->seq,
        .at = self->at,
    };
    self->spoken = header.trace_id;
    service_apply_t apply = {
        .service = self->service,
        .state = self->state,
        .txn = txn,
        .header = &header,
        .answer = packed,
    };
    return rig_apply(&htm_definition, &apply, topic, json);
}

bus_err_t
help_apply(help_t *self, const char *topic, const char *json)
{
    BUS_AUTO(pack_destroy) pack_t *packed = pack_new();
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(self->store, STORE_WRITE, &txn), BUS_OK);
    bus_err_t err = apply_in(self, txn, topic, json, packed);
    cr_assert_eq(store_commit(&txn), BUS_OK); // a refusal is a record that was taken, too
    rig_keep_answer(self->answer, err, packed);
    return err;
}

void
help_take(help_t *self, const char *topic, const char *format, ...)
{
    char json[4000];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(json, sizeof json, format, arguments);
    va_end(arguments);
    cr_assert(size > 0 && size < (int) sizeof json);
    bus_err_t err = help_apply(self, topic, json);
    cr_assert_eq(
        err, BUS_OK, "%s %s: %s %s", topic, json, error_text(err), help_text(self->refusal));
}

void
help_undo(help_t *self, const char *topic, const char *json)
{
    BUS_AUTO(pack_destroy) pack_t *packed = pack_new();
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(self->store, STORE_WRITE, &txn), BUS_OK);
    (void) apply_in(self, txn, topic, json, packed);
    store_rollback(&txn);
    self->seq--;
    cr_assert_eq(store_begin(self->store, STORE_READ, &txn), BUS_OK);
    htm_definition.undone(self->state, txn);
    store_rollback(&txn);
}

void
help_clock(help_t *self, uint64_t us)
{
    self->at += us;
    help_take(self, "task.clock", "{}");
}

// --- Asking --------------------------------------------------------------------------------------

bus_err_t
help_ask(help_t *self, const char *operation, const char *json)
{
    BUS_AUTO(pack_destroy) pack_t *packed = pack_new();
    const header_t header = {.source = VIEW_LITERAL("tests")};
    service_query_t query = {
        .service = self->service, .state = self->state, .header = &header, .answer = packed};
    bus_err_t err = rig_ask(&htm_definition, self->store, &query, operation, json);
    rig_keep_answer(self->answer, err, packed);
    return err;
}

const char *
help_at(help_t *self, const char *path)
{
    return rig_value_at(text_view(self->answer), path, self->scratch);
}

const char *
help_task(help_t *self, const char *task_id, const char *path)
{
    char json[200];
    snprintf(json, sizeof json, "{\"task_id\":\"%s\"}", task_id);
    bus_err_t err = help_ask(self, "task", json);
    return err == BUS_OK ? help_at(self, path) : error_text(err);
}

long
help_count(help_t *self, const char *path)
{
    cr_assert_eq(help_ask(self, "status", "{}"), BUS_OK);
    const char *text = help_at(self, path);
    cr_assert_str_neq(text, "", "no %s in %s", path, help_text(self->answer));
    return strtol(text, NULL, 10);
}

// --- The store -----------------------------------------------------------------------------------

uint64_t
help_rows(help_t *self, htm_table_t table)
{
    return rig_count(self->store, table);
}

void
help_damage(help_t *self, htm_table_t table, bus_view_t key)
{
    rig_damage(self->store, table, key);
}

void
help_state_hash(help_t *self, char ret_hex[STORE_HASH_SIZE])
{
    rig_state_hash(self->store, ret_hex);
}
