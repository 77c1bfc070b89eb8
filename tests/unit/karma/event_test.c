// event_test.c - kept events: each user's own, in the journal's order, whole.
#include "help.h"
#include "karma/event.h"
#include <criterion/criterion.h>
#include <string.h>

typedef struct {
    size_t count;
    uint64_t seqs[16];
    size_t stop_after;
    karma_event_t last; // its views die with the transaction
} seen_t;

static bus_err_t
see(void *arg, const karma_event_t *event)
{
    seen_t *seen = arg;
    seen->seqs[seen->count++] = event->seq;
    seen->last = *event;
    return seen->count == seen->stop_after ? BUS_ABORTED : BUS_OK;
}

// All of a walk, two records at a time.
static bus_err_t
each(store_txn_t *txn, uint64_t last, size_t count_max, karma_event_fn *fn, void *arg)
{
    karma_event_walk_t walk;
    karma_event_walk_init(&walk, last, count_max);
    bus_err_t err = BUS_BUSY;
    while (err == BUS_BUSY) {
        err = karma_event_walk(txn, &walk, 2, fn, arg);
    }
    karma_event_walk_clear(&walk);
    return err;
}

static void
put(store_txn_t *txn, pack_t *scratch, uint64_t prev, uint64_t seq)
{
    karma_event_t event = {
        .seq = seq, .prev = prev, .at = T0 + seq, .role = VIEW_LITERAL("learner")};
    cr_assert_eq(karma_event_put(txn, &event, scratch), BUS_OK);
}

Test(event, comes_with_those_of_its_user_alone_in_the_journals_order)
{
    help_t *h = help_new();
    BUS_AUTO(pack_destroy) pack_t *scratch = pack_new();
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(h->store, STORE_WRITE, &txn), BUS_OK);
    uint64_t last[3] = {0};
    for (uint64_t seq = 1; seq <= 15; seq++) {
        put(txn, scratch, last[seq % 3], seq << (seq * 3)); // over all bytes of a seq
        last[seq % 3] = seq << (seq * 3);
    }
    for (uint64_t i = 0; i < 3; i++) {
        seen_t seen = {.count = 0};
        cr_assert_eq(each(txn, last[i], 5, see, &seen), BUS_OK);
        cr_assert_eq(seen.count, 5);
        for (uint64_t k = 0; k < 5; k++) {
            uint64_t seq = (i == 0 ? 3 : i) + 3 * k;
            cr_assert_eq(seen.seqs[k], seq << (seq * 3));
        }
    }
    cr_assert_eq(karma_event_clear(txn, last[0]), BUS_OK);
    for (uint64_t i = 0; i < 3; i++) {
        seen_t seen = {.count = 0};
        cr_assert_eq(each(txn, last[i], 5, see, &seen),
                     i == 0 ? BUS_NOT_FOUND : BUS_OK); // they are gone, and somebody knows of them
        cr_assert_eq(seen.count, i == 0 ? 0 : 5);
    }
    seen_t seen = {.count = 0};
    cr_assert_eq(each(txn, 0, 5, see, &seen), BUS_OK);
    cr_assert_eq(seen.count, 0);
    store_rollback(&txn);
    help_destroy(&h);
}

Test(event, comes_up_to_a_limit_and_until_it_is_told_to_stop)
{
    help_t *h = help_new();
    BUS_AUTO(pack_destroy) pack_t *scratch = pack_new();
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(h->store, STORE_WRITE, &txn), BUS_OK);
    for (uint64_t seq = 1; seq <= 6; seq++) {
        put(txn, scratch, seq - 1, seq);
    }
    seen_t seen = {.count = 0};
    cr_assert_eq(each(txn, 6, 5, see, &seen), BUS_PAYLOAD_TOO_LARGE);
    cr_assert_eq(seen.count, 0);
    cr_assert_eq(each(txn, 6, 6, see, &seen), BUS_OK);
    cr_assert_eq(seen.count, 6);
    seen = (seen_t){.stop_after = 2};
    cr_assert_eq(each(txn, 6, 6, see, &seen), BUS_ABORTED);
    cr_assert_eq(seen.count, 2);
    store_rollback(&txn);
    help_destroy(&h);
}

