// client_self.h - what a client is made of, for its .c files alone; the loop's thread.
//
// client.c has its life, the welcome and the calls; client_answer.c what comes to the inbox;
// client_fetch.c, client_hello.c, client_outbox.c and client_subscribe.c one conversation each;
// client_refused.c a broker that does not know us;
// client_link.c the sockets, client_call.c the table of calls, client_stream.c the numbered window.
#pragma once
#include "client.h"
#include "client_call.h"
#include "client_link.h"
#include "client_stream.h"
#include "id.h"
#include "identity.h"

enum {
    CLIENT_TICK_MS = 20,     // how late a deadline may be; only while something is waited for
    CLIENT_DRAIN_MAX = 1000, // messages a wake-up, so that the loop gets round
    CLIENT_DRAIN_US = 50000, // and as long: a question may take milliseconds, and a beat is due
    CLIENT_SUBSCRIPTIONS_MAX = 256, // patterns: each is tried on each message
    CLIENT_OUTBOX_MAX = 1024,       // of an outbox in flight; its owner keeps to 1,000
    CLIENT_REFUSED_MS = 1000,       // until a broker that does not know us is asked again
    CLIENT_ASK_AGAIN_MS = 1000,     // after a welcome, for replies that are on their way anyway
};

// One fetch. It is active from client_fetch to its answer.
typedef struct {
    bool is_active;
    bool is_unsent; // the queue was full
    char id[ID_TEXT_SIZE];
    pack_t *body; // encoded
    client_page_fn *fn;
    void *arg;
    int timer; // sends it again; 0: none
} client_fetch_state_t;

// Being known to the broker.
typedef struct {
    bool is_said;     // once: there is a bye to say
    bool is_answered; // since the last welcome
    char id[ID_TEXT_SIZE];
    uint64_t started_ms; // as it was given; 0: the process's start
    double boot_ms;      // when it was said first
    identity_t identity; // read then
    int timer;           // the beat; 0: none
    client_outbox_fn *fn;
    void *arg;
} client_hello_state_t;

// A message of the outbox that is on its way.
typedef struct {
    uint64_t pseq; // 0: free
    uint64_t hash; // of its id
} client_outbox_slot_t;

typedef struct {
    client_outbox_slot_t slots[CLIENT_OUTBOX_MAX]; // by pseq modulo their number
    client_outbox_ack_fn *fn;
    void *arg;
} client_outbox_state_t;

typedef struct {
    char *pattern;
    client_heard_fn *fn;
    void *arg;
} client_subscription_t;

struct client {
    loop_t *loop;  // borrowed
    char *source;  // who speaks
    char *ingress; // the broker's PULL
    char *egress;  // the broker's XPUB
    char *service; // what it answers for; NULL: says no hello
    char instance[ID_TEXT_SIZE];
    char inbox[NAME_SIZE_MAX + 1];
    client_link_t link;

    bool is_connected; // welcomed, and not seen to break since
    bool is_closing;   // nothing is taken any more
    bool is_held;      // between client_hold and client_release
    uint64_t head;     // of the journal, as last heard
    client_welcome_fn *welcome_fn;
    void *welcome_arg;
    client_heard_fn *request_fn;
    void *request_arg;

    client_call_table_t *calls;
    client_stream_t stream; // journaled messages that are not acked
    client_queue_t plain;   // requests and acked live messages
    client_queue_t waiting; // commands that are durable and await a reply
    uint64_t ask_again_ms;  // when commands without a reply are said again; 0: none
    int tick;               // the timer; 0: nothing to wait for
    int again;              // the timer until we ask a broker that refused us again; 0: none
    bool is_refused;        // that was said

    client_fetch_state_t fetch;
    client_hello_state_t hello;
    client_outbox_state_t outbox;
    client_subscription_t *subscriptions;
    size_t subscription_count;

    pack_t *header; // scratch, for one message
    pack_t *body;   // scratch, for one message of our own
    client_stats_t stats;
};

// Sends one message with this header, or returns BUS_BUSY. client.c
BUS_CHECK bus_err_t client_send_raw(client_t *self,
                                    bus_view_t topic,
                                    const header_t *header,
                                    bus_view_t body);
// Sends what may be sent now, and sees to the timer. client.c
void client_pump(client_t *self);
// Ends the call, removed from its queue before, and tells its caller. client.c
void client_finish(client_t *self, client_call_t *call, client_answer_t *answer);
// Everything unanswered goes again. client.c
void client_resend(client_t *self);

// What is to be read on the inbox. client_answer.c
void client_answer_readable(void *arg);

// client_fetch.c
void client_fetch_resend(client_t *self);
// Whether the answer was the fetch's.
bool client_fetch_answered(client_t *self, const header_t *header, bus_view_t body);
void client_fetch_abort(client_t *self);

// client_hello.c
void client_hello_say(client_t *self);
bool client_hello_answered(client_t *self, const header_t *header, bus_view_t body);
void client_hello_bye(client_t *self);

// client_refused.c
void client_refused_later(client_t *self);
void client_refused_clear(client_t *self);

// client_outbox.c
void client_outbox_forget(client_t *self); // what was in flight, before a new connection's hello
bool client_outbox_answered(client_t *self, const header_t *header, bus_view_t body);

// client_subscribe.c
void client_subscribe_clear(client_t *self);

// The refusal in an error answer's body, which passed walk_check. client_answer.c
client_refusal_t client_answer_refusal(bus_view_t body);
