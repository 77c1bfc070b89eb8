// client_call.h - what a client waits for: one call a message, found by id, number or deadline.
//
// Inside of client.h, for its .c files alone; the loop's thread. A call is in the table from
// client_call_add to client_call_remove, and meanwhile in at most one queue, in the order of
// sending. The message is kept with it, so that it can be sent again.
#pragma once
#include "client.h"
#include "proto/limits.h"

// Whose turn it is, and so what an answer or a new connection means for the call.
typedef enum {
    CLIENT_CALL_PLAIN,   // a request, or a live message with an ack: sent again after each welcome
    CLIENT_CALL_STREAM,  // has, or will get, a pseq, and is not acked: sent again in order
    CLIENT_CALL_WAITING, // a command that is durable and awaits its owner's reply
} client_call_kind_t;

typedef struct client_call client_call_t;

struct client_call {
    client_call_t *older, *newer; // neighbours in the queue that it is in
    client_call_t *chain;         // the next of its hash bucket
    uint64_t hash;                // of the id
    uint64_t number;              // names it to client_cancel
    client_answer_fn *fn;         // NULL: its caller is gone, or never cared
    void *arg;                    // for fn
    uint64_t deadline_ms;         // boot clock; 0: none
    size_t heap_place;            // index in the heap of deadlines plus one; 0: not in it
    uint64_t pseq;                // 0: not numbered (yet)
    uint64_t time_us;             // when it was said, for the header
    uint64_t seq, at;             // of its record, once acked
    unsigned copies;              // sent on this connection and not answered by the broker
    client_call_kind_t kind;
    bool wants_reply; // more than the ack
    bool is_batch;    // $bus.batch: one ack for all of it
    bool is_acked;    // its caller was told that it is durable
    bool asks_again;  // a new connection took its reply, perhaps: it is to be said once more
    bus_view_t topic, id, trace_id, idem, body; // in the same allocation, behind the struct
};

// A list in the order of sending, and how far it was sent.
typedef struct {
    client_call_t *head, *tail;
    client_call_t *next; // the first that is to be sent; NULL: all are on their way
} client_queue_t;

void client_call_enqueue(client_queue_t *queue, client_call_t *call);
void client_call_dequeue(client_queue_t *queue, client_call_t *call);

typedef struct client_call_table client_call_table_t;

client_call_table_t *client_call_table_new(size_t max);
void client_call_table_destroy(client_call_table_t **self_p);
size_t client_call_count(const client_call_table_t *self);
bool client_call_table_is_full(const client_call_table_t *self);
bool client_call_has_deadlines(const client_call_table_t *self);

// Makes a call of `message` under `id`. The table is not full and has no such id: asserted.
client_call_t *client_call_add(client_call_table_t *self,
                               const client_message_t *message,
                               bus_view_t id,
                               uint64_t deadline_ms);
// Forgets and frees it. It is in no queue any more.
void client_call_remove(client_call_table_t *self, client_call_t *call);

// NULL where there is none.
client_call_t *client_call_find(const client_call_table_t *self, bus_view_t id);
client_call_t *client_call_numbered(const client_call_table_t *self, uint64_t number);
// Any call, or NULL where there is none.
client_call_t *client_call_any(const client_call_table_t *self);

// Sets when it has waited long enough; 0: never.
void client_call_set_deadline(client_call_table_t *self, client_call_t *call, uint64_t deadline_ms);
// The call with the nearest deadline, if that is at or before now_ms; else NULL.
client_call_t *client_call_expired(const client_call_table_t *self, uint64_t now_ms);
