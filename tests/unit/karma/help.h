// help.h - Karma's operations on a store of their own, without a bus.
//
// It stands in for the harness: decodes a message by the operation's schema, applies it in a
// transaction, keeps what was answered, refused and told. Messages and answers are JSON text.
#pragma once
#include "karma/karma.h"
#include "karma/tables.h"
#include "proto/text.h"

#define DAY UINT64_C(86400000000)
#define T0 UINT64_C(1767225600000000) // 2026-01-01T00:00:00Z

typedef struct {
    char *folder;
    store_t *store;
    void *state;
    uint64_t seq; // of the last record
    uint64_t at;  // of the next record
    text_t *answer;
    text_t *refusal; // the message of a refusal
    text_t *details;
    text_t *told;       // one line of JSON a live message
    service_t *service; // a loop for what is answered later
    bus_err_t late_err; // of the last question that was answered later
    unsigned late;      // questions that are to be
} help_t;

// With the test helpers on, at T0.
help_t *help_new(void);
void help_destroy(help_t **self_p);
// Closes the store and opens it again, as a restart does; or in two steps.
void help_reopen(help_t *self);
void help_close(help_t *self);

// Applies `json` as a record of `topic` and commits, or undoes where it is refused.
bus_err_t help_apply(help_t *self, const char *topic, const char *json);
// Applies a life_event of user and action, role learner; it must succeed.
void help_act(help_t *self, const char *user_id, const char *action);
// Asks req.karma.<operation>, and waits where it is answered later.
bus_err_t help_ask(help_t *self, const char *operation, const char *json);
// The same in two steps: BUS_BUSY with `late` one more where the answer is to come later. The
// second waits for all that are, and says what became of the last one.
bus_err_t help_begin(help_t *self, const char *operation, const char *json);
bus_err_t help_finish(help_t *self);
// The value at the dotted path of the last answer, as JSON; valid until the next.
const char *help_at(help_t *self, const char *path);
// Asks about one user; it must succeed. The value at the dotted path, as JSON; valid until the
// next.
const char *help_value(help_t *self, const char *operation, const char *user_id, const char *path);

const char *help_text(const text_t *text);
