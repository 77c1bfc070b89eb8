// commands_test.c - appeals, atonements, deaths, redemptions and debts, end to end on a store.
#include "help.h"
#include "karma/operations.h"
#include "karma/plan.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static void
assert_answer(help_t *h, const char *expected)
{
    cr_assert_str_eq(help_text(h->answer), expected);
}

static void
assert_refused(help_t *h, const char *topic, const char *json, bus_err_t err, const char *message)
{
    char before[80];
    strcpy(before, help_value(h, "profile", "u", "state_hash"));
    cr_assert_eq(help_apply(h, topic, json), err, "%s %s", topic, json);
    if (message != NULL) {
        cr_assert_str_eq(help_text(h->refusal), message);
    }
    cr_assert_str_eq(help_value(h, "profile", "u", "state_hash"), before);
}

// --- Debts ---------------------------------------------------------------------------------------

static const char cheated[] = "{\"user_id\":\"u\",\"action\":\"cheat\",\"role\":\"learner\","
                              "\"affected_user_id\":\"v\","
                              "\"relationship_description\":\"copied\"}";

Test(debt, is_half_the_penalty_and_told)
{
    help_t *h = help_new();
    cr_assert_eq(help_apply(h, "karma.life_event", cheated), BUS_OK);
    cr_assert_not_null(
        strstr(help_text(h->answer),
               "\"rnanubandhan_relationship\":{\"debtor_id\":\"u\",\"receiver_id\":\"v\","
               "\"action_type\":\"cheat\",\"severity\":\"medium\",\"amount\":1.0,"
               "\"description\":\"copied\",\"status\":\"active\","
               "\"created_at\":\"2026-01-01T00:00:00.000000Z\"}"));
    cr_assert_eq(help_apply(h, "karma.life_event", cheated), BUS_OK);
    cr_assert_str_eq(help_value(h, "profile", "u", "balances.Rnanubandhan.medium"), "3.5");
    cr_assert_str_eq(help_value(h, "profile", "u", "weighted_karma_score"), "7.0");
    cr_assert_str_eq(help_value(h, "profile", "u", "merit_score"), "-7.0");
    cr_assert_not_null(strstr(help_text(h->told),
                              "\"token\":\"Rnanubandhan\",\"delta\":2.5,\"merit_score\":-7.0,"
                              "\"role\":\"learner\",\"role_changed\":false,\"seq\":3,"
                              "\"class\":\"medium\"}"));
    cr_assert_str_eq(help_value(h, "replay", "u", "matches"), "true");
    cr_assert_eq(help_ask(h, "profile", "{\"user_id\":\"v\"}"), BUS_USER_NOT_FOUND);
    help_destroy(&h);
}

Test(debt, is_not_owed_to_oneself_nor_for_what_is_no_cheat)
{
    help_t *h = help_new();
    cr_assert_eq(help_apply(h,
                            "karma.life_event",
                            "{\"user_id\":\"u\",\"action\":\"cheat\",\"role\":\"learner\","
                            "\"affected_user_id\":\"u\"}"),
                 BUS_OK);
    cr_assert_null(strstr(help_text(h->answer), "rnanubandhan"));
    cr_assert_eq(help_apply(h,
                            "karma.life_event",
                            "{\"user_id\":\"u\",\"action\":\"agent_failure\",\"role\":\"learner\","
                            "\"affected_user_id\":\"v\"}"),
                 BUS_OK);
    cr_assert_null(strstr(help_text(h->answer), "rnanubandhan"));
    cr_assert_str_eq(help_value(h, "profile", "u", "balances.Rnanubandhan.medium"), "0.0");
    cr_assert_str_eq(help_value(h, "replay", "u", "matches"), "true");
    help_destroy(&h);
}

// --- Appeals and atonements ----------------------------------------------------------------------

static void
appeal(help_t *h, const char *action)
{
    char json[200];
    snprintf(json, sizeof json, "{\"user_id\":\"u\",\"action\":\"%s\"}", action);
    cr_assert_eq(help_apply(h, "karma.appeal", json), BUS_OK);
}

