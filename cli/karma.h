// karma.h - what the verbs of `bhiv karma` share: one question to Karma, and a sheet of an answer.
#pragma once
#include "connect.h"
#include "output.h"

extern const cli_command_t cli_karma_show;
extern const cli_command_t cli_karma_top;
extern const cli_command_t cli_karma_replay;
extern const cli_command_t cli_karma_policy;

// Flags that each of them has; first in a verb's own.
typedef struct {
    cli_place_t place;
    uint64_t timeout_ms;
    const char *format;
} cli_karma_flags_t;

// clang-format off
#define CLI_KARMA_ROWS \
    CLI_PLACE_ROWS(cli_karma_flags_t, place), \
    CLI_TIMEOUT_ROW(cli_karma_flags_t, timeout_ms, "2s"), \
    CLI_FORMAT_ROW(cli_karma_flags_t, format)
// clang-format on

typedef struct {
    const cli_karma_flags_t *flags;
    const char *topic; // req.karma.<operation>
    bus_view_t body;   // whole msgpack
    // Prints what was answered in the format of `out`, and returns the exit status.
    int (*print)(cli_output_t *out, bus_view_t answer);
} cli_karma_ask_t;

// Asks, has the answer printed, and returns the exit status; an error is said on stderr.
BUS_CHECK int cli_karma_ask(const cli_karma_ask_t *ask);

// Whether `word` can be a user's id. Returns 0, or says what is wrong and returns CLI_BAD_DATA.
BUS_CHECK int cli_karma_user(const char *word);

// One map: its fields as lines of a table, those of maps within it too; or as a JSON value.
void cli_karma_sheet(cli_output_t *out, bus_view_t map);

// A number for a table: as short as it can be said to ten digits.
enum { CLI_KARMA_NUMBER_SIZE = 32 };
void cli_karma_number(double number, char ret_text[CLI_KARMA_NUMBER_SIZE]);
