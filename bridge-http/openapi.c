// openapi.c - routes and schemas as OpenAPI.
//
// What is taken is what the schemas check; what a channel checks beyond its schema (the inside of
// `metadata` and `filters`) is a schema of its own, named here. Limits of texts are bytes of UTF-8.
#include "openapi.h"
#include "handler.h"
#include "proto/topic.h"
#include "proto/transcode.h"
#include "shapes.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void
pack_type(schema_type_t type, pack_t *out)
{
    switch (type) {
    case SCHEMA_STR:
        pack_pair_text(out, "type", "string");
        return;
    case SCHEMA_INT:
        pack_pair_text(out, "type", "integer");
        return;
    case SCHEMA_REAL:
        pack_pair_text(out, "type", "number");
        return;
    case SCHEMA_BOOL:
        pack_pair_text(out, "type", "boolean");
        return;
    case SCHEMA_MAP:
        pack_pair_text(out, "type", "object");
        return;
    case SCHEMA_ARRAY:
        pack_pair_text(out, "type", "array");
        return;
    case SCHEMA_TEXTMAP:
        pack_text(out, "type");
        pack_array(out, 2);
        pack_text(out, "string");
        pack_text(out, "object");
        return;
    case SCHEMA_ANY:
        pack_pair_text(out, "title", "any value");
        return;
    }
}

const schema_t *
bridge_openapi_inside(const schema_t *schema, const schema_field_t *field)
{
    static const struct {
        const schema_t *schema;
        const char *field;
        const schema_t *inside;
    } rows[] = {
        {&BRIDGE_SHAPE_write_event, "event_data", &BRIDGE_SHAPE_event_data},
        {&SCHEMA_artifact_write, "metadata", &SCHEMA_artifact_metadata},
        {&SCHEMA_metadata_query, "filters", &SCHEMA_query_filters},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (rows[i].schema == schema && strcmp(rows[i].field, field->name) == 0) {
            return rows[i].inside;
        }
    }
    return NULL;
}

static void
pack_field(const schema_field_t *field, bool is_described, pack_t *out)
{
    size_t map = pack_map_begin(out);
    uint32_t count = 1;
    pack_type(field->type, out);
    bool is_text = field->type == SCHEMA_STR;
    bool is_number = field->type == SCHEMA_INT && (field->min != 0 || field->max != 0);
    if ((is_text && field->min > 0) || is_number) {
        pack_pair_int(out, is_text ? "minLength" : "minimum", field->min);
        count++;
    }
    if ((is_text && field->max > 0) || is_number) {
        pack_pair_int(out, is_text ? "maxLength" : "maximum", field->max);
        count++;
    }
    if (is_described) {
        pack_pair_text(out, "description", field->meaning);
        count++;
    }
    pack_count(out, map, count);
}

// Begins a schema's object, up to its properties.
static void
pack_object(const schema_t *schema, pack_t *out)
{
    pack_map(out, 4);
    pack_pair_text(out, "type", "object");
    pack_pair_text(out, "description", schema->meaning);
    pack_text(out, "properties");
    pack_map(out, (uint32_t) schema->field_count);
}

// Ends it.
static void
pack_required(const schema_t *schema, pack_t *out)
{
    pack_text(out, "required");
    size_t array = pack_array_begin(out);
    uint32_t count = 0;
    for (size_t i = 0; i < schema->field_count; i++) {
        if (schema->fields[i].required) {
            pack_text(out, schema->fields[i].name);
            count++;
        }
    }
    pack_count(out, array, count);
}

static void
pack_inside(const schema_t *schema, pack_t *out)
{
    pack_object(schema, out);
    for (size_t i = 0; i < schema->field_count; i++) {
        pack_text(out, schema->fields[i].name);
        pack_field(&schema->fields[i], true, out);
    }
    pack_required(schema, out);
}

static void
pack_schema(const schema_t *schema, pack_t *out)
{
    pack_object(schema, out);
    for (size_t i = 0; i < schema->field_count; i++) {
        const schema_t *inside = bridge_openapi_inside(schema, &schema->fields[i]);
        pack_text(out, schema->fields[i].name);
        if (inside != NULL) {
            pack_inside(inside, out);
        } else {
            pack_field(&schema->fields[i], true, out);
        }
    }
    pack_required(schema, out);
}

static void
pack_parameters(const bridge_route_t *route, pack_t *out)
{
    pack_text(out, "parameters");
    pack_array(out, (uint32_t) route->query->field_count);
    for (size_t i = 0; i < route->query->field_count; i++) {
        const schema_field_t *field = &route->query->fields[i];
        bool in_path = bridge_path_has(route->path, field->name);
        pack_map(out, 5);
        pack_pair_text(out, "name", field->name);
        pack_pair_text(out, "in", in_path ? "path" : "query");
        pack_pair_bool(out, "required", in_path || field->required);
        pack_pair_text(out, "description", field->meaning);
        pack_text(out, "schema");
        pack_field(field, false, out);
    }
}

