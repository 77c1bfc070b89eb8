// params.c - parameters of path and query as one checked map, and who may do what.
#include "params.h"
#include "admit.h"
#include "answer.h"
#include "ask.h"
#include "link.h"
#include "proto/refusal.h"
#include "proto/walk.h"
#include "runtime/log.h"
#include "runtime/owner.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { NUMBER_SIZE_MAX = 24 };

#define OWNER_WANTED                                                                               \
    "this is the owner's to do: send `Authorization: Bearer` with the text of owner.token, a "     \
    "file in the system's folder"

// --- Parameters ---------------------------------------------------------------------------------

typedef enum { PARAM_ABSENT, PARAM_FOUND, PARAM_TWICE } found_t;

// The still encoded value of `name`, from the path, else from the query.
static found_t
find_param(const bridge_request_t *self, const char *name, bus_view_t *ret_value)
{
    for (size_t i = 0; i < self->params.count; i++) {
        if (view_is(self->params.at[i].name, name)) {
            *ret_value = self->params.at[i].value;
            return PARAM_FOUND;
        }
    }
    bus_view_t query = self->path.query;
    bus_view_t pair_name, pair_value;
    found_t found = PARAM_ABSENT;
    while (bridge_path_next_pair(&query, &pair_name, &pair_value)) {
        if (view_is(pair_name, name)) {
            if (found == PARAM_FOUND) {
                return PARAM_TWICE;
            }
            *ret_value = pair_value;
            found = PARAM_FOUND;
        }
    }
    return found;
}

static bool
pack_integer(const char *text, size_t size, pack_t *out)
{
    if (size == 0 || size >= NUMBER_SIZE_MAX) {
        return false;
    }
    char digits[NUMBER_SIZE_MAX];
    memcpy(digits, text, size);
    digits[size] = '\0';
    char *end = NULL;
    errno = 0;
    long long value = strtoll(digits, &end, 10);
    if (errno != 0 || *end != '\0' || (digits[0] != '-' && (digits[0] < '0' || digits[0] > '9'))) {
        return false;
    }
    pack_int(out, value);
    return true;
}

// Packs the text as what the field wants, or as text, which the check then complains about.
static void
pack_param(const schema_field_t *field, const char *text, size_t size, pack_t *out)
{
    bus_view_t value = view_from(text, size);
    if (field->type == SCHEMA_INT && pack_integer(text, size, out)) {
        return;
    }
    if (field->type == SCHEMA_BOOL && (view_is(value, "true") || view_is(value, "false"))) {
        pack_bool(out, view_is(value, "true"));
        return;
    }
    pack_str(out, value);
}

static void
note_problem(schema_problems_t *problems, const char *field, const char *problem)
{
    if (problems->count < SCHEMA_PROBLEMS_MAX) {
        problems->at[problems->count++] = (schema_problem_t){.field = field, .problem = problem};
    }
}

static uint32_t
pack_params(const bridge_request_t *self, pack_t *out, schema_problems_t *problems)
{
    uint32_t count = 0;
    bool is_limited = bridge_identity_is_limited(&self->identity);
    for (size_t i = 0; i < self->route->query->field_count; i++) {
        const schema_field_t *field = &self->route->query->fields[i];
        bus_view_t value = VIEW_NONE;
        found_t found = find_param(self, field->name, &value);
        if (found == PARAM_ABSENT && is_limited && strcmp(field->name, "requester_id") == 0) {
            pack_pair_text(out, field->name, self->identity.role);
            count++;
        }
        if (found == PARAM_TWICE) {
            note_problem(problems, field->name, "is given twice");
        }
        if (found != PARAM_FOUND) {
            continue;
        }
        char *text = malloc(value.size + 1);
        assert(text != NULL);
        size_t size = 0;
        if (bridge_path_decode(value, true, text, &size)) {
            pack_text(out, field->name);
            pack_param(field, text, size, out);
            count++;
        } else {
            note_problem(problems, field->name, "is not percent-encoded UTF-8 text");
        }
        free(text);
    }
    return count;
}

// `form`: a `+` is a space, as in a query.
static uint32_t
pack_decoded(bus_view_t name, bus_view_t value, bool form, pack_t *out)
{
    char *text = malloc(name.size + value.size + 2);
    assert(text != NULL);
    size_t name_size = 0;
    size_t value_size = 0;
    bool is_text = bridge_path_decode(name, form, text, &name_size) &&
                   bridge_path_decode(value, form, text + name.size + 1, &value_size);
    if (is_text) {
        pack_str(out, view_from(text, name_size));
        pack_str(out, view_from(text + name.size + 1, value_size));
    }
    free(text);
    return is_text ? 1 : 0;
}

