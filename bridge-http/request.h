// request.h - one HTTP request: what came, who sent it, what is to be answered.
//
// Owner: libmicrohttpd's connection, from the request line to the end of the answer. A handler is
// called once, with everything there; it answers, or it asks the bus (ask.h) and returns.
#pragma once
#include "identity.h"
#include "path.h"
#include "proto/pack.h"
#include "proto/text.h"
#include "route.h"
#include "server.h"
#include "trace.h"

enum {
    BRIDGE_REQUEST_HEADERS_MAX = 10, // of our own in one answer
    BRIDGE_REQUEST_CALLER_SIZE = 112 // an address and a requester
};

typedef enum {
    BRIDGE_REQUEST_ARRIVING,
    BRIDGE_REQUEST_REFUSED, // at the door; what still comes is swallowed
    BRIDGE_REQUEST_WORKING,
    BRIDGE_REQUEST_ANSWERED, // an answer was made
    BRIDGE_REQUEST_SENT      // and handed to libmicrohttpd
} bridge_request_state_t;

typedef struct {
    const char *name;
    char value[128];
} bridge_request_header_t;

typedef void(bridge_then_fn)(bridge_request_t *self, const client_answer_t *answer);

struct bridge_request {
    bridge_t *bridge;
    bridge_port_t *port;
    bridge_link_t *link;
    struct MHD_Connection *http;
    bridge_request_state_t state;
    uint64_t started_us;
    char *target;                            // as it came
    char method[16];                         // cut there: none of ours is longer
    bridge_path_t path;                      // into `target`
    const bridge_route_t *route;             // NULL: none fits
    bridge_path_params_t params;             // into `target`
    bridge_identity_t identity;              // not set where no tokens are asked for
    bool was_looked_at;                      // what it asks for is in its sight (scope.h)
    text_t *raw;                             // the body as it came
    pack_t *json;                            // the body as msgpack: one map
    bus_view_t body;                         // of `json`; absent where the route takes none
    char trace_id[BRIDGE_TRACE_TEXT_SIZE];   // "": not chosen yet
    char caller[BRIDGE_REQUEST_CALLER_SIZE]; // for rate limits and idempotency keys
    uint64_t held_bytes;                     // its part of the bridge's
    // The answer.
    int status;
    struct MHD_Response *response;
    bridge_request_header_t headers[BRIDGE_REQUEST_HEADERS_MAX];
    size_t header_count;
    bool is_stream; // the answer has no end
    bool is_suspended;
    bool must_close; // Connection: close
    // Of a refusal at the door, where it could not be said past libmicrohttpd.
    bus_err_t refused_err;
    int refused_status;
    const char *refused_why; // NULL: none is to be answered
    // What it asked the bus (ask.c).
    bridge_request_t *next_waiting, *prev_waiting; // for the broker
    bool is_waiting, waits_with_idem;
    uint64_t deadline_us; // of all that it asks
    uint64_t call;        // 0: none
    uint64_t seq;         // where it was journaled; 0: not known
    unsigned kind;        // of bridge_ask_kind_t
    char message_id[40];
    char *topic;
    pack_t *message;
    bridge_then_fn *then;
    bridge_then_fn *late;
    void *state_data; // the handler's own
    void (*state_free)(void *data);
};

// --- libmicrohttpd's callbacks (server.c installs them) -----------------------------------------

void *bridge_request_begin(void *port, const char *target, struct MHD_Connection *http);
enum MHD_Result bridge_request_access(void *port,
                                      struct MHD_Connection *http,
                                      const char *url,
                                      const char *method,
                                      const char *version,
                                      const char *upload,
                                      size_t *upload_size,
                                      void **request_p);
void bridge_request_end(void *port,
                        struct MHD_Connection *http,
                        void **request_p,
                        enum MHD_RequestTerminationCode why);

// --- For handlers -------------------------------------------------------------------------------

// Accounts for memory that is kept until the request's end. False: there is too much of it.
bool bridge_request_hold(bridge_request_t *self, size_t size);

// A header of the request, or an absent view. Valid as long as the request.
bus_view_t bridge_request_header(const bridge_request_t *self, const char *name);

// Whether it was made by no web page, or by one that may read and write here (origin.h).
bool bridge_request_is_trusted(const bridge_request_t *self);

// The trace that it belongs to, chosen when first asked for: once the body is read, or without it
// where it is refused before.
const char *bridge_request_trace(bridge_request_t *self);

// The Idempotency-Key with its caller, as the bus carries it, into `ret_text` of IDEM_SIZE_MAX + 1
// bytes; "" without one.
void bridge_request_idem(const bridge_request_t *self, char *ret_text);
