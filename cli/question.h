// question.h - what the verbs that ask one service share: flags, one message and its answer.
// Main thread.
#pragma once
#include "connect.h"
#include "output.h"

// Flags that each of them has; first in a verb's own.
typedef struct {
    cli_place_t place;
    uint64_t timeout_ms;
    const char *format;
} cli_question_flags_t;

// clang-format off
#define CLI_QUESTION_ROWS(timeout) \
    CLI_PLACE_ROWS(cli_question_flags_t, place), \
    CLI_TIMEOUT_ROW(cli_question_flags_t, timeout_ms, timeout), \
    CLI_FORMAT_ROW(cli_question_flags_t, format)
// clang-format on

typedef struct {
    const cli_question_flags_t *flags;
    const char *topic;   // req.<service>.<operation>, or a command
    bus_view_t body;     // whole msgpack
    bus_view_t trace_id; // optional
    // Prints what was answered in the format of `out`, and returns the exit status.
    int (*print)(cli_output_t *out, bus_view_t answer);
} cli_question_t;

// Asks, has the answer printed, and returns the exit status; an error is said on stderr.
BUS_CHECK int cli_question_ask(const cli_question_t *question);

// Prints an answer as it is: for `print`.
int cli_question_print(cli_output_t *out, bus_view_t answer);

// What the client wants of a message on this topic: a command is acknowledged before it is
// answered.
unsigned cli_question_wants(const char *topic);
// Says on stderr why there is no good answer; of a command that is only journaled, where to ask
// after it. Returns the exit status.
int cli_question_refused(const char *topic, const client_answer_t *answer);
