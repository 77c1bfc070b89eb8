// store_full_test.c - a store at its limit: it says so, keeps what it has, and can be emptied.
#include "folder.h"
#include "runtime/store.h"
#include <criterion/criterion.h>
#include <stdint.h>

enum { RECORDS, SCATTERED };
enum { MAP_BYTES = 1 << 20, VALUE_SIZE = 100, BATCH = 10 };

static const store_table_t tables[] = {
    [RECORDS] = {"records", STORE_KEYS_UINT64, true, "what fills it"},
    [SCATTERED] = {"scattered", STORE_KEYS_UINT64, true, "what fills it, in no order"}};

static store_t *
open_small(const folder_t *folder)
{
    store_t *store = NULL;
    store_options_t options = {.path = folder->path,
                               .tables = tables,
                               .table_count = 2,
                               .size_max = MAP_BYTES,
                               .durability = STORE_REPLAYED};
    cr_assert_eq(store_open(&options, &store), BUS_OK);
    return store;
}

static store_txn_t *
must_begin(store_t *store, store_mode_t mode)
{
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(store, mode, &txn), BUS_OK);
    return txn;
}

// Puts `count` records from `first` on, in one transaction: all or nothing.
static bus_err_t
put_batch(store_t *store, store_mode_t mode, uint64_t first, uint64_t count)
{
    char value[VALUE_SIZE];
    memset(value, 'v', sizeof(value));
    store_txn_t *txn = must_begin(store, mode);
    bus_err_t err = BUS_OK;
    for (uint64_t i = 0; i < count && err == BUS_OK; i++) {
        err = store_put(txn, RECORDS, STORE_U64(first + i), view_from(value, sizeof(value)));
    }
    if (err != BUS_OK) {
        store_rollback(&txn);
        return err;
    }
    return store_commit(&txn);
}

// Puts batches until one is refused; returns how many records are in.
static uint64_t
fill(store_t *store, store_mode_t mode)
{
    uint64_t count = 0;
    bus_err_t err = put_batch(store, mode, count, BATCH);
    while (err == BUS_OK) {
        count += BATCH;
        cr_assert_lt(count, MAP_BYTES / VALUE_SIZE, "it never fills");
        err = put_batch(store, mode, count, BATCH);
    }
    cr_assert_eq(err, BUS_FULL);
    return count;
}

// Deletes records from `first` on, in batches of ordinary write transactions.
static void
empty(store_t *store, uint64_t first, uint64_t count)
{
    for (uint64_t i = 0; i < count; i += BATCH) {
        store_txn_t *txn = must_begin(store, STORE_WRITE);
        for (uint64_t k = i; k < i + BATCH; k++) {
            cr_assert_eq(store_del(txn, RECORDS, STORE_U64(first + k)), BUS_OK);
        }
        cr_assert_eq(store_commit(&txn), BUS_OK);
    }
}

static uint64_t
count_records(store_t *store)
{
    BUS_AUTO(store_rollback) store_txn_t *txn = must_begin(store, STORE_READ);
    store_check_t check;
    cr_assert_eq(store_check(txn, &check), BUS_OK);
    return check.records;
}

Test(store_full, refuses_writes_at_nine_tenths_and_keeps_what_it_has)
{
    folder_t folder = folder_make();
    store_t *store = open_small(&folder);
    uint64_t count = fill(store, STORE_WRITE);
    store_info_t info;
    store_info(store, &info);
    cr_expect_geq(info.used_bytes, MAP_BYTES / 100 * 80, "used %lu", info.used_bytes);
    cr_expect_leq(info.used_bytes, MAP_BYTES / 100 * 95, "used %lu", info.used_bytes);
    cr_expect_eq(count_records(store), count);
    cr_expect_not(store_is_failed(store));
    store_destroy(&store);
    folder_remove(&folder);
}

