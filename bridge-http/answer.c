// answer.c - making responses.
//
// Everything is msgpack until the last step, so that numbers and key order are those of the bus.
#include "answer.h"
#include "metrics.h"
#include "proto/rfc3339.h"
#include "proto/transcode.h"
#include "proto/walk.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "trace_recent.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

enum {
    RETRY_AFTER_S = 1,     // where an error may pass and nobody said when
    ORIGIN_SIZE_MAX = 300, // a host's name has 253 bytes at most
    MESSAGE_SIZE = 512,    // a field and what is wrong with it
    PROBLEM_SIZE = 128,
};

static void
add_header(struct MHD_Response *response, const char *name, const char *value)
{
    enum MHD_Result result = MHD_add_response_header(response, name, value);
    assert(result == MHD_YES);
}

// Lets the page that asked read the answer, where it may.
static void
add_origin(bridge_request_t *self, struct MHD_Response *response)
{
    bus_view_t origin = bridge_request_header(self, "Origin");
    char text[ORIGIN_SIZE_MAX];
    add_header(response, "Vary", "Origin");
    if (origin.size == 0 || origin.size >= sizeof(text) || !bridge_request_is_trusted(self)) {
        return;
    }
    memcpy(text, origin.data, origin.size);
    text[origin.size] = '\0';
    add_header(response, "Access-Control-Allow-Origin", text);
    add_header(response,
               "Access-Control-Expose-Headers",
               "X-Trace-Id, Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset");
}

static void
finish(bridge_request_t *self, int status, struct MHD_Response *response)
{
    assert(self->state == BRIDGE_REQUEST_WORKING && response != NULL);
    add_header(response, "X-Trace-Id", bridge_request_trace(self));
    add_header(response, "X-Content-Type-Options", "nosniff");
    add_origin(self, response);
    for (size_t i = 0; i < self->header_count; i++) {
        add_header(response, self->headers[i].name, self->headers[i].value);
    }
    if (self->route != NULL && self->route->deprecated_s != 0) {
        char deprecation[BRIDGE_ROUTE_DATE_SIZE], sunset[BRIDGE_ROUTE_DATE_SIZE];
        bridge_route_notice(self->route->deprecated_s, deprecation, sunset);
        add_header(response, "Deprecation", deprecation);
        add_header(response, "Sunset", sunset);
    }
    if (self->must_close) {
        add_header(response, "Connection", "close");
    }
    self->status = status;
    self->response = response;
    self->state = BRIDGE_REQUEST_ANSWERED;
    self->bridge->active--;
    bridge_metrics_count(self->bridge->metrics,
                         self->port->id,
                         self->route,
                         status,
                         clock_boot_us() - self->started_us);
    bridge_trace_recent_note(self->bridge->recent, self);
    log_line(status == MHD_HTTP_INTERNAL_SERVER_ERROR ? LOG_WARNING : LOG_DEBUG,
             "answered",
             "port=%s method=%s route=%s status=%d trace_id=%s",
             bridge_server_port_name(self->port->id),
             self->route == NULL ? "none" : bridge_route_method_text(self->route->method),
             self->route == NULL ? "none" : self->route->path,
             status,
             bridge_request_trace(self));
    if (self->is_suspended) {
        self->is_suspended = false;
        MHD_resume_connection(self->http);
        bridge_server_kick(self->port);
    }
}

static void
free_text(void *text)
{
    text_t *self = text;
    text_destroy(&self);
}

