// statistics_test.c - sums by week and hour, agents, rankings and counts.
#include "help.h"
#include "karma/rules.h"
#include "karma/sum.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define HOUR (DAY / 24)

// The value at a dotted path of an answer, as JSON; valid until the next.
static const char *
value(help_t *h, const char *operation, const char *json, const char *path)
{
    cr_assert_eq(help_ask(h, operation, json), BUS_OK, "%s %s", operation, json);
    return help_at(h, path);
}

// --- Weeks and hours -----------------------------------------------------------------------------

Test(sum, knows_when_weeks_begin)
{
    cr_assert_eq(karma_sum_week(0), 0); // a Thursday
    cr_assert_eq(karma_sum_week_start(0), 0);
    cr_assert_eq(karma_sum_week(4 * DAY - 1), 0);
    cr_assert_eq(karma_sum_week(4 * DAY), 1); // Monday, 1970-01-05
    cr_assert_eq(karma_sum_week_start(1), 4 * DAY);
    uint64_t week = karma_sum_week(T0); // Thursday, 2026-01-01
    cr_assert_eq(karma_sum_week_start(week), T0 - 3 * DAY);
    cr_assert_eq(karma_sum_week(T0 + 4 * DAY - 1), week);
    cr_assert_eq(karma_sum_week(T0 + 4 * DAY), week + 1);
}

Test(trends, of_nothing_are_empty)
{
    help_t *h = help_new();
    cr_assert_str_eq(
        value(h, "trends", "{\"now\":\"2026-01-07T12:00:00Z\"}", "data.dharma_seva_trends"),
        "{\"period\":\"4 weeks\",\"start_date\":\"2025-12-15T00:00:00.000000Z\","
        "\"end_date\":\"2026-01-07T12:00:00.000000Z\",\"trends\":[]}");
    help_destroy(&h);
}

Test(trends, sum_what_deeds_brought_week_by_week)
{
    help_t *h = help_new();
    help_act(h, "u", "completing_lessons"); // Thursday, 2026-01-01
    h->at = T0 + 4 * DAY - 1;               // the last microsecond of Sunday
    help_act(h, "v", "helping_peers");
    h->at = T0 + 4 * DAY;
    help_act(h, "u", "cheat");
    help_act(h, "u", "selfless_service");
    help_act(h, "u", "passive_state");
    h->at = T0 + 18 * DAY; // a week is left out
    help_act(h, "v", "attention_drift");
    cr_assert_str_eq(
        value(h, "trends", "{}", "data.dharma_seva_trends.trends"),
        "[{\"week_start\":\"2025-12-29T00:00:00.000000Z\",\"dharma_points\":5.0,"
        "\"seva_points\":10.0,\"paap_tokens\":0.0,\"punya_tokens\":0.0,\"event_count\":2},"
        "{\"week_start\":\"2026-01-05T00:00:00.000000Z\",\"dharma_points\":-2.0,"
        "\"seva_points\":0.0,\"paap_tokens\":0.0,\"punya_tokens\":25.0,\"event_count\":3},"
        "{\"week_start\":\"2026-01-19T00:00:00.000000Z\",\"dharma_points\":-0.25,"
        "\"seva_points\":0.0,\"paap_tokens\":0.0,\"punya_tokens\":0.0,\"event_count\":1}]");
    cr_assert_str_eq(value(h, "trends", "{\"weeks\":3}", "data.paap_punya_trends.trends"),
                     "[{\"week_start\":\"2026-01-05T00:00:00.000000Z\",\"paap_total\":0.0,"
                     "\"punya_total\":25.0,\"event_count\":3,\"paap_ratio\":0.0,"
                     "\"punya_ratio\":1.0,\"paap_punya_ratio\":0.0},"
                     "{\"week_start\":\"2026-01-19T00:00:00.000000Z\",\"paap_total\":0.0,"
                     "\"punya_total\":0.0,\"event_count\":1,\"paap_ratio\":0.0,"
                     "\"punya_ratio\":0.0,\"paap_punya_ratio\":0.0}]");
    cr_assert_str_eq(
        value(h,
              "trends",
              "{\"weeks\":1,\"now\":\"2026-01-04T23:59:59Z\"}",
              "data.dharma_seva_trends.trends"),
        "[{\"week_start\":\"2025-12-29T00:00:00.000000Z\",\"dharma_points\":5.0,"
        "\"seva_points\":10.0,\"paap_tokens\":0.0,\"punya_tokens\":0.0,\"event_count\":2}]");
    cr_assert_eq(help_ask(h, "trends", "{\"now\":\"soon\"}"), BUS_VALIDATION_FAILED);
    help_destroy(&h);
}

