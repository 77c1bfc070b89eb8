// peer.c - instances in fixed places, found by name, and for each service the ring of those that
// answer for it.
#include "peer.h"
#include "asked.h"
#include "names.h"
#include "proto/limits.h"
#include <assert.h>
#include <stdlib.h>

typedef struct {
    peer_t peer;      // its views point into `text`; the first field: see place_of
    char *text;       // owned
    uint64_t seen_ms; // boot clock
    uint32_t service; // place of its service, NAMES_NONE: none
    uint32_t place;   // its own
} instance_t;

typedef struct {
    char name[NAME_SIZE_MAX]; // not terminated
    size_t size;              // bytes of the name
    uint32_t *members;        // places of its instances
    uint32_t count;           // of them
    uint32_t room;            // of `members`
    uint32_t turn;            // who is next
} ring_t;

struct peer_table {
    instance_t *instances[PEERS_MAX]; // NULL: free
    ring_t *rings[PEERS_MAX];         // a service each, NULL: free
    names_t *by_instance;             // -> instances
    names_t *by_service;              // -> rings
    asked_t *asked;                   // what waits at each
    uint64_t looked_ms;               // when silence was last judged; 0: never
};

peer_table_t *
peer_table_new(void)
{
    peer_table_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    self->by_instance = names_new(PEERS_MAX);
    self->by_service = names_new(PEERS_MAX);
    self->asked = asked_new(PEERS_MAX);
    return self;
}

static void
instance_free(instance_t *instance)
{
    free(instance->text);
    free(instance);
}

static void
ring_free(ring_t *ring)
{
    free(ring->members);
    free(ring);
}

void
peer_table_destroy(peer_table_t **self_p)
{
    peer_table_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        if (self->instances[i] != NULL) {
            instance_free(self->instances[i]);
        }
        if (self->rings[i] != NULL) {
            ring_free(self->rings[i]);
        }
    }
    names_destroy(&self->by_instance);
    names_destroy(&self->by_service);
    asked_destroy(&self->asked);
    free(self);
    *self_p = NULL;
}

static uint32_t
free_instance(const peer_table_t *self)
{
    uint32_t place = 0;
    while (self->instances[place] != NULL) {
        place++;
        assert(place < PEERS_MAX);
    }
    return place;
}

// The ring of a service, made where it is missing. There are at most as many as instances.
static uint32_t
require_ring(peer_table_t *self, bus_view_t service)
{
    uint32_t place = names_find(self->by_service, service);
    if (place != NAMES_NONE) {
        return place;
    }
    place = 0;
    while (self->rings[place] != NULL) {
        place++;
        assert(place < PEERS_MAX);
    }
    ring_t *ring = calloc(1, sizeof(*ring));
    assert(ring != NULL && service.size <= sizeof(ring->name));
    memcpy(ring->name, service.data, service.size);
    ring->size = service.size;
    self->rings[place] = ring;
    bool added = names_add(self->by_service, service, place);
    assert(added);
    return place;
}

static void
join_ring(peer_table_t *self, uint32_t place)
{
    instance_t *instance = self->instances[place];
    instance->service = NAMES_NONE;
    if (instance->peer.service.size == 0) {
        return;
    }
    instance->service = require_ring(self, instance->peer.service);
    ring_t *ring = self->rings[instance->service];
    if (ring->count == ring->room) {
        ring->room = ring->room == 0 ? 4 : ring->room * 2;
        ring->members = realloc(ring->members, ring->room * sizeof(ring->members[0]));
        assert(ring->members != NULL);
    }
    ring->members[ring->count++] = place;
}

static void
leave_ring(peer_table_t *self, uint32_t place)
{
    uint32_t ring_place = self->instances[place]->service;
    if (ring_place == NAMES_NONE) {
        return;
    }
    ring_t *ring = self->rings[ring_place];
    uint32_t i = 0;
    while (ring->members[i] != place) {
        i++;
        assert(i < ring->count);
    }
    ring->members[i] = ring->members[--ring->count];
    if (ring->count == 0) {
        names_remove(self->by_service, view_from(ring->name, ring->size));
        ring_free(ring);
        self->rings[ring_place] = NULL;
    }
}

static instance_t *
instance_new(const peer_t *peer)
{
    assert(peer->service.size <= NAME_SIZE_MAX && peer->inbox.size <= NAME_SIZE_MAX);
    assert(peer->instance.size > 0 && peer->instance.size <= ID_SIZE_MAX);
    assert(peer->source.size <= ID_SIZE_MAX && peer->version.size <= ID_SIZE_MAX);
    assert(peer->build.size <= ID_SIZE_MAX && peer->host.size <= ID_SIZE_MAX);
    instance_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    size_t size = peer->service.size + peer->instance.size + peer->inbox.size + peer->source.size +
                  peer->version.size + peer->build.size + peer->host.size;
    self->text = malloc(size);
    assert(self->text != NULL);
    char *at = self->text;
    self->peer = *peer;
    self->peer.service = view_keep(peer->service, &at);
    self->peer.instance = view_keep(peer->instance, &at);
    self->peer.inbox = view_keep(peer->inbox, &at);
    self->peer.source = view_keep(peer->source, &at);
    self->peer.version = view_keep(peer->version, &at);
    self->peer.build = view_keep(peer->build, &at);
    self->peer.host = view_keep(peer->host, &at);
    return self;
}

