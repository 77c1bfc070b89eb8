// event.c - a user's kept events.
//
// A record is a map of the fields that are there, from one table, so that what is added later is
// skipped by whoever does not know it.
#include "event.h"
#include "proto/walk.h"
#include "tables.h"
#include <assert.h>
#include <stdlib.h>

typedef enum {
    FIELD_TEXT,
    FIELD_RAW,
    FIELD_UINT,
    FIELD_UINT_IF_ANY,
    FIELD_REAL,
    FIELD_REAL_IF_ANY
} field_type_t;

typedef struct {
    const char *name;
    field_type_t type;
    size_t offset;
} field_t;

static const field_t fields[] = {
    {"at", FIELD_UINT, offsetof(karma_event_t, at)},
    {"prev", FIELD_UINT_IF_ANY, offsetof(karma_event_t, prev)},
    {"kind", FIELD_TEXT, offsetof(karma_event_t, kind)},
    {"role", FIELD_TEXT, offsetof(karma_event_t, role)},
    {"action", FIELD_TEXT, offsetof(karma_event_t, action)},
    {"intent", FIELD_TEXT, offsetof(karma_event_t, intent)},
    {"token", FIELD_TEXT, offsetof(karma_event_t, token)},
    {"class", FIELD_TEXT, offsetof(karma_event_t, class_)},
    {"reward", FIELD_REAL, offsetof(karma_event_t, reward)},
    {"merit", FIELD_REAL, offsetof(karma_event_t, merit)},
    {"became", FIELD_TEXT, offsetof(karma_event_t, became)},
    {"cheat", FIELD_TEXT, offsetof(karma_event_t, cheat)},
    {"source", FIELD_TEXT, offsetof(karma_event_t, source)},
    {"trace_id", FIELD_TEXT, offsetof(karma_event_t, trace_id)},
    {"note", FIELD_TEXT, offsetof(karma_event_t, note)},
    {"context", FIELD_RAW, offsetof(karma_event_t, context)},
    {"metadata", FIELD_RAW, offsetof(karma_event_t, metadata)},
    {"timestamp", FIELD_TEXT, offsetof(karma_event_t, timestamp)},
    {"affected", FIELD_TEXT, offsetof(karma_event_t, affected)},
    {"described", FIELD_TEXT, offsetof(karma_event_t, described)},
    {"owed", FIELD_REAL_IF_ANY, offsetof(karma_event_t, owed)},
    {"plan_id", FIELD_TEXT, offsetof(karma_event_t, plan_id)},
    {"practice", FIELD_TEXT, offsetof(karma_event_t, practice)},
    {"amount", FIELD_REAL_IF_ANY, offsetof(karma_event_t, amount)},
    {"loka", FIELD_TEXT, offsetof(karma_event_t, loka)},
};

enum { FIELD_COUNT = sizeof fields / sizeof fields[0] };

static void
encode(const karma_event_t *event, pack_t *out)
{
    size_t place = pack_map_begin(out);
    uint32_t count = 0;
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        const void *field = (const char *) event + fields[i].offset;
        const bus_view_t *view = field; // where the type says so
        switch (fields[i].type) {
        case FIELD_UINT_IF_ANY:
            if (*(const uint64_t *) field == 0) {
                continue;
            }
            pack_pair_uint(out, fields[i].name, *(const uint64_t *) field);
            break;
        case FIELD_UINT:
            pack_pair_uint(out, fields[i].name, *(const uint64_t *) field);
            break;
        case FIELD_REAL_IF_ANY:
            if (*(const double *) field == 0.0) {
                continue;
            }
            pack_pair_real(out, fields[i].name, *(const double *) field);
            break;
        case FIELD_REAL:
            pack_pair_real(out, fields[i].name, *(const double *) field);
            break;
        case FIELD_TEXT:
            if (view->data == NULL) {
                continue;
            }
            pack_pair_str(out, fields[i].name, *view);
            break;
        case FIELD_RAW:
            if (view->data == NULL) {
                continue;
            }
            pack_pair_raw(out, fields[i].name, *view);
            break;
        }
        count++;
    }
    pack_count(out, place, count);
}

static bus_err_t
decode_field(const field_t *row, bus_view_t value, karma_event_t *event)
{
    void *field = (char *) event + row->offset;
    switch (row->type) {
    case FIELD_UINT:
    case FIELD_UINT_IF_ANY:
        return walk_as_uint(value, field);
    case FIELD_REAL:
    case FIELD_REAL_IF_ANY:
        return walk_as_real(value, field);
    case FIELD_TEXT:
        return walk_as_str(value, field);
    case FIELD_RAW:
        *(bus_view_t *) field = value;
        return BUS_OK;
    }
    return BUS_CORRUPT;
}