Test(trends, count_atonements_but_neither_redemptions_nor_deaths_in_their_sums)
{
    help_t *h = help_new();
    help_act(h, "u", "selfless_service");
    cr_assert_eq(help_apply(h, "karma.appeal", "{\"user_id\":\"u\",\"action\":\"break_promise\"}"),
                 BUS_OK);
    static const char *const parts[] = {"Jap", "Tap", "Bhakti", "Daan"};
    for (unsigned i = 0; i < 4; i++) {
        char json[200];
        snprintf(json,
                 sizeof json,
                 "{\"user_id\":\"u\",\"plan_id\":\"u_break_promise_0\",\"atonement_type\":\"%s\","
                 "\"amount\":108,\"tx_hash\":\"x\"}",
                 parts[i]);
        cr_assert_eq(help_apply(h, "karma.atonement", json), BUS_OK);
    }
    cr_assert_eq(help_apply(h,
                            "karma.redeem",
                            "{\"user_id\":\"u\",\"token_type\":\"PunyaTokens\",\"amount\":5}"),
                 BUS_OK);
    cr_assert_eq(help_apply(h, "karma.death_event", "{\"user_id\":\"u\"}"), BUS_OK);
    cr_assert_str_eq(value(h, "trends", "{}", "data.paap_punya_trends.trends"),
                     "[{\"week_start\":\"2025-12-29T00:00:00.000000Z\",\"paap_total\":2.0,"
                     "\"punya_total\":25.0,\"event_count\":8,"
                     "\"paap_ratio\":0.07407407407407407,"
                     "\"punya_ratio\":0.9259259259259259,\"paap_punya_ratio\":0.08}]");
    cr_assert_str_eq(value(h, "stats_system", "{}", "system_stats"),
                     "{\"total_users\":1,\"total_actions\":3,\"total_events\":8,"
                     "\"total_appeals\":1,\"total_atonements\":1,\"pending_atonements\":0,"
                     "\"completed_atonements\":1,\"total_redemptions\":1,\"total_deaths\":1,"
                     "\"last_event_at\":\"2026-01-01T00:00:00.000000Z\"}");
    help_destroy(&h);
}

Test(live, sums_the_hour_and_the_day_before_it)
{
    help_t *h = help_new();
    h->at = T0 + 59 * (HOUR / 60);
    help_act(h, "u", "completing_lessons");
    h->at = T0 + HOUR;
    help_act(h, "v", "helping_peers");
    h->at = T0 + 24 * HOUR;
    help_act(h, "u", "selfless_service");
    static const char in_it[] = "{\"status\":\"success\",\"timestamp\":"
                                "\"2026-01-02T00:59:00.000000Z\",\"total_users\":2,"
                                "\"events_last_24h\":3,\"dharma_points_last_24h\":5.0,"
                                "\"seva_points_last_24h\":10.0,\"paap_tokens_last_24h\":0.0,"
                                "\"punya_tokens_last_24h\":25.0,\"average_net_karma_sample\":46.0,"
                                "\"health_status\":\"healthy\",\"data\":{\"timestamp\":";
    cr_assert_eq(help_ask(h, "metrics_live", "{\"now\":\"2026-01-02T00:59:00Z\"}"), BUS_OK);
    cr_assert_eq(
        strncmp(help_text(h->answer), in_it, sizeof in_it - 1), 0, "%s", help_text(h->answer));
    cr_assert_str_eq(
        value(h, "metrics_live", "{\"now\":\"2026-01-02T01:00:00Z\"}", "events_last_24h"), "2");
    cr_assert_str_eq(value(h, "metrics_live", "{}", "data.events_last_24h"), "3");
    cr_assert_str_eq(value(h, "metrics_live", "{}", "timestamp"),
                     "\"2026-01-02T00:00:00.000000Z\"");
    help_destroy(&h);
}

