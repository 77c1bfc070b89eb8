// rules_test.c - the tables of rules.def hold together, and a bad row is named.
#include "karma/rules_check.h"
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

Test(rules, as_they_stand_pass_their_check)
{
    karma_rules_fault_t fault;
    cr_assert_eq(karma_rules_check(&karma_rules, &fault), BUS_OK);
    cr_assert_eq(karma_rules.role_count, 4);
    cr_assert_eq(karma_rules.column_count, 5);
    cr_assert_eq(karma_rules.action_count, 20);
}

Test(rules, find_an_action_by_word_and_by_alias_alone)
{
    cr_assert_str_eq(karma_rules_action(view_from_text("cheat"))->word, "cheat");
    cr_assert_str_eq(karma_rules_action(view_from_text("workflow_failed"))->word,
                     "workflow_failure");
    cr_assert_null(karma_rules_action(view_from_text("")));
    cr_assert_null(karma_rules_action(view_from_text("chea")));
    cr_assert_null(karma_rules_action(view_from_text("cheats")));
    cr_assert_null(karma_rules_action(view_from_text("Cheat")));
}

static void
assert_fault(const karma_rules_t *rules, const char *table, const char *row)
{
    karma_rules_fault_t fault = {"", "", ""};
    cr_assert_eq(karma_rules_check(rules, &fault), BUS_VALIDATION_FAILED, "%s %s", table, row);
    cr_assert_str_eq(fault.table, table);
    cr_assert_str_eq(fault.row, row);
    cr_assert_gt(strlen(fault.problem), 0);
}

Test(rules, refuse_bad_numbers)
{
    karma_rules_t rules = karma_rules;
    rules.numbers.alpha = 0.0;
    assert_fault(&rules, "NUMBER", "alpha");
    rules = karma_rules;
    rules.numbers.gamma = 1.0;
    assert_fault(&rules, "NUMBER", "gamma");
    rules = karma_rules;
    rules.numbers.cheat_window_days = -1.0;
    assert_fault(&rules, "NUMBER", "cheat_window_days");
    rules = karma_rules;
    rules.numbers.engagement_low = NAN;
    assert_fault(&rules, "NUMBER", "engagement_low");
}

Test(rules, refuse_bad_roles)
{
    karma_role_row_t rows[KARMA_ROLE_COUNT];
    karma_rules_t rules = karma_rules;
    rules.roles = rows;
    memcpy(rows, karma_rules.roles, sizeof rows);
    rows[2].merit_from = rows[1].merit_from;
    assert_fault(&rules, "ROLE", "seva");
    memcpy(rows, karma_rules.roles, sizeof rows);
    rows[3].word = "learner";
    assert_fault(&rules, "ROLE", "learner");
    memcpy(rows, karma_rules.roles, sizeof rows);
    rows[1].word = "";
    assert_fault(&rules, "ROLE", "");
    rules.role_count = 0;
    assert_fault(&rules, "ROLE", "");
}

Test(rules, refuse_bad_balances)
{
    karma_balance_row_t rows[KARMA_BALANCE_COUNT];
    karma_rules_t rules = karma_rules;
    rules.balances = rows;
    memcpy(rows, karma_rules.balances, sizeof rows);
    rows[KARMA_BALANCE_SEVA].daily_decay = 1.0;
    assert_fault(&rules, "BALANCE", "SevaPoints");
    memcpy(rows, karma_rules.balances, sizeof rows);
    rows[KARMA_BALANCE_SEVA].token = "DharmaPoints";
    assert_fault(&rules, "BALANCE", "DharmaPoints");
    memcpy(rows, karma_rules.balances, sizeof rows);
    rows[KARMA_BALANCE_PAAP_MAHA].class_ = "minor";
    assert_fault(&rules, "BALANCE", "PaapTokens");
    memcpy(rows, karma_rules.balances, sizeof rows);
    rows[KARMA_BALANCE_RNANU_MAJOR].token = "PaapTokens";
    assert_fault(&rules, "BALANCE", "PaapTokens");
    memcpy(rows, karma_rules.balances, sizeof rows);
    rows[KARMA_BALANCE_PUNYA].merit = INFINITY;
    assert_fault(&rules, "BALANCE", "PunyaTokens");
    memcpy(rows, karma_rules.balances, sizeof rows);
    rows[KARMA_BALANCE_PUNYA].tier = "";
    assert_fault(&rules, "BALANCE", "PunyaTokens");
}

Test(rules, refuse_bad_columns)
{
    const char *rows[KARMA_COLUMN_COUNT];
    karma_rules_t rules = karma_rules;
    rules.columns = rows;
    memcpy(rows, karma_rules.columns, sizeof rows);
    rows[1] = rows[0];
    assert_fault(&rules, "COLUMN", "completing_lessons");
    memcpy(rows, karma_rules.columns, sizeof rows);
    rows[1] = "idling";
    assert_fault(&rules, "COLUMN", "idling");
}