void
bridge_params_pack_all(const bridge_request_t *self, pack_t *out)
{
    size_t map = pack_map_begin(out);
    uint32_t count = 0;
    for (size_t i = 0; i < self->params.count; i++) {
        count += pack_decoded(self->params.at[i].name, self->params.at[i].value, false, out);
    }
    bus_view_t query = self->path.query;
    bus_view_t name, value;
    while (bridge_path_next_pair(&query, &name, &value)) {
        count += pack_decoded(name, value, true, out);
    }
    pack_count(out, map, count);
}

static bool
is_known(const bridge_request_t *self, bus_view_t name)
{
    for (size_t i = 0; i < self->route->query->field_count; i++) {
        if (view_is(name, self->route->query->fields[i].name)) {
            return true;
        }
    }
    return view_is(name, "requester_id"); // who asks may be said everywhere
}

// The first parameter of the query that the row does not have: a misspelt one would else be taken
// for one that was not given. False: there is none.
static bool
find_unknown(const bridge_request_t *self, text_t *ret_name)
{
    bus_view_t query = self->path.query;
    bus_view_t name;
    bus_view_t value;
    while (bridge_path_next_pair(&query, &name, &value)) {
        if (name.size > 0 && !is_known(self, name)) {
            text_add(ret_name, view_from(name.data, name.size < 64 ? name.size : 64));
            return true;
        }
    }
    return false;
}

bool
bridge_params_decode(bridge_request_t *self,
                     const schema_t *schema,
                     bus_view_t body,
                     void *ret_struct)
{
    schema_problems_t problems = {0};
    void *scratch = ret_struct != NULL ? NULL : calloc(1, schema->size);
    assert(ret_struct != NULL || scratch != NULL);
    bus_err_t err =
        schema_decode(schema, body, ret_struct != NULL ? ret_struct : scratch, &problems);
    free(scratch);
    if (err != BUS_OK) {
        bridge_answer_problems(self, schema, &problems);
    }
    return err == BUS_OK;
}

bool
bridge_params_read(bridge_request_t *self, pack_t *out, void *ret_struct)
{
    assert(self->route->query != NULL);
    schema_problems_t problems = {0};
    size_t place = pack_view(out).size;
    size_t map = pack_map_begin(out);
    pack_count(out, map, pack_params(self, out, &problems));
    BUS_AUTO(text_destroy) text_t *unknown = text_new();
    if (find_unknown(self, unknown)) {
        note_problem(&problems, text_view(unknown).data, "is no parameter of this endpoint");
    }
    if (problems.count > 0) {
        bridge_answer_problems(self, self->route->query, &problems);
        return false;
    }
    bus_view_t whole = pack_view(out);
    return bridge_params_decode(
        self, self->route->query, view_from(whole.data + place, whole.size - place), ret_struct);
}

// --- Access -------------------------------------------------------------------------------------

static void
refuse_owner_only(bridge_request_t *self)
{
    bridge_ask_refuse(self,
                      &(bridge_ask_refusal_t){.err = BUS_UNAUTHORIZED_ACCESS,
                                              .message = "this is the owner's to do",
                                              .violation = refusal_owner_only.violation,
                                              .operation = self->route->operation,
                                              .requester = self->identity.is_set
                                                               ? view_from_text(self->identity.role)
                                                               : VIEW_NONE});
}

// Whether the owner's credential came with it. False: it answered 401, or waits for the audit of a
// 403.
static bool
is_owner(bridge_request_t *self)
{
    if (self->identity.is_set) {
        if (!self->identity.is_owner) {
            refuse_owner_only(self);
        }
        return self->identity.is_owner;
    }
    bus_view_t header = bridge_request_header(self, "Authorization");
    bus_view_t scheme = VIEW_LITERAL("Bearer ");
    if (!view_starts(header, scheme) || header.size == scheme.size) {
        bridge_answer_header(self, "WWW-Authenticate", "Bearer realm=\"bhiv\"");
        bridge_answer_refuse(self, BUS_UNAUTHENTICATED, OWNER_WANTED);
        return false;
    }
    bus_view_t given = view_from(header.data + scheme.size, header.size - scheme.size);
    bus_err_t err = owner_check_token(self->bridge->options->dir, given);
    if (err != BUS_OK && err != BUS_UNAUTHORIZED_ACCESS) {
        log_warning("owner_token_unreadable", "error=%s", error_text(err));
    }
    if (err != BUS_OK) {
        refuse_owner_only(self);
    }
    return err == BUS_OK;
}

