// operations_test.c - Karma's operations end to end on a store: answers, refusals, what is told.
#include "help.h"
#include "karma/operations.h"
#include "karma/user.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
assert_answer(help_t *h, const char *expected)
{
    cr_assert_str_eq(help_text(h->answer), expected);
}

Test(life_event, answers_as_the_original_does)
{
    help_t *h = help_new();
    cr_assert_eq(help_apply(h,
                            "karma.life_event",
                            "{\"user_id\":\"u\",\"action\":\"selfless_service\","
                            "\"role\":\"learner\",\"note\":\"helped\"}"),
                 BUS_OK);
    assert_answer(h,
                  "{\"user_id\":\"u\",\"action\":\"selfless_service\","
                  "\"current_role\":\"volunteer\",\"predicted_next_role\":\"volunteer\","
                  "\"merit_score\":75.0,\"reward_token\":\"PunyaTokens\",\"reward_tier\":\"high\","
                  "\"action_flow\":\"action -> intent -> merit -> reward_tier -> redemption\","
                  "\"note\":\"helped\"}");
    help_act(h, "v", "helping_peers");
    assert_answer(h,
                  "{\"user_id\":\"v\",\"action\":\"helping_peers\",\"current_role\":\"learner\","
                  "\"predicted_next_role\":\"learner\",\"merit_score\":12.0,"
                  "\"reward_token\":\"SevaPoints\",\"reward_tier\":\"medium\","
                  "\"action_flow\":\"action -> intent -> merit -> reward_tier -> redemption\","
                  "\"note\":null}");
    help_destroy(&h);
}

Test(life_event, answers_a_cheat_as_the_original_does)
{
    help_t *h = help_new();
    help_act(h, "u", "cheat");
    help_act(h, "u", "cheat");
    assert_answer(h,
                  "{\"user_id\":\"u\",\"action\":\"cheat\",\"current_role\":\"learner\","
                  "\"predicted_next_role\":\"learner\",\"merit_score\":-7.0,"
                  "\"penalty_token\":\"DharmaPoints\",\"penalty_value\":-5.0,\"penalty_level\":2,"
                  "\"penalty_name\":\"second_offense\",\"cheats_in_period\":2,"
                  "\"action_flow\":\"action -> intent -> penalty_level -> punishment -> "
                  "role_adjustment\",\"note\":null}");
    help_destroy(&h);
}

Test(life_event, records_an_action_that_pays_nothing)
{
    help_t *h = help_new();
    help_act(h, "u", "passive_state");
    assert_answer(h,
                  "{\"user_id\":\"u\",\"action\":\"passive_state\",\"current_role\":\"learner\","
                  "\"predicted_next_role\":\"learner\",\"merit_score\":0.0,\"reward_token\":null,"
                  "\"reward_tier\":\"none\","
                  "\"action_flow\":\"action -> intent -> merit -> reward_tier -> redemption\","
                  "\"note\":null}");
    cr_assert_str_eq(help_value(h, "profile", "u", "action_stats.total_actions"), "1");
    help_destroy(&h);
}

Test(life_event, tells_what_changed)
{
    help_t *h = help_new();
    help_act(h, "u", "selfless_service");
    help_act(h, "u", "user_activity");
    cr_assert_str_eq(
        help_text(h->told),
        "karma.out.changed {\"user_id\":\"u\",\"action\":\"selfless_service\","
        "\"token\":\"PunyaTokens\",\"delta\":25.0,\"merit_score\":75.0,\"role\":\"volunteer\","
        "\"role_changed\":true,\"seq\":2}\n"
        "karma.out.changed {\"user_id\":\"u\",\"action\":\"user_activity\",\"delta\":0.0,"
        "\"merit_score\":75.0,\"role\":\"volunteer\",\"role_changed\":false,\"seq\":3}\n");
    help_destroy(&h);
}

Test(life_event, refuses_an_unknown_action_and_changes_nothing)
{
    help_t *h = help_new();
    help_act(h, "u", "cheat");
    char before[80];
    strcpy(before, help_value(h, "profile", "u", "state_hash"));
    cr_assert_eq(help_apply(h,
                            "karma.life_event",
                            "{\"user_id\":\"u\",\"action\":\"levitate\",\"role\":\"learner\"}"),
                 BUS_INVALID_REQUEST);
    cr_assert_str_eq(help_text(h->refusal), "Invalid action.");
    cr_assert_str_eq(help_value(h, "profile", "u", "state_hash"), before);
    cr_assert_eq(help_apply(h, "karma.life_event", "{\"user_id\":\"u\",\"action\":\"cheat\"}"),
                 BUS_VALIDATION_FAILED);
    cr_assert_str_eq(help_value(h, "profile", "u", "state_hash"), before);
    help_destroy(&h);
}