static bus_err_t
atone(help_t *h, const char *plan_id, const char *type, const char *amount)
{
    char json[400];
    snprintf(json,
             sizeof json,
             "{\"user_id\":\"u\",\"plan_id\":\"%s\",\"atonement_type\":\"%s\",\"amount\":%s,"
             "\"tx_hash\":\"0xabc\"}",
             plan_id,
             type,
             amount);
    return help_apply(h, "karma.atonement", json);
}

Test(appeal, prescribes_what_the_class_demands)
{
    help_t *h = help_new();
    help_act(h, "u", "cheat");
    appeal(h, "false_speech");
    assert_answer(h,
                  "{\"status\":\"success\",\"message\":\"Appeal registered successfully\","
                  "\"plan\":{\"plan_id\":\"u_false_speech_0\",\"user_id\":\"u\","
                  "\"paap_action\":\"false_speech\",\"severity_class\":\"minor\","
                  "\"created_at\":\"2026-01-01T00:00:00.000000Z\",\"status\":\"pending\","
                  "\"requirements\":{\"Jap\":108.0,\"Tap\":1.0,\"Bhakti\":1.0,\"Daan\":10.0},"
                  "\"progress\":{\"Jap\":0.0,\"Tap\":0.0,\"Bhakti\":0.0,\"Daan\":0.0},"
                  "\"proof_count\":0,\"proofs\":[]}}");
    appeal(h, "cheat");
    cr_assert_not_null(strstr(help_text(h->answer), "\"plan_id\":\"u_cheat_1\""));
    cr_assert_not_null(
        strstr(help_text(h->answer), "{\"Jap\":1008.0,\"Tap\":3.0,\"Bhakti\":3.0,\"Daan\":50.0}"));
    appeal(h, "violence");
    cr_assert_not_null(strstr(help_text(h->answer),
                              "{\"Jap\":10008.0,\"Tap\":7.0,\"Bhakti\":7.0,\"Daan\":100.0}"));
    cr_assert_str_eq(help_value(h, "profile", "u", "action_stats"),
                     "{\"total_actions\":1,\"pending_atonements\":3,\"completed_atonements\":0}");
    cr_assert_str_eq(help_value(h, "replay", "u", "matches"), "true");
    help_destroy(&h);
}

Test(appeal, knows_every_wrong_of_the_original_and_no_other)
{
    static const char *const words[] = {"cheat",
                                        "disrespect_guru",
                                        "break_promise",
                                        "harm_others",
                                        "false_speech",
                                        "theft",
                                        "violence"};
    static const char *const classes[] = {
        "medium", "medium", "minor", "maha", "minor", "medium", "maha"};
    help_t *h = help_new();
    help_act(h, "u", "cheat");
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        char expected[60];
        snprintf(expected, sizeof expected, "\"severity_class\":\"%s\"", classes[i]);
        appeal(h, words[i]);
        cr_assert_not_null(strstr(help_text(h->answer), expected), "%s", words[i]);
    }
    assert_refused(h,
                   "karma.appeal",
                   "{\"user_id\":\"u\",\"action\":\"helping_peers\"}",
                   BUS_INVALID_REQUEST,
                   "Action does not qualify for appeal");
    assert_refused(h,
                   "karma.appeal",
                   "{\"user_id\":\"nobody\",\"action\":\"cheat\"}",
                   BUS_USER_NOT_FOUND,
                   "User not found");
    assert_refused(h,
                   "karma.appeal",
                   "{\"user_id\":\"u\",\"action\":\"cheat\",\"timestamp\":\"2026-13-01\"}",
                   BUS_VALIDATION_FAILED,
                   NULL);
    help_destroy(&h);
}

