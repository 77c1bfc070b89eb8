// scan_test.c - reading the journal: filters, limits, and what is not there or not whole.
#include "broker/journal_scan.h"
#include "journal_fixture.h"
#include "proto/topic.h"
#include <criterion/criterion.h>

// Ten records: core.event.a, karma.b, and so on in turns.
static fixture_t *
make_ten(void)
{
    fixture_t *f = fixture_new(NULL);
    for (int i = 0; i < 10; i++) {
        fixture_add(f, &(fixture_record_t){.topic = i % 2 == 0 ? "core.event.a" : "karma.b"});
    }
    fixture_append(f);
    return f;
}

static const journal_scan_t scan_all = {
    .from = 1, .head = 10, .max = 1000, .max_bytes = 1000000, .scan_max = 1000};

Test(scan, gives_what_any_filter_matches)
{
    BUS_AUTO(fixture_destroy) fixture_t *f = make_ten();
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    journal_page_t page;
    cr_assert_eq(fixture_scan(f, 1, "karma.", out, &page), BUS_OK);
    cr_assert_eq(page.count, 5);
    cr_assert_eq(page.next, 11);
    for (uint32_t i = 0; i < 5; i++) {
        bus_view_t topic;
        header_t header;
        fixture_read(pack_view(out), i, &topic, &header);
        cr_assert(view_is(topic, "karma.b"));
        cr_assert_eq(header.seq, 2 * i + 2);
    }
    static const struct {
        const char *filters[2];
        uint32_t count;
    } rows[] = {{{"", NULL}, 10},
                {{"core.event.a", NULL}, 5},
                {{"core.event.ab", NULL}, 0},
                {{"core", "karma.b"}, 10},
                {{"bucket.", "k"}, 5},
                {{"bucket.", "x"}, 0}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bus_view_t filters[2] = {view_from_text(rows[i].filters[0]),
                                 view_from_text(rows[i].filters[1])};
        journal_scan_t scan = scan_all;
        scan.filters = filters;
        scan.filter_count = rows[i].filters[1] == NULL ? 1 : 2;
        cr_assert_eq(journal_scan(f->journal, &scan, out, &page), BUS_OK);
        cr_assert_eq(page.count, rows[i].count, "row %zu", i);
        cr_assert_eq(page.next, 11);
    }
}

Test(scan, stops_at_max_and_goes_on_from_next)
{
    BUS_AUTO(fixture_destroy) fixture_t *f = make_ten();
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    bus_view_t filter = VIEW_LITERAL("core.");
    journal_scan_t scan = scan_all;
    scan.filters = &filter;
    scan.filter_count = 1;
    scan.max = 2;
    static const uint64_t nexts[] = {4, 8, 11, 11};
    static const uint32_t counts[] = {2, 2, 1, 0};
    for (int i = 0; i < 4; i++) {
        journal_page_t page;
        cr_assert_eq(journal_scan(f->journal, &scan, out, &page), BUS_OK);
        cr_assert_eq(page.next, nexts[i]);
        cr_assert_eq(page.count, counts[i]);
        scan.from = page.next;
    }
}

Test(scan, stops_at_max_bytes_but_gives_one_record_at_least)
{
    BUS_AUTO(fixture_destroy) fixture_t *f = fixture_new(NULL);
    for (int i = 0; i < 4; i++) {
        fixture_add(f, &(fixture_record_t){.topic = "core.x", .body_size = 1000});
    }
    fixture_append(f);
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    journal_scan_t scan = scan_all;
    journal_page_t page;
    scan.max = 1;
    cr_assert_eq(journal_scan(f->journal, &scan, out, &page), BUS_OK);
    uint32_t one = (uint32_t) pack_view(out).size;
    scan.max = 1000;
    const uint32_t limits[] = {1, one - 1, 2 * one - 1, 2 * one, 3 * one, 10 * one};
    static const uint32_t counts[] = {1, 1, 1, 2, 3, 4};
    for (int i = 0; i < 6; i++) {
        scan.max_bytes = limits[i];
        pack_clear(out);
        cr_assert_eq(journal_scan(f->journal, &scan, out, &page), BUS_OK);
        cr_assert_eq(page.count, counts[i], "limit %u", limits[i]);
        cr_assert_eq(page.next, counts[i] + 1);
        cr_assert_eq(pack_view(out).size, (size_t) counts[i] * one);
    }
}

Test(scan, gives_up_after_scan_max_with_next_advanced)
{
    BUS_AUTO(fixture_destroy) fixture_t *f = make_ten();
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    bus_view_t filter = VIEW_LITERAL("bucket.");
    journal_scan_t scan = scan_all;
    scan.filters = &filter;
    scan.filter_count = 1;
    scan.scan_max = 4;
    journal_page_t page;
    cr_assert_eq(journal_scan(f->journal, &scan, out, &page), BUS_OK);
    cr_assert_eq(page.count, 0);
    cr_assert_eq(page.next, 5);
}

