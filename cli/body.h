// body.h - bodies from the command line and standard input: JSON in, msgpack out. Main thread.
#pragma once
#include "cli.h"
#include "proto/pack.h"

enum { CLI_BODY_JSON_MAX = 4 * 1024 * 1024 }; // text of a body: 1 MiB encoded may be longer as JSON

// Appends `json` to `out`. Returns 0, or says what is wrong (`where`: "the argument", "line 3") and
// returns CLI_BAD_DATA; then `out` is as it was.
BUS_CHECK int cli_body_add(bus_view_t json, const char *where, pack_t *out);
// The same for a whole argument: NULL is `{}`, "-" is all of standard input.
BUS_CHECK int cli_body_argument(const char *argument, pack_t *out);
