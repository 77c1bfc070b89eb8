// batch.c - items one behind another in one growing block.
//
// Each item is its struct, then (records) the whole record with room behind it for the journal's
// trailer, so that the store takes record and trailer as one run of bytes, then the texts that an
// answer needs. Offsets count from the item, so a block may move while it grows.
#include "batch.h"
#include "proto/limits.h"
#include "proto/topic.h"
#include "record.h"
#include <assert.h>
#include <stdlib.h>
#include <zmq.h>

enum {
    BLOCK_SIZE_FIRST = 64 * 1024, // of an idle broker's batches
    BLOCK_SIZE_KEPT =
        4 * 1024 * 1024, // a block is begun at most this big, however big the last was
    RECORD_ARRAY_OF_3 = 0x93,
    MSGPACK_FIXSTR = 0xa0,
    MSGPACK_FIXSTR_MAX = 31,
    MSGPACK_STR8 = 0xd9,
};

struct batch {
    char *block;          // NULL while empty
    size_t size;          // bytes in use
    size_t capacity;      // bytes there are
    size_t capacity_next; // of the next block: what the last one needed
    uint32_t count;       // items
};

batch_t *
batch_new(void)
{
    batch_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    self->capacity_next = BLOCK_SIZE_FIRST;
    return self;
}

void
batch_destroy(batch_t **self_p)
{
    assert(self_p != NULL);
    if (*self_p != NULL) {
        free((*self_p)->block);
        free(*self_p);
        *self_p = NULL;
    }
}

bool
batch_is_empty(const batch_t *self)
{
    return self->count == 0;
}

uint32_t
batch_count(const batch_t *self)
{
    return self->count;
}

size_t
batch_bytes(const batch_t *self)
{
    return self->size;
}

static void
reserve(batch_t *self, size_t size)
{
    if (self->capacity - self->size >= size) {
        return;
    }
    size_t capacity = self->capacity == 0 ? self->capacity_next : self->capacity;
    while (capacity - self->size < size) {
        capacity *= 2;
    }
    self->block = realloc(self->block, capacity);
    assert(self->block != NULL);
    self->capacity = capacity;
}

// Bytes of a topic's msgpack head.
static size_t
topic_head_size(bus_view_t topic)
{
    return topic.size <= MSGPACK_FIXSTR_MAX ? 1 : 2;
}

static size_t
record_size(const batch_entry_t *entry)
{
    return 1 + topic_head_size(entry->topic) + entry->topic.size + entry->header_bytes.size +
           entry->body.size;
}

// Copies `view` to offset *at_p of the item and steps behind it.
static batch_piece_t
place(batch_item_t *item, uint32_t *at_p, bus_view_t view)
{
    batch_piece_t piece = {.offset = *at_p, .size = (uint32_t) view.size};
    if (view.size > 0) {
        memcpy((char *) item + *at_p, view.data, view.size);
        *at_p += (uint32_t) view.size;
    }
    return piece;
}

static void
place_record(batch_item_t *item, uint32_t *at_p, const batch_entry_t *entry)
{
    assert(entry->topic.size >= 1 && entry->topic.size <= TOPIC_SIZE_MAX);
    uint8_t *head = (uint8_t *) item + *at_p;
    item->record.offset = *at_p;
    head[0] = RECORD_ARRAY_OF_3;
    if (entry->topic.size <= MSGPACK_FIXSTR_MAX) {
        head[1] = (uint8_t) (MSGPACK_FIXSTR | entry->topic.size);
    } else {
        head[1] = MSGPACK_STR8;
        head[2] = (uint8_t) entry->topic.size;
    }
    *at_p += (uint32_t) (1 + topic_head_size(entry->topic));
    item->topic = place(item, at_p, entry->topic);
    item->header = place(item, at_p, entry->header_bytes);
    item->body = place(item, at_p, entry->body);
    item->record.size = *at_p - item->record.offset;
    *at_p += RECORD_TRAILER_SIZE;
    item->family = topic_family(entry->topic);
}

void
batch_add(batch_t *self, const batch_entry_t *entry)
{
    assert(self->count < BATCH_ITEMS_MAX);
    const header_t *header = &entry->header;
    const bool is_record = entry->kind == BATCH_RECORD;
    const bus_view_t trace_id = entry->grouped ? VIEW_NONE : header->trace_id;
    size_t size = sizeof(batch_item_t) + header->id.size + header->source.size +
                  header->pstream.size + header->reply_to.size + trace_id.size;
    if (is_record) {
        size += record_size(entry) + RECORD_TRAILER_SIZE;
    }
    size = (size + 7) & ~(size_t) 7;
    assert(size <= BATCH_BYTES_MAX);
    reserve(self, size);
    batch_item_t *item = (batch_item_t *) (void *) (self->block + self->size);
    *item = (batch_item_t){
        .size = (uint32_t) size,
        .kind = (uint8_t) entry->kind,
        .ack = (uint8_t) header->ack,
        .grouped = entry->grouped,
        .count = entry->count,
        .seq = entry->seq,
        .pseq = header->pseq,
        .cause_seq = header->cause_seq,
        .cause_n = header->cause_n,
    };
    uint32_t at = sizeof(batch_item_t);
    if (is_record) {
        place_record(item, &at, entry);
        item->trace = record_trace_hash(header->trace_id);
    }
    item->id = place(item, &at, header->id);
    item->source = place(item, &at, header->source);
    item->pstream = place(item, &at, header->pstream);
    item->reply_to = place(item, &at, header->reply_to);
    item->trace_id = place(item, &at, trace_id);
    memset((char *) item + at, 0, size - at);
    self->size += size;
    self->count++;
}

static void
free_block(void *data, void *hint BUS_UNUSED)
{
    free(data);
}

void
batch_release(batch_t *self, void *ret_msg)
{
    assert(self->count > 0);
    int rc = zmq_msg_init_data(ret_msg, self->block, self->size, free_block, NULL);
    assert(rc == 0);
    size_t wanted = self->capacity < BLOCK_SIZE_KEPT ? self->capacity : BLOCK_SIZE_KEPT;
    *self = (batch_t){.capacity_next = wanted};
}

batch_item_t *
batch_first(void *data, size_t size)
{
    assert(size >= sizeof(batch_item_t));
    return data;
}

batch_item_t *
batch_next(void *data, size_t size, batch_item_t *item)
{
    char *next = (char *) item + item->size;
    char *end = (char *) data + size;
    assert(next <= end);
    return next == end ? NULL : (batch_item_t *) (void *) next;
}
