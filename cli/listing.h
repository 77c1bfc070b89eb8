// listing.h - a list in an answer: a table for a terminal, a JSON value each for a script.
#pragma once
#include "output.h"

typedef struct {
    const char *list; // the answer's key of the array
    size_t column_count;
    const char *titles[CLI_TABLE_COLUMNS_MAX];
    const char *keys[CLI_TABLE_COLUMNS_MAX]; // paths into an item: "result.status"
} cli_listing_t;

// Prints the maps of the list. Returns the exit status.
BUS_CHECK int cli_listing_print(const cli_listing_t *self, cli_output_t *out, bus_view_t answer);
