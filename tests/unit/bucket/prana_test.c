// prana_test.c - packets: checked, kept, summed up by person, told to Karma once each.
#include "bucket/prana.h"
#include "help.h"
#include "proto/prana.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *user_id;
    const char *state;
    int focus;
    const char *system;
} packet_t;

enum { JSON_SIZE = 2048 };

static const char *
write_packet(const packet_t *packet, char json[JSON_SIZE])
{
    snprintf(json,
             JSON_SIZE,
             "{\"user_id\":\"%s\",\"session_id\":\"s1\",\"lesson_id\":null,\"system_type\":\"%s\","
             "\"role\":\"student\",\"timestamp\":\"2026-01-01T00:00:05Z\","
             "\"cognitive_state\":\"%s\",\"active_seconds\":4.5,\"idle_seconds\":0.5,"
             "\"away_seconds\":0,\"focus_score\":%d,\"raw_signals\":{\"b\":1,\"a\":[2.5]},"
             "\"more\":\"is not kept\"}",
             packet->user_id,
             packet->system == NULL ? "gurukul" : packet->system,
             packet->state,
             packet->focus);
    return json;
}

static bus_err_t
keep(help_t *help, packet_t packet)
{
    char json[JSON_SIZE];
    return help_apply(help,
                      bucket_prana_packet,
                      &SCHEMA_prana_packet,
                      "prana.packet",
                      write_packet(&packet, json));
}

static bus_err_t
keep_changed(help_t *help, const char *from, const char *to)
{
    char json[JSON_SIZE];
    char changed[2 * JSON_SIZE];
    write_packet(&(packet_t){"u", "ON_TASK", 50, NULL}, json);
    char *at = strstr(json, from);
    cr_assert_not_null(at, "%s", from);
    snprintf(changed, sizeof changed, "%.*s%s%s", (int) (at - json), json, to, at + strlen(from));
    return help_apply(help, bucket_prana_packet, &SCHEMA_prana_packet, "prana.packet", changed);
}

static void
ask_packets(help_t *help, const char *json)
{
    cr_assert_eq(help_ask(help, bucket_prana_query_packets, &SCHEMA_prana_packets_query, json),
                 BUS_OK);
}

static void
ask_user(help_t *help, const char *user_id)
{
    char json[300];
    snprintf(json, sizeof json, "{\"user_id\":\"%s\"}", user_id);
    cr_assert_eq(help_ask(help, bucket_prana_query_user, &SCHEMA_prana_user_query, json), BUS_OK);
}

Test(prana, keeps_a_packets_known_fields_in_their_order)
{
    help_t *help = help_new();
    cr_assert_eq(keep(help, (packet_t){"ann", "THINKING", 65, NULL}), BUS_OK);
    cr_expect_str_eq(help_value(help, "success"), "true");
    cr_expect_str_eq(help_value(help, "decision"), "\"allowed\"");
    ask_packets(help, "{}");
    cr_expect_str_eq(
        help_value(help, "packets"),
        "[{\"seq\":1,\"received_at\":\"2026-01-01T00:00:00.000000Z\",\"trace_id\":\"trace-1\","
        "\"user_id\":\"ann\",\"session_id\":\"s1\",\"lesson_id\":null,\"task_id\":null,"
        "\"system_type\":\"gurukul\",\"role\":\"student\",\"timestamp\":\"2026-01-01T00:00:05Z\","
        "\"cognitive_state\":\"THINKING\",\"active_seconds\":4.5,\"idle_seconds\":0.5,"
        "\"away_seconds\":0.0,\"focus_score\":65,\"raw_signals\":{\"b\":1,\"a\":[2.5]}}]");
    help_destroy(&help);
}

Test(prana, refuses_words_times_and_seconds_that_are_none)
{
    static const struct {
        const char *from, *to, *field;
    } rows[] = {
        {"gurukul", "moodle", "system_type"},
        {"student", "teacher", "role"},
        {"ON_TASK", "on_task", "cognitive_state"},
        {"2026-01-01T00:00:05Z", "yesterday", "timestamp"},
        {"\"active_seconds\":4.5", "\"active_seconds\":5.1", "active_seconds"},
        {"\"idle_seconds\":0.5", "\"idle_seconds\":-0.1", "idle_seconds"},
        {"\"away_seconds\":0", "\"away_seconds\":6", "away_seconds"},
    };
    help_t *help = help_new();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_expect_eq(
            keep_changed(help, rows[i].from, rows[i].to), BUS_VALIDATION_FAILED, "%s", rows[i].to);
        cr_expect_not_null(strstr(help_value(help, "details"), rows[i].field), "%s", rows[i].field);
    }
    cr_expect_eq(help->state.totals.packets, 0);
    cr_expect_eq(keep_changed(help, "\"active_seconds\":4.5", "\"active_seconds\":5"), BUS_OK);
    help_destroy(&help);
}

