// rfc3339_test.c - times as text and back, with known answers, and what is refused.
#include "proto/rfc3339.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <time.h>

// Microseconds of a time that must be readable.
static uint64_t
parsed(const char *text)
{
    uint64_t time_us = 0;
    cr_assert_eq(rfc3339_parse(view_from_text(text), &time_us), BUS_OK, "%s", text);
    return time_us;
}

static bool
refused(const char *text)
{
    uint64_t time_us = 12345;
    bus_err_t err = rfc3339_parse(view_from_text(text), &time_us);
    return err == BUS_VALIDATION_FAILED && time_us == 12345;
}

static const struct {
    uint64_t time_us;
    const char *text;
} known[] = {
    {0, "1970-01-01T00:00:00.000000Z"},
    {1, "1970-01-01T00:00:00.000001Z"},
    {86399999999, "1970-01-01T23:59:59.999999Z"},
    {951782399000000, "2000-02-28T23:59:59.000000Z"},
    {951782400000000, "2000-02-29T00:00:00.000000Z"},
    {951868800000000, "2000-03-01T00:00:00.000000Z"},
    {1000000000000000, "2001-09-09T01:46:40.000000Z"},
    {1234567890123456, "2009-02-13T23:31:30.123456Z"},
    {1709164800000000, "2024-02-29T00:00:00.000000Z"},
    {2147483648000000, "2038-01-19T03:14:08.000000Z"},
    {4107542400000000, "2100-03-01T00:00:00.000000Z"},
    {253402300799999999, "9999-12-31T23:59:59.999999Z"},
};

Test(rfc3339, formats_known_times)
{
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        char text[RFC3339_SIZE];
        rfc3339_format(known[i].time_us, text);
        cr_expect_str_eq(text, known[i].text);
    }
}

Test(rfc3339, formats_the_last_time_there_is)
{
    char text[RFC3339_SIZE];
    rfc3339_format(UINT64_MAX, text);
    cr_expect_str_eq(text, "586524-01-19T08:01:49.551615Z");
}

Test(rfc3339, parses_known_times)
{
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        cr_expect_eq(parsed(known[i].text), known[i].time_us);
    }
}

Test(rfc3339, agrees_with_libc_on_every_day_for_400_years)
{
    for (uint64_t day = 0; day < 146097; day++) {
        time_t seconds = (time_t) (day * 86400 + 43200);
        struct tm tm;
        char expected[RFC3339_SIZE];
        char text[RFC3339_SIZE];
        gmtime_r(&seconds, &tm);
        strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S.000000Z", &tm);
        rfc3339_format((uint64_t) seconds * 1000000, text);
        cr_assert_str_eq(text, expected);
        cr_assert_eq(parsed(text), (uint64_t) seconds * 1000000);
    }
}

Test(rfc3339, parses_the_forms_that_people_and_languages_write)
{
    uint64_t time_us = 1234567890000000;
    cr_expect_eq(parsed("2009-02-13T23:31:30Z"), time_us);
    cr_expect_eq(parsed("2009-02-13t23:31:30z"), time_us);
    cr_expect_eq(parsed("2009-02-13 23:31:30Z"), time_us);
    cr_expect_eq(parsed("2009-02-13T23:31:30"), time_us);
    cr_expect_eq(parsed("2009-02-13T23:31:30+00:00"), time_us);
    cr_expect_eq(parsed("2009-02-13T23:31:30-00:00"), time_us);
    cr_expect_eq(parsed("2009-02-14T00:31:30+01:00"), time_us);
    cr_expect_eq(parsed("2009-02-14T00:31:30+0100"), time_us);
    cr_expect_eq(parsed("2009-02-14T00:31:30+01"), time_us);
    cr_expect_eq(parsed("2009-02-14T05:01:30+05:30"), time_us);
    cr_expect_eq(parsed("2009-02-13T15:31:30-08:00"), time_us);
    cr_expect_eq(parsed("2009-02-13T23:31:30.5Z"), time_us + 500000);
    cr_expect_eq(parsed("2009-02-13T23:31:30,25"), time_us + 250000);
    cr_expect_eq(parsed("2009-02-13T23:31:30.000001"), time_us + 1);
    cr_expect_eq(parsed("2009-02-13T23:31:30.123456999999Z"), time_us + 123456);
}

