// client_stream.h - the window of acknowledged publishing: in order, once, nothing lost.
//
// Inside of client.h, for its .c files alone; the loop's thread. It decides what is sent next and
// under which number, and what a refusal means; it sends nothing itself. See client_stream.c for
// why it is right.
#pragma once
#include "client_call.h"
#include "id.h"

typedef struct {
    client_queue_t queue;     // not acked, in the order of sending
    char name[ID_TEXT_SIZE];  // pstream
    uint64_t given;           // the last pseq given in this stream
    uint64_t acked;           // the highest pseq acked in this stream
    uint64_t gap;             // went back to this pseq already; 0: no
    uint64_t pause_until_ms;  // the broker was busy
    uint64_t progress_ms;     // when something moved last
    unsigned patience_ms;     // how long nothing may move before all is sent again
    size_t copies;            // sum over the queue
    bool is_broken;           // what has no number waits for a fresh stream
    uint64_t broken_until_ms; // then it comes even if answers are still missing
} client_stream_t;

void client_stream_init(client_stream_t *self);
void client_stream_add(client_stream_t *self, client_call_t *call);

// The call to send now, with its pseq set, or NULL. It stays the next until client_stream_sent.
client_call_t *client_stream_next(client_stream_t *self, uint64_t now_ms);
void client_stream_sent(client_stream_t *self, client_call_t *call, uint64_t now_ms);

// It is durable: takes it out of the queue.
void client_stream_acked(client_stream_t *self, client_call_t *call, uint64_t now_ms);

typedef struct {
    bus_err_t err;
    uint64_t expected;      // of PSEQ_GAP; 0: not said
    uint64_t retry_after_s; // of BUSY
} client_refusal_t;
// The broker refused it. True where that is final: it is out of the queue. False: it will be sent
// again in its turn.
BUS_CHECK bool client_stream_refused(client_stream_t *self,
                                     client_call_t *call,
                                     const client_refusal_t *refusal,
                                     uint64_t now_ms);

// Its caller does not wait any more. True where it was never sent and is out of the queue; false
// where its number is used, so that it has to go its way.
BUS_CHECK bool client_stream_abandon(client_stream_t *self, client_call_t *call);

// There is a new connection: everything that is not acked is sent again.
void client_stream_again(client_stream_t *self, uint64_t now_ms);
// Sends again where nothing moved for too long.
void client_stream_tick(client_stream_t *self, uint64_t now_ms);
