// help.h - a kernel's reducer on a store of its own, without a bus.
//
// It stands in for the harness, for any definition: decodes a message by its row's schema, applies
// it in a transaction, keeps what was said, answered and refused. Bodies are JSON text. Nothing
// here acts: a kernel's `start` is not called.
#pragma once
#include "kernel/kernel.h"
#include "proto/text.h"

#define T0 UINT64_C(1767225600000000) // 2026-01-01T00:00:00Z

typedef struct {
    const service_definition_t *definition;
    char *folder;
    store_t *store;
    void *state;
    uint64_t seq; // of the last record
    uint64_t at;  // of the next record
    const char *source;
    const char *trace_id; // of the next record; NULL: none
    text_t *answer;
    text_t *refusal; // the message of a refusal
    text_t *said;    // one line a message: topic and JSON
    text_t *scratch;
    service_t *service;
} help_t;

help_t *help_new(const service_definition_t *definition);
void help_destroy(help_t **self_p);

// Applies `json` as a record of `topic` by self->source, and commits.
bus_err_t help_apply(help_t *self, const char *topic, const char *json);
// Asks req.<kernel>.<operation>.
bus_err_t help_ask(help_t *self, const char *operation, const char *json);
// A tick: what is due?
void help_tick(help_t *self);
// The value at the dotted path of the last answer, as JSON; "" where there is none. Valid until the
// next.
const char *help_at(help_t *self, const char *path);
// Forgets what was said so far.
void help_forget(help_t *self);
// Puts bytes that are no record where one is.
void help_damage(help_t *self, unsigned table, bus_view_t key);
// How many rows a table has.
uint64_t help_count(help_t *self, unsigned table);

const char *help_text(const text_t *text);
