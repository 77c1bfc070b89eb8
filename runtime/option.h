// option.h - flags and environment from one table: parsing, --help, and the generated page.
//
// Every row is a flag `--name` with a twin BHIV_NAME in the environment (upper case, `-` as `_`);
// the flag wins, and an empty variable counts as unset. Parsing is glibc's argp. Main thread.
#pragma once
#include "proto/auto.h"
#include "proto/error.h"
#include "proto/text.h"
#include "proto/view.h"
#include <stdint.h>

typedef enum {
    OPTION_FLAG,  // bool; in the environment 1, true, yes or on, and 0, false, no or off
    OPTION_TEXT,  // const char *
    OPTION_COUNT, // uint64_t
    OPTION_BYTES, // uint64_t, with k, m, g, t for powers of 1024
    OPTION_MS // uint64_t milliseconds; takes 250ms, 5s, 2m, 1h, 7d; a bare number is milliseconds
} option_type_t;

typedef struct {
    const char *name; // without dashes
    char letter;      // short flag, or 0
    option_type_t type;
    const char *argument; // what --help shows for its value, NULL for a flag
    const char *preset;   // the default as text; NULL: none (NULL, 0 or false)
    size_t offset;        // of the field in the options struct
    uint64_t min, max;    // for numbers; max 0: no bound
    const char *help;     // one line
} option_row_t;

typedef struct {
    const char *program;   // "bhiv broker"
    const char *arguments; // "TOPIC [JSON|-]", or ""
    const char *help;      // what it does, one paragraph; text after a \v stands behind the options
    const option_row_t *rows;
    size_t row_count;
    unsigned arguments_min, arguments_max; // how many words are taken
} option_table_t;

// Fills `ret_options` (a zeroed struct) from presets, environment and argv (argv[0] is the
// command). Words that are no flags go to ret_words (borrowed from argv), at most arguments_max. On
// a bad flag or value it says so on stderr, with a hint at --help, and exits 64 (78 where the
// environment is at fault); on --help it prints and exits 0.
void option_parse(const option_table_t *table,
                  int argc,
                  char **argv,
                  void *ret_options,
                  const char **ret_words,
                  unsigned *ret_word_count);

// The table as a page of Markdown, for docs/.
void option_document(const option_table_t *table, text_t *out);

// Parses one value as `type`; for configuration from elsewhere. BUS_VALIDATION_FAILED.
BUS_CHECK bus_err_t option_value(option_type_t type, const char *text, uint64_t *ret_value);