Test(atonement, completes_its_plan_once_and_pays_into_its_class)
{
    help_t *h = help_new();
    help_act(h, "u", "selfless_service");
    appeal(h, "break_promise");
    cr_assert_eq(atone(h, "u_break_promise_0", "Jap", "108"), BUS_OK);
    cr_assert_eq(atone(h, "u_break_promise_0", "Tap", "1"), BUS_OK);
    cr_assert_eq(atone(h, "u_break_promise_0", "Bhakti", "1.5"), BUS_OK);
    cr_assert_eq(atone(h, "u_break_promise_0", "Daan", "9.5"), BUS_OK);
    cr_assert_not_null(strstr(help_text(h->answer), "\"status\":\"pending\""));
    cr_assert_str_eq(help_value(h, "profile", "u", "paap_score"), "0.0");
    text_clear(h->told);
    cr_assert_eq(atone(h, "u_break_promise_0", "Daan", "0.5"), BUS_OK);
    cr_assert_not_null(strstr(help_text(h->answer),
                              "\"message\":\"Atonement progress updated\",\"plan\":"
                              "{\"plan_id\":\"u_break_promise_0\""));
    cr_assert_not_null(strstr(help_text(h->answer), "\"status\":\"completed\""));
    cr_assert_not_null(strstr(help_text(h->answer), "\"proof_count\":5"));
    cr_assert_str_eq(help_text(h->told),
                     "karma.out.changed {\"user_id\":\"u\",\"action\":\"atonement\","
                     "\"token\":\"PaapTokens\",\"delta\":2.0,\"merit_score\":75.0,"
                     "\"role\":\"volunteer\",\"role_changed\":false,\"seq\":8,"
                     "\"class\":\"minor\"}\n");
    cr_assert_str_eq(help_value(h, "profile", "u", "paap_score"), "2.0");
    cr_assert_str_eq(help_value(h, "profile", "u", "net_karma"), "73.0");
    cr_assert_str_eq(help_value(h, "profile", "u", "action_stats"),
                     "{\"total_actions\":2,\"pending_atonements\":0,\"completed_atonements\":1}");
    // A volunteer's step in helping_peers: 0.15 * (2 + 0.9 * 0 - 0).
    cr_assert_eq(help_ask(h, "policy", "{}"), BUS_OK);
    cr_assert_not_null(strstr(help_text(h->answer), "[0.0,0.3,0.0,0.0,0.0]"));
    assert_refused(h,
                   "karma.atonement",
                   "{\"user_id\":\"u\",\"plan_id\":\"u_break_promise_0\","
                   "\"atonement_type\":\"Jap\",\"amount\":1}",
                   BUS_CONFLICT,
                   "Atonement plan is already completed");
    cr_assert_str_eq(help_value(h, "replay", "u", "matches"), "true");
    cr_assert_str_eq(help_value(h, "replay", "u", "events"), "7");
    help_destroy(&h);
}

Test(atonement, refuses_as_the_original_does)
{
    static const char *const unknown[] = {"",
                                          "u",
                                          "u_cheat_",
                                          "u_cheat_1",
                                          "u_cheat_00",
                                          "u_theft_0",
                                          "v_cheat_0",
                                          "u_cheat_0x",
                                          "u_cheat_99999999999999999999"};
    help_t *h = help_new();
    help_act(h, "u", "cheat");
    help_act(h, "v", "cheat");
    appeal(h, "cheat");
    for (size_t i = 1; i < sizeof unknown / sizeof unknown[0]; i++) {
        cr_assert_eq(atone(h, unknown[i], "Jap", "1"), BUS_INVALID_REQUEST, "%s", unknown[i]);
        cr_assert_str_eq(help_text(h->refusal), "Atonement plan not found");
    }
    cr_assert_eq(atone(h, "u_cheat_0", "Fast", "1"), BUS_INVALID_REQUEST);
    cr_assert_str_eq(help_text(h->refusal), "Invalid atonement type");
    assert_refused(h,
                   "karma.atonement",
                   "{\"user_id\":\"u\",\"plan_id\":\"u_cheat_0\",\"atonement_type\":\"Daan\","
                   "\"amount\":1}",
                   BUS_INVALID_REQUEST,
                   "Transaction hash required for Daan");
    assert_refused(h,
                   "karma.atonement",
                   "{\"user_id\":\"v\",\"plan_id\":\"u_cheat_0\",\"atonement_type\":\"Jap\","
                   "\"amount\":1}",
                   BUS_INVALID_REQUEST,
                   "Atonement plan not found");
    static const char *const amounts[] = {"0", "-1", "1000000001", "1e300"};
    for (size_t i = 0; i < sizeof amounts / sizeof amounts[0]; i++) {
        cr_assert_eq(atone(h, "u_cheat_0", "Jap", amounts[i]), BUS_VALIDATION_FAILED);
        cr_assert_not_null(strstr(help_text(h->details), "\"field\":\"amount\""));
    }
    cr_assert_eq(atone(h, "u_cheat_0", "Jap", "1000000000"), BUS_OK);
    help_destroy(&h);
}

