// help.c - a stand-in for the service harness.
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
help_new(void)
{
    help_t *self = calloc(1, sizeof *self);
    cr_assert_not_null(self);
    self->at = T0;
    self->source = "bhiv_core";
    self->answer = text_new();
    self->refusal = text_new();
    self->said = text_new();
    self->later = text_new();
    self->scratch = text_new();
    self->service = calloc(1, sizeof *self->service);
    self->service->help = self;
    rig_open(&workflow_definition, &self->folder, &self->store);
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(self->store, STORE_WRITE, &txn), BUS_OK);
    cr_assert_eq(
        workflow_definition.open(&(service_options_t){.dir = self->folder}, txn, &self->state),
        BUS_OK);
    cr_assert_eq(store_commit(&txn), BUS_OK);
    return self;
}

void
help_destroy(help_t **self_p)
{
    help_t *self = *self_p;
    workflow_definition.close(&self->state);
    rig_close(&self->folder, &self->store);
    text_destroy(&self->answer);
    text_destroy(&self->refusal);
    text_destroy(&self->said);
    text_destroy(&self->later);
    text_destroy(&self->scratch);
    free(self->service);
    free(self);
    *self_p = NULL;
}

void
help_forget(help_t *self)
{
    text_clear(self->said);
    text_clear(self->later);
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

bus_err_t
service_say(service_apply_t *self, const char *topic, bus_view_t body)
{
    text_t *said = self->service->help->said;
    text_add_format(said, "%s ", topic);
    rig_add_json(said, body);
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
    rig_add_json(later, body);
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

bus_err_t
help_apply(help_t *self, const char *topic, const char *json)
{
    BUS_AUTO(pack_destroy) pack_t *packed = pack_new();
    const header_t header = {
        .source = view_from_text(self->source), .seq = ++self->seq, .at = self->at};
    store_txn_t *txn = NULL;
    self->is_deferred = false;
    cr_assert_eq(store_begin(self->store, STORE_WRITE, &txn), BUS_OK);
    service_apply_t apply = {
        .service = self->service,
        .state = self->state,
        .txn = txn,
        .header = &header,
        .answer = packed,
    };
    bus_err_t err = rig_apply(&workflow_definition, &apply, topic, json);
    cr_assert_eq(store_commit(&txn), BUS_OK); // a refusal is a record that was taken, too
    rig_keep_answer(self->answer, err, packed);
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
    BUS_AUTO(pack_destroy) pack_t *packed = pack_new();
    const header_t header = {.source = VIEW_LITERAL("tests")};
    service_query_t query = {
        .service = self->service, .state = self->state, .header = &header, .answer = packed};
    bus_err_t err = rig_ask(&workflow_definition, self->store, &query, operation, json);
    rig_keep_answer(self->answer, err, packed);
    return err;
}

const char *
help_at(help_t *self, const char *path)
{
    return rig_value_at(text_view(self->answer), path, self->scratch);
}

void
help_damage(help_t *self, workflow_table_t table, bus_view_t key)
{
    rig_damage(self->store, table, key);
}
