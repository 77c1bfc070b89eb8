// key.h - keys that begin with a user.
//
// The user_id's size in one byte, the user_id, and up to two numbers in eight bytes each,
// big-endian: no user_id, whatever its bytes, can be taken for the beginning of another, and what
// belongs to a user stands together, in the order of the numbers. Pure.
#pragma once
#include "proto/view.h"
#include "tables.h"
#include <stdint.h>

enum {
    KARMA_KEY_NUMBER_SIZE = 8,
    KARMA_KEY_MAX = 1 + KARMA_USER_ID_MAX + 2 * KARMA_KEY_NUMBER_SIZE
};

typedef struct {
    char bytes[KARMA_KEY_MAX];
    size_t size;
} karma_key_t;

// The user alone: what all of the user's keys begin with. `user_id` has 1 to KARMA_USER_ID_MAX
// bytes: asserted.
karma_key_t karma_key_user(bus_view_t user_id);
// One number more.
void karma_key_add(karma_key_t *self, uint64_t number);
bus_view_t karma_key_view(const karma_key_t *self);
// The number that a key of the store ends with.
uint64_t karma_key_last(bus_view_t key);
// Writes a number in eight bytes, big-endian; reads it.
void karma_key_write(uint64_t number, char ret_bytes[KARMA_KEY_NUMBER_SIZE]);
uint64_t karma_key_read(const char bytes[KARMA_KEY_NUMBER_SIZE]);

// Removes every record of the table whose key begins with the user, damaged or not. BUS_IO.
BUS_CHECK bus_err_t karma_key_clear(store_txn_t *txn, unsigned table, bus_view_t user_id);
