// stress_ask.h - questions to a drill's private instance, several at once.
#pragma once
#include "proto/pack.h"
#include "stress_instance.h"

enum { CLI_STRESS_ASK_MAX = 64 }; // questions at once

typedef struct {
    char topic[96];
    bus_view_t body; // whole msgpack; absent: {}
    unsigned want;   // of client_want_t; 0: a reply
    bus_err_t err;   // what came of it
    pack_t *answer;  // its body; made by the call, destroyed by cli_stress_ask_clear
    uint64_t seq;    // of a journaled message, once it is durable
} cli_stress_question_t;

// Asks them all; one that nobody is there to answer is asked again until `timeout_ms` is over.
// Blocks. Returns 0 where each was answered, well or with an error of its own (its `err`); else
// CLI_NO_ANSWER, CLI_INTERRUPTED.
BUS_CHECK int cli_stress_ask(const cli_stress_instance_t *instance,
                             cli_stress_question_t *questions,
                             size_t count,
                             unsigned timeout_ms);
void cli_stress_ask_clear(cli_stress_question_t *questions, size_t count);
