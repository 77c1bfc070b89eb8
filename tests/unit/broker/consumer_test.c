// consumer_test.c - whose acks hold retention back, and what the journal is to keep of them.
#include "broker/consumer.h"
#include "proto/walk.h"
#include <criterion/criterion.h>
#include <stdio.h>

typedef struct {
    unsigned count;
    uint64_t sum;
    bool answer;
} stored_t;

static bool
on_store(void *arg, bus_view_t name BUS_UNUSED, uint64_t ack)
{
    stored_t *stored = arg;
    stored->count++;
    stored->sum += ack;
    return stored->answer;
}

Test(consumer, with_the_lowest_ack_holds_the_floor)
{
    BUS_AUTO(consumer_table_destroy) consumer_table_t *consumers = consumer_table_new();
    cr_assert_eq(consumer_floor(consumers), UINT64_MAX);
    cr_assert_eq(consumer_heard(consumers, VIEW_LITERAL("a"), 0, 50, true), BUS_OK);
    cr_assert_eq(consumer_heard(consumers, VIEW_LITERAL("b"), 12, 10, false), BUS_OK);
    cr_assert_eq(consumer_floor(consumers), 10);
    cr_assert_eq(consumer_heard(consumers, VIEW_LITERAL("b"), 99, 90, false), BUS_OK);
    cr_assert_eq(consumer_floor(consumers), 50);
    consumer_forget(consumers, VIEW_LITERAL("a"));
    cr_assert_eq(consumer_floor(consumers), 90);
    consumer_forget(consumers, VIEW_LITERAL("nobody"));
    cr_assert_eq(consumer_count(consumers), 1);
}

Test(consumer, never_takes_an_ack_back)
{
    BUS_AUTO(consumer_table_destroy) consumer_table_t *consumers = consumer_table_new();
    cr_assert_eq(consumer_heard(consumers, VIEW_LITERAL("a"), 60, 50, true), BUS_OK);
    cr_assert_eq(consumer_heard(consumers, VIEW_LITERAL("a"), 1, 1, false), BUS_OK);
    cr_assert_eq(consumer_floor(consumers), 50);
}

Test(consumer, is_stored_once_for_each_ack)
{
    BUS_AUTO(consumer_table_destroy) consumer_table_t *consumers = consumer_table_new();
    stored_t stored = {.answer = true};
    cr_assert_eq(consumer_heard(consumers, VIEW_LITERAL("old"), 0, 5, true), BUS_OK);
    cr_assert_eq(consumer_heard(consumers, VIEW_LITERAL("new"), 8, 7, false), BUS_OK);
    consumer_store(consumers, on_store, &stored);
    consumer_store(consumers, on_store, &stored);
    cr_assert_eq(stored.count, 1);
    cr_assert_eq(stored.sum, 7);
    consumer_not_stored(consumers, VIEW_LITERAL("new"));
    stored.answer = false;
    consumer_store(consumers, on_store, &stored);
    consumer_store(consumers, on_store, &stored);
    cr_assert_eq(stored.count, 3);
}

Test(consumer, one_over_the_limit_does_not_fit)
{
    BUS_AUTO(consumer_table_destroy) consumer_table_t *consumers = consumer_table_new();
    char name[32];
    for (int i = 0; i < CONSUMERS_MAX; i++) {
        int size = snprintf(name, sizeof(name), "c%d", i);
        cr_assert_eq(consumer_heard(consumers, view_from(name, (size_t) size), 1, 1, true), BUS_OK);
    }
    cr_assert(consumer_fits(consumers, VIEW_LITERAL("c17")));
    cr_assert_not(consumer_fits(consumers, VIEW_LITERAL("more")));
    cr_assert_eq(consumer_heard(consumers, VIEW_LITERAL("more"), 1, 1, true), BUS_FULL);
    consumer_forget(consumers, VIEW_LITERAL("c17"));
    cr_assert(consumer_fits(consumers, VIEW_LITERAL("more")));
    cr_assert_not(consumer_fits(consumers, VIEW_NONE) &&
                  consumer_count(consumers) == CONSUMERS_MAX);
    cr_assert_eq(consumer_heard(consumers, VIEW_LITERAL("c1023"), 9, 9, true), BUS_OK);
    cr_assert_eq(consumer_count(consumers), CONSUMERS_MAX - 1);
}

Test(consumer, lags_by_what_it_has_not_acked)
{
    BUS_AUTO(consumer_table_destroy) consumer_table_t *consumers = consumer_table_new();
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    cr_assert_eq(consumer_heard(consumers, VIEW_LITERAL("a"), 9, 8, true), BUS_OK);
    consumer_pack(consumers, 10, out);
    walk_t walk = walk_from(pack_view(out));
    walk_item_t item;
    cr_assert_eq(walk_next(&walk, &item), BUS_OK);
    cr_assert_eq(item.count, 1);
    bus_view_t entry;
    bus_view_t value;
    int64_t lag;
    cr_assert_eq(walk_skip(&walk, &entry), BUS_OK);
    cr_assert_eq(walk_find(entry, "lag", &value), BUS_OK);
    cr_assert_eq(walk_as_int(value, &lag), BUS_OK);
    cr_assert_eq(lag, 3); // 8, 9 and 10
}