Test(live, of_nothing_is_all_zero)
{
    help_t *h = help_new();
    cr_assert_str_eq(value(h, "metrics_live", "{}", "events_last_24h"), "0");
    cr_assert_str_eq(value(h, "metrics_live", "{}", "average_net_karma_sample"), "0.0");
    cr_assert_str_eq(value(h, "stats_system", "{}", "system_stats.last_event_at"), "null");
    help_destroy(&h);
}

// --- Agents --------------------------------------------------------------------------------------

static void
act_as(help_t *h, const char *action, const char *context)
{
    char json[300];
    snprintf(json,
             sizeof json,
             "{\"user_id\":\"u\",\"action\":\"%s\",\"role\":\"user\",\"context\":%s}",
             action,
             context);
    cr_assert_eq(help_apply(h, "karma.life_event", json), BUS_OK, "%s", json);
}

Test(agent, is_judged_by_what_its_events_count_for)
{
    help_t *h = help_new();
    act_as(h, "agent_success", "{\"agent_id\":\"a\"}");
    act_as(h, "workflow_success", "\"{\\\"agent_id\\\": \\\"a\\\", \\\"n\\\": 1}\"");
    act_as(h, "learning_success", "{\"agent_id\":\"a\"}");
    act_as(h, "workflow_failed", "{\"agent_id\":\"a\"}");
    act_as(h, "agent_execution", "{\"agent_id\":\"a\"}");
    h->at = T0 + DAY;
    act_as(h, "learning_adjustment", "{\"agent_id\":\"a\"}");
    act_as(h, "completing_lessons", "{\"agent_id\":\"a\"}"); // a person's deed
    act_as(h, "agent_failure", "{\"agent_id\":\"b\"}");
    act_as(h, "agent_failure", "\"no JSON\"");
    act_as(h, "agent_failure", "\"{no JSON\"");
    act_as(h, "agent_failure", "\"{\\\"agent_id\\\": 5}\"");
    act_as(h, "agent_failure", "{\"agent_id\":\"\"}");
    cr_assert_eq(help_ask(h, "agent", "{\"agent_id\":\"a\"}"), BUS_OK);
    cr_assert_str_eq(help_text(h->answer),
                     "{\"agent_id\":\"a\",\"successes\":3,\"failures\":1,\"others\":2,\"total\":6,"
                     "\"rate\":0.75,\"last\":{\"action\":\"learning_adjustment\","
                     "\"at\":\"2026-01-02T00:00:00.000000Z\",\"user_id\":\"u\"}}");
    cr_assert_str_eq(value(h, "agent", "{\"agent_id\":\"b\"}", "rate"), "0.0");
    act_as(h, "agent_execution", "{\"agent_id\":\"c\"}");
    cr_assert_str_eq(value(h, "agent", "{\"agent_id\":\"c\"}", "rate"), "null");
    cr_assert_eq(help_ask(h, "agent", "{\"agent_id\":\"d\"}"), BUS_NOT_FOUND);
    help_destroy(&h);
}

// --- Rankings ------------------------------------------------------------------------------------