Test(rules, refuse_bad_actions)
{
    karma_action_row_t rows[64];
    size_t count = karma_rules.action_count;
    cr_assert_leq(count, 64);
    karma_rules_t rules = karma_rules;
    rules.actions = rows;

    memcpy(rows, karma_rules.actions, count * sizeof rows[0]);
    rows[6].word = "cheat";
    assert_fault(&rules, "ACTION", "cheat");
    memcpy(rows, karma_rules.actions, count * sizeof rows[0]);
    rows[12].alias = "workflow_failed";
    assert_fault(&rules, "ACTION", rows[12].word);
    memcpy(rows, karma_rules.actions, count * sizeof rows[0]);
    rows[6].reward = NAN;
    assert_fault(&rules, "ACTION", rows[6].word);
    memcpy(rows, karma_rules.actions, count * sizeof rows[0]);
    rows[6].column = KARMA_COLUMN_NONE + 1;
    assert_fault(&rules, "ACTION", rows[6].word);
    memcpy(rows, karma_rules.actions, count * sizeof rows[0]);
    rows[6].balance = KARMA_BALANCE_NONE;
    assert_fault(&rules, "ACTION", rows[6].word);
    memcpy(rows, karma_rules.actions, count * sizeof rows[0]);
    rows[4].reward = -1.0;
    assert_fault(&rules, "ACTION", "cheat");
    memcpy(rows, karma_rules.actions, count * sizeof rows[0]);
    rows[4].balance = KARMA_BALANCE_NONE;
    assert_fault(&rules, "ACTION", "cheat");
    memcpy(rows, karma_rules.actions, count * sizeof rows[0]);
    rows[0].intent = "";
    assert_fault(&rules, "ACTION", "completing_lessons");
}

Test(rules, refuse_bad_cheats_and_modules)
{
    karma_cheat_row_t rows[6];
    karma_rules_t rules = karma_rules;
    rules.cheats = rows;
    memcpy(rows, karma_rules.cheats, sizeof rows);
    rows[3].count = 3;
    assert_fault(&rules, "CHEAT", "fourth_offense");
    memcpy(rows, karma_rules.cheats, sizeof rows);
    rows[5].points = 0.0;
    assert_fault(&rules, "CHEAT", "repeat_offender");

    karma_module_row_t modules[4];
    rules = karma_rules;
    rules.modules = modules;
    memcpy(modules, karma_rules.modules, sizeof modules);
    modules[1].word = "finance";
    assert_fault(&rules, "MODULE", "finance");
    memcpy(modules, karma_rules.modules, sizeof modules);
    modules[3].weight[2] = -INFINITY;
    assert_fault(&rules, "MODULE", "game");
}

Test(rules, find_a_wrong_a_practice_a_debt)
{
    size_t class = karma_rules_wrong(view_from_text("theft"));
    cr_assert_eq(karma_rules.atonements[class].balance, KARMA_BALANCE_PAAP_MEDIUM);
    cr_assert_eq(karma_rules_wrong(view_from_text("thef")), karma_rules.atonement_count);
    cr_assert_eq(karma_rules_practice(view_from_text("Daan")), KARMA_PRACTICE_DAAN);
    cr_assert_eq(karma_rules_practice(view_from_text("daan")), KARMA_PRACTICE_COUNT);
    const karma_debt_row_t *debt = karma_rules_debt(karma_rules_action(view_from_text("cheat")));
    cr_assert_eq(debt->balance, KARMA_BALANCE_RNANU_MEDIUM);
    cr_assert_null(karma_rules_debt(karma_rules_action(view_from_text("agent_failure"))));
}

