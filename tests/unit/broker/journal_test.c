// journal_test.c - the journal keeps what it acknowledged, once, in order, with its chains.
#include "broker/journal_inner.h"
#include "journal_fixture.h"
#include "proto/limits.h"
#include "runtime/clock.h"
#include <criterion/criterion.h>
#include <stdio.h>

Test(journal, is_empty_at_first_and_keeps_its_epoch)
{
    BUS_AUTO(fixture_destroy) fixture_t *f = fixture_new(NULL);
    journal_info_t info = fixture_info(f);
    cr_assert_eq(info.head, 0);
    cr_assert_eq(info.first, 1);
    cr_assert_eq(info.at, 0);
    cr_assert_eq(strlen(info.epoch), 36);
    char epoch[JOURNAL_EPOCH_SIZE];
    memcpy(epoch, info.epoch, sizeof(epoch));
    fixture_reopen(f);
    cr_assert_str_eq(fixture_info(f).epoch, epoch);
    cr_assert_not(journal_clock_jumped(f->journal));
    journal_t *other = NULL;
    cr_assert_eq(journal_open(&f->options, &other), BUS_CONFLICT);
}

Test(journal, keeps_what_it_acknowledged)
{
    BUS_AUTO(fixture_destroy) fixture_t *f = fixture_new(NULL);
    for (uint64_t i = 1; i <= 3; i++) {
        batch_item_t *item = fixture_put(f, &(fixture_record_t){.topic = "core.event.kept"});
        cr_assert_eq(item->err, BUS_OK);
        cr_assert_eq(item->seq, i);
        fixture_reopen(f);
    }
    cr_assert_eq(fixture_info(f).head, 3);
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    journal_page_t page;
    cr_assert_eq(fixture_scan(f, 1, NULL, out, &page), BUS_OK);
    cr_assert_eq(page.count, 3);
    cr_assert_eq(page.first, 1);
    cr_assert_eq(page.next, 4);
    for (uint32_t i = 0; i < 3; i++) {
        bus_view_t topic;
        header_t header;
        fixture_read(pack_view(out), i, &topic, &header);
        cr_assert(view_is(topic, "core.event.kept"));
        cr_assert_eq(header.seq, i + 1);
        cr_assert(view_is(header.source, "tester"));
        cr_assert(view_is(header.id, "an-id"));
    }
}

Test(journal, chains_each_family_by_prev_across_blocks_and_restarts)
{
    static const char *const topics[] = {
        "core.event.a", "karma.life_event", "core.event.b", "bucket.x", "karma.y", "core.z"};
    static const uint64_t prevs[] = {0, 0, 1, 0, 2, 3};
    BUS_AUTO(fixture_destroy) fixture_t *f = fixture_new(NULL);
    for (int i = 0; i < 6; i++) {
        fixture_add(f, &(fixture_record_t){.topic = topics[i]});
        if (i == 2) {
            fixture_append(f);
            fixture_reopen(f);
        }
    }
    fixture_append(f);
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    journal_page_t page;
    cr_assert_eq(fixture_scan(f, 0, NULL, out, &page), BUS_OK);
    cr_assert_eq(page.count, 6);
    for (uint32_t i = 0; i < 6; i++) {
        bus_view_t topic;
        header_t header;
        fixture_read(pack_view(out), i, &topic, &header);
        cr_assert_eq(header.prev, prevs[i], "of record %u", i + 1);
    }
}

Test(journal, gives_one_time_to_a_block_and_never_goes_back)
{
    BUS_AUTO(fixture_destroy) fixture_t *f = fixture_new(NULL);
    uint64_t before = clock_wall_us();
    uint64_t last = 0;
    for (int i = 0; i < 20; i++) {
        if (i % 5 == 4) {
            fixture_reopen(f);
        }
        fixture_fill(f, "core.event.timed", 3);
        cr_assert_eq(f->items[0]->at, f->items[2]->at);
        cr_assert_geq(f->items[0]->at, last);
        last = f->items[0]->at;
    }
    cr_assert_geq(last + 1000000, before); // the wall clock may be slewed while we look
    cr_assert_leq(last, clock_wall_us() + 1000000);
    cr_assert_eq(fixture_info(f).at, last);
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    journal_page_t page;
    cr_assert_eq(fixture_scan(f, 60, NULL, out, &page), BUS_OK);
    bus_view_t topic;
    header_t header;
    fixture_read(pack_view(out), 0, &topic, &header);
    cr_assert_eq(header.at, last);
}

