// help.h - Core's operations on a store of their own, without a bus: for every test of this
// folder.
//
// It stands in for the harness, the bus client and the transfers: it defines what Core calls of
// them, decodes a message by its schema, applies it in a transaction, and keeps what was answered,
// refused, said and sent. Messages and answers are JSON text.
#pragma once
#include "core/core_self.h"
#include "proto/limits.h"
#include "proto/schema.h"
#include "proto/text.h"
#include "runtime/service.h"
#include <criterion/criterion.h>

#define HELP_DAY UINT64_C(86400000000)
#define HELP_T0 UINT64_C(1767225600000000) // 2026-01-01T00:00:00Z

typedef bus_err_t(help_apply_fn)(service_apply_t *apply, const void *message);
typedef bus_err_t(help_query_fn)(service_query_t *query, const void *message);

enum { HELP_CALLS_MAX = 64 };

// A message that somebody is to answer.
typedef struct {
    bool is_open;
    char topic[TOPIC_SIZE_MAX + 1];
    unsigned timeout_ms;
    client_answer_fn *fn;
    void *arg;
} help_call_t;

typedef struct {
    char *folder;
    store_t *store;
    core_state_t state;
    store_txn_t *txn;   // the open write transaction; NULL: none
    uint64_t seq;       // of the last record
    uint64_t at;        // of the next record
    const char *source; // of the next record: "tests"
    header_t header;    // of the last record
    char id[32];        // its id: "id-<seq>"
    pack_t *body;       // its body
    pack_t *packed;     // its answer, as it was packed
    pack_t *batch;      // the last $bus.batch that was sent
    text_t *answer;     // the same as JSON
    text_t *refusal;    // the message of a refusal that left no answer
    text_t *details;    // its details
    text_t *said;       // since the last record: one line "<topic> <JSON>" a message
    unsigned deferred;  // questions, so far
    text_t *late;       // what a deferred question was answered: one line of JSON each
    text_t *sent;       // to the bus: one line "<topic> <JSON>" a message
    help_call_t calls[HELP_CALLS_MAX]; // that wait for an answer, by their number less one
    unsigned call_count;               // so far
    size_t pending;                    // what client_pending says
    bus_err_t send_err;                // what client_send returns; BUS_OK
    service_t *service;
} help_t;

help_t *help_new(void);
void help_destroy(help_t **self_p);
// Closes the store and opens it again, as a restart does; what was in memory is gone.
void help_reopen(help_t *self);

// Applies `json` as the next record of `topic`, in the open transaction or in one of its own, which
// is committed where it is refused, too, and rolled back where the store failed.
bus_err_t help_apply(
    help_t *self, help_apply_fn *fn, const schema_t *schema, const char *topic, const char *json);
// Asks. `schema` NULL: the body is not looked at. The header's `at` is help.at.
bus_err_t help_ask(help_t *self, help_query_fn *fn, const schema_t *schema, const char *json);

// A transaction of several records.
void help_begin(help_t *self);
void help_commit(help_t *self);
// Undoes it.
void help_undo(help_t *self);
// The next record, for a call by hand within the open transaction. `json` NULL: an empty map.
service_apply_t help_record(help_t *self, const char *topic, const char *json);

// The value at the dotted path of the last answer, as JSON ("" where there is none); valid until
// the next.
const char *help_value(help_t *self, const char *path);
const char *help_text(const text_t *text);

// --- The bus -------------------------------------------------------------------------------------

// Answers call `number`, counted from 1: `json` is the reply's body, NULL none. `err` BUS_OK: a
// reply; else a failure.
void help_answer_call(help_t *self, unsigned number, bus_err_t err, const char *json);
// Tells the registry who lives: service names with a space between.
void help_peers(help_t *self, const char *services);
// Applies every message of the last batch that was sent, as the journal would give it back.
void help_apply_sent(help_t *self);
// core_task_look, as the service has it.
void help_look(void *arg, uint64_t asked_us);
