// setting.h - what a service is started with: variables of the environment, as rows of a table.
//
// A variable that is not set, or is empty, is its row's preset. What cannot be read, or is out of
// bounds, is named in the log (config_refused variable=… problem=…) without its value, which may be
// a secret; the service does not start then. Main thread, before the loop; nothing blocks.
#pragma once
#include "proto/auto.h"
#include "proto/error.h"
#include <stddef.h>

typedef enum {
    SETTING_REAL,  // double: a decimal number, "0.25"
    SETTING_COUNT, // int64_t: a whole number
    SETTING_FLAG,  // bool: 1, true, yes or on, and 0, false, no or off
} setting_type_t;

typedef struct {
    const char *variable; // "BHIV_…"
    setting_type_t type;
    size_t offset;   // of the field in the struct that is read into
    double preset;   // of a flag 0 or 1
    double min, max; // the least and the most that it may be; not of a flag
} setting_row_t;

// Reads all rows into the fields of *ret_settings. BUS_VALIDATION_FAILED, the first that does not
// fit having been logged; the fields are then of no use.
BUS_CHECK bus_err_t setting_read(const setting_row_t *rows, size_t count, void *ret_settings);
// Fills in the presets, whatever the environment says.
void setting_presets(const setting_row_t *rows, size_t count, void *ret_settings);

// For what is no number: the variable's value, borrowed from the environment; NULL where it is not
// set, or empty.
const char *setting_text(const char *variable);
// Logs that the variable cannot be what it is. `problem`: words_with_underscores, never the value.
// Returns BUS_VALIDATION_FAILED.
bus_err_t setting_refuse(const char *variable, const char *problem);
