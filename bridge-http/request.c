// request.c - a request's life: its head is guarded, its body gathered, its route found; then it is
// handed to one handler, and waits suspended where that asks the bus.
#include "request.h"
#include "admit.h"
#include "answer.h"
#include "ask.h"
#include "guard.h"
#include "link.h"
#include "origin.h"
#include "params.h"
#include "proto/limits.h"
#include "proto/transcode.h"
#include "proto/walk.h"
#include "runtime/clock.h"
#include "scope.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { JSON_MESSAGE_SIZE = 160, IDEM_KEY_SIZE_MAX = 255 };

bus_view_t
bridge_request_header(const bridge_request_t *self, const char *name)
{
    const char *value = NULL;
    size_t size = 0;
    if (MHD_lookup_connection_value_n(
            self->http, MHD_HEADER_KIND, name, strlen(name), &value, &size) != MHD_YES ||
        value == NULL) {
        return VIEW_NONE;
    }
    while (size > 0 && (value[size - 1] == ' ' || value[size - 1] == '\t')) {
        size--;
    }
    return view_from(value, size);
}

bool
bridge_request_hold(bridge_request_t *self, size_t size)
{
    if (self->bridge->held_bytes + size > BRIDGE_HELD_BYTES_MAX) {
        return false;
    }
    self->bridge->held_bytes += size;
    self->held_bytes += size;
    return true;
}

// --- Arriving -----------------------------------------------------------------------------------

