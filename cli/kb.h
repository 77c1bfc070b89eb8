// kb.h - what the verbs of `bhiv kb` share: messages to Core, one after the other.
#pragma once
#include "proto/pack.h"
#include "question.h"

extern const cli_command_t cli_kb_add;
extern const cli_command_t cli_kb_list;
extern const cli_command_t cli_kb_show;
extern const cli_command_t cli_kb_remove;
extern const cli_command_t cli_kb_query;

// Messages, each sent when the one before it is answered.
typedef struct {
    const cli_question_flags_t *flags;
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
