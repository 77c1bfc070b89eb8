// help.h - the brain's reducer on a store of its own, without a bus.
//
// It stands in for the harness: decodes a message by the row's schema, applies it in a transaction,
// and keeps what was said. Bodies are JSON text.
#pragma once
#include "brain/brain.h"
#include "brain/tables.h"
#include "proto/text.h"

#define T0 UINT64_C(1767225600000000) // 2026-01-01T00:00:00Z
#define SECOND UINT64_C(1000000)

typedef struct {
    char *folder;
    store_t *store;
    void *state;
    uint64_t seq;      // of the last record
    uint64_t at;       // of the next record
    const char *trace; // of the next record; NULL: none
    text_t *answer;
    text_t *refusal; // the message of a refusal
    text_t *said;    // one line a message: trace, topic and JSON
    text_t *scratch;
    char own_trace[129]; // what service_trace set for the record in hand
    char numbered[32];   // a trace of help_trace
    store_txn_t *batch;  // what is applied goes in there; NULL: each in its own
    service_t *service;
} help_t;

help_t *help_new(void);
void help_destroy(help_t **self_p);

// Applies `json` as a record of `topic`, and commits. Asserts that nothing is retried for ever.
bus_err_t help_apply(help_t *self, const char *topic, const char *json);
// The same with a format.
bus_err_t help_apply_format(help_t *self, const char *topic, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// Between the two all is applied in one transaction: for many records.
void help_batch_begin(help_t *self);
void help_batch_end(help_t *self);
// The records from here on carry the trace "t-<number>".
void help_trace(help_t *self, int number);
// A drill of this suite with one figure in its summary.
void help_drill(help_t *self, const char *suite, const char *key, double value);
// A task of an intent is over. `result`: JSON.
void help_done(help_t *self,
               const char *intent,
               const char *issue_type,
               const char *action,
               const char *result);
// brain.config with this cooldown.
void help_configure(help_t *self, double cooldown_seconds, int depth_max);
// Asks req.brain.<operation>.
bus_err_t help_ask(help_t *self, const char *operation, const char *json);
// The value at the dotted path of the last answer, as JSON; "" where there is none. Valid until the
// next.
const char *help_at(help_t *self, const char *path);
// How many lines of what was said name this topic.
unsigned help_count(help_t *self, const char *topic);
// The body of the last line with this topic, as JSON; "" where there is none. Valid until the next.
const char *help_last(help_t *self, const char *topic);
// The trace of the last line with this topic; "" where there is none. Valid until the next.
const char *help_last_trace(help_t *self, const char *topic);
// The value at the dotted path of such a body, as JSON.
const char *help_last_at(help_t *self, const char *topic, const char *path);
// Forgets what was said so far.
void help_forget(help_t *self);
// The state hash of the store.
void help_hash(help_t *self, char ret_hex[STORE_HASH_SIZE]);
// Puts bytes that are no record where one is.
void help_damage(help_t *self, brain_table_t table, bus_view_t key);
