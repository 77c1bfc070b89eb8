// route.h - every endpoint is one row of one table; dispatch, 405, OpenAPI and metrics loop over
// it.
#pragma once
#include "path.h"
#include "proto/schema.h"
#include "server.h"

typedef enum {
    BRIDGE_GET,
    BRIDGE_POST,
    BRIDGE_PUT,
    BRIDGE_DELETE,
    BRIDGE_PATCH,
    BRIDGE_METHOD_COUNT
} bridge_method_t;

typedef enum {
    BRIDGE_OPEN,       // whoever has a token, where tokens are asked for
    BRIDGE_FREE,       // everybody, always
    BRIDGE_OWNER,      // the owner's credential, always
    BRIDGE_TEST_HELPER // 403 unless test helpers are on
} bridge_access_t;

typedef void(bridge_handler_t)(bridge_request_t *request);

#define BRIDGE_ON(id) (1U << (id))
#define BRIDGE_ON_ALL ((1U << BRIDGE_PORT_COUNT) - 1)

typedef struct {
    unsigned ports; // of BRIDGE_ON
    bridge_method_t method;
    const char *path;
    const char *operation; // its name in openapi.json, unique
    bridge_access_t access;
    const char *topic;     // what it says on the bus, or ""
    const schema_t *body;  // of its JSON body; NULL: takes none
    const schema_t *query; // of the path's and the query's parameters together; NULL: none
    bridge_handler_t *handler;
    const char *summary;
    uint64_t deprecated_s; // on its way out since then, in seconds since 1970; 0: it is not
} bridge_route_t;

extern const bridge_route_t bridge_routes[];
extern const size_t bridge_route_count;

const char *bridge_route_method_text(bridge_method_t method);

typedef struct {
    const bridge_route_t *route; // NULL: none has this path and method
    bridge_path_params_t params; // of `route`
    unsigned methods;            // of 1 << bridge_method_t: what the path has; 0: no such path
} bridge_route_match_t;

// Finds the row of `method` ("GET", "HEAD", …; HEAD is GET) and `path` on a port.
bridge_route_match_t bridge_route_find(bridge_port_id_t port, const char *method, bus_view_t path);

// What a path allows, for `Allow`: "GET, HEAD, OPTIONS". Writes at most `size` bytes.
void bridge_route_allow(unsigned methods, char *ret_text, size_t size);

// What a row on its way out says of itself: the values of `Deprecation` (RFC 9745) and, 90 days
// later, `Sunset` (RFC 8594).
enum { BRIDGE_ROUTE_NOTICE_DAYS = 90, BRIDGE_ROUTE_DATE_SIZE = 40 };
void bridge_route_notice(uint64_t deprecated_s,
                         char ret_deprecation[BRIDGE_ROUTE_DATE_SIZE],
                         char ret_sunset[BRIDGE_ROUTE_DATE_SIZE]);

// The row with restricted access that says `topic`, or what that is below (which its service takes
// as well), or NULL: what it says may not be said past it.
const bridge_route_t *bridge_route_guarding(bus_view_t topic);
