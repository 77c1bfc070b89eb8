// karma.h - what the verbs of `bhiv karma` share: a user's id, a sheet of an answer.
#pragma once
#include "question.h"

extern const cli_command_t cli_karma_show;
extern const cli_command_t cli_karma_top;
extern const cli_command_t cli_karma_replay;
extern const cli_command_t cli_karma_policy;

// Whether `word` can be a user's id. Returns 0, or says what is wrong and returns CLI_BAD_DATA.
BUS_CHECK int cli_karma_user(const char *word);

// One map: its fields as lines of a table, those of maps within it too; or as a JSON value.
void cli_karma_sheet(cli_output_t *out, bus_view_t map);

// A number for a table: as short as it can be said to ten digits.
enum { CLI_KARMA_NUMBER_SIZE = 32 };
void cli_karma_number(double number, char ret_text[CLI_KARMA_NUMBER_SIZE]);
