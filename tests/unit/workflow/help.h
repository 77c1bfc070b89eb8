// help.h - the executor's reducer on a store of its own, without a bus.
//
// It stands in for the harness: decodes a message by the operation's schema, applies it in a
// transaction, keeps what was said, answered, deferred and refused. Bodies are JSON text.
#pragma once
#include "proto/text.h"
#include "workflow/tables.h"
#include "workflow/workflow.h"

#define T0 UINT64_C(1767225600000000) // 2026-01-01T00:00:00Z

typedef struct {
    char *folder;
    store_t *store;
    void *state;
    uint64_t seq; // of the last record
    uint64_t at;  // of the next record
    const char *source;
    text_t *answer;
    text_t *refusal;  // the message of a refusal
    text_t *said;     // one line a message: topic and JSON
    text_t *later;    // one line an answer of service_answer: seq, error and JSON
    bool is_deferred; // the last one
    text_t *scratch;
    service_t *service;
} help_t;

help_t *help_new(void);
void help_destroy(help_t **self_p);

// Applies `json` as a record of `topic` by self->source, and commits, or undoes where it is
// refused.
bus_err_t help_apply(help_t *self, const char *topic, const char *json);
// The same for a workflow.execute of this trace and payload.
bus_err_t help_execute(help_t *self, const char *trace_id, const char *payload);
// Asks req.workflow.<operation>.
bus_err_t help_ask(help_t *self, const char *operation, const char *json);
// The value at the dotted path of the last answer, as JSON; "" where there is none. Valid until the
// next.
const char *help_at(help_t *self, const char *path);
// Forgets what was said and answered so far.
void help_forget(help_t *self);
// Puts bytes that are no record where one is.
void help_damage(help_t *self, workflow_table_t table, bus_view_t key);

const char *help_text(const text_t *text);