void *
bridge_request_begin(void *arg, const char *target, struct MHD_Connection *http)
{
    bridge_port_t *port = arg;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(http, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    bridge_request_t *self = calloc(1, sizeof(*self));
    assert(self != NULL && info != NULL && info->socket_context != NULL);
    self->bridge = port->bridge;
    self->port = port;
    self->http = http;
    self->link = info->socket_context;
    self->started_us = clock_boot_us();
    self->target = strdup(target);
    assert(self->target != NULL);
    self->path = bridge_path_split(view_from_text(self->target));
    bridge_link_enter(self->link, BRIDGE_LINK_RECEIVING);
    return self;
}

static enum MHD_Result
note_header(void *arg,
            enum MHD_ValueKind kind BUS_UNUSED,
            const char *name,
            size_t name_size,
            const char *value,
            size_t value_size)
{
    bridge_guard_head_t *head = arg;
    if (head->count < BRIDGE_GUARD_HEADERS_MAX) {
        head->headers[head->count] =
            (bridge_guard_header_t){.name = view_from(name, name_size),
                                    .value = view_from(value == NULL ? "" : value, value_size)};
    }
    head->count++;
    return MHD_YES;
}

static void
refuse_at_door(bridge_request_t *self, const bridge_guard_verdict_t *verdict)
{
    bus_err_t err = BUS_MALFORMED_MESSAGE;
    if (verdict->status == MHD_HTTP_CONTENT_TOO_LARGE) {
        err = BUS_PAYLOAD_TOO_LARGE;
    } else if (verdict->status == MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE) {
        err = BUS_HEADERS_TOO_LARGE;
    } else if (verdict->status == MHD_HTTP_SERVICE_UNAVAILABLE) {
        err = BUS_BUSY;
    } else if (verdict->status == MHD_HTTP_FORBIDDEN) {
        err = BUS_FORBIDDEN;
    }
    self->state = BRIDGE_REQUEST_REFUSED;
    if (self->bridge->tls.cert != NULL) {
        self->refused_err = err;
        self->refused_status = verdict->status;
        self->refused_why = verdict->why;
    }
    bridge_link_refuse(self->link, err, verdict->status, verdict->why);
}

// Whether it may be called by any name: where a token is asked for, a page that had our name
// rebound has none to send.
static bool
may_be_any_host(const bridge_t *bridge)
{
    return bridge->options->allow_anonymous || bridge->tokens != NULL;
}

bool
bridge_request_is_trusted(const bridge_request_t *self)
{
    return bridge_origin_is_trusted(bridge_request_header(self, "Origin"),
                                    bridge_request_header(self, "Host"),
                                    may_be_any_host(self->bridge));
}

// Web pages from elsewhere may not say anything here. Not audited: any page could fill the journal.
static void
refuse_strange_pages(bridge_request_t *self)
{
    bool reads = strcmp(self->method, "GET") == 0 || strcmp(self->method, "HEAD") == 0;
    bridge_guard_verdict_t verdict = {.status = MHD_HTTP_FORBIDDEN};
    if (!may_be_any_host(self->bridge) &&
        !bridge_origin_is_local(bridge_request_header(self, "Host"))) {
        verdict.why = "Host is not this machine: use localhost, 127.0.0.1 or [::1]";
        refuse_at_door(self, &verdict);
    } else if (!reads && !bridge_request_is_trusted(self)) {
        verdict.why = "Origin is a web page from elsewhere, which may not write here";
        refuse_at_door(self, &verdict);
    }
}

// The head is here. `method` and `version` point into it.
static void
guard(bridge_request_t *self, const char *method, const char *version)
{
    (void) snprintf(self->method, sizeof(self->method), "%s", method);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(self->http, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    bridge_guard_head_t head = {.method = view_from_text(method),
                                .target = view_from_text(self->target),
                                .version = view_from_text(version),
                                .block = view_from(method, info == NULL ? 0 : info->header_size)};
    (void) MHD_get_connection_values_n(self->http, MHD_HEADER_KIND, note_header, &head);
    bridge_guard_verdict_t verdict = bridge_guard_check(&head);
    if (!verdict.ok) {
        refuse_at_door(self, &verdict);
        return;
    }
    refuse_strange_pages(self);
    bridge_admit_identify(self);
}

static void
gather(bridge_request_t *self, const char *upload, size_t size)
{
    if (self->state == BRIDGE_REQUEST_REFUSED || !bridge_admit_wants_body(self)) {
        return;
    }
    if (self->raw == NULL) {
        self->raw = text_new();
    }
    if (text_view(self->raw).size + size > BRIDGE_GUARD_BODY_SIZE_MAX) {
        refuse_at_door(self,
                       &(bridge_guard_verdict_t){.status = MHD_HTTP_CONTENT_TOO_LARGE,
                                                 .why = "the body is over 1 MiB"});
        return;
    }
    if (!bridge_request_hold(self, size)) {
        refuse_at_door(self,
                       &(bridge_guard_verdict_t){.status = MHD_HTTP_SERVICE_UNAVAILABLE,
                                                 .why = "too many bodies at once"});
        return;
    }
    text_add(self->raw, view_from(upload, size));
}

// --- Being handled ------------------------------------------------------------------------------

// Reads the body. False: it answered.
static bool
read_body(bridge_request_t *self)
{
    bus_view_t raw = self->raw == NULL ? VIEW_NONE : text_view(self->raw);
    self->json = pack_new();
    char message[JSON_MESSAGE_SIZE] = "";
    if (raw.size == 0) {
        pack_map(self->json, 0); // so that the answer names what is missing
    } else if (transcode_from_json(raw, self->json, message, sizeof(message)) != BUS_OK) {
        bridge_answer_error(self,
                            &(bridge_error_t){.err = BUS_MALFORMED_JSON,
                                              .message = walk_utf8(view_from_text(message))
                                                             ? view_from_text(message)
                                                             : VIEW_NONE});
        return false;
    }
    text_destroy(&self->raw);
    self->body = pack_view(self->json);
    walk_t walk = walk_from(self->body);
    walk_item_t item;
    if (walk_next(&walk, &item) != BUS_OK || item.type != WALK_MAP) {
        self->body = VIEW_NONE;
        bridge_answer_invalid(self, "", "the body must be an object");
        return false;
    }
    if (self->body.size > BODY_SIZE_MAX) {
        bridge_answer_refuse(self, BUS_PAYLOAD_TOO_LARGE, "the encoded message is over 1 MiB");
        return false;
    }
    return true;
}

static bus_view_t
body_text(const bridge_request_t *self, const char *path)
{
    bus_view_t value, text;
    if (self->body.data == NULL || walk_find_path(self->body, path, &value) != BUS_OK ||
        walk_as_str(value, &text) != BUS_OK) {
        return VIEW_NONE;
    }
    return text;
}

// The body's trace_id wins, also where it is that of the event in it.
const char *
bridge_request_trace(bridge_request_t *self)
{
    if (self->trace_id[0] != '\0') {
        return self->trace_id;
    }
    static const char *const paths[] = {"trace_id", "event_data.trace_id", "data.trace_id"};
    bus_view_t body = VIEW_NONE;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]) && body.data == NULL; i++) {
        body = body_text(self, paths[i]);
    }
    bridge_trace_choose(body,
                        bridge_request_header(self, "X-Trace-Id"),
                        bridge_request_header(self, "traceparent"),
                        self->trace_id);
    return self->trace_id;
}

