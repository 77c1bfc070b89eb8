// answer.h - what goes back: JSON from msgpack, and errors in the shape of the port.
#pragma once
#include "proto/error.h"
#include "request.h"

typedef struct {
    bus_err_t err;
    int status;             // 0: the error's own
    bus_view_t code;        // error_code; absent: the error's own
    bus_view_t message;     // absent: the error's meaning
    bus_view_t details;     // whole msgpack, or absent
    bus_view_t extra;       // a msgpack map whose pairs are added, or absent
    unsigned retry_after_s; // 0: none
} bridge_error_t;

// The two shapes of docs/contract.md section 1.
typedef enum { BRIDGE_ERROR_COMMON, BRIDGE_ERROR_KARMA } bridge_error_shape_t;

typedef struct {
    bridge_error_shape_t shape;
    const char *trace_id;
    bus_view_t path;  // Karma's shape names it
    uint64_t time_us; // and when
} bridge_error_frame_t;

// Packs an error's body as one map.
void bridge_answer_pack_error(const bridge_error_frame_t *frame,
                              const bridge_error_t *error,
                              pack_t *out);

// Each of these makes the answer; a request is answered once.
void bridge_answer(bridge_request_t *self, int status, bus_view_t body);
void bridge_answer_error(bridge_request_t *self, const bridge_error_t *error);
// An error with nothing but a message (a literal, or NULL for the error's meaning).
void bridge_answer_refuse(bridge_request_t *self, bus_err_t err, const char *message);
// One field is wrong: 422.
void bridge_answer_invalid(bridge_request_t *self, const char *field, const char *problem);
// 422 with several; limits are said as `schema` has them. NULL: without limits.
void bridge_answer_problems(bridge_request_t *self,
                            const schema_t *schema,
                            const schema_problems_t *problems);
// Packs the pairs of a service's error that an error of ours has no place for (decision, rule,
// audit_id, violation_type, …) as one map; `more` are promised behind them.
void bridge_answer_pack_extra(bus_view_t body, uint32_t more, pack_t *out);
// The error that a service or the broker answered, in our shape, with all that it says beside.
void bridge_answer_from_bus(bridge_request_t *self, const client_answer_t *answer);
// Text of any type. `content` is a literal or lives as long as the process.
void bridge_answer_static(bridge_request_t *self, const char *type, bus_view_t content);
// Takes the text.
void bridge_answer_text(bridge_request_t *self, int status, const char *type, text_t **text_p);
// Nothing but a status.
void bridge_answer_empty(bridge_request_t *self, int status);
// A response made elsewhere (a stream). Takes it.
void bridge_answer_response(bridge_request_t *self, int status, struct MHD_Response *response);

// A header for the answer that is to come. `name` is a literal; `value` is cut at 127 bytes.
void bridge_answer_header(bridge_request_t *self, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