Test(prana, tells_karma_once_what_each_state_stands_for)
{
    static const char *const rows[][2] = {
        {"DEEP_FOCUS", "deep_focus_learning"},
        {"ON_TASK", "active_engagement"},
        {"THINKING", "contemplative_learning"},
        {"IDLE", "passive_state"},
        {"DISTRACTED", "attention_drift"},
        {"AWAY", "disengagement"},
        {"OFF_TASK", "task_avoidance"},
    };
    help_t *help = help_new();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char head[128];
        cr_assert_eq(keep(help, (packet_t){"ann", rows[i][0], 10, NULL}), BUS_OK);
        snprintf(head,
                 sizeof head,
                 "karma.life_event {\"user_id\":\"ann\",\"action\":\"%s\",\"role\":\"student\",",
                 rows[i][1]);
        const char *said = help_text(help->said);
        cr_expect_eq(strncmp(said, head, strlen(head)), 0, "%s", said);
        cr_expect_not_null(strstr(said, "\"source\":\"prana_bucket\"}\n"), "%s", said);
        cr_expect_eq(strchr(said, '\n')[1], '\0', "one alone: %s", said);
    }
    cr_expect_eq(help->state.totals.forwarded, 7);
    help_destroy(&help);
}

Test(prana, tells_karma_nothing_while_the_forwarding_is_off)
{
    help_t *help = help_new();
    help->state.totals.forwarding = 0;
    cr_assert_eq(keep(help, (packet_t){"ann", "ON_TASK", 10, NULL}), BUS_OK);
    cr_expect_str_eq(help_text(help->said), "");
    cr_expect_eq(help->state.totals.skipped, 1);
    cr_expect_eq(help->state.totals.packets, 1);
    help_destroy(&help);
}

Test(prana, sums_up_a_persons_packets)
{
    help_t *help = help_new();
    cr_assert_eq(keep(help, (packet_t){"ann", "ON_TASK", 90, NULL}), BUS_OK);
    cr_assert_eq(keep(help, (packet_t){"ann", "THINKING", 60, NULL}), BUS_OK);
    cr_assert_eq(keep(help, (packet_t){"ann", "THINKING", 61, NULL}), BUS_OK);
    cr_assert_eq(keep(help, (packet_t){"bob", "IDLE", 1, NULL}), BUS_OK);
    ask_user(help, "ann");
    cr_expect_str_eq(help_value(help, "user_id"), "\"ann\"");
    cr_expect_str_eq(help_value(help, "count"), "3");
    cr_expect_str_eq(help_value(help, "analytics"),
                     "{\"average_focus_score\":70.33,"
                     "\"state_distribution\":{\"ON_TASK\":1,\"THINKING\":2},"
                     "\"most_common_state\":\"THINKING\"}");
    ask_user(help, "nobody");
    cr_expect_str_eq(help_text(help->answer),
                     "{\"user_id\":\"nobody\",\"packets\":[],\"count\":0,"
                     "\"analytics\":{\"average_focus_score\":0.0,\"state_distribution\":{},"
                     "\"most_common_state\":null}}");
    help_destroy(&help);
}

