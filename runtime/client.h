// client.h - a peer's end of the bus: publish, request, subscribe, fetch, answer.
//
// Owner: the loop's thread; everything is asynchronous and nothing blocks. One PUSH up; one SUB for
// the inbox alone and another for topics (docs/protocol.md section 1). A message with an answer
// waits for the welcome, and is sent again (same id, same pseq) after each later welcome, so it
// survives a broker that dies, and is applied once. Queues are bounded: one over is BUS_BUSY to its
// sender.
//
// Publishing with an ack goes through one pseq stream of the client's own (a fresh UUID, or "" and
// a stored counter for an outbox, see client_outbox_*): in order, without gaps, go-back-N on a
// refusal.
#pragma once
#include "cert.h"
#include "loop.h"
#include "proto/auto.h"
#include "proto/error.h"
#include "proto/header.h"
#include "proto/pack.h"
#include "proto/view.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct client client_t;

typedef struct {
    const char *source;  // who speaks: 1 to 64 bytes
    const char *ingress; // the broker's PULL, e.g. tcp://127.0.0.1:5550
    const char *egress;  // the broker's XPUB
    const char *service; // answers req.<service>.*, and says hello; NULL: does not
    size_t pending_max;  // answers waited for, at most INBOX_OUTSTANDING_MAX; 0: that
    const cert_t *cert;  // who speaks on tcp, by CURVE: its name goes before `source`, since the
                         // broker says so whatever is claimed; borrowed for life; NULL: plain
    uint64_t started_ms; // clock_boot_ms of its start, of which hello tells; 0: its process's
} client_options_t;

// NULL where an endpoint makes no sense to ZeroMQ, or the source cannot be part of a topic. None of
// its functions may destroy it from within a call of its own.
client_t *client_new(loop_t *loop, const client_options_t *options);
// Says bye where it said hello. What is unanswered gets BUS_ABORTED.
void client_destroy(client_t **self_p);

// --- Being connected ---------------------------------------------------------------------------

typedef struct {
    const char *epoch; // the journal's identity; valid until the next welcome
    const char *boot;
    uint64_t head;
    bool again; // not the first: the broker is new or the connection was
} client_welcome_t;
typedef void(client_welcome_fn)(void *arg, const client_welcome_t *welcome);
// Called at every welcome, before anything unanswered is sent again.
void client_on_welcome(client_t *self, client_welcome_fn *fn, void *arg);
// Whether a welcome came and the connection has not been seen to break since.
bool client_is_connected(const client_t *self);
// Whether there is a connection to a broker whose welcome has not come yet.
bool client_is_awaiting_welcome(client_t *self);
// Whether the broker has not known our certificate, and there was no welcome since.
bool client_is_refused(const client_t *self);
// The head of the journal as last heard (welcome, acks, fetches).
uint64_t client_head(const client_t *self);
const char *client_instance(const client_t *self);
const char *client_inbox(const client_t *self);

// --- Saying ------------------------------------------------------------------------------------

typedef enum {
    CLIENT_ACKED,   // durable; more comes where a reply is awaited
    CLIENT_REPLIED, // the owner's reply: err is BUS_OK, or what its error_code says. The last call.
    CLIENT_FAILED   // refused by the broker, NO_RESPONDERS, TIMEOUT, ABORTED. The last call.
} client_event_t;

typedef struct {
    client_event_t event;
    bus_err_t err;
    uint64_t seq; // of the journaled message, once known; 0 for live
    uint64_t at;
    uint64_t first; // of a batch
    uint64_t count;
    bool duplicate;
    bus_view_t body; // the answer's body, valid during the call; absent for TIMEOUT and ABORTED
} client_answer_t;
// After an event that is final (CLIENT_ACKED without CLIENT_WANT_REPLY counts) the call is
// forgotten.
typedef void(client_answer_fn)(void *arg, const client_answer_t *answer);

typedef enum {
    CLIENT_WANT_NOTHING = 0,
    CLIENT_WANT_ACK = 1,  // once durable
    CLIENT_WANT_REPLY = 2 // the owner's, too: a request, or a journaled command
} client_want_t;

typedef struct {
    const char *topic;
    bus_view_t body;     // whole msgpack; copied
    const char *id;      // NULL: made
    bus_view_t trace_id; // optional
    bus_view_t idem;     // optional
    unsigned want;       // of client_want_t
    unsigned timeout_ms; // of the last answer; 0: 2,000 for requests, none for the rest
} client_message_t;

// Sends, or keeps until the broker is there where an answer is wanted. `fn` may be NULL where
// nothing is wanted. *ret_call (may be NULL) names the call for client_cancel.
// BUS_BUSY: pending_max, or without an answer the socket's high-water mark, is reached.
// BUS_PAYLOAD_TOO_LARGE, BUS_INVALID_TOPIC: nothing was sent. BUS_CONFLICT: a call with this id is
// waiting; one whose caller has given up while it was on its way goes on as this one.
BUS_CHECK bus_err_t client_send(client_t *self,
                                const client_message_t *message,
                                client_answer_fn *fn,
                                void *arg,
                                uint64_t *ret_call);
