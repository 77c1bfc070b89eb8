// path.h - a request's target: split, matched against a route's pattern, decoded.
//
// Works on the target as it came over the wire: a `%2F` inside a segment stays inside it, and `%00`
// is found (libmicrohttpd cuts the decoded path there). Pure functions.
#pragma once
#include "proto/view.h"
#include <stdint.h>

enum {
    BRIDGE_PATH_PARAMS_MAX = 3, // {…} in one pattern
};

typedef struct {
    bus_view_t path;  // without a trailing slash; "/" stays
    bus_view_t query; // behind the `?`; absent without one
} bridge_path_t;

// Cuts a target in two. An absolute form (http://host/path) loses its front.
bridge_path_t bridge_path_split(bus_view_t target);

typedef struct {
    bus_view_t name;  // in the pattern
    bus_view_t value; // in the path, still encoded
} bridge_path_param_t;

typedef struct {
    size_t count;
    bridge_path_param_t at[BRIDGE_PATH_PARAMS_MAX];
} bridge_path_params_t;

// Whether `path` is what `pattern` describes: literal segments, and {name} for one segment that is
// not empty.
bool bridge_path_match(const char *pattern, bus_view_t path, bridge_path_params_t *ret_params);

// Whether a pattern has {name}.
bool bridge_path_has(const char *pattern, const char *name);

// Writes `value` percent-decoded into `ret_text`, which holds value.size bytes at least. `form`: a
// `+` is a space. False where an escape is broken, or the result is not UTF-8 or holds a control
// byte.
bool bridge_path_decode(bus_view_t value, bool form, char *ret_text, size_t *ret_size);

// The next name=value of a query, which is shortened by it; still encoded. False at its end.
bool bridge_path_next_pair(bus_view_t *query, bus_view_t *ret_name, bus_view_t *ret_value);
