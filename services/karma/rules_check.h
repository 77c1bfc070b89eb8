// rules_check.h - whether rules make sense. Karma looks before it serves, and does not start on a
// bad table: it names the row. Pure.
#pragma once
#include "rules.h"

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