Test(plans, are_told_in_pages_and_apart)
{
    help_t *h = help_new();
    help_act(h, "u", "cheat");
    appeal(h, "break_promise");
    appeal(h, "theft");
    appeal(h, "false_speech");
    cr_assert_eq(atone(h, "u_false_speech_2", "Jap", "108"), BUS_OK);
    cr_assert_eq(atone(h, "u_false_speech_2", "Tap", "1"), BUS_OK);
    cr_assert_eq(atone(h, "u_false_speech_2", "Bhakti", "1"), BUS_OK);
    cr_assert_eq(atone(h, "u_false_speech_2", "Daan", "10"), BUS_OK);
    cr_assert_str_eq(help_value(h, "atonement_plans", "u", "count"), "3");
    cr_assert_str_eq(help_value(h, "atonement_plans", "u", "next"), "null");
    cr_assert_eq(help_ask(h, "atonement_plans", "{\"user_id\":\"u\",\"limit\":1,\"after\":1}"),
                 BUS_OK);
    cr_assert_not_null(strstr(help_text(h->answer), "\"plan_id\":\"u_theft_1\""));
    cr_assert_null(strstr(help_text(h->answer), "u_break_promise_0"));
    cr_assert_null(strstr(help_text(h->answer), "u_false_speech_2"));
    cr_assert_not_null(strstr(help_text(h->answer), "\"count\":3,\"next\":2}"));
    cr_assert_eq(help_ask(h, "appeal_status", "{\"user_id\":\"u\"}"), BUS_OK);
    const char *pending = strstr(help_text(h->answer), "\"pending_plans\":");
    const char *completed = strstr(help_text(h->answer), "\"completed_plans\":");
    cr_assert(pending != NULL && completed != NULL && pending < completed);
    const char *theft = strstr(pending, "u_theft_1");
    const char *speech = strstr(pending, "u_false_speech_2");
    cr_assert(theft != NULL && theft < completed);
    cr_assert(speech != NULL && speech > completed);
    cr_assert_not_null(strstr(speech, "\"tx_hash\":\"0xabc\""));
    help_act(h, "v", "cheat");
    cr_assert_str_eq(help_value(h, "atonement_plans", "v", "plans"), "[]");
    cr_assert_eq(help_ask(h, "atonement_plans", "{\"user_id\":\"x\"}"), BUS_USER_NOT_FOUND);
    cr_assert_eq(help_ask(h, "appeal_status", "{\"user_id\":\"x\"}"), BUS_USER_NOT_FOUND);
    help_destroy(&h);
}

Test(plans, show_their_first_proofs_and_count_them_all)
{
    help_t *h = help_new();
    help_act(h, "u", "cheat");
    appeal(h, "cheat");
    for (unsigned i = 0; i < KARMA_PROOFS_MAX + 3; i++) {
        cr_assert_eq(atone(h, "u_cheat_0", "Jap", "1"), BUS_OK);
    }
    char expected[40];
    snprintf(expected, sizeof expected, "\"proof_count\":%d", KARMA_PROOFS_MAX + 3);
    cr_assert_not_null(strstr(help_text(h->answer), expected));
    unsigned shown = 0;
    for (const char *at = help_text(h->answer); (at = strstr(at, "submitted_at")) != NULL; at++) {
        shown++;
    }
    cr_assert_eq(shown, KARMA_PROOFS_MAX);
    uint64_t kept = 0;
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(h->store, STORE_READ, &txn), BUS_OK);
    cr_assert_eq(store_count(txn, KARMA_PROOFS, &kept), BUS_OK);
    store_rollback(&txn);
    cr_assert_eq(kept, KARMA_PROOFS_MAX);
    help_destroy(&h);
}

