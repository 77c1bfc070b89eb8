// journal_trace_test.c - a trace's records are found, all of them and no others, wherever they lie.
#include "broker/journal_inner.h"
#include "broker/journal_trace.h"
#include "journal_fixture.h"
#include <criterion/criterion.h>
#include <stdio.h>

enum { TRACES = 7 }; // a record i of fill is of trace i % TRACES, every 11th of none

// Appends `count` records in blocks of `block`.
static void
fill(fixture_t *f, unsigned count, unsigned block)
{
    uint64_t next = fixture_info(f).head + 1;
    for (unsigned i = 0; i < count; i++, next++) {
        char trace_id[16];
        (void) snprintf(trace_id, sizeof(trace_id), "trace-%u", (unsigned) (next % TRACES));
        fixture_add(f,
                    &(fixture_record_t){.topic = next % 2 == 0 ? "core.event.even" : "karma.odd",
                                        .trace_id = next % 11 == 0 ? NULL : trace_id});
        if ((i + 1) % block == 0 || i + 1 == count) {
            fixture_append(f);
        }
    }
}

// Whether a scan for `trace-<number>` gives what the rule of `fill` says, and that alone.
static void
expect(fixture_t *f, unsigned number, uint64_t from, const char *filter)
{
    char trace_id[16];
    (void) snprintf(trace_id, sizeof(trace_id), "trace-%u", number);
    bus_view_t prefix = view_from_text(filter);
    uint64_t head = fixture_info(f).head;
    const journal_scan_t scan = {.from = from,
                                 .head = head,
                                 .filters = &prefix,
                                 .filter_count = filter == NULL ? 0 : 1,
                                 .trace_id = view_from_text(trace_id),
                                 .max = 100000,
                                 .max_bytes = 1 << 30,
                                 .scan_max = 1000000};
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    journal_page_t page;
    cr_assert_eq(journal_scan(f->journal, &scan, out, &page), BUS_OK);
    cr_assert_eq(page.next, head + 1);
    uint32_t count = 0;
    for (uint64_t seq = from; seq <= head; seq++) {
        bool has_prefix = filter == NULL || (seq % 2 == 0) == (strcmp(filter, "core.") == 0);
        if (seq % TRACES != number || seq % 11 == 0 || !has_prefix) {
            continue;
        }
        cr_assert_lt(count, page.count, "trace %u misses %lu", number, (unsigned long) seq);
        bus_view_t topic;
        header_t header;
        fixture_read(pack_view(out), count++, &topic, &header);
        cr_assert_eq(header.seq, seq);
        cr_assert(view_is(header.trace_id, trace_id));
    }
    cr_assert_eq(count, page.count);
}

Test(journal_trace, finds_all_of_a_trace_and_nothing_else_whatever_the_blocks)
{
    static const unsigned blocks[] = {1, 3, 499, 500, 501, 1700};
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        BUS_AUTO(fixture_destroy) fixture_t *f = fixture_new(NULL);
        fill(f, 1700, blocks[i]);
        for (unsigned number = 0; number < TRACES; number++) {
            expect(f, number, 1, NULL);
        }
        expect(f, 3, 499, NULL);
        expect(f, 3, 500, "core.");
        expect(f, 3, 1000, "karma.");
        expect(f, 3, 1700, NULL);
    }
}

Test(journal_trace, finds_what_restarts_fell_between)
{
    BUS_AUTO(fixture_destroy) fixture_t *f = fixture_new(NULL);
    static const unsigned steps[] = {130, 370, 1, 498, 2, 700};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        fill(f, steps[i], 50);
        fixture_reopen(f);
        expect(f, 2, 1, NULL);
    }
}

Test(journal_trace, gives_nothing_of_a_trace_that_there_is_none_of)
{
    BUS_AUTO(fixture_destroy) fixture_t *f = fixture_new(NULL);
    fill(f, 1200, 100);
    expect(f, TRACES, 1, NULL);
    expect(f, TRACES + 1, 1, "core.");
}

