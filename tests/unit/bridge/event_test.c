// event_test.c - CloudEvents and server-sent events.
#include "bridge-http/event.h"
#include <criterion/criterion.h>

Test(event, a_damaged_record_is_named_and_passed_by_last_event_id)
{
    BUS_AUTO(text_destroy) text_t *text = text_new();
    bridge_event_damaged(7, text);
    cr_assert_str_eq(text_view(text).data,
                     "id: 7\nevent: dropped\n"
                     "data: {\"reason\":\"damaged\",\"count\":1,\"seq\":7}\n\n");
}

static client_heard_t
heard_of(uint64_t seq)
{
    client_heard_t heard = {.topic = VIEW_LITERAL("core.event.x"),
                            .body = VIEW_LITERAL("\x81\xa1n\xcb\x3f\xf0\0\0\0\0\0\0")}; // {n: 1.0}
    heard.header.id = VIEW_LITERAL("id-1");
    heard.header.source = VIEW_LITERAL("bhiv core/1");
    heard.header.seq = seq;
    heard.header.at = seq == 0 ? 0 : 1000000;
    heard.header.time = 2000000;
    return heard;
}

static void
frame_is(const client_heard_t *heard, const char *expected)
{
    BUS_AUTO(text_destroy) text_t *text = text_new();
    bridge_event_frame(heard, text);
    cr_assert_str_eq(text_view(text).data, expected);
}

Test(event, a_journaled_message_has_its_place_as_id_and_the_journals_time)
{
    client_heard_t heard = heard_of(7);
    heard.header.trace_id = VIEW_LITERAL("t\"1");
    frame_is(&heard,
             "id: 7\ndata: {\"specversion\":\"1.0\",\"id\":\"id-1\",\"source\":\"bhiv%20core%2F1\","
             "\"type\":\"core.event.x\",\"time\":\"1970-01-01T00:00:01.000000Z\","
             "\"datacontenttype\":\"application/json\",\"sequence\":\"7\",\"traceid\":\"t\\\"1\","
             "\"data\":{\"n\":1.0}}\n\n");
}

Test(event, a_live_message_has_none_and_its_own_time)
{
    client_heard_t heard = heard_of(0);
    heard.header.source = VIEW_NONE;
    heard.header.id = VIEW_NONE;
    frame_is(&heard,
             "data: {\"specversion\":\"1.0\",\"id\":\"unknown\",\"source\":\"unknown\","
             "\"type\":\"core.event.x\",\"time\":\"1970-01-01T00:00:02.000000Z\","
             "\"datacontenttype\":\"application/json\",\"data\":{\"n\":1.0}}\n\n");
}

Test(event, a_line_break_in_a_text_never_breaks_the_frame)
{
    client_heard_t heard = heard_of(0);
    heard.body = VIEW_LITERAL("\x81\xa1n\xa5"
                              "a\r\n\nb");
    BUS_AUTO(text_destroy) text_t *text = text_new();
    bridge_event_frame(&heard, text);
    bus_view_t frame = text_view(text);
    cr_assert_eq(strcspn(frame.data, "\r\n"), frame.size - 2);
}

Test(event, says_how_many_were_dropped_and_why)
{
    BUS_AUTO(text_destroy) text_t *text = text_new();
    bridge_event_dropped("slow", 12, text);
    bridge_event_dropped("trimmed", 0, text);
    cr_assert_str_eq(text_view(text).data,
                     "event: dropped\ndata: {\"reason\":\"slow\",\"count\":12}\n\n"
                     "event: dropped\ndata: {\"reason\":\"trimmed\",\"count\":null}\n\n");
}

Test(event, a_pattern_reaches_into_the_journal_what_is_live_or_both)
{
    static const struct {
        const char *pattern;
        bool journal, live;
    } rows[] = {
        {">", true, true},
        {"*.x", true, true},
        {"core.>", true, true},
        {"core.*.x", true, true},
        {"core.event.>", true, false},
        {"core.event.", true, false},
        {"core.event", true, false},
        {"core.event.x", true, false},
        {"bucket.out.>", true, true},
        {"task.execute.>", true, true},
        {"task.execute.x", true, true},
        {"task.done.>", true, false},
        {"layer3.intent.task", true, false},
        {"some.thing", false, true},
        {"some.>", false, true},
        {"core", true, true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bus_view_t pattern = view_from_text(rows[i].pattern);
        cr_assert_eq(bridge_event_wants_journal(pattern), rows[i].journal, "%s", rows[i].pattern);
        cr_assert_eq(bridge_event_wants_live(pattern), rows[i].live, "%s", rows[i].pattern);
    }
}
