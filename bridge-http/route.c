// route.c - finding a row.
#include "route.h"
#include <stdio.h>

const char *
bridge_route_method_text(bridge_method_t method)
{
    switch (method) {
    case BRIDGE_GET:
        return "GET";
    case BRIDGE_POST:
        return "POST";
    case BRIDGE_PUT:
        return "PUT";
    case BRIDGE_DELETE:
        return "DELETE";
    case BRIDGE_METHOD_COUNT:
        break;
    }
    return "";
}

static bool
method_is(const bridge_route_t *route, const char *method)
{
    return strcmp(bridge_route_method_text(route->method), method) == 0 ||
           (route->method == BRIDGE_GET && strcmp(method, "HEAD") == 0);
}

bridge_route_match_t
bridge_route_find(bridge_port_id_t port, const char *method, bus_view_t path)
{
    bus_view_t alias = VIEW_LITERAL("/v1/bucket/");
    if (port == BRIDGE_BUCKET && view_starts(path, alias)) {
        path = view_from(path.data + 3, path.size - 3); // /v1/bucket/… is /bucket/…
    }
    bridge_route_match_t match = {0};
    for (size_t i = 0; i < bridge_route_count; i++) {
        const bridge_route_t *route = &bridge_routes[i];
        bridge_path_params_t params;
        if ((route->ports & BRIDGE_ON(port)) == 0 ||
            !bridge_path_match(route->path, path, &params)) {
            continue;
        }
        match.methods |= 1U << route->method;
        if (match.route == NULL && method_is(route, method)) {
            match.route = route;
            match.params = params;
        }
    }
    return match;
}

void
bridge_route_allow(unsigned methods, char *ret_text, size_t size)
{
    size_t used = 0;
    ret_text[0] = '\0';
    for (unsigned i = 0; i < BRIDGE_METHOD_COUNT; i++) {
        if ((methods & (1U << i)) == 0 || used >= size) {
            continue;
        }
        int wrote = snprintf(ret_text + used,
                             size - used,
                             "%s%s, ",
                             bridge_route_method_text((bridge_method_t) i),
                             i == BRIDGE_GET ? ", HEAD" : "");
        used += wrote > 0 ? (size_t) wrote : 0;
    }
    if (methods != 0 && used < size) {
        (void) snprintf(ret_text + used, size - used, "OPTIONS");
    }
}

const bridge_route_t *
bridge_route_guarding(bus_view_t topic)
{
    for (size_t i = 0; i < bridge_route_count; i++) {
        const bridge_route_t *route = &bridge_routes[i];
        if (route->access != BRIDGE_OPEN && view_is(topic, route->topic)) {
            return route;
        }
    }
    return NULL;
}