Test(store_full, a_refused_put_leaves_its_transaction_whole)
{
    folder_t folder = folder_make();
    store_t *store = open_small(&folder);
    char value[VALUE_SIZE] = {0};
    store_txn_t *txn = must_begin(store, STORE_WRITE);
    uint64_t count = 0;
    while (store_put(txn, RECORDS, STORE_U64(count), view_from(value, sizeof(value))) == BUS_OK) {
        count++;
    }
    cr_assert_gt(count, 1000);
    cr_expect_eq(store_commit(&txn), BUS_OK);
    cr_expect_eq(count_records(store), count);
    store_destroy(&store);
    folder_remove(&folder);
}

Test(store_full, can_be_emptied_and_filled_again_and_again)
{
    folder_t folder = folder_make();
    store_t *store = open_small(&folder);
    uint64_t first_count = fill(store, STORE_WRITE);
    for (int cycle = 0; cycle < 5; cycle++) {
        empty(store, 0, count_records(store));
        cr_expect_eq(count_records(store), 0);
        uint64_t count = fill(store, STORE_WRITE);
        cr_expect_geq(count, first_count / 10 * 9, "cycle %d: %lu", cycle, count);
    }
    store_destroy(&store);
    folder_remove(&folder);
}

Test(store_full, takes_new_records_for_as_many_deleted)
{
    folder_t folder = folder_make();
    store_t *store = open_small(&folder);
    uint64_t count = fill(store, STORE_WRITE) / BATCH * BATCH;
    uint64_t oldest = 0;
    for (uint64_t done = 0; done < 4 * count; done += BATCH) {
        bus_err_t err = put_batch(store, STORE_WRITE, count + done, BATCH);
        while (err == BUS_FULL && oldest < count + done) {
            empty(store, oldest, BATCH);
            oldest += BATCH;
            err = put_batch(store, STORE_WRITE, count + done, BATCH);
        }
        cr_assert_eq(err, BUS_OK);
    }
    cr_expect_geq(count_records(store), count / 10 * 8);
    store_destroy(&store);
    folder_remove(&folder);
}

Test(store_full, the_reserve_is_there_for_who_asks_for_it)
{
    folder_t folder = folder_make();
    store_t *store = open_small(&folder);
    uint64_t count = fill(store, STORE_WRITE);
    cr_expect_eq(put_batch(store, STORE_RESERVE, count, BATCH), BUS_OK);
    cr_expect_eq(put_batch(store, STORE_WRITE, count + BATCH, BATCH), BUS_FULL);
    store_destroy(&store);
    folder_remove(&folder);
}

Test(store_full, survives_a_map_that_is_really_full)
{
    folder_t folder = folder_make();
    store_t *store = open_small(&folder);
    uint64_t count = fill(store, STORE_RESERVE); // to LMDB's own limit
    cr_expect_eq(count_records(store), count);
    cr_expect_not(store_is_failed(store));
    store_destroy(&store);
    store = open_small(&folder);
    cr_expect_eq(count_records(store), count);
    store_destroy(&store);
    folder_remove(&folder);
}

Test(store_full, a_transaction_that_ran_out_says_so_to_its_end)
{
    folder_t folder = folder_make();
    store_t *store = open_small(&folder);
    char *large = calloc(1, MAP_BYTES);
    store_txn_t *txn = must_begin(store, STORE_RESERVE);
    cr_expect_eq(store_put(txn, RECORDS, STORE_U64(1), view_from(large, 10)), BUS_OK);
    cr_expect_eq(store_put(txn, RECORDS, STORE_U64(2), view_from(large, MAP_BYTES)), BUS_FULL);
    cr_expect_eq(store_put(txn, RECORDS, STORE_U64(3), view_from(large, 10)), BUS_FULL);
    cr_expect_eq(store_commit(&txn), BUS_FULL);
    cr_expect_null(txn);
    cr_expect_eq(count_records(store), 0);
    cr_expect_not(store_is_failed(store));
    cr_expect_eq(put_batch(store, STORE_WRITE, 0, BATCH), BUS_OK);
    free(large);
    store_destroy(&store);
    folder_remove(&folder);
}

