// hearing.c - a short array for each descriptor, searched from its end: it is mostly of one.
#include "hearing.h"
#include "runtime/id.h"
#include <assert.h>
#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum { ROOM_FIRST = 4 };

typedef struct {
    hearing_prefix_t *prefixes; // `room` of them
    uint16_t count;
    uint16_t room;
    uint32_t bytes; // of all prefixes
} connection_t;

struct hearing {
    connection_t *connections; // HEARING_FDS_MAX of them
    uint64_t seed;             // of the hash: nobody outside chooses what collides
};

_Static_assert(HEARING_PREFIXES_MAX <= UINT16_MAX, "counts are 16 bits");

hearing_t *
hearing_new(void)
{
    hearing_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    self->connections = calloc(HEARING_FDS_MAX, sizeof(self->connections[0]));
    assert(self->connections != NULL);
    id_random(&self->seed, sizeof(self->seed));
    return self;
}

void
hearing_destroy(hearing_t **self_p)
{
    hearing_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    for (int fd = 0; fd < HEARING_FDS_MAX; fd++) {
        free(self->connections[fd].prefixes);
    }
    free(self->connections);
    free(self);
    *self_p = NULL;
}

static connection_t *
connection_of(const hearing_t *self, int fd)
{
    return fd >= 0 && fd < HEARING_FDS_MAX ? &self->connections[fd] : NULL;
}

static hearing_prefix_t *
find(const connection_t *connection, uint64_t hash, bus_view_t prefix)
{
    for (uint16_t i = connection->count; i > 0; i--) {
        hearing_prefix_t *found = &connection->prefixes[i - 1];
        if (found->hash == hash && found->size == prefix.size) {
            return found;
        }
    }
    return NULL;
}

static uint64_t
hash_of(const hearing_t *self, bus_view_t prefix)
{
    return XXH3_64bits_withSeed(prefix.data, prefix.size, self->seed);
}

hearing_prefix_t *
hearing_require(hearing_t *self, int fd, bus_view_t prefix)
{
    connection_t *connection = connection_of(self, fd);
    uint64_t hash = hash_of(self, prefix);
    hearing_prefix_t *found = connection == NULL ? NULL : find(connection, hash, prefix);
    if (found != NULL || connection == NULL || connection->count == HEARING_PREFIXES_MAX ||
        connection->bytes + prefix.size > HEARING_BYTES_MAX) {
        return found;
    }
    if (connection->count == connection->room) {
        connection->room = connection->room == 0 ? ROOM_FIRST : (uint16_t) (connection->room * 2U);
        connection->prefixes =
            realloc(connection->prefixes, connection->room * sizeof(connection->prefixes[0]));
        assert(connection->prefixes != NULL);
    }
    found = &connection->prefixes[connection->count++];
    *found =
        (hearing_prefix_t){.hash = hash, .inbox = HEARING_NO_INBOX, .size = (uint32_t) prefix.size};
    connection->bytes += (uint32_t) prefix.size;
    return found;
}

bool
hearing_remove(hearing_t *self, int fd, bus_view_t prefix, int32_t *ret_inbox)
{
    connection_t *connection = connection_of(self, fd);
    hearing_prefix_t *found =
        connection == NULL ? NULL : find(connection, hash_of(self, prefix), prefix);
    if (found == NULL) {
        return false;
    }
    *ret_inbox = found->inbox;
    connection->bytes -= found->size;
    *found = connection->prefixes[--connection->count];
    return true;
}

uint32_t
hearing_count(const hearing_t *self, int fd)
{
    const connection_t *connection = connection_of(self, fd);
    return connection == NULL ? 0 : connection->count;
}

void
hearing_forget(hearing_t *self, int fd, hearing_inbox_fn *fn, void *arg)
{
    connection_t *connection = connection_of(self, fd);
    if (connection == NULL) {
        return;
    }
    for (uint16_t i = 0; i < connection->count; i++) {
        if (connection->prefixes[i].inbox != HEARING_NO_INBOX) {
            fn(arg, connection->prefixes[i].inbox);
        }
    }
    free(connection->prefixes);
    *connection = (connection_t){.prefixes = NULL};
}
