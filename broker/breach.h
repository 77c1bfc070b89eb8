// breach.h - who tried what it may not: counted by name and reason, and told as facts.
//
// Owner: the router; its thread. Bounded: BREACH_MAX pairs of name and reason are told apart, the
// rest is counted together; of each pair one fact a minute at most, with how often it was.
// Pure memory; time is given to it.
#pragma once
#include "proto/auto.h"
#include "proto/pack.h"
#include "proto/view.h"
#include "runtime/cert.h"
#include <stdbool.h>
#include <stdint.h>

typedef enum {
    BREACH_CERTIFICATE, // none, an unknown or a revoked one
    BREACH_PUBLISH,     // said on a topic that it may not
    BREACH_SUBSCRIBE,   // wanted to hear what it may not
    BREACH_REQUEST,     // asked what it may not
    BREACH_FETCH,       // wanted to read what it may not
    BREACH_SERVE,       // said hello for a service that is not its own
    BREACH_REPLY,       // answered, and serves nothing
    BREACH_INBOX,       // another's inbox, to hear it or to have answers sent there
    BREACH_SOURCE,      // said that it was somebody else
    BREACH_STAMP,       // brought seq, at or prev along
    BREACH_IDENTITY,    // spoke for another's instance, or as another's consumer
} breach_reason_t;

enum {
    BREACH_REASONS = BREACH_IDENTITY + 1,
    BREACH_MAX = 256,           // pairs: some forty peers that do everything wrong
    BREACH_TOLD_MS = 60 * 1000, // between two facts of a pair
    BREACH_SUBJECT_MAX = 128,   // bytes kept of what was tried last
};

const char *breach_reason_text(breach_reason_t reason);

typedef struct breach breach_t;

breach_t *breach_new(void);
void breach_destroy(breach_t **self_p);

// Counts `count` of one. `name` "": whoever has none. `subject`: a topic, a prefix, a name; may be
// absent. True where a line in the log is due for it: the first of its pair in a minute.
bool breach_add(
    breach_t *self, const char *name, breach_reason_t reason, bus_view_t subject, uint64_t count);

typedef struct {
    const char *name;
    const char *reason;
    uint64_t count;     // since the last fact
    bus_view_t subject; // of the last one; may be absent
} breach_fact_t;
// Tells one; false where it cannot be told now: it stays due.
typedef bool(breach_tell_fn)(void *arg, const breach_fact_t *fact);
// Calls `fn` for each pair that is due at `now_ms` (boot clock). `is_last`: for each that was not
// told, since nothing comes after.
void breach_tell(breach_t *self, uint64_t now_ms, bool is_last, breach_tell_fn *fn, void *arg);

uint64_t breach_total(const breach_t *self);
// Appends an array of {name, reason, count} to `out`.
void breach_pack(const breach_t *self, pack_t *out);
