// fuzz_route.c - any bytes as a request's target: it is split, routed and decoded within itself,
// and a route that takes it takes it again.
#include "bridge-http/handler.h"
#include "bridge-http/path.h"
#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
is_inside(bus_view_t part, bus_view_t whole)
{
    return part.size == 0 || (part.data >= whole.data && part.size <= whole.size &&
                              part.data + part.size <= whole.data + whole.size);
}

static void
check_decode(bus_view_t text, bool form)
{
    char *decoded = malloc(text.size + 1);
    assert(decoded != NULL);
    size_t size = 0;
    if (bridge_path_decode(text, form, decoded, &size)) {
        assert(size <= text.size);
    }
    free(decoded);
}

static void
check_match(bridge_port_id_t port, const char *method, bus_view_t path)
{
    bridge_route_match_t match = bridge_route_find(port, method, path);
    if (match.route == NULL) {
        return;
    }
    assert((match.methods & (1U << match.route->method)) != 0);
    assert((match.route->ports & BRIDGE_ON(port)) != 0);
    for (size_t i = 0; i < match.params.count; i++) {
        assert(is_inside(match.params.at[i].value, path));
        check_decode(match.params.at[i].value, false);
    }
}

static void
check_routes(bus_view_t path)
{
    static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "TRACE"};
    for (unsigned port = 0; port < BRIDGE_PORT_COUNT; port++) {
        for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
            check_match((bridge_port_id_t) port, methods[i], path);
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bus_view_t target = view_from((const char *) data, size);
    bridge_path_t path = bridge_path_split(target);
    assert(is_inside(path.path, target) || view_is(path.path, "/"));
    assert(is_inside(path.query, target));
    check_routes(path.path);
    bus_view_t query = path.query;
    bus_view_t name, value;
    for (size_t left = size + 1; bridge_path_next_pair(&query, &name, &value); left--) {
        assert(left > 0 && is_inside(name, target) && is_inside(value, target));
        check_decode(name, true);
        check_decode(value, true);
    }
    return 0;
}
