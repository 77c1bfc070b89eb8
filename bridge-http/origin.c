// origin.c - Host and Origin, against pages that write across sites and names that are rebound.
#include "origin.h"
#include "runtime/address.h"
#include <strings.h>

enum { NAME_SIZE_MAX = 64 }; // no loopback name or address is longer

static bool
is_port(bus_view_t text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
    }
    return true;
}

bus_view_t
bridge_origin_host(bus_view_t authority)
{
    if (authority.size == 0) {
        return VIEW_NONE;
    }
    bool in_brackets = authority.data[0] == '[';
    const char *end = memchr(authority.data, in_brackets ? ']' : ':', authority.size);
    if (in_brackets && end == NULL) {
        return VIEW_NONE;
    }
    size_t front = in_brackets ? 1 : 0;
    size_t size = end == NULL ? authority.size : (size_t) (end - authority.data);
    size_t used = size + front; // the bracket that closes, too
    bus_view_t rest = view_from(authority.data + used, authority.size - used);
    bool has_port = rest.size > 0;
    if (has_port && (rest.data[0] != ':' || !is_port(view_from(rest.data + 1, rest.size - 1)))) {
        return VIEW_NONE;
    }
    return size > front ? view_from(authority.data + front, size - front) : VIEW_NONE;
}

bool
bridge_origin_is_local(bus_view_t authority)
{
    if (authority.data == NULL) {
        return true;
    }
    bus_view_t host = bridge_origin_host(authority);
    char name[NAME_SIZE_MAX];
    if (host.size == 0 || host.size >= sizeof(name) || memchr(host.data, '\0', host.size) != NULL) {
        return false;
    }
    memcpy(name, host.data, host.size);
    name[host.size] = '\0';
    return strcasecmp(name, "localhost") == 0 || address_is_loopback(name);
}

bool
bridge_origin_is_trusted(bus_view_t origin, bus_view_t host, bool any_host)
{
    static const char *const schemes[] = {"http://", "https://"};
    bus_view_t authority = VIEW_NONE;
    if (origin.data == NULL) {
        return true;
    }
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        bus_view_t scheme = view_from_text(schemes[i]);
        if (view_starts(origin, scheme)) {
            authority = view_from(origin.data + scheme.size, origin.size - scheme.size);
        }
    }
    if (authority.size == 0) {
        return false; // "null" and whatever else is no page of ours
    }
    bus_view_t there = bridge_origin_host(authority);
    bus_view_t here = bridge_origin_host(host);
    bool same = there.size > 0 && there.size == here.size &&
                strncasecmp(there.data, here.data, here.size) == 0;
    return bridge_origin_is_local(authority) || (any_host && same);
}