Test(journal, takes_a_stream_without_gaps_and_refuses_what_is_above)
{
    BUS_AUTO(fixture_destroy) fixture_t *f = fixture_new(NULL);
    static const uint64_t pseqs[] = {2, 1, 2, 4, 5, 3, 3};
    for (int i = 0; i < 7; i++) {
        fixture_add(f, &(fixture_record_t){.topic = "core.x", .pseq = pseqs[i], .pstream = "s"});
    }
    fixture_append(f);
    static const uint32_t errs[] = {
        BUS_PSEQ_GAP, BUS_OK, BUS_OK, BUS_PSEQ_GAP, BUS_PSEQ_GAP, BUS_OK, BUS_OK};
    static const uint64_t expected[] = {1, 0, 0, 3, 3, 0, 0};
    static const uint64_t seqs[] = {0, 1, 2, 0, 0, 3, 3};
    for (int i = 0; i < 7; i++) {
        cr_assert_eq(f->items[i]->err, errs[i], "item %d", i);
        cr_assert_eq(f->items[i]->expected, expected[i], "item %d", i);
        cr_assert_eq(f->items[i]->seq, seqs[i], "item %d", i);
        cr_assert_eq(f->items[i]->duplicate, i == 6, "item %d", i);
    }
    cr_assert_eq(fixture_info(f).head, 3);
}

Test(journal, keeps_streams_of_two_sources_and_two_names_apart)
{
    BUS_AUTO(fixture_destroy) fixture_t *f = fixture_new(NULL);
    static const fixture_record_t records[] = {
        {.topic = "core.x", .source = "a", .pstream = "bc", .pseq = 1},
        {.topic = "core.x", .source = "ab", .pstream = "c", .pseq = 1},
        {.topic = "core.x", .source = "abc", .pstream = "", .pseq = 1},
        {.topic = "core.x", .source = "abc", .pseq = 2}, // absent is ""
    };
    for (int i = 0; i < 4; i++) {
        fixture_add(f, &records[i]);
    }
    fixture_append(f);
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(f->items[i]->err, BUS_OK);
        cr_assert_eq(f->items[i]->seq, (uint64_t) i + 1);
        cr_assert_not(f->items[i]->duplicate);
    }
}

Test(journal, answers_a_duplicate_with_the_originals_place_after_a_restart)
{
    BUS_AUTO(fixture_destroy) fixture_t *f = fixture_new(NULL);
    uint64_t seqs[11];
    uint64_t ats[11];
    for (uint64_t pseq = 1; pseq <= 10; pseq++) {
        fixture_fill(f, "karma.between", 2);
        batch_item_t *item =
            fixture_put(f, &(fixture_record_t){.topic = "core.x", .pseq = pseq, .pstream = "u"});
        seqs[pseq] = item->seq;
        ats[pseq] = item->at;
    }
    uint64_t head = fixture_info(f).head;
    for (int restart = 0; restart < 2; restart++) {
        for (uint64_t pseq = 10; pseq >= 1; pseq--) {
            batch_item_t *item = fixture_put(
                f, &(fixture_record_t){.topic = "core.x", .pseq = pseq, .pstream = "u"});
            cr_assert_eq(item->err, BUS_OK);
            cr_assert(item->duplicate);
            cr_assert_eq(item->seq, seqs[pseq]);
            cr_assert_eq(item->at, ats[pseq]);
        }
        fixture_reopen(f);
    }
    cr_assert_eq(fixture_info(f).head, head);
}

