// htm.h - the verbs of `bhiv htm`, and what they share.
#pragma once
#include "listing.h"
#include "question.h"

extern const cli_command_t cli_htm_status;
extern const cli_command_t cli_htm_list;
extern const cli_command_t cli_htm_show;
extern const cli_command_t cli_htm_enqueue;
extern const cli_command_t cli_htm_cancel;
extern const cli_command_t cli_htm_dead;
extern const cli_command_t cli_htm_workers;

// Asks for what the answer's body is, by a topic and one task. Returns the exit status.
BUS_CHECK int
cli_htm_ask_task(const cli_question_flags_t *flags, const char *topic, const char *task_id);