Test(event, walks_no_further_than_it_is_told_to)
{
    help_t *h = help_new();
    BUS_AUTO(pack_destroy) pack_t *scratch = pack_new();
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(h->store, STORE_WRITE, &txn), BUS_OK);
    for (uint64_t seq = 1; seq <= 6; seq++) {
        put(txn, scratch, seq - 1, seq);
    }
    karma_event_walk_t walk;
    seen_t seen = {.count = 0};
    karma_event_walk_init(&walk, 6, 6);
    cr_assert_eq(karma_event_walk(txn, &walk, 5, see, &seen), BUS_BUSY); // five back
    cr_assert_eq(seen.count, 0);
    cr_assert_eq(karma_event_walk(txn, &walk, 5, see, &seen), BUS_BUSY); // one back, four forward
    cr_assert_eq(seen.count, 4);
    cr_assert_eq(karma_event_walk(txn, &walk, 5, see, &seen), BUS_OK);
    cr_assert_eq(seen.count, 6);
    karma_event_walk_clear(&walk);
    store_rollback(&txn);
    help_destroy(&h);
}

Test(event, clears_those_of_its_user_past_a_damaged_one)
{
    help_t *h = help_new();
    BUS_AUTO(pack_destroy) pack_t *scratch = pack_new();
    store_txn_t *txn = NULL;
    uint64_t count = 0;
    cr_assert_eq(store_begin(h->store, STORE_WRITE, &txn), BUS_OK);
    for (uint64_t seq = 1; seq <= 6; seq++) {
        put(txn, scratch, seq - 1, seq);
    }
    cr_assert_eq(store_put(txn,
                           KARMA_EVENTS,
                           STORE_U64(4),
                           VIEW_LITERAL("\x81\xa4"
                                        "prev\x09")),
                 BUS_OK);
    cr_assert_eq(karma_event_clear(txn, 6), BUS_OK);
    cr_assert_eq(store_count(txn, KARMA_EVENTS, &count), BUS_OK);
    cr_assert_eq(count, 3); // what came before the damage is not found
    store_rollback(&txn);
    help_destroy(&h);
}

Test(event, keeps_every_field_and_leaves_out_what_is_absent)
{
    help_t *h = help_new();
    BUS_AUTO(pack_destroy) pack_t *scratch = pack_new();
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(h->store, STORE_WRITE, &txn), BUS_OK);
    karma_event_t event = {
        .seq = 7,
        .at = T0,
        .role = VIEW_LITERAL("user"),
        .action = VIEW_LITERAL("cheat"),
        .intent = VIEW_LITERAL("malicious_or_greedy"),
        .token = VIEW_LITERAL("DharmaPoints"),
        .reward = -2.0,
        .merit = 0.1,
        .became = VIEW_LITERAL("learner"),
        .cheat = VIEW_LITERAL("first_offense"),
        .source = VIEW_LITERAL("tests"),
        .note = VIEW_LITERAL(""),
        .context = VIEW_LITERAL("\x81\xa1k\x01"),
        .timestamp = VIEW_LITERAL("yesterday"),
    };
    cr_assert_eq(karma_event_put(txn, &event, scratch), BUS_OK);
    seen_t seen = {.count = 0};
    cr_assert_eq(each(txn, 7, 1, see, &seen), BUS_OK);
    cr_assert_eq(seen.last.at, T0);
    cr_assert(view_is(seen.last.role, "user"));
    cr_assert(view_is(seen.last.action, "cheat"));
    cr_assert(view_is(seen.last.intent, "malicious_or_greedy"));
    cr_assert(view_is(seen.last.token, "DharmaPoints"));
    cr_assert_null(seen.last.class_.data);
    cr_assert_eq(seen.last.reward, -2.0);
    cr_assert_eq(seen.last.merit, 0.1);
    cr_assert(view_is(seen.last.became, "learner"));
    cr_assert(view_is(seen.last.cheat, "first_offense"));
    cr_assert(view_is(seen.last.source, "tests"));
    cr_assert_null(seen.last.trace_id.data);
    cr_assert(view_is(seen.last.note, ""), "empty is not absent");
    cr_assert(view_equal(seen.last.context, event.context));
    cr_assert_null(seen.last.metadata.data);
    cr_assert(view_is(seen.last.timestamp, "yesterday"));
    store_rollback(&txn);
    help_destroy(&h);
}

Test(event, that_is_no_map_is_corrupt)
{
    help_t *h = help_new();
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(h->store, STORE_WRITE, &txn), BUS_OK);
    const bus_view_t bad[] = {
        VIEW_LITERAL("\x93"),
        VIEW_LITERAL("\x81\xa2"
                     "at\xa1x"),
        VIEW_LITERAL("\x81\xa4"
                     "prev\x01"), // it would come before itself
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        seen_t seen = {.count = 0};
        cr_assert_eq(store_put(txn, KARMA_EVENTS, STORE_U64(1), bad[i]), BUS_OK);
        cr_assert_eq(each(txn, 1, 9, see, &seen), BUS_CORRUPT);
        cr_assert_eq(seen.count, 0);
    }
    store_rollback(&txn);
    help_destroy(&h);
}
