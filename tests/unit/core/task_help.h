// task_help.h - for tests of tasks: asked as handle_task, and what was said because of it.
#pragma once
#include "help.h"

// Asks; what was said before is forgotten.
bus_err_t task_help_ask(help_t *help, const char *json);
// Fails the test unless the text holds these words.
void task_help_holds(const text_t *text, const char *words);
void task_help_lacks(const text_t *text, const char *words);
// How often `words` stand in the text.
unsigned task_help_times(const text_t *text, const char *words);
// Fails the test unless what was learned of the agent holds these words.
void task_help_has_learned(help_t *help, const char *agent, const char *words);
