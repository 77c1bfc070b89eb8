// qtable.c - the Q-table: one step of learning, and its one record in the store.
//
// The record is [version, steps, updated_at, [[q…]…]], floats as float64: what comes back is what
// went in, to the last bit. It may have fewer rows or columns than the rules (they were added
// since): the missing ones are zero.
#include "qtable.h"
#include "proto/walk.h"
#include "tables.h"
#include <assert.h>

enum { RECORD_VERSION = 1 };

#define RECORD_KEY VIEW_LITERAL("q")

karma_column_t
karma_qtable_best(const karma_qtable_t *self, karma_role_t role)
{
    assert(role < KARMA_ROLE_COUNT);
    unsigned best = 0;
    for (unsigned column = 1; column < KARMA_COLUMN_COUNT; column++) {
        if (self->q[role][column] > self->q[role][best]) {
            best = column;
        }
    }
    return (karma_column_t) best;
}

void
karma_qtable_step(karma_qtable_t *self,
                  karma_role_t from,
                  karma_column_t column,
                  double reward,
                  karma_role_t to,
                  uint64_t at)
{
    assert(from < KARMA_ROLE_COUNT && to < KARMA_ROLE_COUNT && column < KARMA_COLUMN_COUNT);
    const karma_numbers_t *numbers = &karma_rules.numbers;
    double next = self->q[to][karma_qtable_best(self, to)];
    double old = self->q[from][column];
    double seen = reward + numbers->gamma * next;
    self->q[from][column] = old + numbers->alpha * (seen - old);
    self->steps++;
    self->updated_at = at;
}

static bus_err_t
read_row(walk_t *walk, double *row)
{
    walk_item_t item;
    if (walk_next(walk, &item) != BUS_OK || item.type != WALK_ARRAY ||
        item.count > KARMA_COLUMN_COUNT) {
        return BUS_CORRUPT;
    }
    uint32_t count = item.count;
    for (uint32_t i = 0; i < count; i++) {
        if (walk_next(walk, &item) != BUS_OK || item.type != WALK_FLOAT) {
            return BUS_CORRUPT;
        }
        row[i] = item.real;
    }
    return BUS_OK;
}

static bus_err_t
decode(bus_view_t record, karma_qtable_t *ret_self)
{
    walk_t walk = walk_from(record);
    walk_item_t head[5]; // the array, version, steps, updated_at, the array of rows
    for (size_t i = 0; i < sizeof head / sizeof head[0]; i++) {
        if (walk_next(&walk, &head[i]) != BUS_OK) {
            return BUS_CORRUPT;
        }
    }
    if (head[0].type != WALK_ARRAY || head[1].type != WALK_INT ||
        head[1].integer != RECORD_VERSION || head[2].type != WALK_INT || head[3].type != WALK_INT ||
        head[4].type != WALK_ARRAY || head[4].count > KARMA_ROLE_COUNT) {
        return BUS_CORRUPT;
    }
    karma_qtable_t table = {
        .steps = (uint64_t) head[2].integer,
        .updated_at = (uint64_t) head[3].integer,
    };
    for (uint32_t role = 0; role < head[4].count; role++) {
        bus_err_t err = read_row(&walk, table.q[role]);
        if (err != BUS_OK) {
            return err;
        }
    }
    *ret_self = table;
    return BUS_OK;
}

bus_err_t
karma_qtable_load(store_txn_t *txn, karma_qtable_t *ret_self)
{
    bus_view_t record;
    bus_err_t err = store_get(txn, KARMA_QTABLE, RECORD_KEY, &record);
    if (err == BUS_NOT_FOUND) {
        *ret_self = (karma_qtable_t){.steps = 0};
        return BUS_OK;
    }
    return err == BUS_OK ? decode(record, ret_self) : err;
}

bus_err_t
karma_qtable_save(store_txn_t *txn, const karma_qtable_t *self, pack_t *scratch)
{
    pack_clear(scratch);
    pack_array(scratch, 4);
    pack_int(scratch, RECORD_VERSION);
    pack_uint(scratch, self->steps);
    pack_uint(scratch, self->updated_at);
    pack_array(scratch, KARMA_ROLE_COUNT);
    for (unsigned role = 0; role < KARMA_ROLE_COUNT; role++) {
        pack_array(scratch, KARMA_COLUMN_COUNT);
        for (unsigned column = 0; column < KARMA_COLUMN_COUNT; column++) {
            pack_real(scratch, self->q[role][column]);
        }
    }
    return store_put(txn, KARMA_QTABLE, RECORD_KEY, pack_view(scratch));
}
