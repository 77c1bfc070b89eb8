// client_call.c - the table of calls: slots for the numbers, chained buckets for the ids, a binary
// heap for the deadlines. Everything is found in constant time, or logarithmic for the heap,
// because a bridge under load has thousands of calls open and an answer must not search for its
// call.
#include "client_call.h"
#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

enum {
    SLOT_BITS = 16, // of a number: which slot; above them, how often numbers were given
    BUCKETS = 2 * INBOX_OUTSTANDING_MAX,
};

struct client_call_table {
    client_call_t *buckets[BUCKETS];
    client_call_t *slots[INBOX_OUTSTANDING_MAX]; // the first `max`; NULL: free
    client_call_t *heap[INBOX_OUTSTANDING_MAX];  // by deadline, the nearest first
    uint32_t free_slots[INBOX_OUTSTANDING_MAX];  // a stack of their indexes
    size_t max;
    size_t count;
    size_t heap_count;
    uint64_t given; // numbers given so far
};

void
client_call_enqueue(client_queue_t *queue, client_call_t *call)
{
    call->older = queue->tail;
    call->newer = NULL;
    if (queue->tail == NULL) {
        queue->head = call;
    } else {
        queue->tail->newer = call;
    }
    queue->tail = call;
    if (queue->next == NULL) {
        queue->next = call;
    }
}

void
client_call_dequeue(client_queue_t *queue, client_call_t *call)
{
    if (queue->next == call) {
        queue->next = call->newer;
    }
    if (call->older == NULL) {
        assert(queue->head == call);
        queue->head = call->newer;
    } else {
        call->older->newer = call->newer;
    }
    if (call->newer == NULL) {
        assert(queue->tail == call);
        queue->tail = call->older;
    } else {
        call->newer->older = call->older;
    }
    call->older = NULL;
    call->newer = NULL;
}

client_call_table_t *
client_call_table_new(size_t max)
{
    assert(max > 0 && max <= INBOX_OUTSTANDING_MAX);
    client_call_table_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    self->max = max;
    for (size_t i = 0; i < max; i++) {
        self->free_slots[i] = (uint32_t) (max - 1 - i);
    }
    return self;
}

void
client_call_table_destroy(client_call_table_t **self_p)
{
    client_call_table_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    for (size_t i = 0; i < self->max; i++) {
        free(self->slots[i]);
    }
    free(self);
    *self_p = NULL;
}

size_t
client_call_count(const client_call_table_t *self)
{
    return self->count;
}

bool
client_call_table_is_full(const client_call_table_t *self)
{
    return self->count == self->max;
}

bool
client_call_has_deadlines(const client_call_table_t *self)
{
    return self->heap_count > 0;
}

static client_call_t *
call_new(const client_message_t *message, bus_view_t id)
{
    bus_view_t topic = view_from_text(message->topic);
    size_t size =
        topic.size + id.size + message->trace_id.size + message->idem.size + message->body.size;
    client_call_t *call = malloc(sizeof(*call) + size);
    assert(call != NULL);
    *call = (client_call_t){.kind = CLIENT_CALL_PLAIN};
    char *at = (char *) (call + 1);
    call->topic = view_keep(topic, &at);
    call->id = view_keep(id, &at);
    call->trace_id = view_keep(message->trace_id, &at);
    call->idem = view_keep(message->idem, &at);
    call->body = view_keep(message->body, &at);
    return call;
}

client_call_t *
client_call_add(client_call_table_t *self,
                const client_message_t *message,
                bus_view_t id,
                uint64_t deadline_ms)
{
    assert(self->count < self->max);
    assert(client_call_find(self, id) == NULL);
    client_call_t *call = call_new(message, id);
    call->hash = XXH3_64bits(id.data, id.size);
    client_call_t **bucket = &self->buckets[call->hash % BUCKETS];
    call->chain = *bucket;
    *bucket = call;
    uint32_t slot = self->free_slots[self->max - 1 - self->count];
    assert(self->slots[slot] == NULL);
    self->slots[slot] = call;
    call->number = (++self->given << SLOT_BITS) | slot;
    self->count++;
    client_call_set_deadline(self, call, deadline_ms);
    return call;
}

void
client_call_remove(client_call_table_t *self, client_call_t *call)
{
    client_call_set_deadline(self, call, 0);
    client_call_t **link = &self->buckets[call->hash % BUCKETS];
    while (*link != call) {
        assert(*link != NULL);
        link = &(*link)->chain;
    }
    *link = call->chain;
    uint32_t slot = (uint32_t) (call->number & ((1U << SLOT_BITS) - 1));
    assert(self->slots[slot] == call);
    self->slots[slot] = NULL;
    self->count--;
    self->free_slots[self->max - 1 - self->count] = slot;
    free(call);
}

client_call_t *
client_call_find(const client_call_table_t *self, bus_view_t id)
{
    uint64_t hash = XXH3_64bits(id.data, id.size);
    client_call_t *call = self->buckets[hash % BUCKETS];
    while (call != NULL && (call->hash != hash || !view_equal(call->id, id))) {
        call = call->chain;
    }
    return call;
}

client_call_t *
client_call_numbered(const client_call_table_t *self, uint64_t number)
{
    size_t slot = number & ((1U << SLOT_BITS) - 1);
    if (slot >= self->max || self->slots[slot] == NULL || self->slots[slot]->number != number) {
        return NULL;
    }
    return self->slots[slot];
}

client_call_t *
client_call_any(const client_call_table_t *self)
{
    for (size_t i = 0; i < self->max && self->count > 0; i++) {
        if (self->slots[i] != NULL) {
            return self->slots[i];
        }
    }
    return NULL;
}

static void
heap_set(client_call_table_t *self, size_t index, client_call_t *call)
{
    self->heap[index] = call;
    call->heap_place = index + 1;
}

static void
heap_rise(client_call_table_t *self, size_t index)
{
    client_call_t *call = self->heap[index];
    while (index > 0 && self->heap[(index - 1) / 2]->deadline_ms > call->deadline_ms) {
        heap_set(self, index, self->heap[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    heap_set(self, index, call);
}

static void
heap_sink(client_call_table_t *self, size_t index)
{
    client_call_t *call = self->heap[index];
    while (2 * index + 1 < self->heap_count) {
        size_t child = 2 * index + 1;
        if (child + 1 < self->heap_count &&
            self->heap[child + 1]->deadline_ms < self->heap[child]->deadline_ms) {
            child++;
        }
        if (self->heap[child]->deadline_ms >= call->deadline_ms) {
            break;
        }
        heap_set(self, index, self->heap[child]);
        index = child;
    }
    heap_set(self, index, call);
}

void
client_call_set_deadline(client_call_table_t *self, client_call_t *call, uint64_t deadline_ms)
{
    if (call->heap_place != 0) {
        size_t index = call->heap_place - 1;
        client_call_t *last = self->heap[--self->heap_count];
        call->heap_place = 0;
        if (last != call) {
            heap_set(self, index, last);
            heap_rise(self, index);
            heap_sink(self, last->heap_place - 1);
        }
    }
    call->deadline_ms = deadline_ms;
    if (deadline_ms != 0) {
        heap_set(self, self->heap_count++, call);
        heap_rise(self, call->heap_place - 1);
    }
}

client_call_t *
client_call_expired(const client_call_table_t *self, uint64_t now_ms)
{
    return self->heap_count > 0 && self->heap[0]->deadline_ms <= now_ms ? self->heap[0] : NULL;
}