// Who it is: its identity, and as far as that can be said without credentials one of the few names
// that mean something, else the address.
static void
name_caller(bridge_request_t *self)
{
    static const char *const known[] = {
        "bhiv_core", "workflow_executor", "unified_action_orchestrator"};
    if (self->identity.is_set) {
        (void) snprintf(self->caller, sizeof(self->caller), "%s", self->identity.role);
        return;
    }
    bus_view_t claimed = body_text(self, "requester_id");
    if (claimed.data == NULL) {
        claimed = bridge_request_header(self, "X-Requester-Id");
    }
    const char *name = self->link->address;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        name = view_is(claimed, known[i]) ? known[i] : name;
    }
    (void) snprintf(self->caller, sizeof(self->caller), "%s", name);
}

// Takes what it costs from the bucket of its caller at its address; from those of the identity,
// wherever it is, and of the address, whoever they are, where there is an identity.
static bridge_limit_verdict_t
take_from_limits(const bridge_request_t *self)
{
    bridge_limit_t *limit = self->bridge->limit;
    bridge_limit_kind_t kind =
        self->route->method == BRIDGE_GET ? BRIDGE_LIMIT_READ : BRIDGE_LIMIT_WRITE;
    char key[BRIDGE_REQUEST_CALLER_SIZE + BRIDGE_LINK_ADDRESS_SIZE + 1];
    bool is_known = self->identity.is_set;
    (void) snprintf(
        key, sizeof(key), "%s %s", is_known ? "identity" : self->link->address, self->caller);
    bridge_limit_verdict_t verdict =
        bridge_limit_take(limit, view_from_text(key), kind, self->started_us);
    if (is_known && verdict.allowed) {
        bridge_limit_verdict_t address =
            bridge_limit_take(limit, view_from_text(self->link->address), kind, self->started_us);
        verdict = address.remaining < verdict.remaining || !address.allowed ? address : verdict;
    }
    return verdict;
}

// False: it answered 429.
static bool
is_within_limits(bridge_request_t *self)
{
    if (self->bridge->limit == NULL) {
        return true;
    }
    bridge_limit_verdict_t verdict = take_from_limits(self);
    bridge_answer_header(self, "RateLimit-Limit", "%u", verdict.limit);
    bridge_answer_header(self, "RateLimit-Remaining", "%u", verdict.remaining);
    bridge_answer_header(self, "RateLimit-Reset", "%u", verdict.reset_s);
    if (!verdict.allowed) {
        bridge_answer_error(self,
                            &(bridge_error_t){.err = BUS_RATE_LIMIT_EXCEEDED,
                                              .retry_after_s = verdict.retry_after_s});
    }
    return verdict.allowed;
}

void
bridge_request_idem(const bridge_request_t *self, char *ret_text)
{
    bus_view_t key = bridge_request_header(self, "Idempotency-Key");
    ret_text[0] = '\0';
    if (key.data != NULL && self->route->method == BRIDGE_POST) {
        (void) snprintf(
            ret_text, IDEM_SIZE_MAX + 1, "%s|%.*s", self->caller, (int) key.size, key.data);
    }
}

// False: it answered 422.
static bool
has_good_idem(bridge_request_t *self)
{
    bus_view_t key = bridge_request_header(self, "Idempotency-Key");
    if (key.data == NULL || self->route->method != BRIDGE_POST) {
        return true;
    }
    bool good = key.size > 0 && key.size <= IDEM_KEY_SIZE_MAX;
    for (size_t i = 0; i < key.size && good; i++) {
        good = key.data[i] >= ' ' && key.data[i] < 0x7f;
    }
    if (!good) {
        bridge_answer_invalid(self, "Idempotency-Key", "must be 1 to 255 printable characters");
    }
    return good;
}