Test(store_full, one_large_batch_fits_after_all_was_deleted_at_once)
{
    folder_t folder = folder_make();
    store_t *store = open_small(&folder);
    uint64_t count = fill(store, STORE_WRITE);
    store_txn_t *txn = must_begin(store, STORE_WRITE);
    cr_assert_eq(store_clear(txn, RECORDS), BUS_OK);
    cr_assert_eq(store_commit(&txn), BUS_OK);
    // What was freed last is not LMDB's to give yet: a refusal is allowed, but not for ever.
    bus_err_t err = BUS_FULL;
    for (int attempt = 0; attempt < 4 && err == BUS_FULL; attempt++) {
        err = put_batch(store, STORE_WRITE, 0, count / 10 * 7);
    }
    cr_expect_eq(err, BUS_OK);
    store_destroy(&store);
    folder_remove(&folder);
}

Test(store_full, a_reader_that_pins_pages_cannot_make_it_eat_the_reserve)
{
    folder_t folder = folder_make();
    store_t *store = open_small(&folder);
    uint64_t count = fill(store, STORE_WRITE) / 2 / BATCH * BATCH;
    empty(store, count, count);
    store_txn_t *reader = must_begin(store, STORE_READ);
    // Rewriting frees as much as it takes, but nothing that the reader sees comes back.
    bus_err_t err = BUS_OK;
    for (int round = 0; round < 1000 && err == BUS_OK; round++) {
        uint64_t first = (uint64_t) round * BATCH % count;
        err = put_batch(store, STORE_WRITE, first, BATCH);
    }
    cr_expect_eq(err, BUS_FULL);
    store_info_t info;
    store_info(store, &info);
    cr_expect_leq(info.used_bytes, MAP_BYTES / 100 * 96, "used %lu", info.used_bytes);
    empty(store, 0, BATCH);
    store_rollback(&reader);
    err = BUS_FULL;
    for (int attempt = 0; attempt < 4 && err == BUS_FULL; attempt++) {
        err = put_batch(store, STORE_WRITE, 0, BATCH);
    }
    cr_expect_eq(err, BUS_OK);
    store_destroy(&store);
    folder_remove(&folder);
}

// The same numbers in an order that looks like none: an odd factor is a permutation of 64 bits.
static uint64_t
scatter(uint64_t index)
{
    return index * 0x9e3779b97f4a7c15ULL;
}

Test(store_full, deletes_all_over_the_place_work_in_a_full_store)
{
    folder_t folder = folder_make();
    store_t *store = open_small(&folder);
    char value[VALUE_SIZE] = {0};
    uint64_t count = 0;
    bus_err_t err = BUS_OK;
    while (err == BUS_OK) {
        store_txn_t *txn = must_begin(store, STORE_WRITE);
        bus_view_t bytes = view_from(value, sizeof(value));
        err = store_put(txn, SCATTERED, STORE_U64(scatter(count)), bytes);
        count += err == BUS_OK;
        cr_assert_eq(store_commit(&txn), BUS_OK);
    }
    cr_assert_eq(err, BUS_FULL);
    cr_assert_gt(count, 3000);
    // In another order than they came, so that each delete changes another page.
    for (uint64_t i = 0; i < count; i++) {
        uint64_t index = i * 7919 % count;
        store_txn_t *txn = must_begin(store, STORE_WRITE);
        err = store_del(txn, SCATTERED, STORE_U64(scatter(index)));
        cr_assert_eq(err, BUS_OK, "delete %lu", i);
        cr_assert_eq(store_commit(&txn), BUS_OK, "commit %lu", i);
    }
    cr_expect_eq(count_records(store), 0);
    store_destroy(&store);
    folder_remove(&folder);
}