Test(plans, that_are_pending_have_a_limit)
{
    help_t *h = help_new();
    help_act(h, "u", "cheat");
    help_act(h, "v", "cheat");
    for (unsigned i = 0; i < KARMA_PLANS_PENDING_MAX; i++) {
        appeal(h, "false_speech");
    }
    assert_refused(h,
                   "karma.appeal",
                   "{\"user_id\":\"u\",\"action\":\"theft\"}",
                   BUS_CONFLICT,
                   "too many plans of this user are pending: complete one first");
    cr_assert_eq(help_apply(h, "karma.appeal", "{\"user_id\":\"v\",\"action\":\"theft\"}"), BUS_OK);
    cr_assert_eq(atone(h, "u_false_speech_7", "Jap", "108"), BUS_OK);
    cr_assert_eq(atone(h, "u_false_speech_7", "Tap", "1"), BUS_OK);
    cr_assert_eq(atone(h, "u_false_speech_7", "Bhakti", "1"), BUS_OK);
    cr_assert_eq(atone(h, "u_false_speech_7", "Daan", "10"), BUS_OK);
    appeal(h, "theft");
    help_destroy(&h);
}

// --- Deaths --------------------------------------------------------------------------------------

static const char dies[] = "{\"user_id\":\"u\"}";

Test(death, carries_a_tenth_of_what_is_positive)
{
    help_t *h = help_new();
    help_act(h, "u", "selfless_service");
    help_act(h, "u", "selfless_service");
    text_clear(h->told);
    cr_assert_eq(help_apply(h, "karma.death_event", dies), BUS_OK);
    cr_assert_not_null(
        strstr(help_text(h->answer),
               "{\"status\":\"success\",\"user_id\":\"u\",\"loka\":\"Mrityuloka\","));
    cr_assert_not_null(strstr(help_text(h->answer),
                              "\"carryover\":{\"carryover_paap\":0.0,\"carryover_punya\":15.0,"
                              "\"starting_level\":\"volunteer\"}"));
    cr_assert_not_null(strstr(help_text(h->answer),
                              "\"paap_tokens_status\":{\"minor\":0.0,\"medium\":0.0,\"maha\":0.0,"
                              "\"total\":0.0,\"status\":\"completed\"}"));
    cr_assert_not_null(strstr(help_text(h->answer),
                              "\"role\":\"volunteer\",\"merit_score\":150.0,\"paap_score\":0.0,"
                              "\"net_karma\":150.0,\"lives\":1,\"threshold_reached\":false}"));
    cr_assert_str_eq(help_text(h->told),
                     "karma.out.changed {\"user_id\":\"u\",\"action\":\"death\","
                     "\"token\":\"PunyaTokens\",\"delta\":-35.0,\"merit_score\":45.0,"
                     "\"role\":\"learner\",\"role_changed\":true,\"seq\":4}\n");
    cr_assert_str_eq(help_value(h, "profile", "u", "balances.PunyaTokens"), "15.0");
    cr_assert_str_eq(help_value(h, "profile", "u", "role"), "\"volunteer\"");
    cr_assert_str_eq(help_value(h, "replay", "u", "matches"), "true");
    help_act(h, "u", "user_activity");
    cr_assert_str_eq(help_value(h, "profile", "u", "role"), "\"learner\"");
    help_destroy(&h);
}

