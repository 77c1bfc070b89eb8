// key.c - keys that begin with a user.
#include "key.h"
#include <assert.h>

karma_key_t
karma_key_user(bus_view_t user_id)
{
    assert(user_id.size >= 1 && user_id.size <= KARMA_USER_ID_MAX);
    karma_key_t key = {.size = 1 + user_id.size};
    key.bytes[0] = (char) user_id.size;
    memcpy(key.bytes + 1, user_id.data, user_id.size);
    return key;
}

void
karma_key_write(uint64_t number, char ret_bytes[KARMA_KEY_NUMBER_SIZE])
{
    for (unsigned i = 0; i < KARMA_KEY_NUMBER_SIZE; i++) {
        ret_bytes[i] = (char) (number >> (8 * (KARMA_KEY_NUMBER_SIZE - 1 - i)));
    }
}

uint64_t
karma_key_read(const char bytes[KARMA_KEY_NUMBER_SIZE])
{
    uint64_t number = 0;
    for (unsigned i = 0; i < KARMA_KEY_NUMBER_SIZE; i++) {
        number = number << 8 | (unsigned char) bytes[i];
    }
    return number;
}

void
karma_key_add(karma_key_t *self, uint64_t number)
{
    assert(self->size + KARMA_KEY_NUMBER_SIZE <= sizeof self->bytes);
    karma_key_write(number, self->bytes + self->size);
    self->size += KARMA_KEY_NUMBER_SIZE;
}

bus_view_t
karma_key_view(const karma_key_t *self)
{
    return view_from(self->bytes, self->size);
}

uint64_t
karma_key_last(bus_view_t key)
{
    assert(key.size > KARMA_KEY_NUMBER_SIZE);
    return karma_key_read(key.data + key.size - KARMA_KEY_NUMBER_SIZE);
}

// The first key of the user's, or BUS_NOT_FOUND.
static bus_err_t
first_key(store_txn_t *txn, unsigned table, bus_view_t own, karma_key_t *ret_key)
{
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_err_t err = store_cursor_open(txn, table, &cursor);
    if (err != BUS_OK) {
        return err;
    }
    bus_view_t key;
    bus_view_t value;
    err = store_seek(cursor, own, &key, &value);
    if (err != BUS_OK && err != BUS_CORRUPT) { // a damaged one has its key
        return err;
    }
    if (!view_starts(key, own)) {
        return BUS_NOT_FOUND;
    }
    assert(key.size <= sizeof ret_key->bytes); // we wrote it
    memcpy(ret_key->bytes, key.data, key.size);
    ret_key->size = key.size;
    return BUS_OK;
}

bus_err_t
karma_key_clear(store_txn_t *txn, unsigned table, bus_view_t user_id)
{
    // Each is looked up anew: a delete may end the views of an open cursor.
    karma_key_t own = karma_key_user(user_id);
    karma_key_t key;
    bus_err_t err = first_key(txn, table, karma_key_view(&own), &key);
    while (err == BUS_OK) {
        err = store_del(txn, table, karma_key_view(&key));
        if (err == BUS_OK) {
            err = first_key(txn, table, karma_key_view(&own), &key);
        }
    }
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}
