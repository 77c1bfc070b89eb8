// keys.h - what the verbs of `bhiv keys` share: one question to Bucket's keys, a sheet of an
// answer, the hash of a file.
#pragma once
#include "connect.h"
#include "output.h"

extern const cli_command_t cli_keys_list;
extern const cli_command_t cli_keys_show;
extern const cli_command_t cli_keys_rotate;
extern const cli_command_t cli_keys_export_public;
extern const cli_command_t cli_keys_sign;
extern const cli_command_t cli_keys_verify;

// Flags that each of them has; first in a verb's own.
typedef struct {
    cli_place_t place;
    uint64_t timeout_ms;
    const char *format;
} cli_keys_flags_t;

// clang-format off
#define CLI_KEYS_ROWS \
    CLI_PLACE_ROWS(cli_keys_flags_t, place), \
    CLI_TIMEOUT_ROW(cli_keys_flags_t, timeout_ms, "5s"), \
    CLI_FORMAT_ROW(cli_keys_flags_t, format)
// clang-format on

typedef struct {
    const cli_keys_flags_t *flags;
    const char *topic; // req.crypto.<operation>
    bus_view_t body;   // whole msgpack
    // Prints what was answered in the format of `out`, and returns the exit status.
    int (*print)(cli_output_t *out, bus_view_t answer);
} cli_keys_ask_t;

// Asks, has the answer printed, and returns the exit status; an error is said on stderr.
BUS_CHECK int cli_keys_ask(const cli_keys_ask_t *ask);

// One map: its fields as lines of a table, or as a JSON value.
void cli_keys_sheet(cli_output_t *out, bus_view_t map);
// The text of a field, or an absent view.
bus_view_t cli_keys_text(bus_view_t map, const char *field);

enum { CLI_KEYS_HASH_SIZE = 65 }; // 64 hex digits and the NUL
// SHA-256 of a file; "-" is standard input. Returns 0, or says what is wrong and returns
// CLI_NOT_FOUND or CLI_IO.
BUS_CHECK int cli_keys_hash(const char *path, char ret_hash[CLI_KEYS_HASH_SIZE]);