// The JSON of an error, which the caller owns, and its status. Adds Retry-After where it is due.
static text_t *
make_error(bridge_request_t *self, const bridge_error_t *error, int *ret_status)
{
    bridge_error_t said = *error;
    int status = said.status != 0 ? said.status : error_http(said.err);
    if (said.retry_after_s == 0 && error_retry(said.err) &&
        (status == MHD_HTTP_SERVICE_UNAVAILABLE || status == MHD_HTTP_TOO_MANY_REQUESTS)) {
        said.retry_after_s = RETRY_AFTER_S;
    }
    if (said.retry_after_s > 0) {
        bridge_answer_header(self, "Retry-After", "%u", said.retry_after_s);
    }
    const bridge_error_frame_t frame = {
        .shape = self->port->id == BRIDGE_KARMA ? BRIDGE_ERROR_KARMA : BRIDGE_ERROR_COMMON,
        .trace_id = bridge_request_trace(self),
        .path = walk_utf8(self->path.path) ? self->path.path : VIEW_LITERAL(""),
        .time_us = clock_wall_us()};
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    bridge_answer_pack_error(&frame, &said, body);
    text_t *text = text_new();
    transcode_to_json(pack_view(body), 0, text);
    text_add(text, VIEW_LITERAL("\n"));
    *ret_status = status;
    return text;
}

void
bridge_answer_text(bridge_request_t *self, int status, const char *type, text_t **text_p)
{
    size_t size = text_view(*text_p).size;
    if (size > BRIDGE_HELD_BYTES_SMALL && !bridge_request_hold(self, size)) {
        const bridge_error_t busy = {
            .err = BUS_BUSY, .message = VIEW_LITERAL("too many large answers are being read")};
        text_destroy(text_p);
        *text_p = make_error(self, &busy, &status);
        type = "application/json";
    }
    text_t *text = *text_p;
    *text_p = NULL; // libmicrohttpd frees it when it was sent
    bus_view_t content = text_view(text);
    struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback_cls(
        content.size, (void *) content.data, free_text, text);
    assert(response != NULL);
    add_header(response, "Content-Type", type);
    add_header(response, "Cache-Control", "no-store");
    finish(self, status, response);
}

void
bridge_answer_static(bridge_request_t *self, const char *type, bus_view_t content)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        content.size, (void *) content.data, MHD_RESPMEM_PERSISTENT);
    assert(response != NULL);
    add_header(response, "Content-Type", type);
    add_header(response, "Cache-Control", "no-cache");
    finish(self, MHD_HTTP_OK, response);
}

void
bridge_answer_empty(bridge_request_t *self, int status)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(0, (void *) "", MHD_RESPMEM_PERSISTENT);
    finish(self, status, response);
}

void
bridge_answer_response(bridge_request_t *self, int status, struct MHD_Response *response)
{
    finish(self, status, response);
}

void
bridge_answer(bridge_request_t *self, int status, bus_view_t body)
{
    text_t *text = text_new();
    transcode_to_json(body, 0, text);
    text_add(text, VIEW_LITERAL("\n"));
    bridge_answer_text(self, status, "application/json", &text);
}

void
bridge_answer_header(bridge_request_t *self, const char *name, const char *format, ...)
{
    assert(self->header_count < BRIDGE_REQUEST_HEADERS_MAX);
    bridge_request_header_t *header = &self->headers[self->header_count++];
    header->name = name;
    va_list arguments;
    va_start(arguments, format);
    (void) vsnprintf(header->value, sizeof(header->value), format, arguments);
    va_end(arguments);
}

// Karma's shape has a time of its own.
static uint32_t
pack_extra(bus_view_t extra, bridge_error_shape_t shape, pack_t *out)
{
    uint32_t count = 0;
    bus_view_t key, value;
    walk_pairs_t pairs = walk_pairs(extra);
    while (extra.data != NULL && walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
        if (shape == BRIDGE_ERROR_KARMA && view_is(key, "timestamp")) {
            continue;
        }
        pack_str(out, key);
        pack_raw(out, value);
        count++;
    }
    return count;
}

static uint32_t
pack_karma_error(const bridge_error_frame_t *frame,
                 const bridge_error_t *error,
                 bus_view_t message,
                 pack_t *out)
{
    char time[RFC3339_SIZE];
    rfc3339_format(frame->time_us, time);
    pack_text(out, "error");
    pack_map(out, 2);
    pack_pair_int(out, "code", error->status != 0 ? error->status : error_http(error->err));
    pack_pair_str(out, "message", message);
    pack_pair_str(out, "path", frame->path);
    pack_pair_text(out, "timestamp", time);
    return 3;
}

