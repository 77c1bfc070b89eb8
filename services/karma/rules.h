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
} karma_rules_t;

extern const karma_rules_t karma_rules;

// What is wrong with a table. All are literals or the table's own texts.
typedef struct {
    const char *table;
    const char *row; // its word; "" where the row has none
    const char *problem;
} karma_rules_fault_t;

// Whether the rules make sense: order, ranges, unique words, references. Gives the first fault in
// *reterr_fault and BUS_VALIDATION_FAILED.
BUS_CHECK bus_err_t karma_rules_check(const karma_rules_t *rules,
                                      karma_rules_fault_t *reterr_fault);

// The row of an action by its word or alias, or NULL.
const karma_action_row_t *karma_rules_action(bus_view_t word);
