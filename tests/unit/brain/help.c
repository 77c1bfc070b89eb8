// help.c - a stand-in for the service harness.
#include "help.h"
#include "../rig.h"
#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct service {
    help_t *help;
};

help_t *
help_new(void)
{
    help_t *self = calloc(1, sizeof *self);
    cr_assert_not_null(self);
    self->at = T0;
    self->answer = text_new();
    self->refusal = text_new();
    self->said = text_new();
    self->scratch = text_new();
    self->service = calloc(1, sizeof *self->service);
    self->service->help = self;
    rig_open(&brain_definition, &self->folder, &self->store);
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(self->store, STORE_WRITE, &txn), BUS_OK);
    cr_assert_eq(
        brain_definition.open(&(service_options_t){.dir = self->folder}, txn, &self->state),
        BUS_OK);
    cr_assert_eq(store_commit(&txn), BUS_OK);
    return self;
}

void
help_destroy(help_t **self_p)
{
    help_t *self = *self_p;
    brain_definition.close(&self->state);
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
service_say(service_apply_t *self, const char *topic, bus_view_t body)
{
    help_t *help = self->service->help;
    const char *trace = help->own_trace[0] != '\0' ? help->own_trace : help->trace;
    text_add_format(help->said, "%s %s ", trace != NULL ? trace : "-", topic);
    rig_add_json(help->said, body);
    text_add(help->said, view_from_text("\n"));
    return BUS_OK;
}

void
service_trace(service_apply_t *self, bus_view_t trace_id)
{
    help_t *help = self->service->help;
    cr_assert(trace_id.size > 0 && trace_id.size < sizeof help->own_trace);
    memcpy(help->own_trace, trace_id.data, trace_id.size);
    help->own_trace[trace_id.size] = '\0';
}

// Nothing here is live.
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
service_query_say(service_query_t *self BUS_UNUSED,
                  const char *topic BUS_UNUSED,
                  bus_view_t body BUS_UNUSED)
{
    abort();
}

// --- Applying ------------------------------------------------------------------------------------

bus_err_t
help_apply(help_t *self, const char *topic, const char *json)
{
    BUS_AUTO(pack_destroy) pack_t *packed = pack_new();
    bool is_of_queue = strncmp(topic, "task.", strlen("task.")) == 0;
    const header_t header = {
        .source = view_from_text(is_of_queue ? "htm" : "brain"),
        .seq = ++self->seq,
        .at = self->at,
        .trace_id = view_from_text(self->trace),
    };
    store_txn_t *txn = self->batch;
    self->own_trace[0] = '\0';
    if (txn == NULL) {
        cr_assert_eq(store_begin(self->store, STORE_WRITE, &txn), BUS_OK);
    }
    service_apply_t apply = {
        .service = self->service,
        .state = self->state,
        .txn = txn,
        .header = &header,
        .answer = packed,
    };
    bus_err_t err = rig_apply(&brain_definition, &apply, topic, json);
    if (self->batch == NULL) {
        cr_assert_eq(store_commit(&txn), BUS_OK);
    }
    return err;
}

void
help_batch_begin(help_t *self)
{
    cr_assert_eq(store_begin(self->store, STORE_WRITE, &self->batch), BUS_OK);
}

void
help_batch_end(help_t *self)
{
    cr_assert_eq(store_commit(&self->batch), BUS_OK);
}

void
help_trace(help_t *self, int number)
{
    (void) snprintf(self->numbered, sizeof self->numbered, "t-%d", number);
    self->trace = self->numbered;
}

bus_err_t
help_apply_format(help_t *self, const char *topic, const char *format, ...)
{
    char json[4000];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(json, sizeof json, format, args);
    va_end(args);
    cr_assert(size > 0 && size < (int) sizeof json);
    return help_apply(self, topic, json);
}

void
help_drill(help_t *self, const char *suite, const char *key, double value)
{
    char topic[64];
    snprintf(topic, sizeof topic, "stress.%s.completed", suite);
    bus_err_t err = help_apply_format(self,
                                      topic,
                                      "{\"test_id\":\"x\",\"suite\":\"%s\",\"passed\":true,"
                                      "\"summary\":{\"%s\":%.17g},\"started_at\":\"2026-01-01T00:"
                                      "00:00Z\",\"completed_at\":\"2026-01-01T00:00:01Z\"}",
                                      suite,
                                      key,
                                      value);
    cr_assert_eq(err, BUS_OK);
}

void
help_done(help_t *self,
          const char *intent,
          const char *issue_type,
          const char *action,
          const char *result)
{
    char of_issue[100] = "";
    if (issue_type != NULL) {
        snprintf(of_issue, sizeof of_issue, ",\"issue_type\":\"%s\"", issue_type);
    }
    bus_err_t err = help_apply_format(
        self,
        "task.done",
        "{\"task_id\":\"task_%llu\",\"task_type\":\"%s\",\"handler\":\"self_healing\","
        "\"priority\":\"high\",\"status\":\"completed\",\"attempts\":1,\"queued_us\":10,"
        "\"run_us\":6000000,\"sla_seconds\":3600,\"sla_met\":true,\"intent\":\"%s\"%s,"
        "\"result\":%s}",
        (unsigned long long) self->seq + 1,
        action,
        intent,
        of_issue,
        result);
    cr_assert_eq(err, BUS_OK);
}

void
help_configure(help_t *self, double cooldown_seconds, int depth_max)
{
    bus_err_t err = help_apply_format(self,
                                      "brain.config",
                                      "{\"drill_seconds\":300.0,\"cooldown_seconds\":%.3f,"
                                      "\"depth_max\":%d,\"drills\":true}",
                                      cooldown_seconds,
                                      depth_max);
    cr_assert_eq(err, BUS_OK);
}

// --- Asking --------------------------------------------------------------------------------------

bus_err_t
service_query_refuse(service_query_t *self, bus_err_t err, const char *message, bus_view_t details)
{
    service_apply_t apply = {.service = self->service};
    return service_refuse(&apply, err, message, details);
}

bus_err_t
help_ask(help_t *self, const char *operation, const char *json)
{
    BUS_AUTO(pack_destroy) pack_t *packed = pack_new();
    const header_t header = {.source = VIEW_LITERAL("tests")};
    service_query_t query = {
        .service = self->service, .state = self->state, .header = &header, .answer = packed};
    bus_err_t err = rig_ask(&brain_definition, self->store, &query, operation, json);
    rig_keep_answer(self->answer, err, packed);
    return err;
}

const char *
help_at(help_t *self, const char *path)
{
    return rig_value_at(text_view(self->answer), path, self->scratch);
}

// --- What was said -------------------------------------------------------------------------------

typedef struct {
    bus_view_t trace, topic, body;
} line_t;

// The next line behind *at. False at the end.
static bool
next_line(const char **at, line_t *ret_line)
{
    if (*at == NULL || **at == '\0') {
        return false;
    }
    const char *end = strchr(*at, '\n');
    const char *one = strchr(*at, ' ');
    const char *two = strchr(one + 1, ' ');
    ret_line->trace = view_from(*at, (size_t) (one - *at));
    ret_line->topic = view_from(one + 1, (size_t) (two - one - 1));
    ret_line->body = view_from(two + 1, (size_t) (end - two - 1));
    *at = end + 1;
    return true;
}

// How many lines there are with this topic; *ret_last is the last.
static unsigned
find_lines(help_t *self, const char *topic, line_t *ret_last)
{
    const char *at = text_view(self->said).data;
    line_t line;
    unsigned count = 0;
    *ret_last = (line_t){.trace = VIEW_NONE};
    while (next_line(&at, &line)) {
        if (view_is(line.topic, topic)) {
            *ret_last = line;
            count++;
        }
    }
    return count;
}

unsigned
help_count(help_t *self, const char *topic)
{
    line_t line;
    return find_lines(self, topic, &line);
}

static const char *
keep(help_t *self, bus_view_t text)
{
    text_clear(self->scratch);
    text_add(self->scratch, text);
    return text.size == 0 ? "" : text_view(self->scratch).data;
}

const char *
help_last(help_t *self, const char *topic)
{
    line_t line;
    (void) find_lines(self, topic, &line);
    return keep(self, line.body);
}

const char *
help_last_trace(help_t *self, const char *topic)
{
    line_t line;
    (void) find_lines(self, topic, &line);
    return keep(self, line.trace);
}

const char *
help_last_at(help_t *self, const char *topic, const char *path)
{
    line_t line;
    (void) find_lines(self, topic, &line);
    return rig_value_at(line.body, path, self->scratch);
}

void
help_hash(help_t *self, char ret_hex[STORE_HASH_SIZE])
{
    rig_state_hash(self->store, ret_hex);
}

void
help_damage(help_t *self, brain_table_t table, bus_view_t key)
{
    rig_damage(self->store, table, key);
}