static void
dispatch(bridge_request_t *self)
{
    self->state = BRIDGE_REQUEST_WORKING;
    self->bridge->active++;
    bridge_route_match_t match = bridge_route_find(self->port->id, self->method, self->path.path);
    self->route = match.route;
    self->params = match.params;
    char allow[96];
    bridge_route_allow(match.methods, allow, sizeof(allow));
    if (match.methods == 0) {
        bridge_answer_refuse(self, BUS_NOT_FOUND, "nothing is served under this path");
        return;
    }
    if (strcmp(self->method, "OPTIONS") == 0) {
        bridge_answer_header(self, "Allow", "%s", allow);
        bridge_answer_header(self, "Access-Control-Allow-Methods", "%s", allow);
        bridge_answer_header(self,
                             "Access-Control-Allow-Headers",
                             "Authorization, Content-Type, Idempotency-Key, X-Trace-Id, "
                             "X-Requester-Id, X-Client-Timestamp, traceparent");
        bridge_answer_header(self, "Access-Control-Max-Age", "600");
        bridge_answer_empty(self, MHD_HTTP_NO_CONTENT);
        return;
    }
    if (self->route == NULL) {
        bridge_answer_header(self, "Allow", "%s", allow);
        bridge_answer_refuse(self, BUS_METHOD_NOT_ALLOWED, NULL);
        return;
    }
    if (!bridge_admit_enter(self) || (self->route->body != NULL && !read_body(self))) {
        return;
    }
    name_caller(self);
    if (is_within_limits(self) && has_good_idem(self) && bridge_admit_bind(self) &&
        bridge_params_may(self) && !bridge_scope_looks(self)) {
        self->route->handler(self);
    }
}

// --- libmicrohttpd's calls ----------------------------------------------------------------------

static enum MHD_Result
hand_over(bridge_request_t *self)
{
    self->state = BRIDGE_REQUEST_SENT;
    bridge_link_enter(self->link, self->is_stream ? BRIDGE_LINK_STREAMING : BRIDGE_LINK_SENDING);
    enum MHD_Result result =
        MHD_queue_response(self->http, (unsigned) self->status, self->response);
    MHD_destroy_response(self->response);
    self->response = NULL;
    return result;
}

// Over TLS a refusal at the door goes the way of every answer, once what the client sends is
// swallowed; the link is cut where that takes long.
static enum MHD_Result
hand_refusal_over(bridge_request_t *self)
{
    if (self->refused_why == NULL) {
        return MHD_NO; // it was told; this closes the connection
    }
    const bridge_error_t error = {.err = self->refused_err,
                                  .status = self->refused_status,
                                  .message = view_from_text(self->refused_why)};
    self->refused_why = NULL;
    self->state = BRIDGE_REQUEST_WORKING;
    self->bridge->active++;
    self->must_close = true;
    self->path.path = VIEW_LITERAL(""); // what came is not to be trusted, nor repeated
    bridge_answer_error(self, &error);
    return hand_over(self);
}

// libmicrohttpd's shape, not ours.
// NOLINTBEGIN(readability-function-size)
enum MHD_Result
bridge_request_access(void *port BUS_UNUSED,
                      struct MHD_Connection *http,
                      const char *url BUS_UNUSED,
                      const char *method,
                      const char *version,
                      const char *upload,
                      size_t *upload_size,
                      void **request_p)
{
    bridge_request_t *self = *request_p;
    if (self->method[0] == '\0') {
        guard(self, method, version);
        return MHD_YES;
    }
    if (*upload_size > 0) {
        gather(self, upload, *upload_size);
        *upload_size = 0;
        return MHD_YES;
    }
    if (self->state == BRIDGE_REQUEST_REFUSED) {
        return hand_refusal_over(self);
    }
    if (self->state == BRIDGE_REQUEST_ARRIVING) {
        bridge_link_enter(self->link, BRIDGE_LINK_WORKING);
        dispatch(self);
    }
    if (self->state == BRIDGE_REQUEST_ANSWERED) {
        return hand_over(self);
    }
    self->is_suspended = true;
    MHD_suspend_connection(http);
    return MHD_YES;
}

// NOLINTEND(readability-function-size)

void
bridge_request_end(void *port BUS_UNUSED,
                   struct MHD_Connection *http BUS_UNUSED,
                   void **request_p,
                   enum MHD_RequestTerminationCode why BUS_UNUSED)
{
    bridge_request_t *self = *request_p;
    if (self == NULL) {
        return;
    }
    *request_p = NULL;
    bridge_ask_cancel(self);
    if (self->state == BRIDGE_REQUEST_WORKING) {
        self->bridge->active--;
    }
    if (self->response != NULL) {
        MHD_destroy_response(self->response);
    }
    if (self->state_free != NULL) {
        self->state_free(self->state_data);
    }
    bridge_link_enter(self->link, BRIDGE_LINK_IDLE);
    self->bridge->held_bytes -= self->held_bytes;
    text_destroy(&self->raw);
    pack_destroy(&self->json);
    free(self->target);
    free(self);
}