void
bridge_answer_pack_error(const bridge_error_frame_t *frame,
                         const bridge_error_t *error,
                         pack_t *out)
{
    bus_view_t code =
        error->code.data != NULL ? error->code : view_from_text(error_text(error->err));
    bus_view_t message =
        error->message.data != NULL ? error->message : view_from_text(error_meaning(error->err));
    size_t map = pack_map_begin(out);
    uint32_t count = 3;
    pack_pair_text(out, "status", "error");
    pack_pair_str(out, "error_code", code);
    pack_pair_text(out, "trace_id", frame->trace_id);
    if (frame->shape == BRIDGE_ERROR_KARMA) {
        count += pack_karma_error(frame, error, message, out);
    } else {
        pack_pair_str(out, "message", message);
        pack_pair_str(out, "error", code);
        pack_pair_str(out, "detail", message);
        count += 3;
    }
    if (error->details.data != NULL) {
        pack_pair_raw(out, "details", error->details);
        count++;
    }
    if (error->retry_after_s > 0) {
        pack_pair_uint(out, "retry_after", error->retry_after_s);
        count++;
    }
    count += pack_extra(error->extra, frame->shape, out);
    pack_count(out, map, count);
}

void
bridge_answer_error(bridge_request_t *self, const bridge_error_t *error)
{
    int status;
    text_t *text = make_error(self, error, &status);
    bridge_answer_text(self, status, "application/json", &text);
}

void
bridge_answer_refuse(bridge_request_t *self, bus_err_t err, const char *message)
{
    bridge_answer_error(self, &(bridge_error_t){.err = err, .message = view_from_text(message)});
}

// "<field>: <problem>" of the first of `details`, or what is said where there is none.
static void
first_problem(bus_view_t details, char ret_message[MESSAGE_SIZE])
{
    bus_view_t first, field, problem;
    walk_t walk = walk_from(details);
    walk_item_t head;
    (void) snprintf(ret_message, MESSAGE_SIZE, "Validation failed");
    if (walk_next(&walk, &head) != BUS_OK || head.type != WALK_ARRAY || head.count == 0 ||
        walk_skip(&walk, &first) != BUS_OK) {
        return;
    }
    field = walk_text_at(first, "field");
    problem = walk_text_at(first, "problem");
    if (problem.size == 0 || problem.size + field.size + 3 > MESSAGE_SIZE) {
        return;
    }
    (void) snprintf(ret_message,
                    MESSAGE_SIZE,
                    "%.*s%s%.*s",
                    (int) field.size,
                    field.size == 0 ? "" : field.data,
                    field.size == 0 ? "" : ": ",
                    (int) problem.size,
                    problem.data);
}

// What is wrong, with the limits of the field's row where they are what it missed.
static void
explain(const schema_t *schema, const schema_problem_t *problem, char ret_text[PROBLEM_SIZE])
{
    const schema_field_t *field = NULL;
    const char *dot = strrchr(problem->field, '.'); // a path: the schema is of its last part
    const char *name = dot == NULL ? problem->field : dot + 1;
    for (size_t i = 0; schema != NULL && i < schema->field_count && field == NULL; i++) {
        field = strcmp(schema->fields[i].name, name) == 0 ? &schema->fields[i] : NULL;
    }
    bool is_size = strcmp(problem->problem, "is too long") == 0 ||
                   strcmp(problem->problem, "is too short") == 0;
    bool is_range = field != NULL && field->type == SCHEMA_INT &&
                    strcmp(problem->problem, "is out of range") == 0;
    if (is_range && field->max == INT64_MAX) {
        (void) snprintf(ret_text, PROBLEM_SIZE, "must be %lld or more", (long long) field->min);
    } else if (is_range) {
        (void) snprintf(ret_text,
                        PROBLEM_SIZE,
                        "must be %lld to %lld",
                        (long long) field->min,
                        (long long) field->max);
    } else if (field != NULL && is_size && field->max > 0) {
        (void) snprintf(ret_text,
                        PROBLEM_SIZE,
                        "%s: at most %lld bytes",
                        problem->problem,
                        (long long) field->max);
    } else {
        (void) snprintf(ret_text, PROBLEM_SIZE, "%s", problem->problem);
    }
}