static bus_err_t
decode(bus_view_t record, karma_event_t *ret_event)
{
    karma_event_t event = {.seq = 0};
    walk_pairs_t pairs = walk_pairs(record);
    bus_view_t key;
    bus_view_t value;
    bus_err_t err = BUS_OK;
    size_t next = 0; // fields come in the table's order: looking goes on where it left off
    while ((err = walk_pairs_next(&pairs, &key, &value)) == BUS_OK) {
        size_t i = next;
        while (i < FIELD_COUNT && !view_is(key, fields[i].name)) {
            i++;
        }
        if (i == FIELD_COUNT) {
            continue;
        }
        if (decode_field(&fields[i], value, &event) != BUS_OK) {
            return BUS_CORRUPT;
        }
        next = i + 1;
    }
    if (err != BUS_NOT_FOUND) {
        return BUS_CORRUPT;
    }
    *ret_event = event;
    return BUS_OK;
}

bus_err_t
karma_event_put(store_txn_t *txn, const karma_event_t *event, pack_t *scratch)
{
    pack_clear(scratch);
    encode(event, scratch);
    bus_err_t err = store_append(txn, KARMA_EVENTS, STORE_U64(event->seq), pack_view(scratch));
    assert(err != BUS_CONFLICT); // the journal's seq only grows
    return err;
}

static bus_err_t
get(store_txn_t *txn, uint64_t seq, karma_event_t *ret_event)
{
    bus_view_t value;
    bus_err_t err = store_get(txn, KARMA_EVENTS, STORE_U64(seq), &value);
    if (err == BUS_OK) {
        err = decode(value, ret_event);
    }
    ret_event->seq = seq;
    return err;
}

// The event before this one; 0: there is none.
static bus_err_t
get_prev(store_txn_t *txn, uint64_t seq, uint64_t *ret_prev)
{
    bus_view_t record;
    bus_view_t value;
    bus_err_t err = store_get(txn, KARMA_EVENTS, STORE_U64(seq), &record);
    if (err != BUS_OK) {
        return err;
    }
    *ret_prev = 0;
    err = walk_find(record, "prev", &value);
    if (err == BUS_NOT_FOUND) {
        return BUS_OK;
    }
    if (err != BUS_OK || walk_as_uint(value, ret_prev) != BUS_OK || *ret_prev >= seq) {
        return BUS_CORRUPT;
    }
    return BUS_OK;
}

void
karma_event_walk_init(karma_event_walk_t *self, uint64_t last, size_t count_max)
{
    assert(count_max > 0);
    *self = (karma_event_walk_t){.count_max = count_max, .back = last};
}

void
karma_event_walk_clear(karma_event_walk_t *self)
{
    free(self->seqs);
    *self = (karma_event_walk_t){.count = 0};
}

static void
add_seq(karma_event_walk_t *self, uint64_t seq)
{
    if (self->count == self->room) {
        self->room = self->room == 0 ? 64 : 2 * self->room;
        self->seqs = realloc(self->seqs, self->room * sizeof *self->seqs);
        assert(self->seqs != NULL); // memory running out ends the process, as in pack.h
    }
    self->seqs[self->count++] = seq;
}

static bus_err_t
step_back(store_txn_t *txn, karma_event_walk_t *self)
{
    if (self->count == self->count_max) {
        return BUS_PAYLOAD_TOO_LARGE;
    }
    add_seq(self, self->back);
    return get_prev(txn, self->back, &self->back);
}

bus_err_t
karma_event_walk(
    store_txn_t *txn, karma_event_walk_t *self, size_t steps, karma_event_fn *fn, void *arg)
{
    bus_err_t err = BUS_OK;
    for (; steps > 0 && self->back != 0 && err == BUS_OK; steps--) {
        err = step_back(txn, self);
    }
    for (; steps > 0 && self->count > 0 && err == BUS_OK; steps--) {
        karma_event_t event;
        err = get(txn, self->seqs[--self->count], &event);
        if (err == BUS_OK) {
            err = fn(arg, &event);
        }
    }
    bool is_through = self->back == 0 && self->count == 0;
    return err == BUS_OK && !is_through ? BUS_BUSY : err;
}

bus_err_t
karma_event_clear(store_txn_t *txn, uint64_t last)
{
    for (uint64_t seq = last; seq != 0;) {
        uint64_t prev = 0;
        bus_err_t err = get_prev(txn, seq, &prev);
        if (err == BUS_OK || err == BUS_CORRUPT) {
            prev = err == BUS_OK ? prev : 0;
            err = store_del(txn, KARMA_EVENTS, STORE_U64(seq));
        }
        if (err != BUS_OK) {
            return err == BUS_NOT_FOUND ? BUS_OK : err;
        }
        seq = prev;
    }
    return BUS_OK;
}
