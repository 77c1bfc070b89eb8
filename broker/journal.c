// journal.c - opening, the clock, and what is known about the journal.
//
// Whatever fails in a commit, memory is not repaired but read again from the store: what is on disk
// is the one truth, and the way back to it is the same as the way in at start. A failed flush costs
// a close and an open besides (LMDB's advice); it may turn out that the commit was made after all,
// and then the publishers, who were told IO_ERROR, are told `duplicate` when they try again.
#include "journal.h"
#include "journal_inner.h"
#include "proto/topic.h"
#include "runtime/clock.h"
#include "runtime/id.h"
#include <assert.h>
#include <stdlib.h>

#define SIZE_MAX_PRESET ((uint64_t) 256 << 30)
#define CLOCK_JUMP_US (24 * UINT64_C(3600000000))

static const store_table_t tables[TABLE_COUNT] = {
    [TABLE_LOG] = {JOURNAL_LOG_TABLE, STORE_KEYS_UINT64, true, "every record, by seq"},
    [TABLE_STATE] = {"state",
                     STORE_KEYS_BYTES,
                     true,
                     "epoch, head, first, last seq of each family"},
    [TABLE_STREAMS] = {"streams", STORE_KEYS_BYTES, true, "where each publisher's stream stands"},
    [TABLE_CONSUMERS] = {"consumers", STORE_KEYS_BYTES, false, "the acks of known consumers"},
    [TABLE_TRACES] = {"traces", STORE_KEYS_UINT64, false, "where each trace's records may be"},
};
static const char state_key[] = "journal";

_Static_assert((int) JOURNAL_EPOCH_SIZE == (int) ID_TEXT_SIZE, "the epoch is a UUID");

uint64_t
journal_inner_now(const journal_t *self)
{
    uint64_t at = self->anchor_at + (clock_boot_us() - self->anchor_boot);
    return at > self->state.at ? at : self->state.at;
}

bus_err_t
journal_inner_get_state(store_txn_t *txn, journal_state_t *ret_state)
{
    bus_view_t value;
    bus_err_t err = store_get(txn, TABLE_STATE, view_from_text(state_key), &value);
    if (err != BUS_OK) {
        return err;
    }
    if (value.size != sizeof(*ret_state)) {
        return BUS_CORRUPT;
    }
    memcpy(ret_state, value.data, sizeof(*ret_state));
    return ret_state->format == 1 ? BUS_OK : BUS_CORRUPT;
}

bus_err_t
journal_inner_put_state(journal_t *self, store_txn_t *txn)
{
    bus_view_t value = view_from(&self->state, sizeof(self->state));
    return store_put(txn, TABLE_STATE, view_from_text(state_key), value);
}

// Lets other threads see the state.
static void
publish(journal_t *self)
{
    atomic_store(&self->info_first, self->state.first);
    atomic_store(&self->info_head, self->state.head);
    atomic_store(&self->info_at, self->state.at);
    atomic_store(&self->info_bytes, self->state.bytes);
}

bus_err_t
journal_inner_commit(journal_t *self, store_txn_t **txn_p)
{
    bus_err_t err = store_commit(txn_p);
    if (err == BUS_OK) {
        publish(self);
    }
    return err;
}

// Whether the last record of the log is the head that the state names.
static bus_err_t
check_head(const journal_state_t *state, store_txn_t *txn)
{
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_err_t err = store_cursor_open(txn, TABLE_LOG, &cursor);
    if (err != BUS_OK) {
        return err;
    }
    bus_view_t key;
    bus_view_t value;
    uint64_t seq = state->first - 1; // nothing is kept
    err = store_last(cursor, &key, &value);
    if (err == BUS_OK || err == BUS_CORRUPT) { // a bad record is its reader's matter
        memcpy(&seq, key.data, sizeof(seq));
        err = BUS_OK;
    }
    if (err != BUS_OK && err != BUS_NOT_FOUND) {
        return err;
    }
    return seq == state->head ? BUS_OK : BUS_CORRUPT;
}

bus_err_t
journal_inner_load(journal_t *self)
{
    self->is_stale = true;
    journal_trace_clear(&self->traces);
    BUS_AUTO(store_rollback) store_txn_t *txn = NULL;
    bus_err_t err = store_begin(self->store, STORE_READ, &txn);
    if (err == BUS_OK) {
        err = journal_inner_get_state(txn, &self->state);
    }
    if (err == BUS_OK) {
        err = check_head(&self->state, txn);
    }
    if (err == BUS_OK) {
        err = stream_map_load(self->streams, txn);
    }
    if (err == BUS_OK) {
        self->is_stale = false;
        publish(self);
    }
    return err == BUS_NOT_FOUND ? BUS_CORRUPT : err;
}

