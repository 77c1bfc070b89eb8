// rules.c - the tables of rules.def as data, and the check that Karma makes before it serves.
#include "rules.h"
#include <math.h>
#include <string.h>

static const karma_role_row_t roles[] = {
#define ROLE(name, word, merit_from) {word, merit_from},
#include "rules.def"
};

static const karma_balance_row_t balances[] = {
#define BALANCE(name, token, class, expiry_days, daily_decay, merit, paap, weighted, tier)         \
    {token, class, expiry_days, daily_decay, merit, paap, weighted, tier},
#include "rules.def"
};

static const char *const columns[] = {
#define COLUMN(name, action) action,
#include "rules.def"
};

static const karma_action_row_t actions[] = {
#define ACTION(word, alias, intent, balance, reward, column, pay)                                  \
    {word, alias, intent, KARMA_BALANCE_##balance, reward, KARMA_COLUMN_##column, KARMA_PAY_##pay},
#include "rules.def"
};

static const karma_cheat_row_t cheats[] = {
#define CHEAT(count, points, word) {count, points, word},
#include "rules.def"
};

static const karma_module_row_t modules[] = {
#define MODULE(word, dharma, seva, punya) {word, {dharma, seva, punya}},
#include "rules.def"
};

#define COUNT(rows) (sizeof(rows) / sizeof(rows)[0])

const karma_rules_t karma_rules = {
    .numbers =
        {
#define NUMBER(name, value, meaning) .name = (value),
#include "rules.def"
        },
    .roles = roles,
    .role_count = COUNT(roles),
    .balances = balances,
    .balance_count = COUNT(balances),
    .columns = columns,
    .column_count = COUNT(columns),
    .actions = actions,
    .action_count = COUNT(actions),
    .cheats = cheats,
    .cheat_count = COUNT(cheats),
    .modules = modules,
    .module_count = COUNT(modules),
};

static bool
is_word(const char *word)
{
    size_t size = strlen(word);
    return size > 0 && size <= KARMA_WORD_MAX;
}

// Each returns what is wrong with row `i` in the light of those before it, or NULL, and names it.

static const char *
role_problem(const karma_rules_t *rules, size_t i, const char **ret_word)
{
    const karma_role_row_t *row = &rules->roles[i];
    *ret_word = row->word;
    if (!is_word(row->word)) {
        return "its word is empty or too long";
    }
    if (!isfinite(row->merit_from)) {
        return "its threshold is no number";
    }
    if (i > 0 && row->merit_from <= rules->roles[i - 1].merit_from) {
        return "its threshold is not above that of the row before";
    }
    for (size_t j = 0; j < i; j++) {
        if (strcmp(row->word, rules->roles[j].word) == 0) {
            return "its word is taken";
        }
    }
    return NULL;
}

static const char *
balance_place_problem(const karma_rules_t *rules, size_t i)
{
    const karma_balance_row_t *row = &rules->balances[i];
    for (size_t j = 0; j < i; j++) {
        const karma_balance_row_t *other = &rules->balances[j];
        if (strcmp(row->token, other->token) != 0) {
            continue;
        }
        if (row->class_[0] == '\0' || other->class_[0] == '\0') {
            return "its token is taken";
        }
        if (strcmp(row->class_, other->class_) == 0) {
            return "its class is taken";
        }
        if (strcmp(row->token, rules->balances[i - 1].token) != 0) {
            return "the classes of its token do not stand together";
        }
    }
    return NULL;
}

static const char *
balance_problem(const karma_rules_t *rules, size_t i, const char **ret_word)
{
    const karma_balance_row_t *row = &rules->balances[i];
    *ret_word = row->token;
    if (!is_word(row->token)) {
        return "its token is empty or too long";
    }
    if (!(row->daily_decay >= 0.0 && row->daily_decay < 1.0)) {
        return "its daily decay is not within 0 and 1";
    }
    if (!isfinite(row->merit) || !isfinite(row->paap) || !isfinite(row->weighted)) {
        return "a weight is no number";
    }
    if (row->tier[0] == '\0') {
        return "it has no tier";
    }
    return balance_place_problem(rules, i);
}

static const char *
column_problem(const karma_rules_t *rules, size_t i, const char **ret_word)
{
    *ret_word = rules->columns[i];
    if (!is_word(rules->columns[i])) {
        return "its action is empty or too long";
    }
    for (size_t j = 0; j < i; j++) {
        if (strcmp(rules->columns[i], rules->columns[j]) == 0) {
            return "it is there twice";
        }
    }
    for (size_t j = 0; j < rules->action_count; j++) {
        if (strcmp(rules->columns[i], rules->actions[j].word) == 0) {
            return NULL;
        }
    }
    return "no action has this word";
}

static bool
action_has_word(const karma_action_row_t *row, const char *word)
{
    return word[0] != '\0' && (strcmp(row->word, word) == 0 || strcmp(row->alias, word) == 0);
}

static const char *
action_pay_problem(const karma_rules_t *rules, const karma_action_row_t *row)
{
    if (!isfinite(row->reward)) {
        return "its reward is no number";
    }
    if (row->balance > rules->balance_count) {
        return "its balance is none of the table";
    }
    if (row->column > rules->column_count) {
        return "its column is none of the table";
    }
    if (row->balance == rules->balance_count && row->reward != 0.0) {
        return "it has a reward and no balance to pay it into";
    }
    if (row->pay == KARMA_PAY_LADDER && row->reward != 0.0) {
        return "it has a reward beside the ladder's";
    }
    if (row->pay == KARMA_PAY_LADDER && row->balance == rules->balance_count) {
        return "the ladder has no balance to take from";
    }
    return NULL;
}

static const char *
action_problem(const karma_rules_t *rules, size_t i, const char **ret_word)
{
    const karma_action_row_t *row = &rules->actions[i];
    *ret_word = row->word;
    if (!is_word(row->word) || strlen(row->alias) > KARMA_WORD_MAX) {
        return "its word is empty or too long";
    }
    if (row->intent[0] == '\0') {
        return "it has no intent";
    }
    if (strcmp(row->word, row->alias) == 0) {
        return "its alias is its word";
    }
    for (size_t j = 0; j < i; j++) {
        const karma_action_row_t *other = &rules->actions[j];
        if (action_has_word(other, row->word) || action_has_word(other, row->alias)) {
            return "its word or alias is taken";
        }
    }
    return action_pay_problem(rules, row);
}

static const char *
cheat_problem(const karma_rules_t *rules, size_t i, const char **ret_word)
{
    const karma_cheat_row_t *row = &rules->cheats[i];
    *ret_word = row->word;
    if (row->count != i + 1) {
        return "its count does not follow on that of the row before";
    }
    if (!(isfinite(row->points) && row->points < 0.0)) {
        return "its points are no penalty";
    }
    if (!is_word(row->word)) {
        return "its word is empty or too long";
    }
    return NULL;
}

static const char *
module_problem(const karma_rules_t *rules, size_t i, const char **ret_word)
{
    const karma_module_row_t *row = &rules->modules[i];
    *ret_word = row->word;
    if (!is_word(row->word)) {
        return "its word is empty or too long";
    }
    if (!isfinite(row->weight[0]) || !isfinite(row->weight[1]) || !isfinite(row->weight[2])) {
        return "a weight is no number";
    }
    for (size_t j = 0; j < i; j++) {
        if (strcmp(row->word, rules->modules[j].word) == 0) {
            return "its word is taken";
        }
    }
    return NULL;
}

static bus_err_t
check_numbers(const karma_numbers_t *numbers, karma_rules_fault_t *reterr_fault)
{
    if (!(numbers->alpha > 0.0 && numbers->alpha <= 1.0)) {
        *reterr_fault = (karma_rules_fault_t){"NUMBER", "alpha", "it is not above 0 and up to 1"};
        return BUS_VALIDATION_FAILED;
    }
    if (!(numbers->gamma >= 0.0 && numbers->gamma < 1.0)) {
        *reterr_fault = (karma_rules_fault_t){"NUMBER", "gamma", "it is not from 0 to below 1"};
        return BUS_VALIDATION_FAILED;
    }
    // A century: its microseconds are far within an int64.
    if (!(numbers->cheat_window_days > 0.0 && numbers->cheat_window_days <= 36525.0)) {
        *reterr_fault = (karma_rules_fault_t){
            "NUMBER", "cheat_window_days", "it is not above 0 and up to a century"};
        return BUS_VALIDATION_FAILED;
    }
    if (!isfinite(numbers->engagement_low)) {
        *reterr_fault = (karma_rules_fault_t){"NUMBER", "engagement_low", "it is no number"};
        return BUS_VALIDATION_FAILED;
    }
    return BUS_OK;
}

typedef const char *(problem_fn) (const karma_rules_t *rules, size_t i, const char **ret_word);

typedef struct {
    const char *table;
    size_t count;
    problem_fn *problem;
} table_t;

bus_err_t
karma_rules_check(const karma_rules_t *rules, karma_rules_fault_t *reterr_fault)
{
    bus_err_t err = check_numbers(&rules->numbers, reterr_fault);
    if (err != BUS_OK) {
        return err;
    }
    const table_t tables[] = {
        {"ROLE", rules->role_count, role_problem},
        {"BALANCE", rules->balance_count, balance_problem},
        {"COLUMN", rules->column_count, column_problem},
        {"ACTION", rules->action_count, action_problem},
        {"CHEAT", rules->cheat_count, cheat_problem},
        {"MODULE", rules->module_count, module_problem},
    };
    for (size_t t = 0; t < COUNT(tables); t++) {
        if (tables[t].count == 0) {
            *reterr_fault = (karma_rules_fault_t){tables[t].table, "", "it has no rows"};
            return BUS_VALIDATION_FAILED;
        }
        for (size_t i = 0; i < tables[t].count; i++) {
            const char *word = NULL;
            const char *problem = tables[t].problem(rules, i, &word);
            if (problem != NULL) {
                *reterr_fault = (karma_rules_fault_t){tables[t].table, word, problem};
                return BUS_VALIDATION_FAILED;
            }
        }
    }
    return BUS_OK;
}

const karma_action_row_t *
karma_rules_action(bus_view_t word)
{
    for (size_t i = 0; i < COUNT(actions); i++) {
        if (view_is(word, actions[i].word) ||
            (actions[i].alias[0] != '\0' && view_is(word, actions[i].alias))) {
            return &actions[i];
        }
    }
    return NULL;
}
