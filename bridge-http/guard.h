// guard.h - what stands before every handler: requests that two parsers could read differently.
//
// libmicrohttpd 0.9.75 serves a smuggled second request (Content-Length with Transfer-Encoding),
// takes two Hosts, a lone LF and a NUL in a header, and cuts a path at %00. It parses headers where
// they lie, so what it made of the block can be held against the block itself: every byte must be
// where `METHOD SP target SP version CRLF (name: value CRLF)* CRLF` puts it. See
// docs/adr/0003-libmicrohttpd-with-a-guard.md. Pure functions.
#pragma once
#include "proto/view.h"
#include <stdint.h>

enum {
    BRIDGE_GUARD_HEADERS_MAX = 100,          // header lines of one request
    BRIDGE_GUARD_HEAD_SIZE_MAX = 16 * 1024,  // bytes of request line and headers
    BRIDGE_GUARD_BODY_SIZE_MAX = 1024 * 1024 // bytes of a body
};

typedef struct {
    bus_view_t name, value; // where they lie in the block
} bridge_guard_header_t;

typedef struct {
    bus_view_t block;   // from the method to behind the empty line; CR, LF and the colons have
                        // become NULs in it
    bus_view_t method;  // at the block's start
    bus_view_t target;  // as it came: in the block or a copy
    bus_view_t version; // "HTTP/1.1", in the block
    size_t count;       // headers found; more than the maximum where there were more
    bridge_guard_header_t headers[BRIDGE_GUARD_HEADERS_MAX];
} bridge_guard_head_t;

typedef struct {
    bool ok;
    int status;         // 400, 413, 431 where it is not
    const char *why;    // a literal
    uint64_t body_size; // from Content-Length; 0 without one
    bool chunked;
} bridge_guard_verdict_t;

bridge_guard_verdict_t bridge_guard_check(const bridge_guard_head_t *head);

// The value of the header `name` (compared without case), or an absent view.
bus_view_t bridge_guard_find(const bridge_guard_head_t *head, const char *name);
