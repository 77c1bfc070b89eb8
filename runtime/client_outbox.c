// client_outbox.c - sending what a service keeps in its own store: stream "", numbers of its own.
//
// One ack stands for all up to it in a commit (`ack: "last"`). An answer carries an id and the
// owner thinks in numbers, so what is in flight is kept as number and hash of the id, in a ring by
// number.
#include "client_self.h"
#include <assert.h>
#include <xxhash.h>

bus_err_t
client_outbox_send(client_t *self, bus_view_t topic, const header_t *header, bus_view_t body)
{
    assert(header->pseq > 0 && header->id.data != NULL);
    client_outbox_slot_t *slot = &self->outbox.slots[header->pseq % CLIENT_OUTBOX_MAX];
    if (!self->is_connected || (slot->pseq != 0 && slot->pseq != header->pseq)) {
        return BUS_BUSY;
    }
    header_t said = *header;
    said.source = view_from_text(self->source);
    said.pstream = VIEW_NONE;
    said.reply_to = view_from_text(self->inbox);
    said.ack = HEADER_ACK_LAST;
    bus_err_t err = client_send_raw(self, topic, &said, body);
    if (err == BUS_OK) {
        slot->pseq = header->pseq;
        slot->hash = XXH3_64bits(header->id.data, header->id.size);
    }
    return err;
}

void
client_outbox_forget(client_t *self)
{
    memset(self->outbox.slots, 0, sizeof(self->outbox.slots));
}

// The number in flight under this id; 0: none.
static uint64_t
find_pseq(const client_t *self, bus_view_t id)
{
    uint64_t hash = XXH3_64bits(id.data, id.size);
    for (size_t i = 0; i < CLIENT_OUTBOX_MAX; i++) {
        const client_outbox_slot_t *slot = &self->outbox.slots[i];
        if (slot->pseq != 0 && slot->hash == hash) {
            return slot->pseq;
        }
    }
    return 0;
}

// Everything up to `pseq` is out of flight.
static void
release(client_t *self, uint64_t pseq)
{
    for (size_t i = 0; i < CLIENT_OUTBOX_MAX; i++) {
        if (self->outbox.slots[i].pseq <= pseq) {
            self->outbox.slots[i].pseq = 0;
        }
    }
}

bool
client_outbox_answered(client_t *self, const header_t *header, bus_view_t body)
{
    uint64_t pseq = find_pseq(self, header->re);
    if (pseq == 0) {
        return false;
    }
    bus_err_t err = BUS_OK;
    if (view_is(header->status, "error")) {
        client_refusal_t refusal = client_answer_refusal(body);
        err = refusal.err;
        if (err == BUS_PSEQ_GAP && refusal.expected != 0) {
            pseq = refusal.expected;
        }
        self->stats.refused++;
    } else {
        release(self, pseq);
        self->stats.answered++;
    }
    if (self->outbox.fn != NULL) {
        self->outbox.fn(self->outbox.arg, err, pseq);
    }
    return true;
}

void
client_on_outbox_ack(client_t *self, client_outbox_ack_fn *fn, void *arg)
{
    self->outbox.fn = fn;
    self->outbox.arg = arg;
}
