// ledger_test.c - the rules of the ledger against the vectors of docs/originals.md 1.4, and against
// decay computed independently (Python's decimal at 60 digits, rounded once).
#include "karma/ledger.h"
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#define DAY UINT64_C(86400000000)
#define T0 UINT64_C(1767225600000000) // 2026-01-01T00:00:00Z
#define WINDOW (30 * DAY)

typedef struct {
    karma_ledger_t ledger;
    karma_qtable_t qtable;
    karma_outcome_t outcome;
} fixture_t;

static fixture_t
newcomer(void)
{
    fixture_t f = {.qtable = {.steps = 0}};
    karma_ledger_init(&f.ledger, view_from_text("learner"), T0);
    return f;
}

static void
act(fixture_t *f, const char *action, uint64_t at)
{
    karma_deed_t deed = {
        .action = karma_rules_action(view_from_text(action)),
        .role = view_from_text("learner"),
        .at = at,
    };
    cr_assert_not_null(deed.action, "%s", action);
    karma_ledger_apply(&f->ledger, &f->qtable, &deed, &f->outcome);
}

static void
assert_word(const karma_word_t *word, const char *expected)
{
    cr_assert(view_is(karma_ledger_word_view(word), expected),
              "%.*s instead of %s",
              word->size,
              word->bytes,
              expected);
}

static void
assert_newcomer_gets(const char *action, double merit, const char *role)
{
    fixture_t f = newcomer();
    act(&f, action, T0);
    cr_assert(fabs(f.outcome.merit - merit) <= 1e-9, "%s: %.17g", action, f.outcome.merit);
    cr_assert_str_eq(karma_rules.roles[f.outcome.role].word, role);
    assert_word(&f.ledger.role, role);
}

Test(ledger, gives_a_newcomer_the_merits_of_the_original)
{
    assert_newcomer_gets("completing_lessons", 5.0, "learner");
    assert_newcomer_gets("helping_peers", 12.0, "learner");
    assert_newcomer_gets("solving_doubts", 9.6, "learner");
    assert_newcomer_gets("selfless_service", 75.0, "volunteer");
    assert_newcomer_gets("cheat", -2.0, "learner");
}

Test(ledger, gives_a_newcomer_the_merits_of_the_operational_actions)
{
    assert_newcomer_gets("agent_success", 1.0, "learner");
    assert_newcomer_gets("agent_failure", -0.5, "learner");
    assert_newcomer_gets("agent_execution", 0.0, "learner");
    assert_newcomer_gets("learning_success", 2.0, "learner");
    assert_newcomer_gets("learning_adjustment", 0.0, "learner");
    assert_newcomer_gets("workflow_success", 1.2, "learner");
    assert_newcomer_gets("workflow_failure", -0.6, "learner");
    assert_newcomer_gets("workflow_failed", -0.6, "learner");
    assert_newcomer_gets("deep_focus_learning", 1.0, "learner");
    assert_newcomer_gets("active_engagement", 0.5, "learner");
    assert_newcomer_gets("contemplative_learning", 0.5, "learner");
    assert_newcomer_gets("passive_state", 0.0, "learner");
    assert_newcomer_gets("attention_drift", -0.25, "learner");
    assert_newcomer_gets("disengagement", 0.0, "learner");
    assert_newcomer_gets("task_avoidance", -0.5, "learner");
    assert_newcomer_gets("user_activity", 0.0, "learner");
}

Test(ledger, learns_the_q_values_of_the_original)
{
    fixture_t f = newcomer();
    act(&f, "completing_lessons", T0);
    cr_assert(fabs(f.qtable.q[0][0] - 0.75) <= 1e-9);
    act(&f, "completing_lessons", T0);
    cr_assert(fabs(f.qtable.q[0][0] - 1.48875) <= 1e-9);
    act(&f, "helping_peers", T0);
    cr_assert(fabs(f.qtable.q[0][1] - 1.70098125) <= 1e-9);
    cr_assert_eq(f.qtable.steps, 3);

    fixture_t g = newcomer();
    act(&g, "selfless_service", T0);
    cr_assert(fabs(g.qtable.q[0][3] - 3.75) <= 1e-9);
    cr_assert(g.outcome.role_changed);
}

