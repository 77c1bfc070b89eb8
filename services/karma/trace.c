// trace.c - kept events by the seqs of their records.
#include "trace.h"

#include "proto/walk.h"
#include "tables.h"

// What is shown of a kept event (event.c): nothing that a caller wrote freely.
static uint32_t
pack_shown(bus_view_t event, pack_t *out)
{
    static const char *const keys[] = {
        "action", "kind", "intent", "token", "class", "reward", "merit", "became", "cheat"};
    uint32_t count = 0;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        bus_view_t value;
        if (walk_find(event, keys[i], &value) == BUS_OK) {
            pack_pair_raw(out, keys[i], value);
            count++;
        }
    }
    return count;
}

bus_err_t
karma_trace_applied(service_query_t *self, const void *message)
{
    const schema_karma_applied_query_t *asked = message;
    walk_t walk = walk_from(asked->seqs);
    walk_item_t item;
    if (walk_next(&walk, &item) != BUS_OK || item.count > KARMA_TRACE_SEQS_MAX) {
        return service_query_refuse(
            self, BUS_VALIDATION_FAILED, "seqs has more than 2000 of them", VIEW_NONE);
    }
    pack_map(self->answer, 1);
    pack_text(self->answer, "applied");
    size_t place = pack_array_begin(self->answer);
    uint32_t count = 0;
    for (uint32_t left = item.count; left > 0; left--) {
        if (walk_next(&walk, &item) != BUS_OK || item.type != WALK_INT || item.integer < 1) {
            pack_clear(self->answer);
            return service_query_refuse(
                self, BUS_VALIDATION_FAILED, "seqs holds something that is no seq", VIEW_NONE);
        }
        uint64_t seq = (uint64_t) item.integer;
        bus_view_t event;
        bus_err_t err = store_get(self->txn, KARMA_EVENTS, STORE_U64(seq), &event);
        if (err == BUS_NOT_FOUND || err == BUS_CORRUPT) {
            continue; // a damaged one is the replay's matter
        }
        if (err != BUS_OK) {
            return err;
        }
        size_t map = pack_map_begin(self->answer);
        pack_pair_uint(self->answer, "seq", seq);
        pack_count(self->answer, map, 1 + pack_shown(event, self->answer));
        count++;
    }
    pack_count(self->answer, place, count);
    return BUS_OK;
}