// Between the two what client_send takes is kept, and then sent in one go: each message that is
// sent by itself wakes libzmq's thread, here and at the broker. Not nested, and for one turn of the
// loop.
void client_hold(client_t *self);
void client_release(client_t *self);
// Forgets the call: its function is not called again. The message may still take effect.
void client_cancel(client_t *self, uint64_t call);
// How many calls await an answer.
size_t client_pending(const client_t *self);

// --- Hearing -----------------------------------------------------------------------------------

// Views are valid during the call.
typedef struct {
    bus_view_t topic;
    bus_view_t header_bytes;
    header_t header;
    bus_view_t body;
} client_heard_t;
typedef void(client_heard_fn)(void *arg, const client_heard_t *heard);

// Subscribes to a pattern (topic.h). Live: what a slow reader misses is gone, and `prev` shows it.
BUS_CHECK bus_err_t client_subscribe(client_t *self,
                                     const char *pattern,
                                     client_heard_fn *fn,
                                     void *arg);
// Calls nothing with `arg` any more. What is heard for it still arrives, and its patterns still
// count: for one who goes before the client does.
void client_unsubscribe(client_t *self, const void *arg);

// Requests handed to this instance (options.service): header.topic is what was asked.
void client_on_request(client_t *self, client_heard_fn *fn, void *arg);
// Answers a request or a journaled command: to header.reply_to, with header.id as `re`, its
// trace_id carried on. Does nothing where there is no reply_to. Best effort: counted where the
// queue is full.
void client_reply(client_t *self, const header_t *asked, bus_err_t err, bus_view_t body);

// --- Reading the journal -----------------------------------------------------------------------

enum { CLIENT_FILTERS_MAX = 32 };

typedef struct {
    const char *consumer;
    const char *const *filters;
    size_t filter_count;
    const char *trace_id; // only records of this trace; NULL or "": of any
    uint64_t from;
    uint64_t ack;
    uint32_t max;       // 0: the broker's default
    uint32_t max_bytes; // 0: the broker's default
    uint32_t wait_ms;
} client_fetch_t;

typedef struct {
    bus_err_t err; // BUS_TRIMMED, BUS_AHEAD, BUS_TIMEOUT, BUS_ABORTED …
    bus_view_t epoch;
    uint64_t first, next, head;
    uint64_t damaged;   // of BUS_CORRUPT: the seq of the record, where the broker named it; else 0
    bus_view_t records; // one msgpack array of [topic, header, body]; valid during the call
    uint32_t count;
} client_page_t;
typedef void(client_page_fn)(void *arg, const client_page_t *page);

// One fetch in flight: a second is BUS_BUSY. Sent again after a welcome, and where no answer came
// within wait_ms + 2 s.
BUS_CHECK bus_err_t client_fetch(client_t *self,
                                 const client_fetch_t *fetch,
                                 client_page_fn *fn,
                                 void *arg);
// Forgets the fetch in flight, if there is one: its function is not called.
void client_fetch_cancel(client_t *self);

// The next record of a page. BUS_NOT_FOUND at the end.
typedef struct {
    bus_view_t bytes; // rest of the array
    uint32_t left;
} client_records_t;
client_records_t client_records(const client_page_t *page);
BUS_CHECK bus_err_t client_next_record(client_records_t *self, client_heard_t *ret_record);

// --- An outbox ---------------------------------------------------------------------------------

// Where the broker says that stream "" of this source stands, with each hello.
typedef struct {
    uint64_t pseq; // 0: none
    uint64_t cause_seq, cause_n;
} client_outbox_t;
typedef void(client_outbox_fn)(void *arg, const client_outbox_t *where);
// Called with the answer of every hello (so after each welcome).
void client_on_hello(client_t *self, client_outbox_fn *fn, void *arg);
// Publishes one message of the outbox, encoded by its owner (header with id, source, pseq, cause;
// without reply_to and ack, which are added). Acks come to `fn` set by client_on_outbox_ack: all up
// to `pseq` are durable, or `err` and the pseq to go on from. The owner resends.
BUS_CHECK bus_err_t client_outbox_send(client_t *self,
                                       bus_view_t topic,
                                       const header_t *header,
                                       bus_view_t body);
typedef void(client_outbox_ack_fn)(void *arg, bus_err_t err, uint64_t pseq);
void client_on_outbox_ack(client_t *self, client_outbox_ack_fn *fn, void *arg);

typedef struct {
    uint64_t sent, resent, answered, timeouts, refused, orphans, welcomes;
} client_stats_t;
void client_stats(const client_t *self, client_stats_t *ret_stats);