void
bridge_answer_problems(bridge_request_t *self,
                       const schema_t *schema,
                       const schema_problems_t *problems)
{
    BUS_AUTO(pack_destroy) pack_t *details = pack_new();
    pack_array(details, (uint32_t) problems->count);
    for (size_t i = 0; i < problems->count; i++) {
        char problem[PROBLEM_SIZE];
        explain(schema, &problems->at[i], problem);
        pack_map(details, 2);
        pack_pair_text(details, "field", problems->at[i].field);
        pack_pair_text(details, "problem", problem);
    }
    char message[MESSAGE_SIZE];
    first_problem(pack_view(details), message);
    bridge_answer_error(self,
                        &(bridge_error_t){.err = BUS_VALIDATION_FAILED,
                                          .message = view_from_text(message),
                                          .details = pack_view(details)});
}

void
bridge_answer_invalid(bridge_request_t *self, const char *field, const char *problem)
{
    const schema_problems_t problems = {.count = 1, .at = {{.field = field, .problem = problem}}};
    bridge_answer_problems(self, NULL, &problems);
}

// Whether an error has the key anyway, or it means nothing over HTTP (`channel`).
static bool
is_common(bus_view_t key)
{
    static const char *const keys[] = {"status",
                                       "error_code",
                                       "message",
                                       "details",
                                       "retry_after",
                                       "trace_id",
                                       "error",
                                       "detail",
                                       "path",
                                       "channel"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (view_is(key, keys[i])) {
            return true;
        }
    }
    return false;
}

void
bridge_answer_pack_extra(bus_view_t body, uint32_t more, pack_t *out)
{
    size_t map = pack_map_begin(out);
    uint32_t count = 0;
    bus_view_t key, value;
    walk_pairs_t pairs = walk_pairs(body);
    while (body.data != NULL && walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
        if (key.data != NULL && !is_common(key)) {
            pack_str(out, key);
            pack_raw(out, value);
            count++;
        }
    }
    pack_count(out, map, count + more);
}

void
bridge_answer_from_bus(bridge_request_t *self, const client_answer_t *answer)
{
    bridge_error_t error = {.err = answer->err == BUS_OK ? BUS_INTERNAL : answer->err};
    error.code = walk_text_at(answer->body, "error_code");
    error.message = walk_text_at(answer->body, "message");
    bus_view_t value;
    char message[MESSAGE_SIZE];
    uint64_t retry_after = 0;
    if (answer->body.data != NULL) {
        if (walk_find(answer->body, "details", &value) == BUS_OK) {
            error.details = value;
        }
        if (answer->err == BUS_VALIDATION_FAILED && error.details.data != NULL) {
            first_problem(error.details, message);
            error.message = view_from_text(message);
        }
        if (walk_find(answer->body, "retry_after", &value) == BUS_OK &&
            walk_as_uint(value, &retry_after) == BUS_OK && retry_after <= UINT32_MAX) {
            error.retry_after_s = (unsigned) retry_after;
        }
    }
    if (answer->err == BUS_NO_RESPONDERS || answer->err == BUS_ABORTED) {
        error = (bridge_error_t){.err = BUS_SERVICE_UNAVAILABLE,
                                 .message = VIEW_LITERAL("the service is not there")};
    }
    BUS_AUTO(pack_destroy) pack_t *extra = pack_new();
    if (answer->event == CLIENT_REPLIED) {
        bridge_answer_pack_extra(answer->body, 0, extra);
        error.extra = pack_view(extra);
    }
    bridge_answer_error(self, &error);
}
