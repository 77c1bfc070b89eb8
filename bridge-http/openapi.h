// openapi.h - the OpenAPI 3.1 document of one port, from the rows of the route table.
#pragma once
#include "route.h"

// The document as JSON text, to be freed.
char *bridge_openapi_make(bridge_port_id_t port);