Test(journal, remembers_the_last_8192_of_a_stream_and_no_more)
{
    enum { TOTAL = PSEQ_MEMORY + 10 };
    BUS_AUTO(fixture_destroy) fixture_t *f = fixture_new(NULL);
    for (uint64_t pseq = 1; pseq <= TOTAL - 1; pseq++) {
        fixture_add(f, &(fixture_record_t){.topic = "core.x", .pseq = pseq, .pstream = "u"});
    }
    fixture_append(f);
    fixture_reopen(f);
    // The first question walks the chain; then the stream goes on, and what is known with it.
    static const uint64_t asked[] = {TOTAL - 1, TOTAL - PSEQ_MEMORY, TOTAL - PSEQ_MEMORY - 1};
    static const uint64_t wanted[] = {TOTAL - 1, TOTAL - PSEQ_MEMORY, 0};
    for (uint64_t more = 0; more < 3; more++) {
        for (int i = 0; i < 3; i++) {
            uint64_t pseq = asked[i] + more;
            fixture_add(f, &(fixture_record_t){.topic = "core.x", .pseq = pseq, .pstream = "u"});
        }
        fixture_append(f);
        for (int i = 0; i < 3; i++) {
            cr_assert(f->items[i]->duplicate);
            uint64_t seq = wanted[i] == 0 ? 0 : wanted[i] + more;
            cr_assert_eq(f->items[i]->seq, seq, "%d after %d", i, (int) more);
            cr_assert_eq(f->items[i]->at == 0, seq == 0);
        }
        fixture_put(f,
                    &(fixture_record_t){.topic = "core.x", .pseq = TOTAL + more, .pstream = "u"});
        cr_assert_eq(f->items[0]->err, BUS_OK);
        cr_assert_not(f->items[0]->duplicate);
    }
}

Test(journal, takes_a_group_as_one_pseq_all_or_nothing)
{
    BUS_AUTO(fixture_destroy) fixture_t *f = fixture_new(NULL);
    fixture_add(f, &(fixture_record_t){.topic = "core.x", .pseq = 1, .pstream = "u"});
    fixture_add_group(f, 3, 2, "u");
    fixture_add_group(f, 2, 4, "u"); // 3 is missing
    fixture_add(f, &(fixture_record_t){.topic = "core.x", .pseq = 3, .pstream = "u"});
    fixture_add_group(f, 2, 0, NULL);
    fixture_append(f);
    batch_item_t *group = f->items[1];
    cr_assert_eq(group->err, BUS_OK);
    cr_assert_eq(group->first, 2);
    cr_assert_eq(group->seq, 4);
    cr_assert_eq(group->count, 3);
    cr_assert_gt(group->at, 0);
    for (uint64_t i = 0; i < 3; i++) {
        cr_assert_eq(f->items[2 + i]->seq, 2 + i);
    }
    cr_assert_eq(f->items[5]->err, BUS_PSEQ_GAP);
    cr_assert_eq(f->items[5]->expected, 3);
    cr_assert_eq(f->items[6]->err, BUS_PSEQ_GAP);
    cr_assert_eq(f->items[6]->seq, 0);
    cr_assert_eq(f->items[8]->seq, 5);
    cr_assert_eq(f->items[9]->first, 6);
    cr_assert_eq(f->items[9]->seq, 7);
    cr_assert_eq(fixture_info(f).head, 7);
}

Test(journal, answers_a_groups_duplicate_with_its_first_last_and_count_after_a_restart)
{
    BUS_AUTO(fixture_destroy) fixture_t *f = fixture_new(NULL);
    fixture_fill(f, "karma.before", 4);
    fixture_put(f, &(fixture_record_t){.topic = "core.x", .pseq = 1, .pstream = "u"});
    fixture_add_group(f, 3, 2, "u");
    fixture_append(f);
    uint64_t at = f->items[0]->at;
    fixture_put(f, &(fixture_record_t){.topic = "core.x", .pseq = 3, .pstream = "u"});
    for (int restart = 0; restart < 2; restart++) {
        fixture_add_group(f, 3, 2, "u");
        fixture_add(f, &(fixture_record_t){.topic = "core.x", .pseq = 3, .pstream = "u"});
        fixture_add(f, &(fixture_record_t){.topic = "core.x", .pseq = 1, .pstream = "u"});
        fixture_append(f);
        batch_item_t *group = f->items[0];
        cr_assert(group->duplicate);
        cr_assert_eq(group->first, 6);
        cr_assert_eq(group->seq, 8);
        cr_assert_eq(group->count, 3);
        cr_assert_eq(group->at, at);
        cr_assert(f->items[4]->duplicate);
        cr_assert_eq(f->items[4]->seq, 9);
        cr_assert(f->items[5]->duplicate); // found through the group
        cr_assert_eq(f->items[5]->seq, 5);
        fixture_reopen(f);
    }
    cr_assert_eq(fixture_info(f).head, 9);
}

