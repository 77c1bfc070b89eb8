// client_link.h - a client's sockets: PUSH up, one SUB for the inbox, one for topics, and what
// libzmq tells about their connections.
//
// Inside of client.h, for its .c files alone; the loop's thread. The context is its own, so that
// destroying it waits for what is still to be sent, half a second at most, and nothing else.
#pragma once
#include "cert.h"
#include "proto/auto.h"
#include "proto/error.h"
#include "proto/view.h"
#include <stdbool.h>
#include <zmq.h>

typedef struct {
    void *context;       // ZeroMQ's, with one I/O thread
    void *push;          // what we say
    void *inbox;         // SUB: answers and requests to us alone
    void *topics;        // SUB: what was subscribed to; NULL until then
    void *inbox_news;    // PAIR: the monitor of `inbox`
    void *push_news;     // PAIR: the monitor of `push`
    const char *ingress; // where `push` connects to; borrowed
    const char *egress;  // where `topics` connects to; borrowed
    const cert_t *cert;  // who speaks on tcp; borrowed; NULL: plain
    bool inbox_open;     // its connection stands, as far as was heard
    bool push_lost;      // disconnected and not connected again
    bool inbox_refused;  // the broker does not know our certificate, and libzmq has given up
    bool push_refused;
} client_link_t;

// Connects `push` and `inbox`, which hears nothing before client_link_hear. BUS_INVALID_REQUEST
// where an endpoint makes no sense. All three stay the caller's, and must live as long; `cert`
// NULL: plain.
BUS_CHECK bus_err_t client_link_init(client_link_t *self,
                                     const char *ingress,
                                     const char *egress,
                                     const cert_t *cert);
// Waits half a second at most for what is still to be sent.
void client_link_clear(client_link_t *self);

// Subscribes a socket to a prefix.
void client_link_hear(void *socket, bus_view_t prefix);
// Makes and connects `topics`.
void client_link_open_topics(client_link_t *self);

// Sends three frames. BUS_BUSY at the high-water mark: nothing was sent.
BUS_CHECK bus_err_t client_link_send(client_link_t *self,
                                     bus_view_t topic,
                                     bus_view_t header,
                                     bus_view_t body);

enum { CLIENT_LINK_FRAMES = 3 };
typedef struct {
    zmq_msg_t frames[CLIENT_LINK_FRAMES];
    bus_view_t topic, header, body; // in the frames
} client_link_message_t;
// Receives one message of three frames; others are dropped. False where none is there. The frames
// are the caller's, to be given back with client_link_release.
bool client_link_receive(void *socket, client_link_message_t *ret_message);
void client_link_release(client_link_message_t *message);

// What happened to the connections since the last call.
typedef struct {
    bool inbox_lost;    // answers may have been lost; a welcome will tell when it is back
    bool push_restored; // what was on its way up may have been lost
    bool refused;       // the certificate was: client_link_try_again is to be called, later
} client_link_news_t;
client_link_news_t client_link_news(client_link_t *self);
// Connects again what was refused: libzmq itself does not.
void client_link_try_again(client_link_t *self);
