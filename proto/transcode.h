// transcode.h - JSON to msgpack and back, exactly, or a refusal.
//
// JSON -> msgpack keeps key order, integers to 64 bits signed, and floats as float64 (1.0 stays a
// float). Duplicate keys, bad UTF-8, lone surrogates, U+0000, NaN, numbers beyond int64 or double,
// more than JSON_DEPTH_MAX levels and text after the value are refused.
// msgpack -> JSON writes doubles in the shortest form that reads back to the same bits, and always
// with a point or an exponent, so that they come back as floats. Pure functions, any thread.
#pragma once
#include "auto.h"
#include "error.h"
#include "pack.h"
#include "text.h"
#include "view.h"

// Appends the one JSON value `json` to `out`. BUS_MALFORMED_JSON, and then `out` is as it was and
// `reterr_message` (of `message_size` bytes, may be NULL) says what and where.
BUS_CHECK bus_err_t transcode_from_json(bus_view_t json,
                                        pack_t *out,
                                        char *reterr_message,
                                        size_t message_size);

// Appends the msgpack value as JSON. `indent`: spaces a level, 0 for one line. What JSON has no
// word for: bin and ext become base64 text, NaN and infinities null, a non-string key its JSON text
// as a string (a container as key: its msgpack in base64), bad UTF-8 U+FFFD. `value` passed
// walk_check.
void transcode_to_json(bus_view_t value, unsigned indent, text_t *out);

// Appends `text` as a JSON string, quotes included.
void transcode_json_string(bus_view_t text, text_t *out);
// Appends a double as JSON: shortest, round-tripping.
void transcode_json_real(double value, text_t *out);