Test(journal, tells_hello_where_a_stream_stands_with_its_cause)
{
    BUS_AUTO(fixture_destroy) fixture_t *f = fixture_new(NULL);
    fixture_fill(f, "core.event.x", 5);
    fixture_add_hello(f, "karma", "");
    fixture_add(
        f,
        &(fixture_record_t){
            .topic = "karma.said", .source = "karma", .pseq = 1, .cause_seq = 3, .cause_n = 1});
    fixture_add_hello(f, "karma", NULL);
    fixture_append(f);
    cr_assert_eq(f->items[0]->count, 0);
    cr_assert_eq(f->items[0]->expected, 0);
    cr_assert_eq(f->items[2]->count, 1);
    cr_assert_eq(f->items[2]->expected, 1);
    fixture_reopen(f);
    fixture_add_hello(f, "karma", "");
    fixture_append(f);
    cr_assert_eq(f->items[0]->count, 1);
    cr_assert_eq(f->items[0]->expected, 1);
    cr_assert_eq(f->items[0]->cause_seq, 3);
    cr_assert_eq(f->items[0]->cause_n, 1);
}

static void
sum_consumer(void *arg, bus_view_t consumer, uint64_t ack)
{
    uint64_t *sum = arg;
    *sum = *sum * 1000 + consumer.size * 100 + ack;
}

Test(journal, keeps_consumers_and_forgets_them_when_told)
{
    BUS_AUTO(fixture_destroy) fixture_t *f = fixture_new(NULL);
    fixture_add_consumer(f, BATCH_CONSUMER, "a", 7);
    fixture_add_consumer(f, BATCH_CONSUMER, "bb", 5);
    fixture_add_consumer(f, BATCH_CONSUMER, "ccc", 9);
    fixture_add_consumer(f, BATCH_CONSUMER, "a", 8);
    fixture_add_consumer(f, BATCH_FORGET, "ccc", 0);
    fixture_add_consumer(f, BATCH_FORGET, "unheard", 0);
    fixture_append(f);
    for (uint32_t i = 0; i < f->count; i++) {
        cr_assert_eq(f->items[i]->err, BUS_OK);
    }
    fixture_reopen(f);
    uint64_t sum = 0;
    cr_assert_eq(journal_consumers(f->journal, sum_consumer, &sum), BUS_OK);
    cr_assert_eq(sum, 108205); // "a" at 8, then "bb" at 5
}

Test(journal, refuses_one_consumer_too_many)
{
    BUS_AUTO(fixture_destroy) fixture_t *f = fixture_new(NULL);
    for (int i = 0; i <= CONSUMERS_MAX; i++) {
        char name[16];
        snprintf(name, sizeof(name), "c%d", i);
        fixture_add_consumer(f, BATCH_CONSUMER, name, 1);
    }
    fixture_add_consumer(f, BATCH_CONSUMER, "c3", 2);
    fixture_append(f);
    for (uint32_t i = 0; i < f->count; i++) {
        cr_assert_eq(f->items[i]->err, i == CONSUMERS_MAX ? BUS_BUSY : BUS_OK, "item %u", i);
    }
}

Test(journal, trims_by_bytes_below_the_floor_only)
{
    const journal_options_t options = {.retention_bytes = 20000};
    BUS_AUTO(fixture_destroy) fixture_t *f = fixture_new(&options);
    fixture_fill(f, "core.event.x", 500);
    uint64_t bytes = fixture_info(f).bytes;
    uint64_t record = bytes / 500;
    cr_assert_gt(bytes, 40000);
    fixture_add_trim(f, 11);
    fixture_append(f);
    cr_assert_eq(f->items[0]->first, 11);
    cr_assert_eq(f->items[0]->count, 10);
    cr_assert_eq(fixture_info(f).first, 11);
    fixture_add_trim(f, 501);
    fixture_append(f);
    journal_info_t info = fixture_info(f);
    cr_assert_leq(info.bytes, 20000);
    cr_assert_gt(info.bytes + record, 20000);
    cr_assert_eq(info.head, 500);
    cr_assert_eq(info.bytes, (500 - info.first + 1) * record);
    fixture_reopen(f);
    cr_assert_eq(fixture_info(f).first, info.first);
    cr_assert_eq(fixture_info(f).bytes, info.bytes);
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    journal_page_t page;
    cr_assert_eq(fixture_scan(f, info.first - 1, NULL, out, &page), BUS_TRIMMED);
    cr_assert_eq(page.first, info.first);
    cr_assert_eq(page.count, 0);
    cr_assert_eq(fixture_scan(f, 0, NULL, out, &page), BUS_OK);
    cr_assert_eq(page.count, 500 - info.first + 1);
}

