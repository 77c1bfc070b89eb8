// watch_test.c - times for timers, and anomalies on their way to the journal.
#include "help.h"
#include "kernel/watch.h"
#include <criterion/criterion.h>

Test(watch, times_are_whole_milliseconds_for_the_loop)
{
    cr_expect_eq(kernel_watch_ms(0.25), 250);
    cr_expect_eq(kernel_watch_ms(0.0501), 50);
    cr_expect_eq(kernel_watch_ms(KERNEL_WATCH_SECONDS_MAX), 604800000);
}

Test(watch, says_as_many_anomalies_as_one_message_holds)
{
    char what[2000];
    kernel_watch_news_t news = {.count = 0};
    const kernel_watch_anomaly_t anomaly = {.type = "t", .severity = "high", .what = what};
    memset(what, 0, sizeof what);
    for (size_t i = 0; i + 2 < sizeof what; i += 2) {
        memcpy(what + i, "\xc3\xbc", 2);
    }
    what[0] = 'x'; // so that the cut falls within a character
    memmove(what + 1, what + 2, sizeof what - 2);
    for (unsigned i = 0; i < 1000; i++) {
        kernel_watch_news_add(&news, &anomaly);
    }
    cr_expect_gt(news.count, 10);
    cr_expect_leq(news.count, KERNEL_WATCH_NEWS_MAX);
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 2);
    pack_text(body, "anomalies");
    pack_array(body, news.count);
    pack_raw(body, pack_view(news.list));
    pack_pair_text(body, "timestamp", "2026-01-01T00:00:00Z");
    const char *why = NULL;
    schema_hunter_anomaly_t said;
    schema_problems_t problems;
    cr_expect_eq(walk_check(pack_view(body), WALK_JSON, 8, &why), BUS_OK, "%s", why);
    cr_expect_eq(schema_decode(&SCHEMA_hunter_anomaly, pack_view(body), &said, &problems), BUS_OK);
    kernel_watch_news_clear(&news);
    cr_expect_eq(news.count, 0);
}