// What the main operations answer, by its field and type; the rest is said in docs/contract.md.
typedef struct {
    const char *operation;
    const char *field;
    schema_type_t type;
} answer_row_t;

#define ANSWER(operation, field, type) {#operation, #field, SCHEMA_##type},
static const answer_row_t answer_rows[] = {
#include "answers.def"
};
#undef ANSWER

// An error in the port's shape; Karma's `error` is an object, elsewhere it is the code again.
static const answer_row_t error_rows[] = {
    {"common", "status", SCHEMA_STR},
    {"common", "error_code", SCHEMA_STR},
    {"common", "message", SCHEMA_STR},
    {"common", "error", SCHEMA_STR},
    {"common", "detail", SCHEMA_STR},
    {"common", "trace_id", SCHEMA_STR},
    {"karma", "status", SCHEMA_STR},
    {"karma", "error_code", SCHEMA_STR},
    {"karma", "error", SCHEMA_MAP},
    {"karma", "path", SCHEMA_STR},
    {"karma", "timestamp", SCHEMA_STR},
    {"karma", "trace_id", SCHEMA_STR},
};

// The rows of `name` as an object that has all of them. Nothing, and false, where it has none.
static bool
pack_answer_schema(const answer_row_t *rows, size_t count, const char *name, pack_t *out)
{
    uint32_t fields = 0;
    for (size_t i = 0; i < count; i++) {
        fields += strcmp(rows[i].operation, name) == 0 ? 1 : 0;
    }
    if (fields == 0) {
        return false;
    }
    pack_map(out, 3);
    pack_pair_text(out, "type", "object");
    pack_text(out, "properties");
    pack_map(out, fields);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].operation, name) == 0) {
            pack_text(out, rows[i].field);
            pack_map(out, 1);
            pack_type(rows[i].type, out);
        }
    }
    pack_text(out, "required");
    pack_array(out, fields);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].operation, name) == 0) {
            pack_text(out, rows[i].field);
        }
    }
    return true;
}

static void
pack_success(const bridge_route_t *route, pack_t *out)
{
    BUS_AUTO(pack_destroy) pack_t *schema = pack_new();
    bool has = pack_answer_schema(answer_rows, COUNT(answer_rows), route->operation, schema);
    bool is_text = route->handler == bridge_bucket_audit_checkpoint ||
                   route->handler == bridge_bucket_audit_receipt;
    pack_text(out, "200");
    pack_map(out, has || is_text ? 2 : 1);
    pack_pair_text(out, "description", "what was asked for");
    if (is_text) {
        pack_text(out, "content");
        pack_map(out, 1);
        pack_text(out, "text/plain");
        pack_map(out, 1);
        pack_text(out, "schema");
        pack_map(out, 1);
        pack_pair_text(out, "type", "string");
    }
    if (has) {
        pack_text(out, "content");
        pack_map(out, 1);
        pack_text(out, "application/json");
        pack_map(out, 1);
        pack_pair_raw(out, "schema", pack_view(schema));
    }
}

static void
pack_failure(pack_t *out)
{
    pack_text(out, "default");
    pack_map(out, 2);
    pack_pair_text(out, "description", "an error: status, error_code, message, trace_id, details");
    pack_text(out, "content");
    pack_map(out, 1);
    pack_text(out, "application/json");
    pack_map(out, 1);
    pack_text(out, "schema");
    pack_map(out, 1);
    pack_pair_text(out, "$ref", "#/components/schemas/error");
}

static void
pack_components(bridge_port_id_t port, pack_t *out)
{
    const char *shape = port == BRIDGE_KARMA ? "karma" : "common";
    pack_text(out, "components");
    pack_map(out, 2);
    pack_text(out, "schemas");
    pack_map(out, 1);
    pack_text(out, "error");
    bool has = pack_answer_schema(error_rows, COUNT(error_rows), shape, out);
    assert(has);
    static const char *const schemes[] = {"owner", "token"};
    pack_text(out, "securitySchemes");
    pack_map(out, COUNT(schemes));
    for (size_t i = 0; i < COUNT(schemes); i++) {
        pack_text(out, schemes[i]);
        pack_map(out, 2);
        pack_pair_text(out, "type", "http");
        pack_pair_text(out, "scheme", "bearer");
    }
}

static void
pack_body(const bridge_route_t *route, pack_t *out)
{
    bool is_several = route->handler == bridge_prana_ingest; // or many at once
    pack_text(out, "requestBody");
    pack_map(out, 2);
    pack_pair_bool(out, "required", true);
    pack_text(out, "content");
    pack_map(out, 1);
    pack_text(out, "application/json");
    pack_map(out, 1);
    pack_text(out, "schema");
    if (is_several) {
        pack_map(out, 1);
        pack_text(out, "oneOf");
        pack_array(out, 2);
        pack_schema(&SCHEMA_prana_packets, out);
    }
    pack_schema(route->body, out);
}