Test(prana, lists_the_last_packets_oldest_first_and_counts_all)
{
    help_t *help = help_new();
    cr_assert_eq(keep(help, (packet_t){"ann", "ON_TASK", 1, "gurukul"}), BUS_OK);
    cr_assert_eq(keep(help, (packet_t){"bob", "ON_TASK", 2, "ems"}), BUS_OK);
    cr_assert_eq(keep(help, (packet_t){"ann", "ON_TASK", 3, "ems"}), BUS_OK);
    cr_assert_eq(keep(help, (packet_t){"ann", "ON_TASK", 4, "gurukul"}), BUS_OK);
    static const struct {
        const char *asked, *count, *showing;
        int first, last;
    } rows[] = {
        {"{}", "4", "4", 1, 4},
        {"{\"limit\":2}", "4", "2", 3, 4},
        {"{\"user_id\":\"ann\"}", "3", "3", 1, 4},
        {"{\"user_id\":\"ann\",\"limit\":1}", "3", "1", 4, 4},
        {"{\"system_type\":\"ems\"}", "2", "2", 2, 3},
        {"{\"user_id\":\"ann\",\"system_type\":\"gurukul\"}", "2", "2", 1, 4},
        {"{\"user_id\":\"bob\",\"system_type\":\"gurukul\"}", "0", "0", 0, 0},
        {"{\"user_id\":\"cid\"}", "0", "0", 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ask_packets(help, rows[i].asked);
        cr_expect_str_eq(help_value(help, "count"), rows[i].count, "%s", rows[i].asked);
        cr_expect_str_eq(help_value(help, "showing"), rows[i].showing, "%s", rows[i].asked);
        if (rows[i].first > 0) {
            char first[32];
            char last[32];
            const char *packets = help_value(help, "packets");
            snprintf(first, sizeof first, "[{\"seq\":%d,", rows[i].first);
            snprintf(last, sizeof last, "{\"seq\":%d,", rows[i].last);
            cr_expect_eq(strncmp(packets, first, strlen(first)), 0, "%s", packets);
            const char *at = strstr(packets, last);
            cr_expect(at != NULL && strstr(at + 1, "{\"seq\":") == NULL, "%s", packets);
        }
    }
    help_destroy(&help);
}

static bus_err_t
keep_several(help_t *help, unsigned count, const packet_t *odd, unsigned odd_place)
{
    BUS_AUTO(text_destroy) text_t *json = text_new();
    text_add_format(json, "{\"packets\":[");
    for (unsigned i = 0; i < count; i++) {
        char one[JSON_SIZE];
        packet_t usual = {"ann", "ON_TASK", (int) i % 100, NULL};
        bool is_odd = odd != NULL && i == odd_place;
        text_add_format(json, "%s%s", i == 0 ? "" : ",", write_packet(is_odd ? odd : &usual, one));
    }
    text_add_format(json, "]}");
    return help_apply(
        help, bucket_prana_several, &SCHEMA_prana_packets, "prana.packets", help_text(json));
}

Test(prana, keeps_several_at_once_in_their_order)
{
    help_t *help = help_new();
    cr_assert_eq(keep_several(help, PRANA_PACKETS_MAX, NULL, 0), BUS_OK);
    cr_expect_str_eq(help_value(help, "count"), "100");
    cr_assert_eq(keep(help, (packet_t){"ann", "ON_TASK", 7, NULL}), BUS_OK);
    ask_packets(help, "{\"limit\":3}");
    cr_expect_str_eq(help_value(help, "count"), "101");
    const char *at = help_value(help, "packets");
    static const char *const scores[] = {"\"focus_score\":98", "\"focus_score\":99", "score\":7,"};
    for (size_t i = 0; i < sizeof scores / sizeof scores[0]; i++) {
        at = strstr(at, scores[i]);
        cr_assert_not_null(at, "%s", scores[i]);
    }
    help_destroy(&help);
}

Test(prana, keeps_none_of_several_where_one_is_bad)
{
    help_t *help = help_new();
    const packet_t bad = {"ann", "SLEEPY", 1, NULL};
    cr_expect_eq(keep_several(help, 0, NULL, 0), BUS_VALIDATION_FAILED);
    cr_expect_eq(keep_several(help, PRANA_PACKETS_MAX + 1, NULL, 0), BUS_VALIDATION_FAILED);
    cr_expect_eq(keep_several(help, 3, &bad, 2), BUS_VALIDATION_FAILED);
    cr_expect_str_eq(help_text(help->said), "");
    ask_packets(help, "{}");
    cr_expect_str_eq(help_text(help->answer), "{\"packets\":[],\"count\":0,\"showing\":0}");
    help_destroy(&help);
}

Test(prana, counts_people_and_systems)
{
    help_t *help = help_new();
    cr_assert_eq(keep(help, (packet_t){"ann", "ON_TASK", 1, "gurukul"}), BUS_OK);
    cr_assert_eq(keep(help, (packet_t){"bob", "ON_TASK", 2, "ems"}), BUS_OK);
    cr_assert_eq(keep(help, (packet_t){"ann", "ON_TASK", 3, "ems"}), BUS_OK);
    cr_assert_eq(help_ask(help, bucket_prana_query_stats, NULL, "{}"), BUS_OK);
    cr_expect_str_eq(help_text(help->answer),
                     "{\"stats\":{\"total_packets\":3,\"unique_users\":2,"
                     "\"systems\":{\"gurukul\":1,\"ems\":2},\"tracked_users\":[\"ann\",\"bob\"]},"
                     "\"telemetry_status\":\"active\"}");
    help_destroy(&help);
}