// The user_ids of a top, in their order.
static void
assert_top(help_t *h, const char *json, const char *expected)
{
    char users[400] = "";
    cr_assert_eq(help_ask(h, "top", json), BUS_OK, "%s", json);
    for (const char *at = help_text(h->answer); (at = strstr(at, "\"user_id\":\"")) != NULL;) {
        at += strlen("\"user_id\":\"");
        size_t size = strlen(users);
        snprintf(users + size, sizeof users - size, "%.*s ", (int) strcspn(at, "\""), at);
    }
    cr_assert_str_eq(users, expected, "%s", json);
}

static void
redeem(help_t *h, const char *user_id, const char *amount)
{
    char json[200];
    snprintf(json,
             sizeof json,
             "{\"user_id\":\"%s\",\"token_type\":\"PunyaTokens\",\"amount\":%s}",
             user_id,
             amount);
    cr_assert_eq(help_apply(h, "karma.redeem", json), BUS_OK);
}

Test(top, follows_every_move)
{
    help_t *h = help_new();
    assert_top(h, "{}", "");
    help_act(h, "cheat", "cheat");               // -2
    help_act(h, "idle", "user_activity");        // 0
    help_act(h, "lesson", "completing_lessons"); // 5
    help_act(h, "service", "selfless_service");  // 75
    help_act(h, "peer", "helping_peers");        // 12
    assert_top(h, "{}", "service peer lesson idle cheat ");
    assert_top(h, "{\"by\":\"merit\",\"limit\":2}", "service peer ");
    assert_top(h, "{\"by\":\"net\"}", "service peer lesson idle cheat ");
    assert_top(h, "{\"by\":\"DharmaPoints\"}", "lesson cheat ");
    assert_top(h, "{\"by\":\"PaapTokens\"}", "");
    cr_assert_eq(help_ask(h, "top", "{\"by\":\"PunyaTokens\"}"), BUS_OK);
    cr_assert_str_eq(help_text(h->answer),
                     "{\"by\":\"PunyaTokens\",\"users\":[{\"rank\":1,\"user_id\":\"service\","
                     "\"role\":\"volunteer\",\"value\":25.0,\"merit_score\":75.0,"
                     "\"net_karma\":75.0}]}");
    redeem(h, "service", "25");
    assert_top(h, "{}", "peer lesson service idle cheat "); // of equals the later id
    assert_top(h, "{\"by\":\"PunyaTokens\"}", "");
    cr_assert_eq(help_ask(h, "top", "{\"by\":\"gold\"}"), BUS_VALIDATION_FAILED);
    cr_assert_eq(help_apply(h, "karma.test.delete_user", "{\"user_id\":\"peer\"}"), BUS_OK);
    assert_top(h, "{}", "lesson service idle cheat ");
    assert_top(h, "{\"by\":\"SevaPoints\"}", "");
    help_destroy(&h);
}

Test(top, by_net_finds_those_with_paap_their_place)
{
    help_t *h = help_new();
    static const char *const users[] = {"a", "b", "c"};
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned k = 0; k <= i; k++) {
            help_act(h, users[i], "selfless_service");
        }
    }
    // Whose life ended in the negative has Paap.
    help_act(h, "d", "cheat");
    cr_assert_eq(help_apply(h, "karma.death_event", "{\"user_id\":\"d\"}"), BUS_OK);
    help_act(h, "d", "selfless_service");
    help_act(h, "d", "selfless_service"); // merit 150 as b, net a little less
    assert_top(h, "{\"by\":\"merit\"}", "c d b a ");
    assert_top(h, "{\"by\":\"net\"}", "c b d a ");
    assert_top(h, "{\"by\":\"net\",\"limit\":3}", "c b d ");
    assert_top(h, "{\"by\":\"PaapTokens\"}", "d ");
    cr_assert_eq(help_apply(h, "karma.test.delete_user", "{\"user_id\":\"d\"}"), BUS_OK);
    assert_top(h, "{\"by\":\"net\"}", "c b a ");
    assert_top(h, "{\"by\":\"PaapTokens\"}", "");
    help_destroy(&h);
}

// --- One user ------------------------------------------------------------------------------------

