// route.c - finding a row.
#include "route.h"
#include <stdio.h>
#include <time.h>

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
    case BRIDGE_PATCH:
        return "PATCH";
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
    bus_view_t doubled = VIEW_LITERAL("/api/v1/api/v1/analytics/"); // as the original served them
    if (port == BRIDGE_KARMA && view_starts(path, doubled)) {
        path = view_from(path.data + 7, path.size - 7);
    }
    bridge_route_match_t match = {0};
    bool has_exact = false; // a row is this very path: none with a {…} in its place is meant
    for (size_t i = 0; i < bridge_route_count; i++) {
        const bridge_route_t *route = &bridge_routes[i];
        bridge_path_params_t params;
        bool is_exact = strchr(route->path, '{') == NULL;
        if ((route->ports & BRIDGE_ON(port)) == 0 || (has_exact && !is_exact) ||
            !bridge_path_match(route->path, path, &params)) {
            continue;
        }
        if (is_exact && !has_exact) {
            match = (bridge_route_match_t){0}; // what a pattern had to say of it
            has_exact = true;
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

void
bridge_route_notice(uint64_t deprecated_s,
                    char ret_deprecation[BRIDGE_ROUTE_DATE_SIZE],
                    char ret_sunset[BRIDGE_ROUTE_DATE_SIZE])
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t gone = (time_t) (deprecated_s + BRIDGE_ROUTE_NOTICE_DAYS * 86400ULL);
    struct tm tm = {0};
    (void) gmtime_r(&gone, &tm);
    (void) snprintf(
        ret_deprecation, BRIDGE_ROUTE_DATE_SIZE, "@%llu", (unsigned long long) deprecated_s);
    // Not strftime: the words are English whatever the locale.
    (void) snprintf(ret_sunset,
                    BRIDGE_ROUTE_DATE_SIZE,
                    "%s, %02d %s %04d %02d:%02d:%02d GMT",
                    days[tm.tm_wday],
                    tm.tm_mday % 100,
                    months[tm.tm_mon],
                    (tm.tm_year + 1900) % 10000,
                    tm.tm_hour % 100,
                    tm.tm_min % 100,
                    tm.tm_sec % 100);
}

const bridge_route_t *
bridge_route_guarding(bus_view_t topic)
{
    for (size_t i = 0; i < bridge_route_count; i++) {
        const bridge_route_t *route = &bridge_routes[i];
        bus_view_t said = view_from_text(route->topic);
        bool is_said =
            view_starts(topic, said) && (topic.size == said.size || topic.data[said.size] == '.');
        bool is_restricted = route->access == BRIDGE_OWNER || route->access == BRIDGE_TEST_HELPER;
        if (is_restricted && said.size > 0 && is_said) {
            return route;
        }
    }
    return NULL;
}
