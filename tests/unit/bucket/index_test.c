// index_test.c - finding events by attribute: order, isolation of values, counts.
#include "bucket/index.h"
#include "runtime/store.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/bhiv-index-XXXXXX";
static store_t *store;

static void
setup(void)
{
    cr_assert(mkdtemp(folder) != NULL);
    char path[64];
    snprintf(path, sizeof path, "%s/s", folder);
    const store_options_t options = {.path = path,
                                     .tables = bucket_tables,
                                     .table_count = BUCKET_TABLE_COUNT,
                                     .size_max = 64 << 20,
                                     .durability = STORE_REPLAYED};
    cr_assert_eq(store_open(&options, &store), BUS_OK);
}

static void
teardown(void)
{
    store_destroy(&store);
    char command[96];
    snprintf(command, sizeof command, "rm -r %s", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(index, .init = setup, .fini = teardown);

static store_txn_t *
begin(store_mode_t mode)
{
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(store, mode, &txn), BUS_OK);
    return txn;
}

static void
add(store_txn_t *txn, bucket_index_kind_t kind, const char *value, uint64_t seq)
{
    cr_assert_eq(bucket_index_add(txn, kind, view_from_text(value), seq), BUS_OK);
}

// Walks a range into `seqs`; returns how many.
static size_t
walk(store_txn_t *txn, const bucket_index_range_t *range, uint64_t *seqs)
{
    bucket_index_walk_t *self = NULL;
    cr_assert_eq(bucket_index_walk_open(txn, range, &self), BUS_OK);
    size_t count = 0;
    bus_err_t err = bucket_index_walk_next(self, &seqs[count]);
    while (err == BUS_OK) {
        count++;
        err = bucket_index_walk_next(self, &seqs[count]);
    }
    cr_assert_eq(err, BUS_NOT_FOUND);
    bucket_index_walk_destroy(&self);
    return count;
}

Test(index, walks_one_value_in_the_journals_order_both_ways)
{
    store_txn_t *txn = begin(STORE_WRITE);
    const uint64_t wanted[] = {1, 255, 256, 65536, 4294967296};
    for (int i = 4; i >= 0; i--) {
        add(txn, BUCKET_INDEX_TYPE, "note", wanted[i]);
        add(txn, BUCKET_INDEX_TYPE, "notes", wanted[i] + 1);
        add(txn, BUCKET_INDEX_AGENT, "note", wanted[i] + 2);
    }
    uint64_t seqs[16];
    bucket_index_range_t range = {.kind = BUCKET_INDEX_TYPE, .value = VIEW_LITERAL("note")};
    cr_assert_eq(walk(txn, &range, seqs), 5);
    for (int i = 0; i < 5; i++) {
        cr_expect_eq(seqs[i], wanted[i]);
    }
    range.from = 256;
    cr_assert_eq(walk(txn, &range, seqs), 3);
    cr_expect_eq(seqs[0], 256);
    range.down = true;
    cr_assert_eq(walk(txn, &range, seqs), 3);
    cr_expect_eq(seqs[0], 256);
    cr_expect_eq(seqs[2], 1);
    range.from = 0;
    cr_assert_eq(walk(txn, &range, seqs), 5);
    cr_expect_eq(seqs[0], wanted[4]);
    store_rollback(&txn);
}

Test(index, walks_nothing_for_a_value_that_nobody_has)
{
    store_txn_t *txn = begin(STORE_WRITE);
    add(txn, BUCKET_INDEX_AGENT, "a", 1);
    add(txn, BUCKET_INDEX_AGENT, "c", 2);
    uint64_t seqs[4];
    bucket_index_range_t range = {.kind = BUCKET_INDEX_AGENT, .value = VIEW_LITERAL("b")};
    cr_expect_eq(walk(txn, &range, seqs), 0);
    range.down = true;
    cr_expect_eq(walk(txn, &range, seqs), 0);
    store_rollback(&txn);
}

Test(index, counts_values_but_not_traces)
{
    store_txn_t *txn = begin(STORE_WRITE);
    for (uint64_t seq = 1; seq <= 3; seq++) {
        add(txn, BUCKET_INDEX_REQUESTER, "bhiv_core", seq);
        add(txn, BUCKET_INDEX_TRACE, "t", seq);
    }
    uint64_t count = 99;
    cr_assert_eq(bucket_index_count(txn, BUCKET_INDEX_REQUESTER, VIEW_LITERAL("bhiv_core"), &count),
                 BUS_OK);
    cr_expect_eq(count, 3);
    cr_assert_eq(bucket_index_count(txn, BUCKET_INDEX_TRACE, VIEW_LITERAL("t"), &count), BUS_OK);
    cr_expect_eq(count, 0);
    store_rollback(&txn);
}

Test(index, walks_all_events_where_no_kind_is_given)
{
    store_txn_t *txn = begin(STORE_WRITE);
    for (uint64_t seq = 2; seq <= 6; seq += 2) {
        cr_assert_eq(store_append(txn, BUCKET_EVENTS, STORE_U64(seq), VIEW_LITERAL("\x80")),
                     BUS_OK);
    }
    uint64_t seqs[8];
    bucket_index_range_t range = {.from = 3};
    cr_assert_eq(walk(txn, &range, seqs), 2);
    cr_expect_eq(seqs[0], 4);
    range.down = true;
    cr_assert_eq(walk(txn, &range, seqs), 1);
    cr_expect_eq(seqs[0], 2);
    range.from = 0;
    cr_assert_eq(walk(txn, &range, seqs), 3);
    cr_expect_eq(seqs[0], 6);
    store_rollback(&txn);
}

Test(index, reads_fresh_totals_with_the_forwarding_on_and_keeps_what_is_saved)
{
    store_txn_t *txn = begin(STORE_WRITE);
    bucket_totals_t totals;
    cr_assert_eq(bucket_tables_load(txn, &totals), BUS_OK);
    cr_expect_eq(totals.forwarding, 1);
    cr_expect_eq(totals.events, 0);
    totals.events = 7;
    totals.forwarding = 0;
    cr_assert_eq(bucket_tables_save(txn, &totals), BUS_OK);
    bucket_totals_t again;
    cr_assert_eq(bucket_tables_load(txn, &again), BUS_OK);
    cr_expect_eq(again.events, 7);
    cr_expect_eq(again.forwarding, 0);
    store_rollback(&txn);
}