Test(life_event, takes_any_callers_word_and_any_context)
{
    help_t *h = help_new();
    cr_assert_eq(help_apply(h,
                            "karma.life_event",
                            "{\"user_id\":\"u\",\"action\":\"agent_success\",\"role\":\"user\","
                            "\"context\":{\"agent_id\":\"a\"},\"metadata\":{\"n\":1}}"),
                 BUS_OK);
    cr_assert_eq(help_apply(h,
                            "karma.life_event",
                            "{\"user_id\":\"u\",\"action\":\"agent_failure\","
                            "\"role\":\"student\",\"context\":\"a text\"}"),
                 BUS_OK);
    cr_assert_str_eq(help_value(h, "profile", "u", "merit_score"), "0.5");
    cr_assert_str_eq(help_value(h, "profile", "u", "role"), "\"learner\"");
    help_destroy(&h);
}

Test(life_event, lives_in_simulated_time_where_that_is_enabled)
{
    help_t *h = help_new();
    cr_assert_eq(help_apply(h,
                            "karma.life_event",
                            "{\"user_id\":\"u\",\"action\":\"helping_peers\",\"role\":\"user\","
                            "\"effective_at\":\"2026-03-01T12:00:00+02:00\"}"),
                 BUS_OK);
    cr_assert_eq(help_apply(h,
                            "karma.life_event",
                            "{\"user_id\":\"u\",\"action\":\"passive_state\",\"role\":\"user\","
                            "\"effective_at\":\"2026-03-31T10:00:00Z\"}"),
                 BUS_OK);
    cr_assert_str_eq(help_value(h, "profile", "u", "balances.SevaPoints"), "9.851082442083701");
    cr_assert_str_eq(help_value(h, "profile", "u", "last_updated"),
                     "\"2026-03-31T10:00:00.000000Z\"");
    cr_assert_eq(help_apply(h,
                            "karma.life_event",
                            "{\"user_id\":\"u\",\"action\":\"cheat\",\"role\":\"user\","
                            "\"effective_at\":\"soon\"}"),
                 BUS_VALIDATION_FAILED);
    cr_assert_not_null(strstr(help_text(h->details), "\"field\":\"effective_at\""));
    help_destroy(&h);
}

Test(test_helpers, are_refused_while_they_are_off)
{
    help_t *h = help_new();
    cr_assert_eq(help_apply(h, "karma.config", "{\"test_helpers\":false}"), BUS_OK);
    cr_assert_eq(help_apply(h,
                            "karma.life_event",
                            "{\"user_id\":\"u\",\"action\":\"cheat\",\"role\":\"user\","
                            "\"effective_at\":\"2026-03-31T10:00:00Z\"}"),
                 BUS_FORBIDDEN);
    cr_assert_eq(help_apply(h, "karma.test.create_user", "{\"user_id\":\"u\"}"), BUS_FORBIDDEN);
    cr_assert_eq(help_apply(h, "karma.test.delete_user", "{\"user_id\":\"u\"}"), BUS_FORBIDDEN);
    cr_assert_eq(help_apply(h, "karma.test.fix_timestamps", "{}"), BUS_FORBIDDEN);
    help_reopen(h);
    cr_assert_eq(help_apply(h, "karma.test.create_user", "{\"user_id\":\"u\"}"), BUS_FORBIDDEN);
    cr_assert_eq(help_apply(h, "karma.config", "{\"test_helpers\":true}"), BUS_OK);
    cr_assert_eq(help_apply(h, "karma.test.create_user", "{\"user_id\":\"u\"}"), BUS_OK);
    help_destroy(&h);
}

