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

static void
put(store_txn_t *txn, pack_t *scratch, bus_view_t user_id, uint64_t seq)
{
    karma_event_t event = {.seq = seq, .at = T0 + seq, .role = VIEW_LITERAL("learner")};
    cr_assert_eq(karma_event_put(txn, user_id, &event, scratch), BUS_OK);
}

Test(event, belongs_to_one_user_whatever_the_bytes_of_the_id)
{
    // Ids that are beginnings of each other, and one that looks like another's key.
    const bus_view_t ids[] = {
        VIEW_LITERAL("a"),
        VIEW_LITERAL("ab"),
        VIEW_LITERAL("a\0\0\0\0\0\0\0\1"),
        VIEW_LITERAL("a\0"),
        VIEW_LITERAL("\xff"),
    };
    size_t id_count = sizeof ids / sizeof ids[0];
    help_t *h = help_new();
    BUS_AUTO(pack_destroy) pack_t *scratch = pack_new();
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(h->store, STORE_WRITE, &txn), BUS_OK);
    for (uint64_t seq = 1; seq <= 5 * 3; seq++) {
        put(txn, scratch, ids[seq % id_count], seq * 100);
    }
    for (size_t i = 0; i < id_count; i++) {
        seen_t seen = {.count = 0};
        cr_assert_eq(karma_event_each(txn, ids[i], see, &seen), BUS_OK);
        cr_assert_eq(seen.count, 3);
        for (size_t k = 1; k < seen.count; k++) {
            cr_assert_eq(seen.seqs[k], seen.seqs[k - 1] + 500);
        }
    }
    cr_assert_eq(karma_event_clear(txn, ids[0]), BUS_OK);
    for (size_t i = 0; i < id_count; i++) {
        seen_t seen = {.count = 0};
        cr_assert_eq(karma_event_each(txn, ids[i], see, &seen), BUS_OK);
        cr_assert_eq(seen.count, i == 0 ? 0 : 3);
    }
    store_rollback(&txn);
    help_destroy(&h);
}

Test(event, comes_in_the_journals_order_over_all_bytes_of_the_seq)
{
    const uint64_t seqs[] = {UINT64_C(1) << 56, 255, 256, 1, 65536, (UINT64_C(1) << 32) - 1};
    help_t *h = help_new();
    BUS_AUTO(pack_destroy) pack_t *scratch = pack_new();
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(h->store, STORE_WRITE, &txn), BUS_OK);
    for (size_t i = 0; i < 6; i++) {
        put(txn, scratch, VIEW_LITERAL("u"), seqs[i]);
    }
    seen_t seen = {.count = 0};
    cr_assert_eq(karma_event_each(txn, VIEW_LITERAL("u"), see, &seen), BUS_OK);
    const uint64_t sorted[] = {1, 255, 256, 65536, (UINT64_C(1) << 32) - 1, UINT64_C(1) << 56};
    cr_assert_eq(seen.count, 6);
    cr_assert_eq(memcmp(seen.seqs, sorted, sizeof sorted), 0);

    seen = (seen_t){.stop_after = 2};
    cr_assert_eq(karma_event_each(txn, VIEW_LITERAL("u"), see, &seen), BUS_ABORTED);
    cr_assert_eq(seen.count, 2);
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
    cr_assert_eq(karma_event_put(txn, VIEW_LITERAL("u"), &event, scratch), BUS_OK);
    seen_t seen = {.count = 0};
    cr_assert_eq(karma_event_each(txn, VIEW_LITERAL("u"), see, &seen), BUS_OK);
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
    bus_view_t key = VIEW_LITERAL("\1u\0\0\0\0\0\0\0\1");
    cr_assert_eq(store_put(txn, KARMA_EVENTS, key, VIEW_LITERAL("\x93")), BUS_OK);
    seen_t seen = {.count = 0};
    cr_assert_eq(karma_event_each(txn, VIEW_LITERAL("u"), see, &seen), BUS_CORRUPT);
    cr_assert_eq(store_put(txn,
                           KARMA_EVENTS,
                           key,
                           VIEW_LITERAL("\x81\xa2"
                                        "at\xa1x")),
                 BUS_OK);
    cr_assert_eq(karma_event_each(txn, VIEW_LITERAL("u"), see, &seen), BUS_CORRUPT);
    cr_assert_eq(seen.count, 0);
    store_rollback(&txn);
    help_destroy(&h);
}
