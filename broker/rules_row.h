// rules_row.h - the rows of an access file. Inside of rules.h.
#pragma once
#include "rules.h"

#define RULES_ROW_OWN_NAME "{name}" // in a pattern: the peer's own name

typedef struct {
    char *name;                 // exact, or ends in `*`
    char *rights[RULES_RIGHTS]; // patterns with spaces between
} rules_row_t;

// Called for each row of the file, in its order. False: there is no more room.
typedef bool(rules_row_fn)(void *arg, const char *name, const char *const rights[RULES_RIGHTS]);

// Reads and checks a whole file, and calls `fn` once it is known to be good; `ret_hash`: SHA-256 of
// it. Nothing at `path` is no row, and "". BUS_INVALID_REQUEST, BUS_IO: *reterr_problem says what
// is wrong where.
BUS_CHECK bus_err_t rules_row_read(const char *path,
                                   rules_row_fn *fn,
                                   void *arg,
                                   char ret_hash[SHA256_HEX_SIZE],
                                   char reterr_problem[RULES_PROBLEM_SIZE]);
// The same from memory.
BUS_CHECK bus_err_t rules_row_parse(bus_view_t text,
                                    rules_row_fn *fn,
                                    void *arg,
                                    char reterr_problem[RULES_PROBLEM_SIZE]);

// Whether it is a row: a name, and legal patterns (a right may be NULL). BUS_INVALID_REQUEST.
BUS_CHECK bus_err_t rules_row_check(const char *name,
                                    const char *const rights[RULES_RIGHTS],
                                    char reterr_problem[RULES_PROBLEM_SIZE]);

// Takes the next word of a list: between spaces, tabs and commas. False at its end.
bool rules_row_word(bus_view_t *rest, bus_view_t *ret_word);
