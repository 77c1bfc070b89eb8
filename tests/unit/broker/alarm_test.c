// alarm_test.c - what the broker says of its own journal.
#include "broker/alarm.h"
#include "journal_fixture.h"
#include "proto/walk.h"
#include <criterion/criterion.h>

static int64_t
integer(bus_view_t body, const char *key)
{
    bus_view_t value;
    int64_t found = -1;
    cr_assert_eq(walk_find(body, key, &value), BUS_OK);
    cr_assert_eq(walk_as_int(value, &found), BUS_OK);
    return found;
}

// The body of the first record of a page.
static bus_view_t
body_of(bus_view_t records)
{
    walk_t walk = walk_from(records);
    walk_item_t head, topic;
    bus_view_t header, body;
    cr_assert_eq(walk_next(&walk, &head), BUS_OK);
    cr_assert_eq(walk_next(&walk, &topic), BUS_OK);
    cr_assert_eq(walk_skip(&walk, &header), BUS_OK);
    cr_assert_eq(walk_skip(&walk, &body), BUS_OK);
    return body;
}

Test(alarm, journals_how_far_the_clock_is_ahead_of_the_last_record)
{
    fixture_t *self = fixture_new(NULL);
    uint64_t last = fixture_put(self, &(fixture_record_t){.topic = "core.event.x"})->at;
    uint64_t now = last + 90061 * 1000000ULL + 999999; // a day, an hour, a minute, a second
    cr_assert_eq(alarm_clock_ahead(self->journal, now), BUS_OK);
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    journal_page_t page;
    cr_assert_eq(fixture_scan(self, 2, "governance.", out, &page), BUS_OK);
    cr_assert_eq(page.count, 1);
    bus_view_t topic;
    header_t header;
    fixture_read(pack_view(out), 0, &topic, &header);
    cr_assert(view_is(topic, "governance.clock.ahead"));
    cr_assert(view_is(header.source, "$bus"));
    cr_assert_eq(header.seq, 2);
    cr_assert_eq(header.time, now);
    cr_assert_gt(header.id.size, 0);
    bus_view_t body = body_of(pack_view(out));
    cr_assert_eq(integer(body, "last"), (int64_t) last);
    cr_assert_eq(integer(body, "now"), (int64_t) now);
    cr_assert_eq(integer(body, "ahead_seconds"), 90061);
    cr_assert_eq(fixture_put(self, &(fixture_record_t){.topic = "core.event.x"})->seq, 3);
    fixture_destroy(&self);
}

Test(alarm, is_not_upset_by_a_clock_that_was_set_right_meanwhile)
{
    fixture_t *self = fixture_new(NULL);
    uint64_t last = fixture_put(self, &(fixture_record_t){.topic = "core.event.x"})->at;
    cr_assert_eq(alarm_clock_ahead(self->journal, last - 1), BUS_OK);
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    journal_page_t page;
    cr_assert_eq(fixture_scan(self, 2, NULL, out, &page), BUS_OK);
    cr_assert_eq(integer(body_of(pack_view(out)), "ahead_seconds"), 0);
    fixture_destroy(&self);
}