Test(test_helpers, create_a_user_once)
{
    help_t *h = help_new();
    cr_assert_eq(
        help_apply(h, "karma.test.create_user", "{\"user_id\":\"u\",\"role\":\"employee\"}"),
        BUS_OK);
    assert_answer(h,
                  "{\"success\":true,\"user_id\":\"u\",\"role\":\"employee\","
                  "\"message\":\"Test user created successfully\"}");
    cr_assert_str_eq(help_value(h, "profile", "u", "role"), "\"employee\"");
    cr_assert_str_eq(help_value(h, "profile", "u", "state_hash"),
                     "\"05bfffcdab94144404031b07ba9f74e6399ecad1a04334a4d24e56094196682b\"");
    cr_assert_eq(help_apply(h, "karma.test.create_user", "{\"user_id\":\"u\"}"), BUS_OK);
    assert_answer(h,
                  "{\"success\":true,\"user_id\":\"u\",\"role\":\"employee\","
                  "\"message\":\"Test user created successfully\"}");
    cr_assert_eq(help_apply(h, "karma.test.create_user", "{\"user_id\":\"v\"}"), BUS_OK);
    cr_assert_str_eq(help_value(h, "profile", "v", "role"), "\"learner\"");
    help_destroy(&h);
}

Test(test_helpers, delete_a_user_with_what_was_kept)
{
    help_t *h = help_new();
    help_act(h, "u", "cheat");
    help_act(h, "uu", "cheat");
    help_act(h, "u", "cheat");
    cr_assert_eq(help_apply(h, "karma.test.delete_user", "{\"user_id\":\"u\"}"), BUS_OK);
    assert_answer(h, "{\"success\":true,\"deleted_count\":1}");
    cr_assert_eq(help_ask(h, "profile", "{\"user_id\":\"u\"}"), BUS_USER_NOT_FOUND);
    cr_assert_eq(help_ask(h, "replay", "{\"user_id\":\"u\"}"), BUS_USER_NOT_FOUND);
    cr_assert_str_eq(help_value(h, "replay", "uu", "events"), "1");
    cr_assert_eq(help_apply(h, "karma.test.delete_user", "{\"user_id\":\"u\"}"), BUS_OK);
    assert_answer(h, "{\"success\":false,\"deleted_count\":0}");
    help_act(h, "u", "cheat");
    cr_assert_str_eq(help_value(h, "profile", "u", "merit_score"), "-2.0");
    cr_assert_str_eq(help_value(h, "replay", "u", "matches"), "true");
    help_destroy(&h);
}

Test(test_helpers, find_no_timestamps_to_fix)
{
    help_t *h = help_new();
    cr_assert_eq(help_apply(h, "karma.test.fix_timestamps", "{}"), BUS_OK);
    assert_answer(h, "{\"success\":true,\"fixed_count\":0,\"message\":\"Fixed 0 users\"}");
    help_destroy(&h);
}

Test(profile, is_the_originals_with_a_hash)
{
    help_t *h = help_new();
    cr_assert_eq(help_apply(h,
                            "karma.life_event",
                            "{\"user_id\":\"u\",\"action\":\"completing_lessons\","
                            "\"role\":\"student\"}"),
                 BUS_OK);
    cr_assert_eq(help_ask(h, "profile", "{\"user_id\":\"u\"}"), BUS_OK);
    assert_answer(
        h,
        "{\"user_id\":\"u\",\"role\":\"learner\",\"merit_score\":5.0,\"paap_score\":0.0,"
        "\"net_karma\":5.0,\"weighted_karma_score\":0.0,"
        "\"balances\":{\"DharmaPoints\":5.0,\"SevaPoints\":0.0,\"PunyaTokens\":0.0,"
        "\"PaapTokens\":{\"minor\":0.0,\"medium\":0.0,\"maha\":0.0},\"DridhaKarma\":0.0,"
        "\"AdridhaKarma\":0.0,\"SanchitaKarma\":0.0,\"PrarabdhaKarma\":0.0,"
        "\"Rnanubandhan\":{\"minor\":0.0,\"medium\":0.0,\"major\":0.0}},"
        "\"action_stats\":{\"total_actions\":1,\"pending_atonements\":0,"
        "\"completed_atonements\":0},"
        "\"corrective_guidance\":[{\"type\":\"engagement_suggested\","
        "\"message\":\"Little was done lately: lessons, help and service raise it\","
        "\"priority\":\"medium\"}],"
        "\"module_scores\":{\"finance\":0.0,\"insightflow\":12.5,\"gurukul\":7.5,\"game\":5.0},"
        "\"last_updated\":\"2026-01-01T00:00:00.000000Z\","
        "\"state_hash\":\"036beacd8aed0dcf08974830e6bfb69e003eb29b1b60ee3fe2f36d7b8588ff93\"}");
    help_destroy(&h);
}

