// fuzz_header.c - any bytes as a header: what is taken can be stamped, and decodes to the same
// again.
#include "proto/header.h"
#include "proto/limits.h"
#include "proto/topic.h"
#include "proto/walk.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
stamp_and_decode(bus_view_t bytes, const header_t *before)
{
    const header_stamp_t stamp = {.source = VIEW_LITERAL("cert"), .time = 5, .journaled = true};
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    header_restamp(bytes, &stamp, out);
    bus_view_t stamped = pack_view(out);
    assert(stamped.size <= bytes.size + HEADER_STAMP_SIZE_MAX);
    header_place((uint8_t *) (uintptr_t) stamped.data + stamped.size, 1, 2, 3);
    const char *why = NULL;
    header_t after;
    bus_err_t err = header_decode(stamped, &after, &why);
    if (stamped.size > HEADER_SIZE_MAX + HEADER_STAMP_SIZE_MAX) {
        assert(err != BUS_OK);
        return;
    }
    assert(err == BUS_OK);
    assert(after.seq == 1 && after.at == 2 && after.prev == 3 && after.time == 5);
    assert(view_is(after.source, "cert"));
    assert(view_equal(after.id, before->id) && view_equal(after.reply_to, before->reply_to));
    assert(after.pseq == before->pseq && after.ack == before->ack);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bus_view_t bytes = view_from(data, size);
    const char *why = NULL;
    header_t header;
    bus_err_t err = header_decode(bytes, &header, &why);
    // Refused or not, what is handed on to answer is what may be answered to.
    assert(header.reply_to.data == NULL || topic_is_inbox(header.reply_to));
    assert(header.id.size <= ID_SIZE_MAX && (header.id.data == NULL || header.id.size > 0));
    if (err != BUS_OK) {
        assert(why != NULL);
        return 0;
    }
    err = walk_check(bytes, WALK_ANY, BODY_DEPTH_MAX + 1, &why);
    assert(err == BUS_OK);
    stamp_and_decode(bytes, &header);

    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    header_encode(&header, out);
    header_t again;
    err = header_decode(pack_view(out), &again, &why);
    assert(err == BUS_OK);
    assert(view_equal(again.trace_id, header.trace_id) && again.cause_seq == header.cause_seq);
    return 0;
}
