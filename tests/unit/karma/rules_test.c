// rules_test.c - the tables of rules.def hold together, and a bad row is named.
#include "karma/rules.h"
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