Test(journal, trims_by_age_and_keeps_the_young)
{
    const journal_options_t options = {.retention_ms = 3600000};
    BUS_AUTO(fixture_destroy) fixture_t *f = fixture_new(&options);
    fixture_fill(f, "core.event.x", 10);
    fixture_add_trim(f, 11);
    fixture_append(f);
    cr_assert_eq(f->items[0]->count, 0);
    cr_assert_eq(fixture_info(f).first, 1);
    f->options.retention_ms = 1;
    fixture_reopen(f);
    do { // until a millisecond has gone by since
        fixture_add_trim(f, 11);
        fixture_append(f);
        cr_assert_eq(f->items[0]->err, BUS_OK);
    } while (f->items[0]->count == 0);
    cr_assert_eq(f->items[0]->count, 10);
    journal_info_t info = fixture_info(f);
    cr_assert_eq(info.first, 11);
    cr_assert_eq(info.head, 10);
    cr_assert_eq(info.bytes, 0);
    fixture_reopen(f); // an empty journal with a past is a legal one
    batch_item_t *item = fixture_put(f, &(fixture_record_t){.topic = "core.event.x"});
    cr_assert_eq(item->seq, 11);
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    journal_page_t page;
    cr_assert_eq(fixture_scan(f, 11, NULL, out, &page), BUS_OK);
    bus_view_t topic;
    header_t header;
    fixture_read(pack_view(out), 0, &topic, &header);
    cr_assert_eq(header.prev, 10);
}

Test(journal, trims_nothing_unless_retention_is_set)
{
    BUS_AUTO(fixture_destroy) fixture_t *f = fixture_new(NULL);
    fixture_fill(f, "core.event.x", 10);
    fixture_add_trim(f, 11);
    fixture_append(f);
    cr_assert_eq(f->items[0]->err, BUS_OK);
    cr_assert_eq(f->items[0]->first, 1);
    cr_assert_eq(fixture_info(f).first, 1);
}

Test(journal, answers_zero_for_a_duplicate_whose_original_was_trimmed)
{
    const journal_options_t options = {.retention_bytes = 1};
    BUS_AUTO(fixture_destroy) fixture_t *f = fixture_new(&options);
    for (uint64_t pseq = 1; pseq <= 3; pseq++) {
        fixture_add(f, &(fixture_record_t){.topic = "core.x", .pseq = pseq, .pstream = "u"});
    }
    fixture_append(f);
    fixture_add_trim(f, 3);
    fixture_append(f);
    cr_assert_eq(fixture_info(f).first, 3);
    for (uint64_t pseq = 1; pseq <= 3; pseq++) {
        fixture_add(f, &(fixture_record_t){.topic = "core.x", .pseq = pseq, .pstream = "u"});
    }
    fixture_append(f);
    // 2 is known from the trailer of 3, but there is no record to answer from any more.
    static const uint64_t seqs[] = {0, 0, 3};
    for (int i = 0; i < 3; i++) {
        cr_assert(f->items[i]->duplicate);
        cr_assert_eq(f->items[i]->seq, seqs[i]);
        cr_assert_eq(f->items[i]->at == 0, seqs[i] == 0);
    }
}

Test(journal, keeps_streams_and_records_apart_in_a_block_of_refusals)
{
    BUS_AUTO(fixture_destroy) fixture_t *f = fixture_new(NULL);
    fixture_add(f, &(fixture_record_t){.topic = "core.x", .pseq = 9, .pstream = "u"});
    fixture_append(f);
    cr_assert_eq(f->items[0]->err, BUS_PSEQ_GAP);
    cr_assert_eq(f->items[0]->expected, 1);
    fixture_add_hello(f, "tester", "u"); // a refusal makes no stream
    fixture_append(f);
    cr_assert_eq(f->items[0]->count, 0);
}

