// alarm.c - a log line is for the operator; a record is for the services, which may not look at a
// clock themselves and are to stop what goes by time until a person has looked.
#include "alarm.h"
#include "proto/schema.h"
#include "runtime/id.h"
#include <zmq.h>

enum { US_A_SECOND = 1000000 };

static void
pack_header(const header_t *said, pack_t *out)
{
    BUS_AUTO(pack_destroy) pack_t *plain = pack_new();
    header_encode(said, plain);
    header_restamp(pack_view(plain), &(header_stamp_t){.journaled = true}, out);
}

static bus_err_t
append(journal_t *journal, batch_t *batch)
{
    zmq_msg_t block;
    batch_release(batch, &block);
    void *data = zmq_msg_data(&block);
    size_t size = zmq_msg_size(&block);
    journal_append(journal, data, size);
    bus_err_t err = (bus_err_t) batch_first(data, size)->err;
    zmq_msg_close(&block);
    return err;
}

bus_err_t
alarm_clock_ahead(journal_t *journal, uint64_t now)
{
    journal_info_t info;
    journal_info(journal, &info);
    now = now > info.at ? now : info.at; // it may have been stepped back since it was looked at
    const schema_clock_ahead_t fact = {
        .last = {.has = true, .value = (int64_t) info.at},
        .now = {.has = true, .value = (int64_t) now},
        .ahead_seconds = {.has = true, .value = (int64_t) ((now - info.at) / US_A_SECOND)},
    };
    char id[ID_TEXT_SIZE];
    id_make(id);
    batch_entry_t entry = {
        .kind = BATCH_RECORD,
        .topic = VIEW_LITERAL("governance.clock.ahead"),
        .header = {.id = view_from_text(id), .source = VIEW_LITERAL("$bus"), .time = now},
    };
    BUS_AUTO(pack_destroy) pack_t *header = pack_new();
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    BUS_AUTO(batch_destroy) batch_t *batch = batch_new();
    pack_header(&entry.header, header);
    schema_encode(&SCHEMA_clock_ahead, &fact, body);
    entry.header_bytes = pack_view(header);
    entry.body = pack_view(body);
    batch_add(batch, &entry);
    return append(journal, batch);
}