Test(journal_trace, stops_after_so_many_looks_and_goes_on_from_next)
{
    BUS_AUTO(fixture_destroy) fixture_t *f = fixture_new(NULL);
    fill(f, 1600, 200);
    journal_scan_t scan = {.from = 1,
                           .head = 1600,
                           .trace_id = VIEW_LITERAL("trace-5"),
                           .max = 10,
                           .max_bytes = 1000000,
                           .scan_max = 4};
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    uint32_t count = 0;
    unsigned pages = 0;
    while (scan.from <= 1600) {
        journal_page_t page;
        cr_assert_eq(journal_scan(f->journal, &scan, out, &page), BUS_OK);
        cr_assert_leq(page.count, 4);
        cr_assert_gt(page.next, scan.from, "page %u does not move on", pages);
        scan.from = page.next;
        count += page.count;
        pages++;
    }
    uint32_t wanted = 0;
    for (unsigned seq = 1; seq <= 1600; seq++) {
        wanted += seq % TRACES == 5 && seq % 11 != 0 ? 1 : 0;
    }
    cr_assert_eq(count, wanted);
    cr_assert_gt(pages, wanted / 4);
}

Test(journal_trace, knows_records_of_a_batch)
{
    BUS_AUTO(fixture_destroy) fixture_t *f = fixture_new(NULL);
    for (unsigned i = 0; i < 300; i++) {
        fixture_add_group(f, 2, 0, NULL);
        fixture_add(f,
                    &(fixture_record_t){
                        .topic = "core.event.x", .grouped = false, .trace_id = "of-one-alone"});
    }
    fixture_append(f);
    journal_scan_t scan = {.from = 1,
                           .head = 900,
                           .trace_id = VIEW_LITERAL("of-one-alone"),
                           .max = 1000,
                           .max_bytes = 1 << 20,
                           .scan_max = 100000};
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    journal_page_t page;
    cr_assert_eq(journal_scan(f->journal, &scan, out, &page), BUS_OK);
    cr_assert_eq(page.count, 300);
    scan.trace_id = VIEW_LITERAL("of-a-group");
    cr_assert_eq(journal_scan(f->journal, &scan, out, &page), BUS_OK);
    cr_assert_eq(page.count, 600);
}

Test(journal_trace, forgets_with_the_records_that_are_trimmed)
{
    journal_options_t options = {.retention_bytes = 1};
    BUS_AUTO(fixture_destroy) fixture_t *f = fixture_new(&options);
    fill(f, 2100, 300);
    fixture_add_trim(f, 1234);
    fixture_append(f);
    cr_assert_eq(fixture_info(f).first, 1234);
    for (unsigned number = 0; number < TRACES; number++) {
        expect(f, number, 1234, NULL);
    }
    BUS_AUTO(store_rollback) store_txn_t *txn = NULL;
    uint64_t count = 0;
    cr_assert_eq(store_begin(f->journal->store, STORE_READ, &txn), BUS_OK);
    cr_assert_eq(store_count(txn, TABLE_TRACES, &count), BUS_OK);
    cr_assert_eq(count, 2, "1000 to 1499 and 1500 to 1999");
}

Test(journal_trace, hashes_no_trace_id_to_what_is_not_known)
{
    cr_assert_neq(record_trace_hash(VIEW_NONE), RECORD_TRACE_UNKNOWN);
    cr_assert_neq(record_trace_hash(VIEW_LITERAL("a")), record_trace_hash(VIEW_LITERAL("b")));
    for (unsigned i = 0; i < 100000; i++) {
        char text[16];
        int size = snprintf(text, sizeof(text), "%u", i);
        uint32_t hash = record_trace_hash(view_from(text, (size_t) size));
        cr_assert_neq(hash, RECORD_TRACE_UNKNOWN);
        cr_assert_neq(hash, record_trace_hash(VIEW_NONE));
    }
}

// Deletes blocks behind the journal's back: they are a help, not the truth.
Test(journal_trace, finds_all_where_blocks_are_missing)
{
    BUS_AUTO(fixture_destroy) fixture_t *f = fixture_new(NULL);
    fill(f, 2100, 300);
    BUS_AUTO(store_rollback) store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(f->journal->store, STORE_WRITE, &txn), BUS_OK);
    cr_assert_eq(store_del(txn, TABLE_TRACES, STORE_U64(500)), BUS_OK);
    cr_assert_eq(store_put(txn, TABLE_TRACES, STORE_U64(1000), VIEW_LITERAL("what")), BUS_OK);
    cr_assert_eq(store_commit(&txn), BUS_OK);
    for (unsigned number = 0; number < TRACES; number++) {
        expect(f, number, 1, NULL);
    }
}