Test(journal, answers_duplicates_of_more_streams_than_it_remembers_at_once)
{
    enum { STREAMS = STREAM_ORIGINS_MAX + 6, DEPTH = 3 };
    BUS_AUTO(fixture_destroy) fixture_t *f = fixture_new(NULL);
    for (int pass = 0; pass < 3; pass++) {
        for (uint64_t pseq = 1; pseq <= DEPTH; pseq++) {
            for (int i = 0; i < STREAMS; i++) {
                char name[16];
                snprintf(name, sizeof(name), "s%d", i);
                fixture_add(f,
                            &(fixture_record_t){.topic = "core.x", .pseq = pseq, .pstream = name});
            }
        }
        fixture_append(f);
        for (uint32_t i = 0; i < f->count; i++) {
            cr_assert_eq(f->items[i]->duplicate, pass > 0);
            cr_assert_eq(f->items[i]->seq, i + 1);
        }
    }
    cr_assert_eq(fixture_info(f).head, STREAMS * DEPTH);
}

// Changes the closed journal's state record: `at` and `head` are moved by so much.
static void
move_state(fixture_t *f, int64_t at, int64_t head)
{
    static const store_table_t tables[] = {{"state", STORE_KEYS_BYTES, false, "the journal's"}};
    const store_options_t options = {
        .path = f->path, .tables = tables, .table_count = 1, .size_max = f->options.size_max};
    store_t *store = NULL;
    store_txn_t *txn = NULL;
    bus_view_t value;
    cr_assert_eq(store_open(&options, &store), BUS_OK);
    cr_assert_eq(store_begin(store, STORE_WRITE, &txn), BUS_OK);
    cr_assert_eq(store_get(txn, 0, VIEW_LITERAL("journal"), &value), BUS_OK);
    journal_state_t state;
    cr_assert_eq(value.size, sizeof(state));
    memcpy(&state, value.data, sizeof(state));
    state.at += (uint64_t) at;
    state.head += (uint64_t) head;
    value = view_from(&state, sizeof(state));
    cr_assert_eq(store_put(txn, 0, VIEW_LITERAL("journal"), value), BUS_OK);
    cr_assert_eq(store_commit(&txn), BUS_OK);
    store_destroy(&store);
}

Test(journal, goes_on_from_its_last_time_where_the_wall_clock_is_behind)
{
    BUS_AUTO(fixture_destroy) fixture_t *f = fixture_new(NULL);
    uint64_t at = fixture_put(f, &(fixture_record_t){.topic = "core.x"})->at;
    const int64_t hour_us = 3600000000;
    journal_destroy(&f->journal);
    move_state(f, hour_us, 0);
    cr_assert_eq(journal_open(&f->options, &f->journal), BUS_OK);
    cr_assert_not(journal_clock_jumped(f->journal));
    uint64_t next = fixture_put(f, &(fixture_record_t){.topic = "core.x"})->at;
    cr_assert_geq(next, at + (uint64_t) hour_us);
    cr_assert_lt(next, at + 2 * (uint64_t) hour_us);
}

Test(journal, tells_a_clock_that_is_more_than_a_day_ahead)
{
    BUS_AUTO(fixture_destroy) fixture_t *f = fixture_new(NULL);
    const int64_t day_us = 24 * INT64_C(3600000000);
    fixture_put(f, &(fixture_record_t){.topic = "core.x"});
    journal_destroy(&f->journal);
    move_state(f, -day_us + 60000000, 0);
    cr_assert_eq(journal_open(&f->options, &f->journal), BUS_OK);
    cr_assert_not(journal_clock_jumped(f->journal));
    journal_destroy(&f->journal);
    move_state(f, -60000000, 0);
    cr_assert_eq(journal_open(&f->options, &f->journal), BUS_OK);
    cr_assert(journal_clock_jumped(f->journal));
}

Test(journal, does_not_open_where_its_state_and_its_log_disagree)
{
    BUS_AUTO(fixture_destroy) fixture_t *f = fixture_new(NULL);
    fixture_fill(f, "core.x", 3);
    journal_destroy(&f->journal);
    move_state(f, 0, -1);
    cr_assert_eq(journal_open(&f->options, &f->journal), BUS_CORRUPT);
    cr_assert_null(f->journal);
    move_state(f, 0, 2);
    cr_assert_eq(journal_open(&f->options, &f->journal), BUS_CORRUPT);
    move_state(f, 0, -1);
    cr_assert_eq(journal_open(&f->options, &f->journal), BUS_OK);
}
