// openapi.c - routes and schemas as OpenAPI.
#include "openapi.h"
#include "proto/transcode.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

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

static void
pack_field(const schema_field_t *field, pack_t *out)
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
    pack_count(out, map, count);
}

static void
pack_schema(const schema_t *schema, pack_t *out)
{
    uint32_t required = 0;
    for (size_t i = 0; i < schema->field_count; i++) {
        required += schema->fields[i].required ? 1 : 0;
    }
    pack_map(out, 4);
    pack_pair_text(out, "type", "object");
    pack_pair_text(out, "description", schema->meaning);
    pack_text(out, "properties");
    pack_map(out, (uint32_t) schema->field_count);
    for (size_t i = 0; i < schema->field_count; i++) {
        pack_text(out, schema->fields[i].name);
        pack_field(&schema->fields[i], out);
    }
    pack_text(out, "required");
    pack_array(out, required);
    for (size_t i = 0; i < schema->field_count; i++) {
        if (schema->fields[i].required) {
            pack_text(out, schema->fields[i].name);
        }
    }
}

static bool
is_in_path(const bridge_route_t *route, const char *name)
{
    char wanted[80];
    (void) snprintf(wanted, sizeof(wanted), "{%s}", name);
    return strstr(route->path, wanted) != NULL;
}

static void
pack_parameters(const bridge_route_t *route, pack_t *out)
{
    pack_text(out, "parameters");
    pack_array(out, (uint32_t) route->query->field_count);
    for (size_t i = 0; i < route->query->field_count; i++) {
        const schema_field_t *field = &route->query->fields[i];
        bool in_path = is_in_path(route, field->name);
        pack_map(out, 5);
        pack_pair_text(out, "name", field->name);
        pack_pair_text(out, "in", in_path ? "path" : "query");
        pack_pair_bool(out, "required", in_path || field->required);
        pack_pair_text(out, "description", field->meaning);
        pack_text(out, "schema");
        pack_field(field, out);
    }
}

static void
pack_response(pack_t *out, const char *status, const char *description)
{
    pack_text(out, status);
    pack_map(out, 1);
    pack_pair_text(out, "description", description);
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
        pack_text(out, "requestBody");
        pack_map(out, 1);
        pack_text(out, "content");
        pack_map(out, 1);
        pack_text(out, "application/json");
        pack_map(out, 1);
        pack_text(out, "schema");
        pack_schema(route->body, out);
        count++;
    }
    if (route->access == BRIDGE_OWNER) {
        pack_text(out, "security");
        pack_array(out, 1);
        pack_map(out, 1);
        pack_text(out, "owner");
        pack_array(out, 0);
        count++;
    }
    pack_text(out, "responses");
    pack_map(out, 2);
    pack_response(out, "200", "what was asked for");
    pack_response(out, "default", "an error: status, error_code, message, trace_id, details");
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
    static const char *const verbs[BRIDGE_METHOD_COUNT] = {"get", "post", "put", "delete"};
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
    pack_map(document, 4);
    pack_pair_text(document, "openapi", "3.1.0");
    pack_text(document, "info");
    pack_map(document, 3);
    pack_pair_text(document, "title", "BHIV Bus");
    pack_pair_text(document, "description", bridge_server_port_name(port));
    pack_pair_text(document, "version", BHIV_VERSION);
    pack_text(document, "paths");
    pack_paths(port, document);
    pack_text(document, "components");
    pack_map(document, 1);
    pack_text(document, "securitySchemes");
    pack_map(document, 1);
    pack_text(document, "owner");
    pack_map(document, 2);
    pack_pair_text(document, "type", "http");
    pack_pair_text(document, "scheme", "bearer");
    BUS_AUTO(text_destroy) text_t *json = text_new();
    transcode_to_json(pack_view(document), 0, json);
    char *copy = strdup(text_view(json).data);
    assert(copy != NULL);
    return copy;
}

static const char *
access_text(bridge_access_t access)
{
    switch (access) {
    case BRIDGE_OPEN:
        return "";
    case BRIDGE_OWNER:
        return "owner";
    case BRIDGE_TEST_HELPER:
        return "test helpers on";
    }
    return "";
}

void
bridge_openapi_document(text_t *out)
{
    text_add_format(out,
                    "# The HTTP endpoints\n\nGenerated by `bhiv docs http`. Each port serves the "
                    "same as `/openapi.json`.\n");
    for (unsigned port = 0; port < BRIDGE_PORT_COUNT; port++) {
        text_add_format(out,
                        "\n## %s\n\n| Method | Path | On the bus | Needs | What |\n"
                        "|---|---|---|---|---|\n",
                        bridge_server_port_name((bridge_port_id_t) port));
        for (size_t i = 0; i < bridge_route_count; i++) {
            const bridge_route_t *route = &bridge_routes[i];
            if ((route->ports & BRIDGE_ON(port)) != 0) {
                text_add_format(out,
                                "| %s | `%s` | %s | %s | %s |\n",
                                bridge_route_method_text(route->method),
                                route->path,
                                route->topic,
                                access_text(route->access),
                                route->summary);
            }
        }
    }
}
