// help.h - the queue's reducer on a store of its own, without a bus.
//
// It stands in for the harness: decodes a message by the operation's schema, applies it in a
// transaction, keeps what was said, told and refused. Bodies are JSON text.
#pragma once
#include "htm/htm.h"
#include "htm/state.h"
#include "proto/text.h"

#define T0 UINT64_C(1767225600000000) // 2026-01-01T00:00:00Z
#define SECOND UINT64_C(1000000)

typedef struct {
    char *folder;
    store_t *store;
    void *state;
    uint64_t seq; // of the last record
    uint64_t at;  // of the next record
    const char *source;
    const char *trace; // of the next record; NULL: none
    text_t *answer;
    text_t *refusal;   // the message of a refusal
    text_t *said;      // one line a message: topic, trace, JSON
    text_t *told;      // the same for live ones
    text_t *brief;     // one line a message: what it says, in a few words
    bus_view_t spoken; // the trace in force
    text_t *scratch;
    service_t *service;
} help_t;

help_t *help_new(void);
void help_destroy(help_t **self_p);

// Applies `json` as a record of `topic` by self->source, and commits.
bus_err_t help_apply(help_t *self, const char *topic, const char *json);
// The same with a format; it must be taken.
void help_take(help_t *self, const char *topic, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// Applies it and throws the transaction away, as a store that fails does.
void help_undo(help_t *self, const char *topic, const char *json);
// task.clock, `us` later.
void help_clock(help_t *self, uint64_t us);
// As a process that starts again does: what is in memory is made of the tables.
void help_reopen(help_t *self);

// Asks req.htm.<operation>.
bus_err_t help_ask(help_t *self, const char *operation, const char *json);
// The value at the dotted path of the last answer, as JSON; "" where there is none. Valid until the
// next.
const char *help_at(help_t *self, const char *path);
// The same of req.htm.task, asked for this.
const char *help_task(help_t *self, const char *task_id, const char *path);
// The same of req.htm.status, as a number.
long help_count(help_t *self, const char *path);
// Forgets what was said so far.
void help_forget(help_t *self);
// How many rows a table has.
uint64_t help_rows(help_t *self, htm_table_t table);
// Puts bytes that are no record where one is.
void help_damage(help_t *self, htm_table_t table, bus_view_t key);
void help_state_hash(help_t *self, char ret_hex[STORE_HASH_SIZE]);

const char *help_text(const text_t *text);

#define cr_expect_brief(self, expected) cr_assert_str_eq(help_text((self)->brief), expected)