Test(ledger, counts_but_does_not_learn_from_an_action_without_a_column)
{
    fixture_t f = newcomer();
    act(&f, "agent_execution", T0);
    cr_assert_eq(f.ledger.actions, 1);
    cr_assert_not(f.outcome.learned);
    cr_assert_eq(f.qtable.steps, 0);
    act(&f, "learning_adjustment", T0);
    cr_assert_eq(f.ledger.actions, 2);
    cr_assert(f.outcome.learned);
}

Test(ledger, takes_its_q_state_from_merit_whatever_role_is_sent)
{
    fixture_t f = newcomer();
    karma_deed_t deed = {
        .action = karma_rules_action(view_from_text("completing_lessons")),
        .role = view_from_text("guru"),
        .at = T0,
    };
    karma_ledger_apply(&f.ledger, &f.qtable, &deed, &f.outcome);
    cr_assert_eq(f.qtable.q[KARMA_ROLE_GURU][0], 0.0);
    cr_assert_eq(f.qtable.q[KARMA_ROLE_LEARNER][0], 0.75);
    assert_word(&f.ledger.called, "guru");
    assert_word(&f.ledger.role, "learner");
}

Test(ledger, has_its_roles_from_their_thresholds_on)
{
    cr_assert_eq(karma_ledger_role(-1000.0), KARMA_ROLE_LEARNER);
    cr_assert_eq(karma_ledger_role(nextafter(50.0, 0.0)), KARMA_ROLE_LEARNER);
    cr_assert_eq(karma_ledger_role(50.0), KARMA_ROLE_VOLUNTEER);
    cr_assert_eq(karma_ledger_role(nextafter(200.0, 0.0)), KARMA_ROLE_VOLUNTEER);
    cr_assert_eq(karma_ledger_role(200.0), KARMA_ROLE_SEVA);
    cr_assert_eq(karma_ledger_role(nextafter(500.0, 0.0)), KARMA_ROLE_SEVA);
    cr_assert_eq(karma_ledger_role(500.0), KARMA_ROLE_GURU);
    cr_assert_eq(karma_ledger_role(1e300), KARMA_ROLE_GURU);
}

Test(ledger, climbs_the_cheat_ladder_and_stays_on_its_last_rung)
{
    static const double points[] = {-2, -5, -10, -20, -40, -100, -100, -100};
    static const char *const words[] = {"first_offense",
                                        "second_offense",
                                        "third_offense",
                                        "fourth_offense",
                                        "fifth_offense",
                                        "repeat_offender",
                                        "repeat_offender",
                                        "repeat_offender"};
    fixture_t f = newcomer();
    double sum = 0.0;
    for (unsigned i = 0; i < 8; i++) {
        act(&f, "cheat", T0 + i);
        sum += points[i];
        cr_assert_eq(f.outcome.reward, points[i]);
        cr_assert_eq(f.outcome.cheats, i + 1);
        cr_assert_str_eq(f.outcome.cheat->word, words[i]);
        cr_assert_eq(f.ledger.balance[KARMA_BALANCE_DHARMA], sum);
    }
}

Test(ledger, remembers_a_cheat_for_thirty_days_to_the_microsecond)
{
    fixture_t f = newcomer();
    act(&f, "cheat", T0);
    act(&f, "cheat", T0 + WINDOW); // of exactly that age: counts
    cr_assert_eq(f.outcome.cheats, 2);

    fixture_t g = newcomer();
    act(&g, "cheat", T0);
    act(&g, "cheat", T0 + WINDOW + 1); // older: forgotten
    cr_assert_eq(g.outcome.cheats, 1);
    cr_assert_eq(g.outcome.reward, -2.0);
    cr_assert_eq(g.ledger.cheat_count, 1);
}

