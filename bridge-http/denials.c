// denials.c - who came without a good token, as facts for Bucket's audit log (bucket.refused).
#include "denials.h"
#include "link.h"
#include "proto/pack.h"
#include "request.h"
#include "runtime/clock.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct {
    char address[BRIDGE_LINK_ADDRESS_SIZE];
    uint64_t said_us;      // when it was last told; 0: the place is free
    uint64_t count;        // since then
    const char *operation; // the last one that was tried
} place_t;

struct bridge_denials {
    bridge_t *bridge;
    place_t places[BRIDGE_DENIALS_ADDRESSES_MAX + 1]; // the last is that of the others
};

bridge_denials_t *
bridge_denials_new(bridge_t *bridge)
{
    bridge_denials_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    self->bridge = bridge;
    return self;
}

void
bridge_denials_destroy(bridge_denials_t **self_p)
{
    free(*self_p);
    *self_p = NULL;
}

static void
on_recorded(void *arg BUS_UNUSED, const client_answer_t *answer BUS_UNUSED)
{
}

static void
say(bridge_denials_t *self, place_t *place, uint64_t now_us)
{
    BUS_AUTO(pack_destroy) pack_t *details = pack_new();
    pack_map(details, 2);
    pack_pair_text(details, "address", place->address);
    pack_pair_uint(details, "count", place->count);
    const schema_refused_t refused = {
        .requester_id = view_from_text(place->address),
        .operation = view_from_text(place->operation),
        .error_code = view_from_text(error_text(BUS_UNAUTHENTICATED)),
        .details = pack_view(details),
    };
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    schema_encode(&SCHEMA_refused, &refused, body);
    const client_message_t message = {
        .topic = "bucket.refused", .body = pack_view(body), .want = CLIENT_WANT_ACK};
    place->said_us = now_us;
    if (bridge_is_connected(self->bridge) &&
        client_send(self->bridge->client, &message, on_recorded, NULL, NULL) == BUS_OK) {
        place->count = 0;
    } // else they are told with the next ones
}

static bool
is_due(const place_t *place, uint64_t now_us)
{
    return place->said_us == 0 || now_us - place->said_us >= BRIDGE_DENIALS_PAUSE_US;
}

// The address's place, or a free one, or that of the others.
static place_t *
find_place(bridge_denials_t *self, const char *address, uint64_t now_us)
{
    place_t *others = &self->places[BRIDGE_DENIALS_ADDRESSES_MAX];
    place_t *free_place = NULL;
    for (size_t i = 0; i < BRIDGE_DENIALS_ADDRESSES_MAX; i++) {
        place_t *place = &self->places[i];
        if (strcmp(place->address, address) == 0) {
            return place;
        }
        bool is_free = place->count == 0 && is_due(place, now_us);
        free_place = free_place == NULL && is_free ? place : free_place;
    }
    place_t *place = free_place != NULL ? free_place : others;
    (void) snprintf(
        place->address, sizeof(place->address), "%s", place == others ? "others" : address);
    if (place != others) {
        place->said_us = 0;
    }
    return place;
}

void
bridge_denials_note(bridge_denials_t *self, const bridge_request_t *request)
{
    uint64_t now_us = clock_boot_us();
    place_t *place = find_place(self, request->link->address, now_us);
    place->operation = request->route->operation;
    place->count++;
    if (is_due(place, now_us)) {
        say(self, place, now_us);
    }
}

void
bridge_denials_sweep(bridge_denials_t *self, uint64_t now_us)
{
    for (size_t i = 0; i <= BRIDGE_DENIALS_ADDRESSES_MAX; i++) {
        place_t *place = &self->places[i];
        if (place->count > 0 && is_due(place, now_us)) {
            say(self, place, now_us);
        }
    }
}
