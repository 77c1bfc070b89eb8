// rules.c - the tables of rules.def as data, and looking things up in them.
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
#define ACTION(word, alias, intent, balance, reward, column, pay, agent)                           \
    {word,                                                                                         \
     alias,                                                                                        \
     intent,                                                                                       \
     KARMA_BALANCE_##balance,                                                                      \
     reward,                                                                                       \
     KARMA_COLUMN_##column,                                                                        \
     KARMA_PAY_##pay,                                                                              \
     KARMA_AGENT_##agent},
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

static const karma_debt_row_t debts[] = {
#define DEBT(action, balance, share) {action, KARMA_BALANCE_##balance, share},
#include "rules.def"
};

static const karma_wrong_row_t wrongs[] = {
#define WRONG(word, balance) {word, KARMA_BALANCE_##balance},
#include "rules.def"
};

static const karma_practice_row_t practices[] = {
#define PRACTICE(name, word, needs_tx_hash) {word, needs_tx_hash},
#include "rules.def"
};

static const karma_atonement_row_t atonements[] = {
#define ATONEMENT(balance, reward, column, jap, tap, bhakti, daan)                                 \
    {KARMA_BALANCE_##balance, reward, KARMA_COLUMN_##column, {jap, tap, bhakti, daan}},
#include "rules.def"
};

static const karma_loka_row_t lokas[] = {
#define LOKA(word, from, to, otherwise, description) {word, from, to, otherwise, description},
#include "rules.def"
};

static const karma_carry_row_t carries[] = {
#define CARRY(balance, keep, positive, negative, parts)                                            \
    {KARMA_BALANCE_##balance, keep, positive, negative, parts},
#include "rules.def"
};

static const karma_level_row_t levels[] = {
#define LEVEL(above, role) {above, KARMA_ROLE_##role},
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
    .debts = debts,
    .debt_count = COUNT(debts),
    .wrongs = wrongs,
    .wrong_count = COUNT(wrongs),
    .practices = practices,
    .practice_count = COUNT(practices),
    .atonements = atonements,
    .atonement_count = COUNT(atonements),
    .lokas = lokas,
    .loka_count = COUNT(lokas),
    .carries = carries,
    .carry_count = COUNT(carries),
    .levels = levels,
    .level_count = COUNT(levels),
};

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

const karma_debt_row_t *
karma_rules_debt(const karma_action_row_t *action)
{
    for (size_t i = 0; i < COUNT(debts); i++) {
        if (strcmp(debts[i].action, action->word) == 0) {
            return &debts[i];
        }
    }
    return NULL;
}

size_t
karma_rules_wrong(bus_view_t word)
{
    for (size_t i = 0; i < COUNT(wrongs); i++) {
        if (!view_is(word, wrongs[i].word)) {
            continue;
        }
        size_t row = 0;
        while (row < COUNT(atonements) && atonements[row].balance != wrongs[i].balance) {
            row++;
        }
        return row;
    }
    return COUNT(atonements);
}

karma_practice_t
karma_rules_practice(bus_view_t word)
{
    unsigned i = 0;
    while (i < KARMA_PRACTICE_COUNT && !view_is(word, practices[i].word)) {
        i++;
    }
    return (karma_practice_t) i;
}

karma_balance_t
karma_rules_token(bus_view_t word)
{
    unsigned i = 0;
    while (i < KARMA_BALANCE_COUNT &&
           (balances[i].class_[0] != '\0' || !view_is(word, balances[i].token))) {
        i++;
    }
    return (karma_balance_t) i;
}

const karma_loka_row_t *
karma_rules_loka(double net)
{
    const karma_loka_row_t *otherwise = &lokas[0];
    for (size_t i = 0; i < COUNT(lokas); i++) {
        if (net >= lokas[i].from && net <= lokas[i].to) {
            return &lokas[i];
        }
        if (lokas[i].otherwise) {
            otherwise = &lokas[i];
        }
    }
    return otherwise;
}

karma_role_t
karma_rules_level(double net)
{
    karma_role_t role = (karma_role_t) 0;
    for (size_t i = 0; i < COUNT(levels); i++) {
        if (net > levels[i].above) {
            role = (karma_role_t) levels[i].role;
        }
    }
    return role;
}

size_t
karma_rules_class_count(size_t i)
{
    size_t count = 1;
    while (i + count < COUNT(balances) &&
           strcmp(balances[i + count].token, balances[i].token) == 0) {
        count++;
    }
    return count;
}
