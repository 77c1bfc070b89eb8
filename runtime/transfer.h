// transfer.h - requests to servers outside, over HTTP and SMTP: libcurl's multi interface in the
// loop. Many at once, none holds up another, each with its own deadline.
//
// Owner: one thread, the loop's. Nothing here blocks; names are resolved by libcurl's own thread.
// Redirects are not followed, other protocols are refused, certificates are verified. Secrets go
// into the request alone: never into `why`, never into a log.
#pragma once
#include "loop.h"
#include "proto/auto.h"
#include "proto/error.h"
#include "proto/view.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct transfers transfers_t; // all that are under way

enum {
    TRANSFER_MAX = 512,            // under way at once: each may hold an answer in memory
    TRANSFER_HEADERS_MAX = 16,     // of a request
    TRANSFER_RECIPIENTS_MAX = 16,  // of a mail
    TRANSFER_ANSWER_MAX = 1 << 20, // bytes of an answer where the request names no other limit
    TRANSFER_WHY_SIZE = 256,       // bytes of `why`, with its NUL
};

transfers_t *transfer_pool_new(loop_t *loop);
// Ends what is under way without calling anybody.
void transfer_pool_destroy(transfers_t **self_p);
// How many are under way.
size_t transfer_pool_count(const transfers_t *self);

// Everything is copied. Texts must have no line ends (BUS_VALIDATION_FAILED): they would become
// headers or commands of their own.
typedef struct {
    const char *url;            // http, https, smtp or smtps
    const char *const *headers; // "Name: value"
    size_t header_count;
    bus_view_t body;    // of a POST, or a whole mail with its headers and CRLF; absent: GET
    const char *bearer; // Authorization: Bearer; NULL: none
    const char *user;   // SMTP's login; NULL: none. With it the connection must be encrypted
    const char *password;
    const char *mail_from; // SMTP's envelope
    const char *const *mail_to;
    size_t mail_to_count;
    const char *ca_file; // certificates to trust instead of the system's; NULL: the system's
    bool is_once; // HTTP: the server must not hear it twice, so it gets a connection of its own:
                  // where one that served before breaks off, libcurl asks again by itself
    unsigned timeout_ms;    // of all of it, from now; above 0
    size_t answer_size_max; // bytes; 0: TRANSFER_ANSWER_MAX
} transfer_request_t;

typedef struct {
    bus_err_t err; // BUS_OK: it was answered, with whatever status. BUS_TIMEOUT;
                   // BUS_SERVICE_UNAVAILABLE: no connection, so nothing was asked; BUS_IO: it broke
                   // off; BUS_PAYLOAD_TOO_LARGE: the answer is; BUS_UNAUTHENTICATED: the login was
                   // refused
    bool was_sent; // some of the request went out: it may have had its effect
    int status;    // HTTP's, or the last of SMTP's; 0: none
    bus_view_t body; // valid during the call
    const char *why; // for a person; "" for BUS_OK
    uint64_t duration_us;
} transfer_answer_t;
typedef void(transfer_fn)(void *arg, const transfer_answer_t *answer);

// Starts one; `fn` is called once, later, from the loop. *ret_id is above 0. BUS_BUSY where
// TRANSFER_MAX are under way, BUS_VALIDATION_FAILED.
BUS_CHECK bus_err_t transfer_start(transfers_t *self,
                                   const transfer_request_t *request,
                                   transfer_fn *fn,
                                   void *arg,
                                   uint64_t *ret_id);
// Ends it; `fn` is not called. Nothing where it has ended.
void transfer_cancel(transfers_t *self, uint64_t id);