Test(death, carries_three_tenths_of_what_is_negative_and_the_debts)
{
    help_t *h = help_new();
    for (unsigned i = 0; i < 6; i++) {
        cr_assert_eq(help_apply(h, "karma.life_event", cheated), BUS_OK);
    }
    cr_assert_eq(help_apply(h, "karma.death_event", dies), BUS_OK);
    cr_assert_not_null(strstr(help_text(h->answer), "\"loka\":\"Antarloka\"")); // -177
    cr_assert_not_null(strstr(help_text(h->answer),
                              "\"carryover\":{\"carryover_paap\":53.1,\"carryover_punya\":0.0,"
                              "\"starting_level\":\"learner\"}"));
    cr_assert_str_eq(help_value(h, "profile", "u", "balances.PaapTokens"),
                     "{\"minor\":17.7,\"medium\":17.7,\"maha\":17.7}");
    cr_assert_str_eq(help_value(h, "profile", "u", "balances.DharmaPoints"), "0.0");
    cr_assert_str_eq(help_value(h, "profile", "u", "balances.Rnanubandhan.medium"), "88.5");
    cr_assert_str_eq(help_value(h, "profile", "u", "paap_score"), "150.45");
    cr_assert_eq(help_apply(h, "karma.death_event", dies), BUS_OK);
    cr_assert_not_null(strstr(help_text(h->answer), "\"status\":\"pursuing\""));
    cr_assert_not_null(strstr(help_text(h->answer), "\"lives\":2"));
    cr_assert_str_eq(help_value(h, "replay", "u", "matches"), "true");
    help_destroy(&h);
}

Test(death, begins_a_life_whose_tokens_expire_from_then_on)
{
    help_t *h = help_new();
    help_act(h, "u", "selfless_service");
    h->at = T0 + 700 * DAY;
    cr_assert_eq(help_apply(h, "karma.death_event", dies), BUS_OK);
    h->at = T0 + 800 * DAY; // past the 730 days of Punya, but not in this life
    help_act(h, "u", "completing_lessons");
    cr_assert_str_neq(help_value(h, "profile", "u", "balances.PunyaTokens"), "0.0");
    cr_assert_str_eq(help_value(h, "profile", "u", "balances.DharmaPoints"), "5.0");
    cr_assert_str_eq(help_value(h, "replay", "u", "matches"), "true");
    help_destroy(&h);
}

Test(death, of_nobody_is_not_found)
{
    help_t *h = help_new();
    cr_assert_eq(help_apply(h, "karma.death_event", dies), BUS_USER_NOT_FOUND);
    help_destroy(&h);
}

// --- Redemptions ---------------------------------------------------------------------------------

Test(redeem, takes_what_there_is_and_no_more)
{
    help_t *h = help_new();
    help_act(h, "u", "selfless_service");
    text_clear(h->told);
    cr_assert_eq(help_apply(h,
                            "karma.redeem",
                            "{\"user_id\":\"u\",\"token_type\":\"PunyaTokens\",\"amount\":10}"),
                 BUS_OK);
    assert_answer(h,
                  "{\"message\":\"Tokens redeemed successfully\",\"remaining\":15.0,"
                  "\"user_id\":\"u\",\"token_type\":\"PunyaTokens\",\"merit_score\":45.0,"
                  "\"role\":\"learner\"}");
    cr_assert_str_eq(help_text(h->told),
                     "karma.out.changed {\"user_id\":\"u\",\"action\":\"redeem\","
                     "\"token\":\"PunyaTokens\",\"delta\":-10.0,\"merit_score\":45.0,"
                     "\"role\":\"learner\",\"role_changed\":true,\"seq\":3}\n");
    assert_refused(h,
                   "karma.redeem",
                   "{\"user_id\":\"u\",\"token_type\":\"PunyaTokens\",\"amount\":15.000001}",
                   BUS_INVALID_REQUEST,
                   "Insufficient balance");
    cr_assert_eq(help_apply(h,
                            "karma.redeem",
                            "{\"user_id\":\"u\",\"token_type\":\"PunyaTokens\",\"amount\":15}"),
                 BUS_OK);
    cr_assert_str_eq(help_value(h, "balance", "u", "balances.PunyaTokens"), "0.0");
    cr_assert_str_eq(help_value(h, "profile", "u", "action_stats.total_actions"), "3");
    cr_assert_str_eq(help_value(h, "replay", "u", "matches"), "true");
    help_destroy(&h);
}