Test(stats, of_a_user_say_what_the_tokens_are)
{
    help_t *h = help_new();
    help_act(h, "u", "helping_peers");
    cr_assert_str_eq(help_value(h, "stats_user", "u", "status"), "\"success\"");
    cr_assert_str_eq(help_value(h, "stats_user", "u", "merit_score"), "12.0");
    cr_assert_str_eq(help_value(h, "stats_user", "u", "token_attributes.SevaPoints"),
                     "{\"expiry_days\":365,\"stackable\":true,\"daily_decay\":0.0005}");
    cr_assert_str_eq(help_value(h, "stats_user", "u", "token_attributes.PaapTokens.maha"),
                     "{\"expiry_days\":730,\"stackable\":true,\"daily_decay\":0.0,"
                     "\"multiplier\":5.0}");
    cr_assert_str_eq(
        help_value(h, "stats_user", "u", "token_attributes.SanchitaKarma"),
        "{\"expiry_days\":null,\"stackable\":true,\"daily_decay\":0.0,\"weight\":1.0}");
    cr_assert_str_eq(help_value(h, "balance", "u", "balances.SevaPoints"), "10.0");
    cr_assert_str_eq(help_value(h, "balance", "u", "role"), "\"learner\"");
    cr_assert_eq(help_ask(h, "stats_user", "{\"user_id\":\"x\"}"), BUS_USER_NOT_FOUND);
    cr_assert_eq(help_ask(h, "balance", "{\"user_id\":\"x\"}"), BUS_USER_NOT_FOUND);
    help_destroy(&h);
}

// Every replayed state is what a profile said at that time.
Test(replay, until_a_time_gives_the_state_of_that_time)
{
    static const char *const topics[] = {"karma.life_event",
                                         "karma.appeal",
                                         "karma.redeem",
                                         "karma.life_event",
                                         "karma.death_event",
                                         "karma.life_event"};
    static const char *const bodies[] = {
        "{\"user_id\":\"u\",\"action\":\"selfless_service\",\"role\":\"user\"}",
        "{\"user_id\":\"u\",\"action\":\"cheat\"}",
        "{\"user_id\":\"u\",\"token_type\":\"PunyaTokens\",\"amount\":3.5}",
        "{\"user_id\":\"u\",\"action\":\"cheat\",\"role\":\"user\",\"affected_user_id\":\"v\"}",
        "{\"user_id\":\"u\"}",
        "{\"user_id\":\"u\",\"action\":\"helping_peers\",\"role\":\"user\"}"};
    char hashes[6][80];
    help_t *h = help_new();
    for (unsigned i = 0; i < 6; i++) {
        h->at = T0 + i * DAY;
        cr_assert_eq(help_apply(h, topics[i], bodies[i]), BUS_OK, "%u", i);
        strcpy(hashes[i], help_value(h, "profile", "u", "state_hash"));
    }
    for (unsigned i = 0; i < 6; i++) {
        char json[100];
        snprintf(
            json, sizeof json, "{\"user_id\":\"u\",\"until\":\"2026-01-%02uT00:00:00Z\"}", i + 1);
        cr_assert_str_eq(value(h, "replay", json, "state_hash"), hashes[i], "%u", i);
        cr_assert_null(strstr(help_text(h->answer), "matches"));
    }
    cr_assert_str_eq(value(h,
                           "replay",
                           "{\"user_id\":\"u\",\"until\":\"2026-01-03T00:00:00Z\"}",
                           "balances.PunyaTokens"),
                     "21.49500025");
    cr_assert_str_eq(help_value(h, "replay", "u", "matches"), "true");
    cr_assert_eq(help_ask(h, "replay", "{\"user_id\":\"u\",\"until\":\"2025-12-31T23:59:59Z\"}"),
                 BUS_USER_NOT_FOUND);
    cr_assert_eq(help_ask(h, "replay", "{\"user_id\":\"u\",\"until\":\"then\"}"),
                 BUS_VALIDATION_FAILED);
    help_destroy(&h);
}