Test(rfc3339, counts_a_leap_second_as_the_last_microsecond_of_its_day)
{
    cr_expect_eq(parsed("2016-12-31T23:59:60Z"), 1483228799999999);
    cr_expect_eq(parsed("2016-12-31T23:59:60.5Z"), 1483228799999999);
    cr_expect_eq(parsed("2017-01-01T05:29:60+05:30"), 1483228799999999);
    cr_expect(refused("2016-12-31T12:00:60Z"));
    cr_expect(refused("2016-12-31T23:59:61Z"));
}

Test(rfc3339, knows_which_days_exist)
{
    cr_expect_eq(parsed("2024-02-29T00:00:00Z"), 1709164800000000);
    cr_expect(refused("2023-02-29T00:00:00Z"));
    cr_expect(refused("2100-02-29T00:00:00Z"));
    cr_expect_eq(parsed("2400-02-29T00:00:00Z"), 13574563200000000);
    cr_expect(refused("2024-02-30T00:00:00Z"));
    cr_expect(refused("2024-04-31T00:00:00Z"));
    cr_expect(refused("2024-01-32T00:00:00Z"));
    cr_expect(refused("2024-00-10T00:00:00Z"));
    cr_expect(refused("2024-13-10T00:00:00Z"));
    cr_expect(refused("2024-01-00T00:00:00Z"));
}

Test(rfc3339, refuses_before_1970_and_after_9999)
{
    cr_expect(refused("1969-12-31T23:59:59.999999Z"));
    cr_expect(refused("0000-01-01T00:00:00Z"));
    cr_expect(refused("1970-01-01T00:00:00+00:01"));
    cr_expect_eq(parsed("1969-12-31T23:59:00-00:01"), 0);
    cr_expect(refused("9999-12-31T23:59:59-00:01"));
    cr_expect(refused("10000-01-01T00:00:00Z"));
}

Test(rfc3339, refuses_garbage)
{
    static const char *const garbage[] = {
        "",
        "now",
        "1234567890",
        "2009-02-13",
        "2009-02-13T",
        "2009-02-13T23:31",
        "2009-02-13T23:31Z",
        "2009-02-13T23:31:30.",
        "2009-02-13T23:31:30.Z",
        "2009-02-13T23:31:30 Z",
        "2009-02-13T23:31:30Zulu",
        "2009-02-13T23:31:30ZZ",
        "2009-02-13T23:31:30+",
        "2009-02-13T23:31:30+1",
        "2009-02-13T23:31:30+01:",
        "2009-02-13T23:31:30+01:0",
        "2009-02-13T23:31:30+01:60",
        "2009-02-13T23:31:30+24:00",
        "2009-02-13T23:31:30+01:00:00",
        "2009-02-13T24:00:00Z",
        "2009-02-13T23:60:00Z",
        "2009-02-13_23:31:30Z",
        "2009/02/13T23:31:30Z",
        "20090213T233130Z",
        " 2009-02-13T23:31:30Z",
        "2009-02-13T23:31:30Z ",
        "+009-02-13T23:31:30Z",
        "2009-2-13T23:31:30Z",
        "2009-02-13T23:31:-1Z",
        "2009-02-13T23:31:3 Z",
    };
    for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
        cr_expect(refused(garbage[i]), "%s", garbage[i]);
    }
    uint64_t time_us = 0;
    cr_expect_eq(rfc3339_parse(VIEW_NONE, &time_us), BUS_VALIDATION_FAILED);
    cr_expect_eq(rfc3339_parse(view_from("2009-02-13T23:31:30\0", 20), &time_us),
                 BUS_VALIDATION_FAILED);
}

Test(rfc3339, reads_no_byte_beyond_its_view)
{
    // Each cut of a legal text, in memory of exactly its size: the sanitizer watches its end.
    static const char whole[] = "2009-02-13T23:31:30.123456+01:30";
    for (size_t size = 0; size < sizeof(whole); size++) {
        char *cut = malloc(size + (size == 0));
        memcpy(cut, whole, size);
        uint64_t time_us = 0;
        bus_err_t err = rfc3339_parse(view_from(cut, size), &time_us);
        cr_expect(err == BUS_OK || err == BUS_VALIDATION_FAILED);
        free(cut);
    }
}