bus_err_t
peer_register(peer_table_t *self, const peer_t *peer, uint64_t now_ms, bool *ret_new)
{
    uint32_t place = names_find(self->by_instance, peer->instance);
    bool is_new = place == NAMES_NONE;
    if (is_new && names_count(self->by_instance) == PEERS_MAX) {
        return BUS_BUSY;
    }
    instance_t *instance = instance_new(peer);
    instance->seen_ms = now_ms;
    if (is_new) {
        place = free_instance(self);
        bool added = names_add(self->by_instance, peer->instance, place);
        assert(added);
    } else if (view_equal(self->instances[place]->peer.service, peer->service)) {
        instance->peer.since = self->instances[place]->peer.since;
        instance->service = self->instances[place]->service; // keeps its turn
        instance->place = place;
        instance_free(self->instances[place]);
        self->instances[place] = instance;
        *ret_new = false;
        return BUS_OK;
    } else {
        instance->peer.since = self->instances[place]->peer.since;
        leave_ring(self, place);
        instance_free(self->instances[place]);
    }
    self->instances[place] = instance;
    instance->place = place;
    join_ring(self, place);
    *ret_new = is_new;
    return BUS_OK;
}

static void
forget(peer_table_t *self, uint32_t place, const char *why, peer_down_fn *fn, void *arg)
{
    instance_t *instance = self->instances[place];
    leave_ring(self, place);
    asked_forget(self->asked, place);
    names_remove(self->by_instance, instance->peer.instance);
    self->instances[place] = NULL;
    fn(arg, &instance->peer, why);
    instance_free(instance);
}

void
peer_leave(peer_table_t *self, bus_view_t instance, const char *why, peer_down_fn *fn, void *arg)
{
    uint32_t place = names_find(self->by_instance, instance);
    if (place != NAMES_NONE) {
        forget(self, place, why, fn, arg);
    }
}

void
peer_expire(peer_table_t *self, uint64_t now_ms, peer_down_fn *fn, void *arg)
{
    // Their beats may be waiting in the socket while we were stopped: everyone gets a fresh start.
    bool was_stopped =
        self->looked_ms != 0 && now_ms - self->looked_ms > (uint64_t) 2 * PEER_BEAT_MS;
    self->looked_ms = now_ms;
    asked_expire(self->asked, now_ms);
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        instance_t *instance = self->instances[i];
        if (instance == NULL) {
            continue;
        }
        if (was_stopped) {
            instance->seen_ms = now_ms;
        } else if (now_ms - instance->seen_ms >= PEER_SILENCE_MS) {
            forget(self, i, "silent", fn, arg);
        }
    }
}

// The next usable member of a ring, or NULL.
static const peer_t *
take_turn(peer_table_t *self, ring_t *ring, peer_usable_fn *usable, void *arg)
{
    for (uint32_t i = 0; i < ring->count; i++) {
        ring->turn = (ring->turn + 1) % ring->count;
        const peer_t *peer = &self->instances[ring->members[ring->turn]]->peer;
        if (usable(arg, peer)) {
            return peer;
        }
    }
    return NULL;
}

const peer_t *
peer_choose(peer_table_t *self, bus_view_t asked, peer_usable_fn *usable, void *arg)
{
    size_t size = asked.size;
    while (size > 0) {
        uint32_t place = names_find(self->by_service, view_from(asked.data, size));
        if (place != NAMES_NONE) {
            return take_turn(self, self->rings[place], usable, arg);
        }
        const char *dot = memrchr(asked.data, '.', size);
        size = dot == NULL ? 0 : (size_t) (dot - asked.data);
    }
    return NULL;
}

static uint32_t
place_of(const peer_t *peer)
{
    return ((const instance_t *) (const void *) peer)->place;
}

uint32_t
peer_waiting(const peer_table_t *self, const peer_t *peer)
{
    return asked_count(self->asked, place_of(peer));
}

void
peer_asked(
    peer_table_t *self, const peer_t *peer, bus_view_t reply_to, bus_view_t id, uint64_t now_ms)
{
    asked_add(self->asked, reply_to, id, place_of(peer), now_ms);
}

void
peer_answered(peer_table_t *self, bus_view_t reply_to, bus_view_t id)
{
    asked_answered(self->asked, reply_to, id);
}

void
peer_began(peer_table_t *self, bus_view_t instance)
{
    uint32_t place = names_find(self->by_instance, instance);
    if (place != NAMES_NONE) {
        asked_forget(self->asked, place);
    }
}

bus_view_t
peer_source(const peer_table_t *self, bus_view_t instance)
{
    uint32_t place = names_find(self->by_instance, instance);
    return place == NAMES_NONE ? VIEW_NONE : self->instances[place]->peer.source;
}

uint32_t
peer_count_of(const peer_table_t *self, bus_view_t source)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        const instance_t *instance = self->instances[i];
        count += instance != NULL && view_equal(instance->peer.source, source);
    }
    return count;
}

uint32_t
peer_count(const peer_table_t *self)
{
    return names_count(self->by_instance);
}

void
peer_each(const peer_table_t *self, peer_each_fn *fn, void *arg)
{
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        if (self->instances[i] != NULL) {
            fn(arg, &self->instances[i]->peer);
        }
    }
}