Test(scan, reads_up_to_the_head_that_it_is_told)
{
    BUS_AUTO(fixture_destroy) fixture_t *f = make_ten();
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    journal_scan_t scan = scan_all;
    scan.head = 6;
    journal_page_t page;
    cr_assert_eq(journal_scan(f->journal, &scan, out, &page), BUS_OK);
    cr_assert_eq(page.count, 6);
    cr_assert_eq(page.next, 7);
    scan.from = 9; // journaled, but not answered for yet
    cr_assert_eq(journal_scan(f->journal, &scan, out, &page), BUS_OK);
    cr_assert_eq(page.count, 0);
    cr_assert_eq(page.next, 9);
}

Test(scan, tells_a_place_beyond_the_end_from_the_end)
{
    BUS_AUTO(fixture_destroy) fixture_t *f = make_ten();
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    journal_page_t page;
    cr_assert_eq(fixture_scan(f, 11, NULL, out, &page), BUS_OK);
    cr_assert_eq(page.count, 0);
    cr_assert_eq(page.next, 11);
    cr_assert_eq(fixture_scan(f, 12, NULL, out, &page), BUS_AHEAD);
    cr_assert_eq(page.count, 0);
    cr_assert_eq(fixture_scan(f, UINT64_MAX, NULL, out, &page), BUS_AHEAD);
}

Test(scan, of_an_empty_journal_is_empty)
{
    BUS_AUTO(fixture_destroy) fixture_t *f = fixture_new(NULL);
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    journal_page_t page;
    cr_assert_eq(fixture_scan(f, 0, NULL, out, &page), BUS_OK);
    cr_assert_eq(page.next, 1);
    cr_assert_eq(page.first, 1);
    cr_assert_eq(fixture_scan(f, 1, NULL, out, &page), BUS_OK);
    cr_assert_eq(fixture_scan(f, 2, NULL, out, &page), BUS_AHEAD);
}

Test(scan, names_a_damaged_record_and_goes_on_behind_it)
{
    BUS_AUTO(fixture_destroy) fixture_t *f = fixture_new(NULL);
    fixture_fill(f, "core.x", 3);
    fixture_put(f, &(fixture_record_t){.topic = "core.spoiled"});
    fixture_fill(f, "core.x", 2);
    cr_assert_geq(fixture_damage(f, "core.spoiled"), 1);
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    journal_page_t page;
    cr_assert_eq(fixture_scan(f, 1, NULL, out, &page), BUS_CORRUPT);
    cr_assert_eq(page.count, 3);
    cr_assert_eq(page.next, 4);
    pack_clear(out);
    cr_assert_eq(fixture_scan(f, 4, NULL, out, &page), BUS_CORRUPT);
    cr_assert_eq(page.count, 0);
    cr_assert_eq(page.next, 4);
    cr_assert_eq(fixture_scan(f, 5, NULL, out, &page), BUS_OK);
    cr_assert_eq(page.count, 2);
    cr_assert_eq(page.next, 7);
    // Whether it would have matched cannot be known: it is named to every reader.
    cr_assert_eq(fixture_scan(f, 1, "karma.", out, &page), BUS_CORRUPT);
    cr_assert_eq(page.next, 4);
}

Test(scan, sees_the_families_of_a_range_and_all_where_it_cannot_read)
{
    BUS_AUTO(fixture_destroy) fixture_t *f = make_ten();
    uint64_t core = (uint64_t) 1 << topic_family(VIEW_LITERAL("core.x"));
    uint64_t karma = (uint64_t) 1 << topic_family(VIEW_LITERAL("karma.x"));
    cr_assert_eq(journal_scan_families(f->journal, 1, 1), core);
    cr_assert_eq(journal_scan_families(f->journal, 10, 10), karma);
    cr_assert_eq(journal_scan_families(f->journal, 3, 6), core | karma);
    cr_assert_eq(journal_scan_families(f->journal, 3, 11), UINT64_MAX);
}

Test(scan, knows_which_families_a_filter_can_match)
{
    uint64_t core = (uint64_t) 1 << topic_family(VIEW_LITERAL("core.x"));
    uint64_t crypto = (uint64_t) 1 << topic_family(VIEW_LITERAL("crypto.x"));
    uint64_t all = ((uint64_t) 1 << topic_family_count()) - 1;
    cr_assert_eq(journal_scan_filter_families(VIEW_LITERAL("")), all);
    cr_assert_eq(journal_scan_filter_families(VIEW_LITERAL("c")), core | crypto);
    cr_assert_eq(journal_scan_filter_families(VIEW_LITERAL("core")), core);
    cr_assert_eq(journal_scan_filter_families(VIEW_LITERAL("core.")), core);
    cr_assert_eq(journal_scan_filter_families(VIEW_LITERAL("core.event.x")), core);
    cr_assert_eq(journal_scan_filter_families(VIEW_LITERAL("corex")), 0);
    cr_assert_eq(journal_scan_filter_families(VIEW_LITERAL("live.")), 0);
}
