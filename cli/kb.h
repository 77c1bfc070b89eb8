// kb.h - what the verbs of `bhiv kb` share: messages to Core, one after the other, and tables of
// what it answers.
#pragma once
#include "connect.h"
#include "output.h"
#include "proto/pack.h"

extern const cli_command_t cli_kb_add;
extern const cli_command_t cli_kb_list;
extern const cli_command_t cli_kb_show;
extern const cli_command_t cli_kb_remove;
extern const cli_command_t cli_kb_query;

// Flags that each of them has; first in a verb's own.
typedef struct {
    cli_place_t place;
    uint64_t timeout_ms;
    const char *format;
} cli_kb_flags_t;

// clang-format off
#define CLI_KB_ROWS(timeout) \
    CLI_PLACE_ROWS(cli_kb_flags_t, place), \
    CLI_TIMEOUT_ROW(cli_kb_flags_t, timeout_ms, timeout), \
    CLI_FORMAT_ROW(cli_kb_flags_t, format)
// clang-format on

// Messages, each sent when the one before it is answered.
typedef struct {
    const cli_kb_flags_t *flags;
    const char *topic;
    // Packs the next message. Returns false where there is none; then *ret_status is the exit
    // status of all.
    bool (*next)(void *arg, pack_t *out, int *ret_status);
    // Takes a good answer, and a bad one (which was said on stderr; `status` is what it is worth).
    void (*take)(void *arg, cli_output_t *out, bus_view_t answer);
    void (*failed)(void *arg, int status);
    void *arg;
} cli_kb_talk_t;
// Returns the exit status.
BUS_CHECK int cli_kb_talk(const cli_kb_talk_t *talk);

// One question.
typedef struct {
    const cli_kb_flags_t *flags;
    const char *topic;
    bus_view_t body; // whole msgpack
    // Prints what was answered in the format of `out`, and returns the exit status.
    int (*print)(cli_output_t *out, bus_view_t answer);
} cli_kb_ask_t;
BUS_CHECK int cli_kb_ask(const cli_kb_ask_t *ask);

// A text or number of a map; absent, or 0, where it is not there.
bus_view_t cli_kb_text(bus_view_t map, const char *key);
uint64_t cli_kb_number(bus_view_t map, const char *key);
