// stream.c - a chained hash map with a list by use through it.
#include "stream.h"
#include "runtime/id.h"
#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

enum { BUCKET_COUNT = 65536 }; // one a stream at STREAMS_MAX

struct stream_map {
    stream_t *buckets[BUCKET_COUNT];
    uint64_t seed;  // of the hash: nobody outside chooses what collides
    unsigned table; // of the store
    uint32_t count;
    uint32_t count_max;
    uint32_t kept_count; // streams named ""
    stream_t *newest;    // of those that may go
    stream_t *oldest;
    stream_t *dirty;                     // list of what this commit changed
    stream_t *last;                      // found last: a publisher's messages follow each other
    stream_t *asked[STREAM_ORIGINS_MAX]; // the streams that have an origin
    uint32_t asked_count;
    uint64_t start_at; // streams cannot have been unused for longer than since then
    uint64_t tick;     // counts questions to origins
    uint64_t steps;    // records that this commit may still walk back
};

typedef struct {
    size_t size;
    char bytes[STREAM_KEY_SIZE_MAX];
} stream_key_t;

stream_map_t *
stream_map_new(unsigned table, uint32_t count_max)
{
    stream_map_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    self->table = table;
    self->count_max = count_max;
    id_random(&self->seed, sizeof(self->seed));
    return self;
}

static void
clear(stream_map_t *self)
{
    for (size_t i = 0; i < BUCKET_COUNT && self->count > 0; i++) {
        while (self->buckets[i] != NULL) {
            stream_t *stream = self->buckets[i];
            self->buckets[i] = stream->next;
            origin_destroy(&stream->origin);
            free(stream);
            self->count--;
        }
    }
    self->kept_count = 0;
    self->newest = NULL;
    self->oldest = NULL;
    self->dirty = NULL;
    self->last = NULL;
    self->asked_count = 0;
}

void
stream_map_destroy(stream_map_t **self_p)
{
    assert(self_p != NULL);
    if (*self_p != NULL) {
        clear(*self_p);
        free(*self_p);
        *self_p = NULL;
    }
}

uint32_t
stream_map_count(const stream_map_t *self)
{
    return self->count;
}

static void
make_key(bus_view_t source, bus_view_t pstream, stream_key_t *ret_key)
{
    assert(source.size <= ID_SIZE_MAX && pstream.size <= ID_SIZE_MAX);
    ret_key->bytes[0] = (char) source.size;
    if (source.size > 0) {
        memcpy(ret_key->bytes + 1, source.data, source.size);
    }
    if (pstream.size > 0) {
        memcpy(ret_key->bytes + 1 + source.size, pstream.data, pstream.size);
    }
    ret_key->size = 1 + source.size + pstream.size;
}

static void
unlink_used(stream_map_t *self, stream_t *stream)
{
    *(stream->newer == NULL ? &self->newest : &stream->newer->older) = stream->older;
    *(stream->older == NULL ? &self->oldest : &stream->older->newer) = stream->newer;
    stream->newer = NULL;
    stream->older = NULL;
}

static void
link_newest(stream_map_t *self, stream_t *stream)
{
    stream->older = self->newest;
    *(self->newest == NULL ? &self->oldest : &self->newest->newer) = stream;
    self->newest = stream;
}

static void
touch(stream_map_t *self, stream_t *stream)
{
    if (!stream->is_kept && self->newest != stream) {
        unlink_used(self, stream);
        link_newest(self, stream);
    }
}

// Makes a stream with this key; the caller knows that there is none.
static stream_t *
insert(stream_map_t *self, const stream_key_t *key)
{
    stream_t *stream = calloc(1, sizeof(*stream));
    assert(stream != NULL);
    memcpy(stream->key, key->bytes, key->size);
    stream->key_size = key->size;
    stream->hash = XXH3_64bits_withSeed(key->bytes, key->size, self->seed);
    stream->is_kept = key->size == 1 + (size_t) (unsigned char) key->bytes[0];
    stream->next = self->buckets[stream->hash % BUCKET_COUNT];
    self->buckets[stream->hash % BUCKET_COUNT] = stream;
    self->count++;
    if (stream->is_kept) {
        self->kept_count++;
    } else {
        link_newest(self, stream);
    }
    return stream;
}