Test(ledger, slides_the_cheat_window)
{
    fixture_t f = newcomer();
    act(&f, "cheat", T0);
    act(&f, "cheat", T0 + 20 * DAY);
    cr_assert_eq(f.outcome.cheats, 2);
    act(&f, "cheat", T0 + 40 * DAY); // the first is forgotten, the second is not
    cr_assert_eq(f.outcome.cheats, 2);
    cr_assert_eq(f.outcome.reward, -5.0);
}

Test(ledger, keeps_no_more_cheats_than_its_limit)
{
    fixture_t f = newcomer();
    for (unsigned i = 0; i < KARMA_CHEATS_MAX + 20; i++) {
        act(&f, "cheat", T0 + i);
    }
    cr_assert_eq(f.ledger.cheat_count, KARMA_CHEATS_MAX);
    cr_assert_eq(f.outcome.cheats, KARMA_CHEATS_MAX);
    cr_assert_eq(f.ledger.cheat[0], T0 + 20);
    cr_assert_eq(f.ledger.cheat[KARMA_CHEATS_MAX - 1], T0 + KARMA_CHEATS_MAX + 19);
}

static double
decayed(karma_balance_t balance, double value, uint64_t elapsed)
{
    fixture_t f = newcomer();
    f.ledger.balance[balance] = value;
    karma_ledger_decay(&f.ledger, T0 + elapsed);
    return f.ledger.balance[balance];
}

Test(ledger, decays_to_the_last_bit_as_computed_elsewhere)
{
    cr_assert_eq(decayed(KARMA_BALANCE_SEVA, 10.0, 30 * DAY), 0x1.3b3c113ede60cp+3);
    cr_assert_eq(decayed(KARMA_BALANCE_SEVA, 8.0, DAY / 2), 0x1.ffdf3a57d9734p+2);
    cr_assert_eq(decayed(KARMA_BALANCE_SEVA, 1.0, 1), 0x1.fffffffffffccp-1);
    cr_assert_eq(decayed(KARMA_BALANCE_SEVA, 1e-300, 200 * DAY), 0x1.363ed1b341d13p-997);
    cr_assert_eq(decayed(KARMA_BALANCE_PUNYA, 25.0, UINT64_C(31471200000000)),
                 0x1.81b10394d7676p+4);
    cr_assert_eq(decayed(KARMA_BALANCE_PUNYA, 25.0, 100), 0x1.8fffffffffcd1p+4);
    cr_assert_eq(decayed(KARMA_BALANCE_DRIDHA, 123.456, 1094 * DAY), 0x1.d3896405f66bep+6);
    cr_assert_eq(decayed(KARMA_BALANCE_ADRIDHA, 1000.0, 100 * DAY + 1), 0x1.c46565139d7a5p+9);
}

Test(ledger, decays_neither_what_does_not_decay_nor_what_is_negative)
{
    cr_assert_eq(decayed(KARMA_BALANCE_DHARMA, 5.0, 364 * DAY), 5.0);
    cr_assert_eq(decayed(KARMA_BALANCE_SANCHITA, 5.0, 5000 * DAY), 5.0);
    cr_assert_eq(decayed(KARMA_BALANCE_SEVA, -5.0, 364 * DAY), -5.0);
    cr_assert_eq(decayed(KARMA_BALANCE_PAAP_MINOR, 5.0, 179 * DAY), 5.0);
}

Test(ledger, expires_a_token_on_the_day_and_not_before)
{
    static const struct {
        karma_balance_t balance;
        uint64_t days;
    } rows[] = {
        {KARMA_BALANCE_DHARMA, 365},
        {KARMA_BALANCE_SEVA, 365},
        {KARMA_BALANCE_PUNYA, 730},
        {KARMA_BALANCE_PAAP_MINOR, 180},
        {KARMA_BALANCE_PAAP_MEDIUM, 365},
        {KARMA_BALANCE_PAAP_MAHA, 730},
        {KARMA_BALANCE_DRIDHA, 1095},
        {KARMA_BALANCE_ADRIDHA, 365},
        {KARMA_BALANCE_RNANU_MINOR, 365},
        {KARMA_BALANCE_RNANU_MEDIUM, 730},
        {KARMA_BALANCE_RNANU_MAJOR, 1460},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *token = karma_rules.balances[rows[i].balance].token;
        cr_assert_gt(decayed(rows[i].balance, 9.0, rows[i].days * DAY - 1), 0.0, "%s", token);
        cr_assert_eq(decayed(rows[i].balance, 9.0, rows[i].days * DAY), 0.0, "%s", token);
        cr_assert_eq(decayed(rows[i].balance, -9.0, rows[i].days * DAY), 0.0, "%s", token);
    }
}

