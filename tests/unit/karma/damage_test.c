// damage_test.c - a damaged record harms what it holds and nothing else: no command fails on it
// for ever, and the question for it says so. A rebuild repairs it.
#include "help.h"
#include "karma/karma.h"
#include "karma/sum.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
damage(help_t *h, unsigned table, bus_view_t key)
{
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(h->store, STORE_WRITE, &txn), BUS_OK);
    cr_assert_eq(store_put(txn, table, key, VIEW_LITERAL("\x93")), BUS_OK);
    cr_assert_eq(store_commit(&txn), BUS_OK);
}

// Turns a bit of `text` wherever it stands in the closed store: what holds it no longer fits its
// checksum.
static void
turn_bits(help_t *h, const char *text)
{
    enum { FILE_SIZE_MAX = 4 * 1024 * 1024 };
    char path[300];
    snprintf(path, sizeof path, "%s/karma/data.mdb", h->folder);
    char *bytes = malloc(FILE_SIZE_MAX);
    help_close(h);
    FILE *file = fopen(path, "r+b");
    cr_assert(bytes != NULL && file != NULL);
    size_t size = fread(bytes, 1, FILE_SIZE_MAX, file);
    unsigned turned = 0;
    for (char *at = bytes; (at = memmem(at, size - (size_t) (at - bytes), text, strlen(text)));) {
        *at++ ^= 1;
        turned++;
    }
    rewind(file);
    cr_assert_eq(fwrite(bytes, 1, size, file), size);
    cr_assert_eq(fclose(file), 0);
    free(bytes);
    cr_assert_gt(turned, 0, "no %s in the store", text);
    help_reopen(h);
}

static bus_err_t
appeal(help_t *h, const char *action)
{
    char json[100];
    snprintf(json, sizeof json, "{\"user_id\":\"u\",\"action\":\"%s\"}", action);
    return help_apply(h, "karma.appeal", json);
}

static bus_err_t
submit(help_t *h, const char *plan_id, const char *proof)
{
    char json[200];
    snprintf(json,
             sizeof json,
             "{\"user_id\":\"u\",\"plan_id\":\"%s\",\"atonement_type\":\"Jap\",\"amount\":1,"
             "\"proof_text\":\"%s\"}",
             plan_id,
             proof);
    return help_apply(h, "karma.atonement", json);
}

Test(damage, to_one_users_record_stops_nobody_else)
{
    static const char *const topics[] = {
        "karma.life_event", "karma.appeal", "karma.redeem", "karma.death_event"};
    help_t *h = help_new();
    help_act(h, "u", "cheat");
    damage(h, KARMA_USERS, VIEW_LITERAL("u"));
    for (size_t i = 0; i < sizeof topics / sizeof topics[0]; i++) {
        cr_assert_eq(help_apply(h,
                                topics[i],
                                "{\"user_id\":\"u\",\"action\":\"cheat\",\"role\":\"user\","
                                "\"token_type\":\"PunyaTokens\",\"amount\":1}"),
                     BUS_INTERNAL,
                     "%s",
                     topics[i]);
    }
    help_act(h, "v", "cheat");
    cr_assert_str_eq(help_value(h, "profile", "v", "merit_score"), "-2.0");
    cr_assert_eq(help_ask(h, "profile", "{\"user_id\":\"u\"}"), BUS_CORRUPT);
    help_destroy(&h);
}

Test(damage, to_a_plan_stops_that_plan_alone)
{
    help_t *h = help_new();
    help_act(h, "u", "cheat");
    cr_assert_eq(appeal(h, "cheat"), BUS_OK);
    cr_assert_eq(appeal(h, "theft"), BUS_OK);
    damage(h, KARMA_PLANS, VIEW_LITERAL("\1u\0\0\0\0\0\0\0\0"));
    cr_assert_eq(submit(h, "u_cheat_0", "x"), BUS_INTERNAL);
    cr_assert_eq(submit(h, "u_theft_1", "x"), BUS_OK);
    cr_assert_eq(help_ask(h, "atonement_plans", "{\"user_id\":\"u\"}"), BUS_CORRUPT);
    help_destroy(&h);
}

Test(damage, to_a_proof_leaves_its_plan_and_the_other_proofs)
{
    help_t *h = help_new();
    help_act(h, "u", "cheat");
    cr_assert_eq(appeal(h, "cheat"), BUS_OK);
    cr_assert_eq(submit(h, "u_cheat_0", "a text of its own"), BUS_OK);
    turn_bits(h, "a text of its own");
    cr_assert_eq(submit(h, "u_cheat_0", "another"), BUS_OK);
    cr_assert_not_null(
        strstr(help_text(h->answer), "\"proofs\":[{\"status\":\"damaged\"},{\"type\""));
    cr_assert_not_null(strstr(help_text(h->answer), "\"proof_count\":2"));
    cr_assert_eq(help_ask(h, "atonement_plans", "{\"user_id\":\"u\"}"), BUS_OK);
    help_destroy(&h);
}

