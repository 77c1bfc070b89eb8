// rules_check.c - what may be wrong with the tables of rules.def.
#include "rules_check.h"
#include <math.h>
#include <string.h>

#define COUNT(rows) (sizeof(rows) / sizeof(rows)[0])

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

static const char *
debt_problem(const karma_rules_t *rules, size_t i, const char **ret_word)
{
    const karma_debt_row_t *row = &rules->debts[i];
    *ret_word = row->action;
    size_t action = 0;
    while (action < rules->action_count && strcmp(rules->actions[action].word, row->action) != 0) {
        action++;
    }
    if (action == rules->action_count || rules->actions[action].pay != KARMA_PAY_LADDER) {
        return "no action of this word has a penalty";
    }
    if (row->balance >= rules->balance_count) {
        return "its balance is none of the table";
    }
    if (!(isfinite(row->share) && row->share >= 0.0)) {
        return "its share is below 0";
    }
    return NULL;
}

static const char *
wrong_problem(const karma_rules_t *rules, size_t i, const char **ret_word)
{
    const karma_wrong_row_t *row = &rules->wrongs[i];
    *ret_word = row->word;
    if (!is_word(row->word)) {
        return "its word is empty or too long";
    }
    for (size_t j = 0; j < i; j++) {
        if (strcmp(row->word, rules->wrongs[j].word) == 0) {
            return "its word is taken";
        }
    }
    for (size_t j = 0; j < rules->atonement_count; j++) {
        if (rules->atonements[j].balance == row->balance) {
            return NULL;
        }
    }
    return "no atonement is for its class";
}

static const char *
practice_problem(const karma_rules_t *rules, size_t i, const char **ret_word)
{
    const karma_practice_row_t *row = &rules->practices[i];
    *ret_word = row->word;
    if (!is_word(row->word)) {
        return "its word is empty or too long";
    }
    for (size_t j = 0; j < i; j++) {
        if (strcmp(row->word, rules->practices[j].word) == 0) {
            return "its word is taken";
        }
    }
    return NULL;
}

static const char *
atonement_problem(const karma_rules_t *rules, size_t i, const char **ret_word)
{
    const karma_atonement_row_t *row = &rules->atonements[i];
    if (row->balance >= rules->balance_count) {
        return "its balance is none of the table";
    }
    *ret_word = rules->balances[row->balance].class_;
    if (rules->balances[row->balance].class_[0] == '\0') {
        return "its balance is no class";
    }
    if (!isfinite(row->reward)) {
        return "its reward is no number";
    }
    if (row->column > rules->column_count) {
        return "its column is none of the table";
    }
    for (size_t p = 0; p < KARMA_PRACTICE_COUNT; p++) {
        if (!(isfinite(row->required[p]) && row->required[p] >= 0.0)) {
            return "it demands less than 0";
        }
    }
    for (size_t j = 0; j < i; j++) {
        if (row->balance == rules->atonements[j].balance) {
            return "its class is taken";
        }
    }
    return NULL;
}

static const char *
loka_problem(const karma_rules_t *rules, size_t i, const char **ret_word)
{
    const karma_loka_row_t *row = &rules->lokas[i];
    *ret_word = row->word;
    if (!is_word(row->word) || row->description[0] == '\0') {
        return "its word or description is empty, or its word too long";
    }
    if (!(row->from <= row->to)) {
        return "its bounds hold nothing";
    }
    for (size_t j = 0; j < i; j++) {
        const karma_loka_row_t *other = &rules->lokas[j];
        if (strcmp(row->word, other->word) == 0) {
            return "its word is taken";
        }
        if (row->from <= other->to && other->from <= row->to) {
            return "its bounds hold what a row above holds";
        }
    }
    size_t otherwise = 0;
    for (size_t j = 0; j < rules->loka_count; j++) {
        otherwise += rules->lokas[j].otherwise ? 1 : 0;
    }
    return otherwise == 1 ? NULL : "one row, and only one, is for what lies between the others";
}

static const char *
carry_problem(const karma_rules_t *rules, size_t i, const char **ret_word)
{
    const karma_carry_row_t *row = &rules->carries[i];
    if (row->balance >= rules->balance_count) {
        return "its balance is none of the table";
    }
    *ret_word = rules->balances[row->balance].token;
    double sum = row->keep + row->positive + row->negative;
    if (!(row->keep >= 0.0 && row->positive >= 0.0 && row->negative >= 0.0 && isfinite(sum))) {
        return "a share is below 0";
    }
    if (!(isfinite(row->parts) && row->parts >= 1.0)) {
        return "it goes in less than one part";
    }
    for (size_t j = 0; j < i; j++) {
        if (row->balance == rules->carries[j].balance) {
            return "its balance is taken";
        }
    }
    return NULL;
}

static const char *
level_problem(const karma_rules_t *rules, size_t i, const char **ret_word)
{
    const karma_level_row_t *row = &rules->levels[i];
    if (row->role >= rules->role_count) {
        return "its role is none of the table";
    }
    *ret_word = rules->roles[row->role].word;
    if (!isfinite(row->above)) {
        return "its threshold is no number";
    }
    if (i > 0 && row->above <= rules->levels[i - 1].above) {
        return "its threshold is not above that of the row before";
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
    if (!isfinite(numbers->death_threshold)) {
        *reterr_fault = (karma_rules_fault_t){"NUMBER", "death_threshold", "it is no number"};
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
        {"DEBT", rules->debt_count, debt_problem},
        {"ATONEMENT", rules->atonement_count, atonement_problem},
        {"WRONG", rules->wrong_count, wrong_problem},
        {"PRACTICE", rules->practice_count, practice_problem},
        {"LOKA", rules->loka_count, loka_problem},
        {"CARRY", rules->carry_count, carry_problem},
        {"LEVEL", rules->level_count, level_problem},
    };
    for (size_t t = 0; t < COUNT(tables); t++) {
        if (tables[t].count == 0) {
            *reterr_fault = (karma_rules_fault_t){tables[t].table, "", "it has no rows"};
            return BUS_VALIDATION_FAILED;
        }
        for (size_t i = 0; i < tables[t].count; i++) {
            const char *word = "";
            const char *problem = tables[t].problem(rules, i, &word);
            if (problem != NULL) {
                *reterr_fault = (karma_rules_fault_t){tables[t].table, word, problem};
                return BUS_VALIDATION_FAILED;
            }
        }
    }
    return BUS_OK;
}
