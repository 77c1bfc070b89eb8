// event.c - a user's kept events.
//
// A record is a map of the fields that are there, from one table, so that what is added later is
// skipped by whoever does not know it.
#include "event.h"
#include "proto/walk.h"
#include "tables.h"
#include <assert.h>

enum { SEQ_SIZE = 8, KEY_MAX = 1 + KARMA_USER_ID_MAX + SEQ_SIZE };

typedef enum { FIELD_TEXT, FIELD_RAW, FIELD_TIME, FIELD_REAL } field_type_t;

typedef struct {
    const char *name;
    field_type_t type;
    size_t offset;
} field_t;

static const field_t fields[] = {
    {"at", FIELD_TIME, offsetof(karma_event_t, at)},
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
        case FIELD_TIME:
            pack_pair_uint(out, fields[i].name, *(const uint64_t *) field);
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
    case FIELD_TIME:
        return walk_as_uint(value, field);
    case FIELD_REAL:
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

// Writes the key into `ret_bytes`; returns it as a view.
static bus_view_t
make_key(bus_view_t user_id, uint64_t seq, char ret_bytes[KEY_MAX])
{
    assert(user_id.size >= 1 && user_id.size <= KARMA_USER_ID_MAX);
    ret_bytes[0] = (char) user_id.size;
    memcpy(ret_bytes + 1, user_id.data, user_id.size);
    char *end = ret_bytes + 1 + user_id.size;
    for (unsigned i = 0; i < SEQ_SIZE; i++) {
        end[i] = (char) (seq >> (8 * (SEQ_SIZE - 1 - i)));
    }
    return view_from(ret_bytes, 1 + user_id.size + SEQ_SIZE);
}

static uint64_t
key_seq(bus_view_t key)
{
    uint64_t seq = 0;
    for (size_t i = key.size - SEQ_SIZE; i < key.size; i++) {
        seq = seq << 8 | (unsigned char) key.data[i];
    }
    return seq;
}

bus_err_t
karma_event_put(store_txn_t *txn, bus_view_t user_id, const karma_event_t *event, pack_t *scratch)
{
    char bytes[KEY_MAX];
    pack_clear(scratch);
    encode(event, scratch);
    return store_put(txn, KARMA_EVENTS, make_key(user_id, event->seq, bytes), pack_view(scratch));
}

bus_err_t
karma_event_each(store_txn_t *txn, bus_view_t user_id, karma_event_fn *fn, void *arg)
{
    char bytes[KEY_MAX];
    bus_view_t first = make_key(user_id, 0, bytes);
    bus_view_t own = view_from(first.data, 1 + user_id.size);
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_err_t err = store_cursor_open(txn, KARMA_EVENTS, &cursor);
    if (err != BUS_OK) {
        return err;
    }
    bus_view_t key;
    bus_view_t value;
    err = store_seek(cursor, first, &key, &value);
    while (err == BUS_OK && view_starts(key, own)) {
        karma_event_t event;
        err = decode(value, &event);
        if (err != BUS_OK) {
            return err;
        }
        event.seq = key_seq(key);
        err = fn(arg, &event);
        if (err != BUS_OK) {
            return err;
        }
        err = store_next(cursor, &key, &value);
    }
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

// Finds the user's first event; BUS_NOT_FOUND where there is none.
static bus_err_t
first_key(store_txn_t *txn, bus_view_t user_id, uint64_t *ret_seq)
{
    char bytes[KEY_MAX];
    bus_view_t first = make_key(user_id, 0, bytes);
    bus_view_t own = view_from(first.data, 1 + user_id.size);
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_err_t err = store_cursor_open(txn, KARMA_EVENTS, &cursor);
    if (err != BUS_OK) {
        return err;
    }
    bus_view_t key;
    bus_view_t value;
    err = store_seek(cursor, first, &key, &value);
    if (err != BUS_OK) {
        return err;
    }
    if (!view_starts(key, own)) {
        return BUS_NOT_FOUND;
    }
    *ret_seq = key_seq(key);
    return BUS_OK;
}

bus_err_t
karma_event_clear(store_txn_t *txn, bus_view_t user_id)
{
    // Each is looked up anew: a delete may end the views of an open cursor.
    uint64_t seq = 0;
    bus_err_t err = first_key(txn, user_id, &seq);
    while (err == BUS_OK) {
        char bytes[KEY_MAX];
        err = store_del(txn, KARMA_EVENTS, make_key(user_id, seq, bytes));
        if (err == BUS_OK) {
            err = first_key(txn, user_id, &seq);
        }
    }
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}
