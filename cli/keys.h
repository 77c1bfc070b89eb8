// keys.h - what the verbs of `bhiv keys` share: a sheet of an answer, the hash of a file.
#pragma once
#include "question.h"

extern const cli_command_t cli_keys_list;
extern const cli_command_t cli_keys_show;
extern const cli_command_t cli_keys_rotate;
extern const cli_command_t cli_keys_export_public;
extern const cli_command_t cli_keys_sign;
extern const cli_command_t cli_keys_verify;
extern const cli_command_t cli_keys_cert;
extern const cli_command_t cli_keys_init;

// One map: its fields as lines of a table, or as a JSON value.
void cli_keys_sheet(cli_output_t *out, bus_view_t map);

enum { CLI_KEYS_HASH_SIZE = 65 }; // 64 hex digits and the NUL
// SHA-256 of a file; "-" is standard input. Returns 0, or says what is wrong and returns
// CLI_NOT_FOUND or CLI_IO.
BUS_CHECK int cli_keys_hash(const char *path, char ret_hash[CLI_KEYS_HASH_SIZE]);