// Writes the state of a journal that was never used. Does nothing to one that was.
static bus_err_t
create(journal_t *self)
{
    BUS_AUTO(store_rollback) store_txn_t *txn = NULL;
    bus_err_t err = store_begin(self->store, STORE_WRITE, &txn);
    if (err != BUS_OK) {
        return err;
    }
    err = journal_inner_get_state(txn, &self->state);
    if (err != BUS_NOT_FOUND) {
        return err;
    }
    self->state = (journal_state_t){.format = 1, .first = 1};
    id_make(self->state.epoch);
    err = journal_inner_put_state(self, txn);
    return err == BUS_OK ? store_commit(&txn) : err;
}

static bus_err_t
open_store(journal_t *self)
{
    const store_options_t options = {
        .path = self->path,
        .tables = tables,
        .table_count = TABLE_COUNT,
        .size_max = self->size_max,
        .durability = STORE_SYNC,
    };
    return store_open(&options, &self->store);
}

bus_err_t
journal_inner_ready(journal_t *self)
{
    if (self->store != NULL && !store_is_failed(self->store) && !self->is_stale) {
        return BUS_OK;
    }
    pthread_rwlock_wrlock(&self->store_lock);
    store_destroy(&self->store);
    bus_err_t err = open_store(self);
    if (err == BUS_OK) {
        err = journal_inner_load(self);
    }
    if (err != BUS_OK) {
        store_destroy(&self->store);
    }
    pthread_rwlock_unlock(&self->store_lock);
    return err;
}

static void
start_clock(journal_t *self)
{
    uint64_t wall = clock_wall_us();
    uint64_t last = self->state.at;
    self->anchor_at = wall > last ? wall : last;
    self->anchor_boot = clock_boot_us();
    self->clock_jumped = self->state.head > 0 && wall > last && wall - last > CLOCK_JUMP_US;
    stream_map_start(self->streams, self->anchor_at);
}

bus_err_t
journal_open(const journal_options_t *options, journal_t **ret_self)
{
    assert(options->path != NULL);
    assert(topic_family_count() <= JOURNAL_FAMILIES_MAX);
    BUS_AUTO(journal_destroy) journal_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    int rc = pthread_rwlock_init(&self->store_lock, NULL);
    assert(rc == 0);
    self->path = strdup(options->path);
    assert(self->path != NULL);
    self->size_max = options->size_max == 0 ? SIZE_MAX_PRESET : options->size_max;
    self->retention_bytes = options->retention_bytes;
    self->retention_us = options->retention_ms * 1000;
    self->streams = stream_map_new(TABLE_STREAMS, STREAMS_MAX);
    bus_err_t err = open_store(self);
    if (err == BUS_OK) {
        err = create(self);
    }
    if (err == BUS_OK) {
        err = journal_inner_load(self);
    }
    if (err != BUS_OK) {
        return err;
    }
    memcpy(self->epoch, self->state.epoch, sizeof(self->epoch));
    start_clock(self);
    *ret_self = self;
    self = NULL; // now the caller's
    return BUS_OK;
}

void
journal_destroy(journal_t **self_p)
{
    assert(self_p != NULL);
    journal_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    stream_map_destroy(&self->streams);
    store_destroy(&self->store);
    pthread_rwlock_destroy(&self->store_lock);
    free(self->path);
    free(self);
    *self_p = NULL;
}

void
journal_info(const journal_t *self, journal_info_t *ret_info)
{
    *ret_info = (journal_info_t){
        .first = atomic_load(&self->info_first),
        .head = atomic_load(&self->info_head),
        .at = atomic_load(&self->info_at),
        .bytes = atomic_load(&self->info_bytes),
    };
    memcpy(ret_info->epoch, self->epoch, sizeof(self->epoch));
}

bool
journal_clock_jumped(const journal_t *self)
{
    return self->clock_jumped;
}

bus_err_t
journal_consumers(journal_t *self, journal_consumer_fn *fn, void *arg)
{
    BUS_AUTO(store_rollback) store_txn_t *txn = NULL;
    bus_err_t err = store_begin(self->store, STORE_READ, &txn);
    if (err != BUS_OK) {
        return err;
    }
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    err = store_cursor_open(txn, TABLE_CONSUMERS, &cursor);
    if (err != BUS_OK) {
        return err;
    }
    bus_view_t name;
    bus_view_t value;
    for (err = store_first(cursor, &name, &value); err == BUS_OK;
         err = store_next(cursor, &name, &value)) {
        uint64_t ack;
        if (value.size < sizeof(ack)) {
            return BUS_CORRUPT;
        }
        memcpy(&ack, value.data, sizeof(ack));
        fn(arg, name, ack);
    }
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}