Test(ledger, expires_by_the_age_of_the_account_not_of_the_earning)
{
    fixture_t f = newcomer();
    act(&f, "completing_lessons", T0 + 364 * DAY);
    cr_assert_eq(f.outcome.merit, 5.0);
    act(&f, "completing_lessons", T0 + 365 * DAY);
    cr_assert_eq(f.outcome.merit, 5.0, "the first five are gone");
    act(&f, "completing_lessons", T0 + 365 * DAY);
    cr_assert_eq(f.outcome.merit, 10.0, "within one moment nothing expires");
}

Test(ledger, never_goes_back_in_time)
{
    fixture_t f = newcomer();
    act(&f, "helping_peers", T0 + 10 * DAY);
    double before = f.ledger.balance[KARMA_BALANCE_SEVA];
    act(&f, "agent_execution", T0 + 5 * DAY);
    cr_assert_eq(f.ledger.balance[KARMA_BALANCE_SEVA], before);
    cr_assert_eq(f.ledger.decayed_at, T0 + 10 * DAY);
    act(&f, "agent_execution", T0 + 10 * DAY);
    cr_assert_eq(f.ledger.balance[KARMA_BALANCE_SEVA], before);
}

Test(ledger, decays_before_it_rewards)
{
    fixture_t f = newcomer();
    act(&f, "helping_peers", T0);
    act(&f, "helping_peers", T0 + 30 * DAY);
    cr_assert_eq(f.ledger.balance[KARMA_BALANCE_SEVA], 0x1.3b3c113ede60cp+3 + 10.0);
}

Test(ledger, falls_back_through_the_roles)
{
    fixture_t f = newcomer();
    act(&f, "selfless_service", T0);
    assert_word(&f.ledger.role, "volunteer");
    for (unsigned i = 0; i < 4; i++) {
        act(&f, "cheat", T0);
    }
    cr_assert_eq(f.outcome.merit, 75.0 - 37.0);
    cr_assert(f.outcome.role_changed);
    assert_word(&f.ledger.role, "learner");
    act(&f, "cheat", T0);
    cr_assert_not(f.outcome.role_changed);
}

Test(ledger, scores_paap_net_and_weighted)
{
    fixture_t f = newcomer();
    f.ledger.balance[KARMA_BALANCE_DHARMA] = 10.0;
    f.ledger.balance[KARMA_BALANCE_PAAP_MINOR] = 1.0;
    f.ledger.balance[KARMA_BALANCE_PAAP_MEDIUM] = 2.0;
    f.ledger.balance[KARMA_BALANCE_PAAP_MAHA] = 3.0;
    f.ledger.balance[KARMA_BALANCE_DRIDHA] = 10.0;
    f.ledger.balance[KARMA_BALANCE_ADRIDHA] = 10.0;
    f.ledger.balance[KARMA_BALANCE_SANCHITA] = 1.0;
    f.ledger.balance[KARMA_BALANCE_PRARABDHA] = 2.0;
    f.ledger.balance[KARMA_BALANCE_RNANU_MINOR] = 1.0;
    f.ledger.balance[KARMA_BALANCE_RNANU_MEDIUM] = 1.0;
    f.ledger.balance[KARMA_BALANCE_RNANU_MAJOR] = 1.0;
    cr_assert_eq(karma_ledger_paap(&f.ledger), 1.0 + 5.0 + 15.0);
    cr_assert_eq(karma_ledger_net(&f.ledger), 10.0 - 21.0);
    cr_assert_eq(karma_ledger_weighted(&f.ledger), 8.0 + 3.0 + 1.0 + 2.0 + 7.0);
}