Test(damage, to_what_is_kept_of_a_user_does_not_stop_their_removal)
{
    help_t *h = help_new();
    help_act(h, "u", "cheat");
    cr_assert_eq(appeal(h, "disrespect_guru"), BUS_OK);
    cr_assert_eq(appeal(h, "theft"), BUS_OK);
    cr_assert_eq(submit(h, "u_theft_1", "one of a kind"), BUS_OK);
    turn_bits(h, "disrespect_guru"); // a plan and an event
    turn_bits(h, "one of a kind");   // a proof
    cr_assert_eq(help_ask(h, "atonement_plans", "{\"user_id\":\"u\"}"), BUS_CORRUPT);
    cr_assert_eq(help_ask(h, "replay", "{\"user_id\":\"u\"}"), BUS_CORRUPT);
    cr_assert_eq(help_apply(h, "karma.test.delete_user", "{\"user_id\":\"u\"}"), BUS_OK);
    help_act(h, "u", "helping_peers");
    cr_assert_str_eq(help_value(h, "atonement_plans", "u", "plans"), "[]");
    cr_assert_str_eq(help_value(h, "replay", "u", "matches"), "true");
    help_destroy(&h);
}

Test(damage, to_an_agents_record_is_told_and_stops_no_karma)
{
    help_t *h = help_new();
    static const char json[] = "{\"user_id\":\"u\",\"action\":\"agent_success\","
                               "\"role\":\"user\",\"context\":{\"agent_id\":\"a\"}}";
    cr_assert_eq(help_apply(h, "karma.life_event", json), BUS_OK);
    damage(h, KARMA_AGENTS, VIEW_LITERAL("a"));
    cr_assert_eq(help_apply(h, "karma.life_event", json), BUS_OK);
    cr_assert_str_eq(help_value(h, "profile", "u", "merit_score"), "2.0");
    cr_assert_eq(help_ask(h, "agent", "{\"agent_id\":\"a\"}"), BUS_CORRUPT);
    help_destroy(&h);
}

// Everything that moves karma goes on, and the record stays as it is.
Test(damage, to_what_all_users_share_is_told_and_stops_no_karma)
{
    static const struct {
        unsigned table;
        const char *question;
    } rows[] = {
        {KARMA_TOTALS, "stats_system"},
        {KARMA_QTABLE, "policy"},
        {KARMA_HOURS, "metrics_live"},
        {KARMA_WEEKS, "trends"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        help_t *h = help_new();
        uint64_t hour = karma_sum_hour(T0);
        uint64_t week = karma_sum_week(T0);
        const bus_view_t keys[] = {
            VIEW_LITERAL("totals"), VIEW_LITERAL("q"), STORE_U64(hour), STORE_U64(week)};
        help_act(h, "u", "helping_peers");
        cr_assert_eq(help_ask(h, rows[i].question, "{\"now\":\"2026-01-01T00:00:00Z\"}"), BUS_OK);
        damage(h, rows[i].table, keys[i]);
        help_act(h, "u", "helping_peers");
        help_act(h, "v", "cheat");
        cr_assert_eq(appeal(h, "false_speech"), BUS_OK);
        cr_assert_eq(submit(h, "u_false_speech_0", "x"), BUS_OK);
        cr_assert_eq(help_apply(h,
                                "karma.redeem",
                                "{\"user_id\":\"u\",\"token_type\":\"SevaPoints\",\"amount\":1}"),
                     BUS_OK);
        cr_assert_str_eq(help_value(h, "profile", "u", "balances.SevaPoints"), "19.0");
        cr_assert_str_eq(help_value(h, "replay", "u", "matches"), "true");
        cr_assert_eq(help_apply(h, "karma.death_event", "{\"user_id\":\"u\"}"), BUS_OK);
        cr_assert_eq(help_apply(h, "karma.test.delete_user", "{\"user_id\":\"v\"}"), BUS_OK);
        cr_assert_eq(help_ask(h, rows[i].question, "{\"now\":\"2026-01-01T00:00:00Z\"}"),
                     BUS_CORRUPT,
                     "%s",
                     rows[i].question);
        help_destroy(&h);
    }
}

Test(damage, to_the_configuration_switches_the_test_helpers_off)
{
    help_t *h = help_new();
    turn_bits(h, "test_helpers");
    cr_assert_eq(help_apply(h, "karma.test.create_user", "{\"user_id\":\"u\"}"), BUS_FORBIDDEN);
    help_act(h, "u", "helping_peers");
    help_destroy(&h);
}
