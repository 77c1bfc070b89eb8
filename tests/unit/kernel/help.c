// help.c - a stand-in for the service harness. See help.h.
#include "help.h"
#include "../rig.h"
#include <criterion/criterion.h>
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

help_t *
help_new(const service_definition_t *definition)
{
    help_t *self = calloc(1, sizeof *self);
    cr_assert_not_null(self);
    self->definition = definition;
    self->at = T0;
    self->source = "tests";
    self->answer = text_new();
    self->refusal = text_new();
    self->said = text_new();
    self->scratch = text_new();
    self->service = calloc(1, sizeof *self->service);
    self->service->help = self;
    rig_open(self->definition, &self->folder, &self->store);
    if (definition->open != NULL) {
        store_txn_t *txn = NULL;
        cr_assert_eq(store_begin(self->store, STORE_WRITE, &txn), BUS_OK);
        cr_assert_eq(definition->open(&(service_options_t){.dir = self->folder}, txn, &self->state),
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
    rig_close(&self->folder, &self->store);
    text_destroy(&self->answer);
    text_destroy(&self->refusal);
    text_destroy(&self->said);
    text_destroy(&self->scratch);
    free(self->service);
    free(self);
    *self_p = NULL;
}

void
help_forget(help_t *self)
{
    text_clear(self->said);
}

// --- The harness's functions, as the kernels call them -------------------------------------------

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

static void
say(help_t *help, const char *topic, bus_view_t body)
{
    text_add_format(help->said, "%s ", topic);
    rig_add_json(help->said, body);
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

bus_err_t
help_apply(help_t *self, const char *topic, const char *json)
{
    BUS_AUTO(pack_destroy) pack_t *packed = pack_new();
    const header_t header = {
        .source = view_from_text(self->source),
        .trace_id = view_from_text(self->trace_id),
        .seq = ++self->seq,
        .at = self->at,
    };
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(self->store, STORE_WRITE, &txn), BUS_OK);
    service_apply_t apply = {
        .service = self->service,
        .state = self->state,
        .txn = txn,
        .header = &header,
        .answer = packed,
    };
    bus_err_t err = rig_apply(self->definition, &apply, topic, json);
    cr_assert_eq(store_commit(&txn), BUS_OK); // a refusal is a record that was taken, too
    rig_keep_answer(self->answer, err, packed);
    return err;
}

bus_err_t
help_ask(help_t *self, const char *operation, const char *json)
{
    BUS_AUTO(pack_destroy) pack_t *packed = pack_new();
    const header_t header = {.source = VIEW_LITERAL("tests"), .at = self->at};
    service_query_t query = {
        .service = self->service, .state = self->state, .header = &header, .answer = packed};
    bus_err_t err = rig_ask(self->definition, self->store, &query, operation, json);
    rig_keep_answer(self->answer, err, packed);
    return err;
}

void
help_tick(help_t *self)
{
    BUS_AUTO(pack_destroy) pack_t *packed = pack_new();
    BUS_AUTO(store_rollback) store_txn_t *txn = NULL;
    const header_t header = {.source = VIEW_LITERAL("tests"), .at = self->at};
    cr_assert_eq(store_begin(self->store, STORE_READ, &txn), BUS_OK);
    service_query_t query = {
        .service = self->service,
        .state = self->state,
        .txn = txn,
        .header = &header,
        .answer = packed,
    };
    self->definition->tick(&query);
    rig_keep_answer(self->answer, BUS_OK, packed);
}

const char *
help_at(help_t *self, const char *path)
{
    return rig_value_at(text_view(self->answer), path, self->scratch);
}

void
help_damage(help_t *self, unsigned table, bus_view_t key)
{
    rig_damage(self->store, table, key);
}

uint64_t
help_count(help_t *self, unsigned table)
{
    return rig_count(self->store, table);
}