// A command that is journaled, and may not be decided in time. Questions are asked again.
static bool
may_be_queued(const bridge_route_t *route)
{
    const topic_row_t *topic = topic_find(view_from_text(route->topic));
    return route->method != BRIDGE_GET && topic != NULL && topic->class_ == TOPIC_JOURNALED &&
           strcmp(route->topic, "bucket.metadata_query") != 0;
}

static void
pack_queued(pack_t *out)
{
    pack_text(out, "202");
    pack_map(out, 2);
    pack_pair_text(
        out, "description", "journaled, not decided yet: GET `queue` says what came of it");
    pack_text(out, "content");
    pack_map(out, 1);
    pack_text(out, "application/json");
    pack_map(out, 1);
    pack_text(out, "schema");
    bool has = pack_answer_schema(answer_rows, COUNT(answer_rows), "queued", out);
    assert(has);
}

static void
pack_requirement(const char *scheme, pack_t *out)
{
    pack_map(out, 1);
    pack_text(out, scheme);
    pack_array(out, 0);
}

static void
pack_operation(const bridge_route_t *route, pack_t *out)
{
    size_t map = pack_map_begin(out);
    uint32_t count = 3;
    pack_pair_text(out, "operationId", route->operation);
    pack_pair_text(out, "summary", route->summary);
    if (route->query != NULL) {
        pack_parameters(route, out);
        count++;
    }
    if (route->body != NULL) {
        pack_body(route, out);
        count++;
    }
    if (route->access == BRIDGE_OWNER || route->access == BRIDGE_FREE) {
        bool is_owners = route->access == BRIDGE_OWNER;
        pack_text(out, "security");
        pack_array(out, is_owners ? 1 : 0);
        if (is_owners) {
            pack_requirement("owner", out);
        }
        count++;
    }
    bool is_refused = strcmp(route->topic, "bucket.refused") == 0; // whatever comes
    bool may_wait = !is_refused && may_be_queued(route);
    pack_text(out, "responses");
    pack_map(out, 1u + (is_refused ? 0 : 1) + (may_wait ? 1 : 0));
    if (!is_refused) {
        pack_success(route, out);
    }
    if (may_wait) {
        pack_queued(out);
    }
    pack_failure(out);
    pack_count(out, map, count);
}

// Whether row `index` is the first on this port with its path.
static bool
is_first_of_path(bridge_port_id_t port, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if ((bridge_routes[i].ports & BRIDGE_ON(port)) != 0 &&
            strcmp(bridge_routes[i].path, bridge_routes[index].path) == 0) {
            return false;
        }
    }
    return true;
}

static void
pack_paths(bridge_port_id_t port, pack_t *out)
{
    static const char *const verbs[BRIDGE_METHOD_COUNT] = {"get", "post", "put", "delete", "patch"};
    size_t paths = pack_map_begin(out);
    uint32_t path_count = 0;
    for (size_t i = 0; i < bridge_route_count; i++) {
        const char *path = bridge_routes[i].path;
        if ((bridge_routes[i].ports & BRIDGE_ON(port)) == 0 || !is_first_of_path(port, i)) {
            continue;
        }
        pack_text(out, path);
        size_t operations = pack_map_begin(out);
        uint32_t count = 0;
        for (size_t other = i; other < bridge_route_count; other++) {
            const bridge_route_t *route = &bridge_routes[other];
            if ((route->ports & BRIDGE_ON(port)) != 0 && strcmp(route->path, path) == 0) {
                pack_text(out, verbs[route->method]);
                pack_operation(route, out);
                count++;
            }
        }
        pack_count(out, operations, count);
        path_count++;
    }
    pack_count(out, paths, path_count);
}

char *
bridge_openapi_make(bridge_port_id_t port)
{
    BUS_AUTO(pack_destroy) pack_t *document = pack_new();
    pack_map(document, 5);
    pack_pair_text(document, "openapi", "3.1.0");
    pack_text(document, "info");
    pack_map(document, 3);
    pack_pair_text(document, "title", "BHIV Bus");
    pack_pair_text(document, "description", bridge_server_port_name(port));
    pack_pair_text(document, "version", BHIV_VERSION);
    pack_text(document, "security"); // a token, where the bridge asks for them
    pack_array(document, 2);
    pack_map(document, 0);
    pack_requirement("token", document);
    pack_text(document, "paths");
    pack_paths(port, document);
    pack_components(port, document);
    BUS_AUTO(text_destroy) text_t *json = text_new();
    transcode_to_json(pack_view(document), 0, json);
    text_add(json, VIEW_LITERAL("\n"));
    char *copy = strdup(text_view(json).data);
    assert(copy != NULL);
    return copy;
}