Test(redeem, decays_first)
{
    help_t *h = help_new();
    help_act(h, "u", "helping_peers");
    h->at = T0 + 30 * DAY;
    assert_refused(h,
                   "karma.redeem",
                   "{\"user_id\":\"u\",\"token_type\":\"SevaPoints\",\"amount\":9.9}",
                   BUS_INVALID_REQUEST,
                   "Insufficient balance");
    cr_assert_eq(help_apply(h,
                            "karma.redeem",
                            "{\"user_id\":\"u\",\"token_type\":\"SevaPoints\",\"amount\":9.85}"),
                 BUS_OK);
    cr_assert_str_eq(help_value(h, "replay", "u", "matches"), "true");
    help_destroy(&h);
}

Test(redeem, refuses_what_is_no_token_no_amount_and_nobody)
{
    static const char *const tokens[] = {"Gold", "PaapTokens", "minor", "Rnanubandhan"};
    help_t *h = help_new();
    help_act(h, "u", "selfless_service");
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        char json[200];
        snprintf(
            json, sizeof json, "{\"user_id\":\"u\",\"token_type\":\"%s\",\"amount\":1}", tokens[i]);
        assert_refused(h, "karma.redeem", json, BUS_INVALID_REQUEST, "Invalid token type");
    }
    assert_refused(h,
                   "karma.redeem",
                   "{\"user_id\":\"u\",\"token_type\":\"PunyaTokens\",\"amount\":0}",
                   BUS_VALIDATION_FAILED,
                   NULL);
    assert_refused(h,
                   "karma.redeem",
                   "{\"user_id\":\"u\",\"token_type\":\"PunyaTokens\",\"amount\":-1}",
                   BUS_VALIDATION_FAILED,
                   NULL);
    cr_assert_eq(help_apply(h,
                            "karma.redeem",
                            "{\"user_id\":\"x\",\"token_type\":\"PunyaTokens\",\"amount\":1}"),
                 BUS_USER_NOT_FOUND);
    help_destroy(&h);
}

// --- Times ---------------------------------------------------------------------------------------

Test(timestamp, is_the_callers_and_moves_nothing)
{
    static const char *const said[] = {"2020-01-01T00:00:00Z",
                                       "2099-12-31T23:59:59Z",
                                       "2028-02-29T12:00:00",
                                       "2026-01-01T05:30:00+05:30",
                                       "2025-12-31 16:00:00.123456-08:00"};
    help_t *h = help_new();
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        char json[200];
        snprintf(json,
                 sizeof json,
                 "{\"user_id\":\"u%zu\",\"action\":\"helping_peers\",\"role\":\"user\","
                 "\"timestamp\":\"%s\"}",
                 i,
                 said[i]);
        cr_assert_eq(help_apply(h, "karma.life_event", json), BUS_OK, "%s", said[i]);
        char user[8];
        char hash[80];
        snprintf(user, sizeof user, "u%zu", i);
        strcpy(hash, help_value(h, "profile", user, "state_hash"));
        cr_assert_str_eq(help_value(h, "profile", "u0", "state_hash"), hash);
    }
    help_destroy(&h);
}

Test(timestamp, that_cannot_be_read_is_refused)
{
    static const char *const said[] = {"",
                                       "yesterday",
                                       "2026-02-29T00:00:00Z",
                                       "2026-02-30",
                                       "1767225600",
                                       "2026-01-01T25:00:00Z"};
    help_t *h = help_new();
    help_act(h, "u", "cheat");
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        char json[200];
        snprintf(json,
                 sizeof json,
                 "{\"user_id\":\"u\",\"action\":\"helping_peers\",\"role\":\"user\","
                 "\"timestamp\":\"%s\"}",
                 said[i]);
        assert_refused(h, "karma.life_event", json, BUS_VALIDATION_FAILED, NULL);
        cr_assert_eq(help_apply(h, "karma.life_event", json), BUS_VALIDATION_FAILED);
        cr_assert_not_null(strstr(help_text(h->details), "\"field\":\"timestamp\""));
    }
    help_destroy(&h);
}
