// fuzz_record.c - any message that the broker would journal, as a record: what goes into a batch
// is what a fetch serves and what is read back of it, wherever the block lies.
//
// An input is a byte with the topic's size, the topic, two bytes with the header's size, the
// header, and the body.
#include "broker/batch.h"
#include "broker/record.h"
#include "proto/limits.h"
#include "proto/topic.h"
#include "proto/walk.h"
#include <assert.h>
#include <stdlib.h>
#include <zmq.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SEQ = 7, AT = 1234567, PREV = 3 };

static bus_view_t
take(bus_view_t *rest, size_t size)
{
    size_t given = size < rest->size ? size : rest->size;
    bus_view_t part = view_from(rest->data, given);
    *rest = view_from(rest->data + given, rest->size - given);
    return part;
}

static size_t
take_byte(bus_view_t *rest)
{
    bus_view_t byte = take(rest, 1);
    return byte.size == 0 ? 0 : (uint8_t) byte.data[0];
}

// What the committer does, and then what readers do.
static void
check_item(batch_item_t *item, const batch_entry_t *entry)
{
    assert(view_equal(batch_piece(item, item->topic), entry->topic));
    assert(view_equal(batch_piece(item, item->body), entry->body));
    assert(view_equal(batch_piece(item, item->trace_id), entry->header.trace_id));
    assert(view_equal(batch_piece(item, item->id), entry->header.id));
    header_place((uint8_t *) item + item->header.offset + item->header.size, SEQ, AT, PREV);
    bus_view_t record = batch_piece(item, item->record);
    bus_view_t value = view_from(record.data, record.size + RECORD_TRAILER_SIZE);
    assert(view_equal(record_message(value), record));
    assert(view_equal(record_topic(value), entry->topic));
    assert(record_at(value) == AT);
    assert(view_equal(record_trace_id(value), entry->header.trace_id));
    assert(record_trace_hash(record_trace_id(value)) == item->trace);
    walk_t walk = walk_from(record);
    walk_item_t head;
    bus_view_t header_bytes;
    bus_view_t body;
    header_t header;
    const char *why = NULL;
    bus_err_t err = walk_next(&walk, &head);
    assert(err == BUS_OK && head.type == WALK_ARRAY && head.count == 3);
    err = walk_skip(&walk, &body);
    assert(err == BUS_OK);
    err = walk_skip(&walk, &header_bytes);
    assert(err == BUS_OK && header_decode(header_bytes, &header, &why) == BUS_OK);
    assert(header.seq == SEQ && header.at == AT && header.prev == PREV);
    err = walk_skip(&walk, &body);
    assert(err == BUS_OK && view_equal(body, entry->body));
}

static void
check_batch(const batch_entry_t *entry)
{
    BUS_AUTO(batch_destroy) batch_t *batch = batch_new();
    zmq_msg_t block;
    for (int i = 0; i < 2; i++) {
        batch_add(batch, entry);
    }
    batch_release(batch, &block);
    void *data = zmq_msg_data(&block);
    size_t size = zmq_msg_size(&block);
    int count = 0;
    for (batch_item_t *item = batch_first(data, size); item != NULL;
         item = batch_next(data, size, item)) {
        check_item(item, entry);
        count++;
    }
    assert(count == 2);
    zmq_msg_close(&block);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bus_view_t rest = view_from(data, size);
    batch_entry_t entry = {.kind = BATCH_RECORD};
    const char *why = NULL;
    entry.topic = take(&rest, take_byte(&rest));
    size_t header_size = take_byte(&rest);
    header_size = header_size << 8 | take_byte(&rest);
    bus_view_t peers = take(&rest, header_size);
    entry.body = rest;
    if (!topic_is_legal(entry.topic, &why) || peers.size > HEADER_SIZE_MAX ||
        header_decode(peers, &entry.header, &why) != BUS_OK ||
        walk_check(entry.body, WALK_ANY, BODY_DEPTH_MAX, &why) != BUS_OK) {
        return 0;
    }
    BUS_AUTO(pack_destroy) pack_t *header = pack_new();
    const header_stamp_t stamp = {.journaled = true};
    header_restamp(peers, &stamp, header);
    entry.header_bytes = pack_view(header);
    check_batch(&entry);
    return 0;
}