Test(profile, suggests_nothing_to_the_engaged)
{
    help_t *h = help_new();
    help_act(h, "u", "helping_peers"); // exactly at the bound
    cr_assert_str_eq(help_value(h, "profile", "u", "corrective_guidance"), "[]");
    cr_assert_str_eq(help_value(h, "profile", "u", "module_scores"),
                     "{\"finance\":15.0,\"insightflow\":0.0,\"gurukul\":20.0,\"game\":12.0}");
    help_destroy(&h);
}

Test(profile, of_nobody_is_not_found)
{
    help_t *h = help_new();
    cr_assert_eq(help_ask(h, "profile", "{\"user_id\":\"nobody\"}"), BUS_USER_NOT_FOUND);
    cr_assert_str_eq(help_text(h->refusal), "User not found");
    help_destroy(&h);
}

Test(policy, comes_back_after_a_restart)
{
    static const char expected[] =
        "{\"best_policy\":{\"learner\":\"helping_peers\",\"volunteer\":\"completing_lessons\","
        "\"seva\":\"completing_lessons\",\"guru\":\"completing_lessons\"},\"Q_shape\":[4,5],"
        "\"q\":[[1.48875,1.70098125,0.0,0.0,0.0],[0.0,0.0,0.0,0.0,0.0],"
        "[0.0,0.0,0.0,0.0,0.0],[0.0,0.0,0.0,0.0,0.0]]}";
    help_t *h = help_new();
    help_act(h, "u", "completing_lessons");
    help_act(h, "u", "completing_lessons");
    help_act(h, "u", "helping_peers");
    cr_assert_eq(help_ask(h, "policy", "{}"), BUS_OK);
    assert_answer(h, expected);
    help_reopen(h);
    cr_assert_eq(help_ask(h, "policy", "{}"), BUS_OK);
    assert_answer(h, expected);
    help_destroy(&h);
}

Test(policy, of_a_fresh_store_is_all_zero)
{
    help_t *h = help_new();
    cr_assert_eq(help_ask(h, "policy", "null"), BUS_OK);
    cr_assert_not_null(strstr(help_text(h->answer), "\"learner\":\"completing_lessons\""));
    cr_assert_not_null(strstr(help_text(h->answer), "[0.0,0.0,0.0,0.0,0.0]"));
    help_destroy(&h);
}

// A long mixed history, from a fixed generator (the constants of Numerical Recipes).
static void
live(help_t *h, unsigned events, unsigned users)
{
    static const char *const actions[] = {"completing_lessons",
                                          "helping_peers",
                                          "solving_doubts",
                                          "selfless_service",
                                          "cheat",
                                          "agent_failure",
                                          "workflow_failed",
                                          "disengagement"};
    uint32_t random = 1;
    for (unsigned i = 0; i < events; i++) {
        random = random * 1664525 + 1013904223;
        char user[8];
        snprintf(user, sizeof user, "u%u", (random >> 16) % users);
        h->at += (uint64_t) (random >> 8) * 9000; // up to 42 hours
        help_act(h, user, actions[random >> 29]);
    }
}

Test(replay, gives_the_state_that_is_kept)
{
    help_t *h = help_new();
    cr_assert_eq(
        help_apply(h, "karma.test.create_user", "{\"user_id\":\"u1\",\"role\":\"employee\"}"),
        BUS_OK);
    live(h, 400, 3);
    help_reopen(h);
    for (unsigned i = 0; i < 3; i++) {
        char user[8];
        char kept[80];
        snprintf(user, sizeof user, "u%u", i);
        cr_assert_str_eq(help_value(h, "replay", user, "matches"), "true");
        strcpy(kept, help_value(h, "profile", user, "state_hash"));
        cr_assert_str_eq(help_value(h, "replay", user, "state_hash"), kept);
    }
    cr_assert_eq(help_ask(h, "replay", "{\"user_id\":\"nobody\"}"), BUS_USER_NOT_FOUND);
    help_destroy(&h);
}

static void
give_actions(help_t *h, bus_view_t user_id, uint64_t actions)
{
    BUS_AUTO(pack_destroy) pack_t *scratch = pack_new();
    store_txn_t *txn = NULL;
    karma_ledger_t ledger;
    cr_assert_eq(store_begin(h->store, STORE_WRITE, &txn), BUS_OK);
    cr_assert_eq(karma_user_load(txn, user_id, &ledger), BUS_OK);
    ledger.actions = actions;
    cr_assert_eq(karma_user_save(txn, user_id, &ledger, scratch), BUS_OK);
    cr_assert_eq(store_commit(&txn), BUS_OK);
}

