// batch_test.c - items in a block: what goes in comes out, wherever the block lies.
#include "broker/batch.h"
#include "broker/record.h"
#include "proto/topic.h"
#include "proto/walk.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <zmq.h>

static batch_entry_t
make_entry(bus_view_t topic, bus_view_t body)
{
    static const char places[] = "\x83\xa3seq\xcf\0\0\0\0\0\0\0\0\xa2"
                                 "at\xcf\0\0\0\0\0\0\0\0\xa4prev\xcf\0\0\0\0\0\0\0\0";
    batch_entry_t entry = {
        .kind = BATCH_RECORD, .topic = topic, .header_bytes = VIEW_LITERAL(places), .body = body};
    entry.header = (header_t){.id = VIEW_LITERAL("id-1"),
                              .source = VIEW_LITERAL("me"),
                              .reply_to = VIEW_LITERAL("_inbox.me.1"),
                              .trace_id = VIEW_LITERAL("trace"),
                              .pstream = VIEW_LITERAL("stream"),
                              .pseq = 7,
                              .cause_seq = 5,
                              .cause_n = 2,
                              .ack = HEADER_ACK_LAST};
    return entry;
}

Test(batch, holds_a_record_exactly_as_a_fetch_serves_it)
{
    BUS_AUTO(batch_destroy) batch_t *batch = batch_new();
    batch_entry_t entry = make_entry(VIEW_LITERAL("core.event.x"), VIEW_LITERAL("\x2a"));
    batch_add(batch, &entry);
    zmq_msg_t block;
    batch_release(batch, &block);
    batch_item_t *item = batch_first(zmq_msg_data(&block), zmq_msg_size(&block));
    bus_view_t record = batch_piece(item, item->record);
    cr_assert(view_starts(record,
                          VIEW_LITERAL("\x93\xac"
                                       "core.event.x\x83\xa3seq")));
    cr_assert_eq(record.data[record.size - 1], 0x2a);
    cr_assert_eq(record.size, 1 + 1 + 12 + entry.header_bytes.size + 1);
    const char *why = NULL;
    cr_assert_eq(walk_check(record, WALK_ANY, 4, &why), BUS_OK);
    cr_assert(view_is(batch_piece(item, item->topic), "core.event.x"));
    cr_assert(view_equal(batch_piece(item, item->header), entry.header_bytes));
    cr_assert(view_equal(batch_piece(item, item->body), entry.body));
    cr_assert(view_is(batch_piece(item, item->id), "id-1"));
    cr_assert(view_is(batch_piece(item, item->source), "me"));
    cr_assert(view_is(batch_piece(item, item->reply_to), "_inbox.me.1"));
    cr_assert(view_is(batch_piece(item, item->trace_id), "trace"));
    cr_assert(view_is(batch_piece(item, item->pstream), "stream"));
    cr_assert_eq(item->family, topic_family(VIEW_LITERAL("core.x")));
    cr_assert_eq(item->pseq, 7);
    cr_assert_eq(item->cause_seq, 5);
    cr_assert_eq(item->cause_n, 2);
    cr_assert_eq(item->ack, HEADER_ACK_LAST);
    cr_assert_eq(item->size % 8, 0);
    cr_assert_eq(item->err, BUS_OK);
    cr_assert_eq(item->seq, 0);
    zmq_msg_close(&block);
}

Test(batch, takes_topics_of_every_size_and_the_journal_reads_them_back)
{
    BUS_AUTO(batch_destroy) batch_t *batch = batch_new();
    char topic[256] = "core.";
    memset(topic + 5, 'x', sizeof(topic) - 5);
    static const size_t sizes[] = {6, 31, 32, 255};
    for (int i = 0; i < 4; i++) {
        batch_entry_t entry = make_entry(view_from(topic, sizes[i]), VIEW_LITERAL("\xc0"));
        batch_add(batch, &entry);
    }
    zmq_msg_t block;
    batch_release(batch, &block);
    void *data = zmq_msg_data(&block);
    size_t size = zmq_msg_size(&block);
    int i = 0;
    for (batch_item_t *item = batch_first(data, size); item != NULL;
         item = batch_next(data, size, item), i++) {
        header_place((uint8_t *) item + item->header.offset + item->header.size, 1, 77, 0);
        // With the room for its trailer, it is what the store holds.
        bus_view_t record = batch_piece(item, item->record);
        const char *why = NULL;
        cr_assert_eq(walk_check(record, WALK_ANY, 4, &why), BUS_OK);
        bus_view_t value = view_from(record.data, record.size + RECORD_TRAILER_SIZE);
        cr_assert_leq(item->record.offset + value.size, item->size);
        cr_assert(view_equal(record_topic(value), view_from(topic, sizes[i])));
        cr_assert(view_equal(record_message(value), record));
        cr_assert_eq(record_at(value), 77);
    }
    cr_assert_eq(i, 4);
    zmq_msg_close(&block);
}

Test(batch, keeps_items_in_order_while_it_grows)
{
    enum { COUNT = 3000 };
    BUS_AUTO(batch_destroy) batch_t *batch = batch_new();
    cr_assert(batch_is_empty(batch));
    char body[3 + 600] = {(char) 0xda, 2, 88};
    for (uint32_t i = 0; i < COUNT; i++) {
        memcpy(body + 3, &i, sizeof(i));
        batch_entry_t entry = make_entry(VIEW_LITERAL("core.x"), view_from(body, sizeof(body)));
        batch_add(batch, &entry);
    }
    cr_assert_not(batch_is_empty(batch));
    cr_assert_eq(batch_count(batch), COUNT);
    size_t bytes = batch_bytes(batch);
    zmq_msg_t block;
    batch_release(batch, &block);
    cr_assert(batch_is_empty(batch));
    cr_assert_eq(batch_count(batch), 0);
    cr_assert_eq(batch_bytes(batch), 0);
    cr_assert_eq(zmq_msg_size(&block), bytes);
    uint32_t i = 0;
    void *data = zmq_msg_data(&block);
    for (batch_item_t *item = batch_first(data, bytes); item != NULL;
         item = batch_next(data, bytes, item), i++) {
        uint32_t found;
        memcpy(&found, batch_piece(item, item->body).data + 3, sizeof(found));
        cr_assert_eq(found, i);
    }
    cr_assert_eq(i, COUNT);
    zmq_msg_close(&block);
    batch_entry_t entry = {.kind = BATCH_TRIM, .seq = 9};
    batch_add(batch, &entry); // and it begins anew
    batch_release(batch, &block);
    batch_item_t *item = batch_first(zmq_msg_data(&block), zmq_msg_size(&block));
    cr_assert_eq(item->kind, BATCH_TRIM);
    cr_assert_eq(item->seq, 9);
    cr_assert_null(batch_piece(item, item->record).data);
    cr_assert_null(batch_piece(item, item->id).data);
    cr_assert_null(batch_next(zmq_msg_data(&block), zmq_msg_size(&block), item));
    zmq_msg_close(&block);
}
