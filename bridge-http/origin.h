// origin.h - whether a request comes from a web page that has no business here. See
// docs/adr/0009-anonymous-loopback-checks-host-and-origin.md. Pure functions.
//
// A browser sends what any page asks it to, also to this machine: without credentials it is what
// the browser says of the page that tells a person's own request from one that a page made.
#pragma once
#include "proto/view.h"

// The name or address in `authority` (Host's value), without its port and without brackets; an
// absent view where there is none or the form is wrong.
bus_view_t bridge_origin_host(bus_view_t authority);

// Whether `authority` names this machine: localhost, 127.0.0.0/8 or [::1], with any port. An absent
// one does, as HTTP/1.0 allows it and browsers always send it.
bool bridge_origin_is_local(bus_view_t authority);

// Whether the page that `origin` names may read and write here: none was named, it is on a loopback
// origin, or, with `any_host`, on the host that `host` names.
bool bridge_origin_is_trusted(bus_view_t origin, bus_view_t host, bool any_host);
