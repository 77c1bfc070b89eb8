// gather_test.c - blocks fill while one is in commit, and no further than they may.
#include "broker/gather.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <zmq.h>

static char big[1024 * 1024];

static bus_err_t
add(gather_t *gather, size_t body_size)
{
    bus_err_t err = gather_reserve(gather, 1, body_size);
    if (err == BUS_OK) {
        const batch_entry_t entry = {.kind = BATCH_RECORD,
                                     .topic = VIEW_LITERAL("core.x"),
                                     .header_bytes = VIEW_LITERAL("\x80"),
                                     .body = view_from(big, body_size)};
        gather_add(gather, &entry);
    }
    return err;
}

static uint32_t
take_count(gather_t *gather)
{
    zmq_msg_t block;
    cr_assert(gather_take(gather, &block));
    uint32_t count = 0;
    for (batch_item_t *item = batch_first(zmq_msg_data(&block), zmq_msg_size(&block)); item != NULL;
         item = batch_next(zmq_msg_data(&block), zmq_msg_size(&block), item)) {
        count++;
    }
    zmq_msg_close(&block);
    return count;
}

Test(gather, fills_the_next_block_while_one_is_in_commit)
{
    BUS_AUTO(gather_destroy) gather_t *gather = gather_new(0);
    zmq_msg_t block;
    cr_assert_not(gather_take(gather, &block));
    cr_assert_eq(add(gather, 100), BUS_OK);
    cr_assert_eq(take_count(gather), 1);
    cr_assert_eq(add(gather, 100), BUS_OK);
    cr_assert_eq(add(gather, 100), BUS_OK);
    cr_assert_not(gather_take(gather, &block));
    cr_assert_not(gather_is_empty(gather));
    gather_done(gather);
    cr_assert_eq(take_count(gather), 2);
    gather_done(gather);
    cr_assert(gather_is_empty(gather));
}

Test(gather, is_busy_at_its_limit_and_takes_again_below_it)
{
    BUS_AUTO(gather_destroy) gather_t *gather = gather_new(0);
    unsigned taken = 0;
    while (add(gather, sizeof(big)) == BUS_OK) {
        taken++;
        cr_assert_leq(gather_bytes(gather), GATHER_PENDING_DEFAULT);
    }
    cr_assert_eq(taken, 63); // 64 MiB in pieces of a little over 1 MiB
    cr_assert_eq(add(gather, sizeof(big)), BUS_BUSY);
    unsigned given = take_count(gather);
    cr_assert_eq(add(gather, sizeof(big)), BUS_BUSY); // in commit is still pending
    gather_done(gather);
    cr_assert_eq(add(gather, sizeof(big)), BUS_OK);
    taken++;
    while (!gather_is_empty(gather)) {
        given += take_count(gather);
        gather_done(gather);
    }
    cr_assert_eq(given, taken);
}

Test(gather, never_makes_a_block_of_more_than_a_commit_takes)
{
    BUS_AUTO(gather_destroy) gather_t *gather = gather_new(0);
    unsigned taken = 0;
    while (add(gather, 1) == BUS_OK) {
        taken++;
    }
    cr_assert_gt(taken, BATCH_ITEMS_MAX);
    unsigned given = 0;
    while (!gather_is_empty(gather)) {
        unsigned count = take_count(gather);
        cr_assert_leq(count, BATCH_ITEMS_MAX);
        cr_assert_leq(count * sizeof(batch_item_t), BATCH_BYTES_MAX);
        given += count;
        gather_done(gather);
    }
    cr_assert_eq(given, taken);
}

Test(gather, keeps_a_group_in_one_block)
{
    BUS_AUTO(gather_destroy) gather_t *gather = gather_new(0);
    while (gather_bytes(gather) < BATCH_BYTES_MAX - 10000) {
        cr_assert_eq(add(gather, 1000), BUS_OK);
    }
    cr_assert_eq(gather_reserve(gather, 100, 100), BUS_OK);
    const batch_entry_t entry = {.kind = BATCH_HELLO};
    for (int i = 0; i < 100; i++) {
        gather_add(gather, &entry);
    }
    cr_assert_gt(take_count(gather), 1000);
    gather_done(gather);
    cr_assert_eq(take_count(gather), 100);
}
