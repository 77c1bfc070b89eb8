// prana.c - PRANA's ingest, and the script that a browser sends packets with.
//
// One packet, or {packets: […]}: in either case one message on the bus, so several are kept all or
// none, and an Idempotency-Key covers the whole. What Bucket would refuse is refused here: an ack
// alone must mean that it will be kept.
#include "proto/prana.h"
#include "answer.h"
#include "ask.h"
#include "handler.h"
#include "params.h"
#include "proto/walk.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIELD_SIZE = 64 }; // of "packets[99].cognitive_state"

// prana.js, as CMake read it.
static const unsigned char script[] = {
#include "prana.js.inc"
};

void
bridge_prana_script(bridge_request_t *self)
{
    bridge_answer_static(self, "text/javascript; charset=utf-8", view_from(script, sizeof(script)));
}

// --- POST /bucket/prana/ingest -------------------------------------------------------------------

static void
on_kept(bridge_request_t *self, const client_answer_t *answer)
{
    bus_view_t value;
    uint64_t seq = self->seq;
    if (answer->event == CLIENT_REPLIED && walk_find(answer->body, "seq", &value) == BUS_OK) {
        bus_err_t err = walk_as_uint(value, &seq); // a repeat gets that of the first
        seq = err == BUS_OK ? seq : self->seq;
    }
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 3);
    pack_pair_bool(body, "success", true);
    pack_pair_text(body, "message", "Packet received");
    pack_pair_uint(body, "seq", seq);
    bridge_answer(self, MHD_HTTP_OK, pack_view(body));
}

static void
keep(bridge_request_t *self, const char *topic, bus_view_t body)
{
    bool keyed = bridge_request_header(self, "Idempotency-Key").data != NULL;
    bridge_ask(self,
               &(bridge_ask_t){.kind = keyed ? BRIDGE_ASK_COMMAND : BRIDGE_ASK_RECORD,
                               .topic = topic,
                               .body = body,
                               .idem = true,
                               .then = on_kept});
}

// The problems of one of several, which is named.
static void
refuse_one(bridge_request_t *self, uint32_t place, const schema_problems_t *problems)
{
    char fields[SCHEMA_PROBLEMS_MAX][FIELD_SIZE];
    schema_problems_t named = *problems;
    for (size_t i = 0; i < problems->count; i++) {
        (void) snprintf(
            fields[i], FIELD_SIZE, "packets[%u].%s", (unsigned) place, problems->at[i].field);
        named.at[i].field = fields[i];
    }
    bridge_answer_problems(self, NULL, &named);
}

static void
take_several(bridge_request_t *self, bus_view_t array)
{
    schema_prana_packet_t *packets = calloc(PRANA_PACKETS_MAX, sizeof(*packets));
    assert(packets != NULL);
    schema_problems_t problems;
    uint32_t count = 0;
    bus_err_t err = prana_decode(array, packets, &count, &problems);
    free(packets);
    if (err == BUS_OK) {
        BUS_AUTO(pack_destroy) pack_t *body = pack_new();
        pack_map(body, 1);
        pack_pair_raw(body, "packets", array);
        keep(self, "prana.packets", pack_view(body));
    } else if (strcmp(problems.at[0].field, "packets") == 0) {
        bridge_answer_problems(self, NULL, &problems);
    } else {
        refuse_one(self, count, &problems);
    }
}

void
bridge_prana_ingest(bridge_request_t *self)
{
    bus_view_t array;
    if (walk_find(self->body, "packets", &array) == BUS_OK) {
        take_several(self, array);
        return;
    }
    schema_prana_packet_t packet;
    schema_problems_t problems;
    if (!bridge_params_decode(self, &SCHEMA_prana_packet, self->body, &packet)) {
        return;
    }
    if (prana_check(&packet, &problems) != BUS_OK) {
        bridge_answer_problems(self, NULL, &problems);
        return;
    }
    keep(self, "prana.packet", self->body);
}
