// params.c - parameters of path and query as one checked map, and who may do what.
#include "params.h"
#include "answer.h"
#include "ask.h"
#include "link.h"
#include "proto/walk.h"
#include "runtime/log.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { TOKEN_SIZE_MAX = 256, NUMBER_SIZE_MAX = 24 };

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
    for (size_t i = 0; i < self->route->query->field_count; i++) {
        const schema_field_t *field = &self->route->query->fields[i];
        bus_view_t value = VIEW_NONE;
        found_t found = find_param(self, field->name, &value);
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

// The owner's token of this system, without the line's end. Read each time: it may be replaced.
static size_t
read_owner_token(const bridge_t *bridge, char ret_token[TOKEN_SIZE_MAX])
{
    text_t *path = text_new();
    text_add_format(path, "%s/owner.token", bridge->options->dir);
    int fd = open(text_view(path).data, O_RDONLY | O_CLOEXEC);
    text_destroy(&path);
    if (fd < 0) {
        log_warning("owner_token_unreadable", "errno=%d", errno);
        return 0;
    }
    ssize_t got = read(fd, ret_token, TOKEN_SIZE_MAX);
    (void) close(fd);
    size_t size = got > 0 ? (size_t) got : 0;
    while (size > 0 && (ret_token[size - 1] == '\n' || ret_token[size - 1] == ' ')) {
        size--;
    }
    return size;
}

// Whether the owner's credential came with it. False: it answered 401, or waits for the audit of a
// 403.
static bool
is_owner(bridge_request_t *self)
{
    bus_view_t header = bridge_request_header(self, "Authorization");
    bus_view_t scheme = VIEW_LITERAL("Bearer ");
    if (!view_starts(header, scheme) || header.size == scheme.size) {
        bridge_answer_header(self, "WWW-Authenticate", "Bearer realm=\"bhiv\"");
        bridge_answer_refuse(self, BUS_UNAUTHENTICATED, OWNER_WANTED);
        return false;
    }
    bus_view_t given = view_from(header.data + scheme.size, header.size - scheme.size);
    char token[TOKEN_SIZE_MAX];
    size_t size = read_owner_token(self->bridge, token);
    bool same = size > 0 && given.size == size && sodium_memcmp(given.data, token, size) == 0;
    sodium_memzero(token, sizeof(token));
    if (!same) {
        bridge_ask_refuse(self,
                          &(bridge_ask_refusal_t){.err = BUS_UNAUTHORIZED_ACCESS,
                                                  .message = "this is the owner's to do",
                                                  .operation = self->route->operation});
    }
    return same;
}

static bool
has_access(bridge_request_t *self, const bridge_route_t *route)
{
    switch (route->access) {
    case BRIDGE_OPEN:
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

// Whether it is workflow_executor who wants to read: it may write events and nothing else.
static bool
is_executor_reading(const bridge_request_t *self)
{
    bool guarded = self->port->id == BRIDGE_KARMA || self->port->id == BRIDGE_BUCKET;
    bool writes = self->route->topic[0] == '\0' || strcmp(self->route->topic, "core.event.") == 0 ||
                  strcmp(self->route->topic, "karma.life_event") == 0;
    if (!guarded || writes) {
        return false;
    }
    if (view_is(bridge_request_header(self, "X-Requester-Id"), "workflow_executor")) {
        return true;
    }
    bus_view_t claimed =
        VIEW_NONE; // on Bucket, requester_id in a query says whose events are meant
    return self->port->id == BRIDGE_KARMA &&
           find_param(self, "requester_id", &claimed) == PARAM_FOUND &&
           view_is(claimed, "workflow_executor");
}

bool
bridge_params_may(bridge_request_t *self)
{
    if (is_executor_reading(self)) {
        bridge_ask_refuse(self,
                          &(bridge_ask_refusal_t){.err = BUS_UNAUTHORIZED_ACCESS,
                                                  .message = "Unauthorized requester",
                                                  .operation = self->route->operation,
                                                  .requester = VIEW_LITERAL("workflow_executor")});
        return false;
    }
    return has_access(self, self->route);
}

bool
bridge_params_may_say(bridge_request_t *self, bus_view_t topic, bus_view_t body)
{
    const bridge_route_t *guarding = bridge_route_guarding(topic);
    if (guarding != NULL && !has_access(self, guarding)) {
        return false;
    }
    bus_view_t value;
    if (view_is(topic, "karma.life_event") && walk_find(body, "effective_at", &value) == BUS_OK &&
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