Test(replay, sees_a_state_that_is_not_what_the_events_give)
{
    help_t *h = help_new();
    help_act(h, "u", "helping_peers");
    help_act(h, "v", "solving_doubts");
    give_actions(h, VIEW_LITERAL("u"), 2);
    cr_assert_str_eq(help_value(h, "replay", "u", "matches"), "false");
    cr_assert_str_eq(help_value(h, "replay", "u", "action_stats.total_actions"), "1");
    cr_assert_str_eq(help_value(h, "replay", "v", "matches"), "true");
    help_destroy(&h);
}

Test(replay, takes_no_more_than_its_limit)
{
    help_t *h = help_new();
    help_act(h, "u", "cheat");
    give_actions(h, VIEW_LITERAL("u"), KARMA_REPLAY_MAX + 1);
    cr_assert_eq(help_ask(h, "replay", "{\"user_id\":\"u\"}"), BUS_PAYLOAD_TOO_LARGE);
    give_actions(h, VIEW_LITERAL("u"), KARMA_REPLAY_MAX);
    cr_assert_str_eq(help_value(h, "replay", "u", "matches"), "false");
    help_destroy(&h);
}

Test(users, do_not_touch_each_other_whatever_the_order)
{
    static const char *const actions[] = {"helping_peers", "cheat", "selfless_service", "cheat"};
    help_t *apart = help_new();
    help_t *mixed = help_new();
    for (unsigned i = 0; i < 4; i++) {
        apart->at = T0 + i * DAY;
        help_act(apart, "u", actions[i]);
    }
    for (unsigned i = 0; i < 4; i++) {
        apart->at = T0 + i * DAY;
        help_act(apart, "v", actions[3 - i]);
    }
    for (unsigned i = 0; i < 4; i++) {
        mixed->at = T0 + i * DAY;
        help_act(mixed, "v", actions[3 - i]);
        help_act(mixed, "u", actions[i]);
    }
    char hash[80];
    strcpy(hash, help_value(apart, "profile", "u", "state_hash"));
    cr_assert_str_eq(help_value(mixed, "profile", "u", "state_hash"), hash);
    strcpy(hash, help_value(apart, "profile", "v", "state_hash"));
    cr_assert_str_eq(help_value(mixed, "profile", "v", "state_hash"), hash);
    help_destroy(&apart);
    help_destroy(&mixed);
}

Test(journal, gives_the_same_store_each_time)
{
    char hashes[2][STORE_HASH_SIZE];
    for (unsigned run = 0; run < 2; run++) {
        help_t *h = help_new();
        live(h, 200, 5);
        if (run == 1) {
            help_reopen(h);
        }
        store_txn_t *txn = NULL;
        cr_assert_eq(store_begin(h->store, STORE_READ, &txn), BUS_OK);
        cr_assert_eq(store_state_hash(txn, hashes[run]), BUS_OK);
        store_rollback(&txn);
        help_destroy(&h);
    }
    cr_assert_str_eq(hashes[0], hashes[1]);
}

Test(health, counts_users_and_events)
{
    help_t *h = help_new();
    help_act(h, "u", "cheat");
    help_act(h, "u", "cheat");
    help_act(h, "v", "cheat");
    store_txn_t *txn = NULL;
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    cr_assert_eq(store_begin(h->store, STORE_READ, &txn), BUS_OK);
    cr_assert_eq(karma_definition.health(h->state, txn, out), 2);
    bus_view_t pairs = pack_view(out);
    cr_assert(view_equal(pairs,
                         VIEW_LITERAL("\xa5users\x02\xa6"
                                      "events\x03")));
    store_rollback(&txn);
    help_destroy(&h);
}

static void
assert_config(const char *value, const char *expected)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    if (value == NULL) {
        unsetenv("BHIV_KARMA_TEST_HELPERS");
    } else {
        setenv("BHIV_KARMA_TEST_HELPERS", value, 1);
    }
    karma_definition.config(&(service_options_t){.dir = "."}, out);
    cr_assert(view_is(pack_view(out), expected), "%s", value);
}

Test(config, takes_the_test_helpers_from_the_environment)
{
    assert_config(NULL, "\x81\xactest_helpers\xc2");
    assert_config("", "\x81\xactest_helpers\xc2");
    assert_config("0", "\x81\xactest_helpers\xc2");
    assert_config("1", "\x81\xactest_helpers\xc3");
}
