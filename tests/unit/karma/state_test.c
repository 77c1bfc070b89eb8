// state_test.c - the same history gives the same bits: on every compiler, at every optimisation,
// on every processor (with GLIBC_TUNABLES masking FMA, too). The value was found once; a change of
// it is a change of the rules, and needs a new KARMA_RULES_VERSION.
#include "help.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const char known[] = "c1a238f02a0157c0e01fe3830c6b577bccae046bb5666587de24182bf6fef535";

enum { COMMANDS = 1500, USERS = 7 };

// The constants of Numerical Recipes; the low bits are poor, so the high ones are used.
static uint32_t
draw(uint32_t *random, uint32_t below)
{
    *random = *random * 1664525 + 1013904223;
    return (*random >> 8) % below;
}

static void
act(help_t *h, uint32_t *random, unsigned user)
{
    static const char *const actions[] = {"completing_lessons",
                                          "helping_peers",
                                          "solving_doubts",
                                          "selfless_service",
                                          "cheat",
                                          "agent_success",
                                          "agent_failure",
                                          "workflow_failed",
                                          "attention_drift",
                                          "learning_success"};
    const char *action = actions[draw(random, 10)]; // each in its turn: arguments have no order
    unsigned other = draw(random, USERS);
    unsigned agent = draw(random, 3);
    char json[300];
    snprintf(json,
             sizeof json,
             "{\"user_id\":\"u%u\",\"action\":\"%s\",\"role\":\"student\","
             "\"affected_user_id\":\"u%u\",\"context\":{\"agent_id\":\"a%u\"}}",
             user,
             action,
             other,
             agent);
    cr_assert_eq(help_apply(h, "karma.life_event", json), BUS_OK);
}

static bus_err_t
atone(help_t *h, uint32_t *random, unsigned user)
{
    static const char *const practices[] = {"Jap", "Tap", "Bhakti", "Daan"};
    unsigned plan = draw(random, 4);
    const char *practice = practices[draw(random, 4)];
    unsigned amount = draw(random, 900);
    char json[300];
    snprintf(json,
             sizeof json,
             "{\"user_id\":\"u%u\",\"plan_id\":\"u%u_theft_%u\",\"atonement_type\":\"%s\","
             "\"amount\":%u.125,\"tx_hash\":\"0x1\"}",
             user,
             user,
             plan,
             practice,
             amount);
    return help_apply(h, "karma.atonement", json);
}

// One command; whether it is refused is part of the history.
static bus_err_t
step(help_t *h, uint32_t *random)
{
    unsigned user = draw(random, USERS);
    unsigned kind = draw(random, 100);
    char json[300];
    h->at += (uint64_t) draw(random, 1 << 20) * 54321; // up to 16 hours
    if (kind < 60) {
        act(h, random, user);
        return BUS_OK;
    }
    if (kind < 68) {
        snprintf(json, sizeof json, "{\"user_id\":\"u%u\",\"action\":\"theft\"}", user);
        return help_apply(h, "karma.appeal", json);
    }
    if (kind < 90) {
        return atone(h, random, user);
    }
    if (kind < 99) {
        snprintf(json,
                 sizeof json,
                 "{\"user_id\":\"u%u\",\"token_type\":\"SevaPoints\",\"amount\":%u.7}",
                 user,
                 draw(random, 9));
        return help_apply(h, "karma.redeem", json);
    }
    snprintf(json, sizeof json, "{\"user_id\":\"u%u\"}", user);
    return help_apply(h, "karma.death_event", json);
}

Test(state, of_a_fixed_history_is_a_known_value)
{
    uint32_t random = 20261120;
    unsigned applied = 0;
    help_t *h = help_new();
    for (unsigned i = 0; i < COMMANDS; i++) {
        applied += step(h, &random) == BUS_OK ? 1 : 0;
    }
    cr_assert_gt(applied, COMMANDS / 2);
    cr_assert_lt(applied, COMMANDS);
    for (unsigned i = 0; i < USERS; i++) {
        char user[8];
        snprintf(user, sizeof user, "u%u", i);
        cr_assert_str_eq(help_value(h, "replay", user, "matches"), "true");
    }
    cr_assert_eq(help_ask(h, "stats_system", "{}"), BUS_OK);
    cr_assert_str_neq(help_at(h, "system_stats.completed_atonements"), "0");
    cr_assert_str_neq(help_at(h, "system_stats.total_redemptions"), "0");
    cr_assert_str_neq(help_at(h, "system_stats.total_deaths"), "0");
    char hash[STORE_HASH_SIZE];
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(h->store, STORE_READ, &txn), BUS_OK);
    cr_assert_eq(store_state_hash(txn, hash), BUS_OK);
    store_rollback(&txn);
    help_destroy(&h);
    cr_assert_str_eq(hash, known);
}