static bool
has_access(bridge_request_t *self, const bridge_route_t *route)
{
    switch (route->access) {
    case BRIDGE_OPEN:
    case BRIDGE_FREE:
        return true;
    case BRIDGE_OWNER:
        return is_owner(self);
    case BRIDGE_TEST_HELPER:
        if (!self->bridge->options->karma_test_helpers) {
            bridge_ask_refuse(self,
                              &(bridge_ask_refusal_t){.err = BUS_FORBIDDEN,
                                                      .message = "test helpers are off here",
                                                      .operation = route->operation});
        }
        return self->bridge->options->karma_test_helpers;
    }
    return false;
}

static bool
is_executor(bus_view_t name)
{
    return view_is(name, "workflow_executor");
}

// What the body says under `key`, where that is workflow_executor.
static bool
body_names_executor(const bridge_request_t *self, const char *key)
{
    bus_view_t value;
    bus_view_t text;
    return self->body.data != NULL && walk_find(self->body, key, &value) == BUS_OK &&
           walk_as_str(value, &text) == BUS_OK && is_executor(text);
}

// Whether it comes from workflow_executor, as far as it says: of Bucket's events, requester_id in a
// query says whose are meant.
static bool
is_from_executor(const bridge_request_t *self)
{
    bus_view_t claimed = VIEW_NONE;
    if (bridge_identity_is_limited(&self->identity)) {
        return is_executor(view_from_text(self->identity.role)); // and it claims nothing else
    }
    if (is_executor(bridge_request_header(self, "X-Requester-Id"))) {
        return true;
    }
    if (strcmp(self->route->operation, "events") != 0 &&
        strcmp(self->route->operation, "read_context") != 0 && // refuses him in its own words
        find_param(self, "requester_id", &claimed) == PARAM_FOUND && is_executor(claimed)) {
        return true;
    }
    return body_names_executor(self, "requester_id") ||
           (self->port->id == BRIDGE_KARMA && body_names_executor(self, "source"));
}

// Whether workflow_executor may use this row: it writes, to Bucket and through Karma's one door,
// and does nothing else there. The one door of Bucket's channels looks for itself.
static bool
is_executors(const bridge_request_t *self)
{
    static const char *const topics[] = {
        "", "core.event.", "bucket.artifact_write", "bucket.audit_append", "bucket.request"};
    if (self->port->id != BRIDGE_KARMA && self->port->id != BRIDGE_BUCKET) {
        return true;
    }
    for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++) {
        if (strcmp(self->route->topic, topics[i]) == 0) {
            return true;
        }
    }
    return strcmp(self->route->operation, "karma_event") == 0;
}

static void
refuse_executor(bridge_request_t *self)
{
    bridge_ask_refuse(self,
                      &(bridge_ask_refusal_t){.err = BUS_UNAUTHORIZED_ACCESS,
                                              .message = "Unauthorized requester",
                                              .violation = refusal_not_yours.violation,
                                              .operation = self->route->operation,
                                              .requester = VIEW_LITERAL("workflow_executor")});
}

bool
bridge_params_may(bridge_request_t *self)
{
    if (!is_executors(self) && is_from_executor(self)) {
        refuse_executor(self);
        return false;
    }
    return has_access(self, self->route);
}

bool
bridge_params_may_ask(bridge_request_t *self)
{
    if (is_from_executor(self)) {
        refuse_executor(self);
        return false;
    }
    return true;
}

bool
bridge_params_may_say(bridge_request_t *self, bus_view_t topic, bus_view_t body)
{
    if (!bridge_admit_publish(self, topic)) {
        return false;
    }
    const bridge_route_t *guarding = bridge_route_guarding(topic);
    if (guarding != NULL && !has_access(self, guarding)) {
        return false;
    }
    bus_view_t value;
    if (view_starts(topic, VIEW_LITERAL("karma.")) &&
        walk_find(body, "effective_at", &value) == BUS_OK &&
        !self->bridge->options->karma_test_helpers) {
        bridge_ask_refuse(
            self,
            &(bridge_ask_refusal_t){.err = BUS_FORBIDDEN,
                                    .message = "effective_at is for test helpers, off here",
                                    .operation = self->route->operation});
        return false;
    }
    return true;
}
