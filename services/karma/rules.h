// rules.h - Karma's rules as data: the tables of rules.def, and their check. Read rules.def.
//
// Pure and constant; any thread.
#pragma once
#include "proto/auto.h"
#include "proto/error.h"
#include "proto/view.h"
#include <stddef.h>
#include <stdint.h>

typedef enum {
#define ROLE(name, word, merit_from) KARMA_ROLE_##name,
#include "rules.def"
    KARMA_ROLE_COUNT
} karma_role_t;

typedef enum {
#define BALANCE(name, token, class, expiry_days, daily_decay, merit, paap, weighted, tier)         \
    KARMA_BALANCE_##name,
#include "rules.def"
    KARMA_BALANCE_COUNT,
    KARMA_BALANCE_NONE = KARMA_BALANCE_COUNT
} karma_balance_t;

typedef enum {
#define COLUMN(name, action) KARMA_COLUMN_##name,
#include "rules.def"
    KARMA_COLUMN_COUNT,
    KARMA_COLUMN_NONE = KARMA_COLUMN_COUNT
} karma_column_t;

typedef enum {
#define PRACTICE(name, word, needs_tx_hash) KARMA_PRACTICE_##name,
#include "rules.def"
    KARMA_PRACTICE_COUNT
} karma_practice_t;

typedef enum {
    KARMA_AGENT_SUCCESS,
    KARMA_AGENT_FAILURE,
    KARMA_AGENT_OTHER,
    KARMA_AGENT_NONE
} karma_agent_t;

typedef enum {
    KARMA_PAY_FIXED, // the row's reward
    KARMA_PAY_LADDER // the cheat ladder's points
} karma_pay_t;

enum { KARMA_WORD_MAX = 64 }; // bytes of an action or a role, as in the schema of life_event

typedef struct {
#define NUMBER(name, value, meaning) double name;
#include "rules.def"
} karma_numbers_t;

typedef struct {
    const char *word;
    double merit_from; // the role of every merit at or above, up to the next row
} karma_role_row_t;

typedef struct {
    const char *token;
    const char *class_;   // "" where the token is one balance
    unsigned expiry_days; // whole days after the account's creation; 0: never
    double daily_decay;   // share that is lost in a day, of a balance above 0
    double merit;         // weights, see rules.def
    double paap;
    double weighted;
    const char *tier; // what a reward in it is called
} karma_balance_row_t;

typedef struct {
    const char *word;
    const char *alias; // another spelling, or ""
    const char *intent;
    unsigned balance; // karma_balance_t
    double reward;
    unsigned column; // karma_column_t
    karma_pay_t pay;
    karma_agent_t agent; // what it counts as for its agent
} karma_action_row_t;

typedef struct {
    unsigned count; // cheats within the window, this one too
    double points;
    const char *word;
} karma_cheat_row_t;

typedef struct {
    const char *word;
    double weight[3]; // of Dharma, Seva and Punya
} karma_module_row_t;

typedef struct {
    const char *action;
    unsigned balance; // karma_balance_t
    double share;     // of the penalty
} karma_debt_row_t;

typedef struct {
    const char *word;
    unsigned balance; // karma_balance_t: its class
} karma_wrong_row_t;

typedef struct {
    const char *word;
    bool needs_tx_hash;
} karma_practice_row_t;

typedef struct {
    unsigned balance; // karma_balance_t: the class
    double reward;    // of completion, paid into it
    unsigned column;  // karma_column_t
    double required[KARMA_PRACTICE_COUNT];
} karma_atonement_row_t;

typedef struct {
    const char *word;
    double from; // of the net karma, inclusive
    double to;
    bool otherwise; // where no row's bounds hold
    const char *description;
} karma_loka_row_t;

typedef struct {
    unsigned balance; // karma_balance_t
    double keep;      // share of the balance
    double positive;  // share of a positive net karma
    double negative;  // share of a negative one
    double parts;     // in how many these go
} karma_carry_row_t;

typedef struct {
    double above;  // net karma
    unsigned role; // karma_role_t
} karma_level_row_t;

typedef struct {
    karma_numbers_t numbers;
    const karma_role_row_t *roles;
    size_t role_count;
    const karma_balance_row_t *balances;
    size_t balance_count;
    const char *const *columns;
    size_t column_count;
    const karma_action_row_t *actions;
    size_t action_count;
    const karma_cheat_row_t *cheats;
    size_t cheat_count;
    const karma_module_row_t *modules;
    size_t module_count;
    const karma_debt_row_t *debts;
    size_t debt_count;
    const karma_wrong_row_t *wrongs;
    size_t wrong_count;
    const karma_practice_row_t *practices;
    size_t practice_count;
    const karma_atonement_row_t *atonements;
    size_t atonement_count;
    const karma_loka_row_t *lokas;
    size_t loka_count;
    const karma_carry_row_t *carries;
    size_t carry_count;
    const karma_level_row_t *levels;
    size_t level_count;
} karma_rules_t;

extern const karma_rules_t karma_rules;

// The row of an action by its word or alias, or NULL.
const karma_action_row_t *karma_rules_action(bus_view_t word);
// What an action owes to whom it harmed, or NULL.
const karma_debt_row_t *karma_rules_debt(const karma_action_row_t *action);
// The class of a wrong: the position of its row in `atonements`, or atonement_count.
size_t karma_rules_wrong(bus_view_t word);
// The position of a practice, or KARMA_PRACTICE_COUNT.
karma_practice_t karma_rules_practice(bus_view_t word);
// The balance of a token without classes, or KARMA_BALANCE_NONE.
karma_balance_t karma_rules_token(bus_view_t word);
// The loka of a life by its net karma.
const karma_loka_row_t *karma_rules_loka(double net);
// The role that the life after one of this net karma begins with.
karma_role_t karma_rules_level(double net);
// The rows of one token stand together: how many from row `i` on.
size_t karma_rules_class_count(size_t i);