static void
drop_origin(stream_map_t *self, stream_t *stream)
{
    for (uint32_t i = 0; i < self->asked_count; i++) {
        if (self->asked[i] == stream) {
            self->asked[i] = self->asked[--self->asked_count];
            break;
        }
    }
    origin_destroy(&stream->origin);
}

// Removes the stream that was used longest ago, from memory and from the store. It is not dirty.
static bus_err_t
discard_oldest(stream_map_t *self, store_txn_t *txn)
{
    stream_t *stream = self->oldest;
    assert(!stream->is_dirty && !stream->is_kept);
    bus_err_t err = store_del(txn, self->table, view_from(stream->key, stream->key_size));
    if (err != BUS_OK && err != BUS_NOT_FOUND) {
        return err;
    }
    stream_t **link = &self->buckets[stream->hash % BUCKET_COUNT];
    while (*link != stream) {
        link = &(*link)->next;
    }
    *link = stream->next;
    self->oldest = stream->newer;
    *(self->oldest == NULL ? &self->newest : &self->oldest->older) = NULL;
    if (stream->origin != NULL) {
        drop_origin(self, stream);
    }
    if (self->last == stream) {
        self->last = NULL;
    }
    self->count--;
    free(stream);
    return BUS_OK;
}

static int
compare_at(const void *a, const void *b)
{
    uint64_t x = (*(stream_t *const *) a)->state.at;
    uint64_t y = (*(stream_t *const *) b)->state.at;
    return x < y ? -1 : x > y;
}

// The table lies in key order: brings the list of those that may go in order of use.
static void
sort_by_use(stream_map_t *self)
{
    uint32_t count = self->count - self->kept_count;
    if (count < 2) {
        return;
    }
    stream_t **streams = calloc(count, sizeof(stream_t *));
    assert(streams != NULL);
    uint32_t i = 0;
    for (stream_t *stream = self->newest; stream != NULL; stream = stream->older) {
        streams[i++] = stream;
    }
    assert(i == count);
    qsort(streams, count, sizeof(stream_t *), compare_at);
    self->newest = NULL;
    self->oldest = NULL;
    for (i = 0; i < count; i++) {
        streams[i]->newer = NULL;
        link_newest(self, streams[i]);
    }
    free(streams);
}

