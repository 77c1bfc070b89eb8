// openapi.h - the OpenAPI 3.1 document of one port, from the rows of the route table.
#pragma once
#include "proto/text.h"
#include "route.h"

// The document as JSON text, to be freed.
char *bridge_openapi_make(bridge_port_id_t port);

// What the inside of a schema's field is checked by; NULL: nothing more.
const schema_t *bridge_openapi_inside(const schema_t *schema, const schema_field_t *field);

// Appends the table of every endpoint as a page of Markdown, for docs/.
void bridge_openapi_document(text_t *out);