// docs/originals.md 1.2: both bounds are inclusive, and there are gaps between the rows.
Test(rules, assign_lokas_by_inclusive_bounds_with_gaps)
{
    static const struct {
        double net;
        const char *loka;
    } cases[] = {
        {1e300, "Swarga"},
        {500.0, "Swarga"},
        {499.999, "Mrityuloka"},
        {499.5, "Mrityuloka"},
        {499.0, "Mrityuloka"},
        {0.0, "Mrityuloka"},
        {-0.5, "Mrityuloka"},
        {-0.999, "Mrityuloka"},
        {-1.0, "Antarloka"},
        {-200.0, "Antarloka"},
        {-200.5, "Mrityuloka"},
        {-201.0, "Naraka"},
        {-1e300, "Naraka"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_assert_str_eq(karma_rules_loka(cases[i].net)->word, cases[i].loka, "%g", cases[i].net);
    }
}

Test(rules, give_the_next_life_its_role)
{
    cr_assert_eq(karma_rules_level(-5.0), KARMA_ROLE_LEARNER);
    cr_assert_eq(karma_rules_level(100.0), KARMA_ROLE_LEARNER);
    cr_assert_eq(karma_rules_level(nextafter(100.0, 200.0)), KARMA_ROLE_VOLUNTEER);
}

Test(rules, refuse_bad_debts_wrongs_and_practices)
{
    karma_rules_t rules = karma_rules;
    karma_debt_row_t debt = karma_rules.debts[0];
    rules.debts = &debt;
    debt.action = "helping_peers"; // has no penalty
    assert_fault(&rules, "DEBT", "helping_peers");
    debt = karma_rules.debts[0];
    debt.share = -0.5;
    assert_fault(&rules, "DEBT", "cheat");
    debt = karma_rules.debts[0];
    debt.balance = KARMA_BALANCE_COUNT;
    assert_fault(&rules, "DEBT", "cheat");

    karma_wrong_row_t wrongs[7];
    rules = karma_rules;
    rules.wrongs = wrongs;
    memcpy(wrongs, karma_rules.wrongs, sizeof wrongs);
    wrongs[3].word = "cheat";
    assert_fault(&rules, "WRONG", "cheat");
    memcpy(wrongs, karma_rules.wrongs, sizeof wrongs);
    wrongs[3].balance = KARMA_BALANCE_DHARMA; // nothing atones for it
    assert_fault(&rules, "WRONG", "harm_others");

    karma_practice_row_t practices[KARMA_PRACTICE_COUNT];
    rules = karma_rules;
    rules.practices = practices;
    memcpy(practices, karma_rules.practices, sizeof practices);
    practices[1].word = "";
    assert_fault(&rules, "PRACTICE", "");
    practices[1].word = "Jap";
    assert_fault(&rules, "PRACTICE", "Jap");
}

Test(rules, refuse_bad_atonements)
{
    karma_atonement_row_t rows[3];
    karma_rules_t rules = karma_rules;
    rules.atonements = rows;
    memcpy(rows, karma_rules.atonements, sizeof rows);
    rows[1].required[KARMA_PRACTICE_TAP] = -1.0;
    assert_fault(&rules, "ATONEMENT", "medium");
    memcpy(rows, karma_rules.atonements, sizeof rows);
    rows[1].balance = KARMA_BALANCE_PAAP_MINOR;
    assert_fault(&rules, "ATONEMENT", "minor");
    memcpy(rows, karma_rules.atonements, sizeof rows);
    rows[2].reward = INFINITY;
    assert_fault(&rules, "ATONEMENT", "maha");
    memcpy(rows, karma_rules.atonements, sizeof rows);
    rows[2].balance = KARMA_BALANCE_DHARMA; // is no class
    assert_fault(&rules, "ATONEMENT", "");
}

Test(rules, refuse_bad_lokas)
{
    karma_loka_row_t rows[4];
    karma_rules_t rules = karma_rules;
    rules.lokas = rows;
    memcpy(rows, karma_rules.lokas, sizeof rows);
    rows[2].to = 0.0; // is Mrityuloka's too
    assert_fault(&rules, "LOKA", "Antarloka");
    memcpy(rows, karma_rules.lokas, sizeof rows);
    rows[0].from = NAN;
    assert_fault(&rules, "LOKA", "Swarga");
    memcpy(rows, karma_rules.lokas, sizeof rows);
    rows[0].otherwise = true; // so are two
    assert_fault(&rules, "LOKA", "Swarga");
    memcpy(rows, karma_rules.lokas, sizeof rows);
    rows[1].otherwise = false; // and so is none
    assert_fault(&rules, "LOKA", "Swarga");
    memcpy(rows, karma_rules.lokas, sizeof rows);
    rows[3].description = "";
    assert_fault(&rules, "LOKA", "Naraka");
}

Test(rules, refuse_bad_carries_and_levels)
{
    karma_rules_t rules = karma_rules;
    karma_carry_row_t carries[9];
    rules.carries = carries;
    cr_assert_eq(karma_rules.carry_count, 9);
    memcpy(carries, karma_rules.carries, sizeof carries);
    carries[1].negative = -0.3;
    assert_fault(&rules, "CARRY", "PaapTokens");
    memcpy(carries, karma_rules.carries, sizeof carries);
    carries[1].parts = 0.0;
    assert_fault(&rules, "CARRY", "PaapTokens");
    memcpy(carries, karma_rules.carries, sizeof carries);
    carries[4].balance = KARMA_BALANCE_PUNYA;
    assert_fault(&rules, "CARRY", "PunyaTokens");

    rules = karma_rules;
    karma_level_row_t levels[2] = {{100.0, KARMA_ROLE_VOLUNTEER}, {100.0, KARMA_ROLE_SEVA}};
    rules.levels = levels;
    rules.level_count = 2;
    assert_fault(&rules, "LEVEL", "seva");
    levels[1] = (karma_level_row_t){200.0, KARMA_ROLE_COUNT};
    assert_fault(&rules, "LEVEL", "");
    rules = karma_rules;
    rules.numbers.death_threshold = NAN;
    assert_fault(&rules, "NUMBER", "death_threshold");
}