bus_err_t
stream_map_load(stream_map_t *self, store_txn_t *txn)
{
    clear(self);
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_err_t err = store_cursor_open(txn, self->table, &cursor);
    if (err != BUS_OK) {
        return err;
    }
    bus_view_t key_view;
    bus_view_t value;
    for (err = store_first(cursor, &key_view, &value); err == BUS_OK;
         err = store_next(cursor, &key_view, &value)) {
        if (value.size != sizeof(stream_state_t) || key_view.size > STREAM_KEY_SIZE_MAX) {
            return BUS_CORRUPT;
        }
        stream_key_t key = {.size = key_view.size};
        memcpy(key.bytes, key_view.data, key_view.size);
        stream_t *stream = insert(self, &key);
        memcpy(&stream->state, value.data, sizeof(stream->state));
    }
    sort_by_use(self);
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

void
stream_map_start(stream_map_t *self, uint64_t at)
{
    self->start_at = at;
}

void
stream_map_begin(stream_map_t *self)
{
    assert(self->dirty == NULL);
    self->steps = STREAM_STEPS_MAX;
}

stream_t *
stream_map_find(stream_map_t *self, bus_view_t source, bus_view_t pstream)
{
    stream_key_t key;
    make_key(source, pstream, &key);
    stream_t *last = self->last;
    if (last != NULL && last->key_size == key.size && memcmp(last->key, key.bytes, key.size) == 0) {
        return last;
    }
    uint64_t hash = XXH3_64bits_withSeed(key.bytes, key.size, self->seed);
    stream_t *stream = self->buckets[hash % BUCKET_COUNT];
    while (stream != NULL && (stream->hash != hash || stream->key_size != key.size ||
                              memcmp(stream->key, key.bytes, key.size) != 0)) {
        stream = stream->next;
    }
    if (stream != NULL) {
        self->last = stream;
    }
    return stream;
}

bus_err_t
stream_map_add(stream_map_t *self,
               store_txn_t *txn,
               bus_view_t source,
               bus_view_t pstream,
               uint64_t at,
               stream_t **ret_stream)
{
    if (pstream.size == 0 && self->kept_count >= self->count_max / 2) {
        return BUS_BUSY;
    }
    if (self->count >= self->count_max) {
        stream_t *oldest = self->oldest;
        if (oldest == NULL || oldest->state.at + STREAM_IDLE_US > at) {
            return BUS_BUSY;
        }
        bus_err_t err = discard_oldest(self, txn);
        if (err != BUS_OK) {
            return err;
        }
    }
    stream_key_t key;
    make_key(source, pstream, &key);
    *ret_stream = insert(self, &key);
    return BUS_OK;
}

void
stream_map_advance(stream_map_t *self, stream_t *stream, const stream_state_t *state)
{
    assert(state->pseq == stream->state.pseq + 1);
    stream->state = *state;
    if (!stream->is_dirty) {
        stream->is_dirty = true;
        stream->next_dirty = self->dirty;
        self->dirty = stream;
        touch(self, stream);
    }
    if (stream->origin != NULL) {
        origin_push(stream->origin, state->pseq, state->seq);
    }
}

// Gives the stream an origin, in place of the one that was asked for longest ago where there are
// enough.
static void
require_origin(stream_map_t *self, stream_t *stream)
{
    if (stream->origin != NULL) {
        return;
    }
    if (self->asked_count == STREAM_ORIGINS_MAX) {
        stream_t *least = self->asked[0];
        for (uint32_t i = 1; i < self->asked_count; i++) {
            least = self->asked[i]->asked < least->asked ? self->asked[i] : least;
        }
        drop_origin(self, least);
    }
    stream->origin = origin_new(stream->state.pseq, stream->state.seq);
    self->asked[self->asked_count++] = stream;
}

bus_err_t
stream_map_origin(stream_map_t *self,
                  stream_t *stream,
                  store_txn_t *txn,
                  unsigned log,
                  uint64_t pseq,
                  uint64_t *ret_seq)
{
    require_origin(self, stream);
    stream->asked = ++self->tick;
    touch(self, stream);
    return origin_find(stream->origin, txn, log, pseq, &self->steps, ret_seq);
}

bus_err_t
stream_map_flush(stream_map_t *self, store_txn_t *txn, uint64_t at)
{
    for (int i = 0; i < STREAM_EXPIRE_MAX; i++) {
        stream_t *oldest = self->oldest;
        if (oldest == NULL || oldest->is_dirty) {
            break;
        }
        uint64_t used = oldest->state.at > self->start_at ? oldest->state.at : self->start_at;
        if (used + STREAM_KEPT_US > at) {
            break;
        }
        bus_err_t err = discard_oldest(self, txn);
        if (err != BUS_OK) {
            return err;
        }
    }
    while (self->dirty != NULL) {
        stream_t *stream = self->dirty;
        bus_view_t key = view_from(stream->key, stream->key_size);
        bus_view_t value = view_from(&stream->state, sizeof(stream->state));
        bus_err_t err = store_put(txn, self->table, key, value);
        if (err != BUS_OK) {
            return err;
        }
        stream->is_dirty = false;
        self->dirty = stream->next_dirty;
    }
    return BUS_OK;
}
