// issue.h - what was done about one issue, and whether more may be done now: the storm bounds.
//
// An intent is held back while one for the same issue is open (said, and its task not over), for a
// cooldown after it ended, and where `depth_max` remediations in a row lie behind it on one trace:
// then what is seen is what they caused. Remediations that follow one another on different traces
// are bounded too: from the `depth_max`-th in a row on, the cooldown doubles with each, up to
// BRAIN_ISSUE_PAUSE_MAX times. The row ends when the metric is well again by a margin (hysteresis),
// or when nothing was seen of the issue for BRAIN_ISSUE_QUIET cooldowns.
#pragma once
#include "config.h"

enum {
    BRAIN_ISSUE_KEY_MAX = 130,  // an intent, a space, an issue_type
    BRAIN_ISSUE_MAX = 1024,     // rows, beyond which new names of peers share one
    BRAIN_ISSUE_PAUSE_MAX = 64, // cooldowns: about an hour at the default
    BRAIN_ISSUE_QUIET = 10,     // cooldowns: ten minutes at the default
    BRAIN_ISSUE_TEXT = 128,     // bytes of a trace_id
};

typedef struct {
    uint64_t open_at;  // when the open intent was said; 0: none is open
    uint64_t until;    // it is given up then: its SLA is over
    uint64_t acted_at; // when the last intent was said; 0: never
    uint64_t ended_at; // when its task was over; 0: never
    uint64_t seen_at;  // when something was last seen of the issue
    uint64_t row;      // intents in a row
    uint64_t seen;     // times that it was seen
    uint64_t acted;    // intents
    uint64_t trace_size;
    char trace[BRAIN_ISSUE_TEXT];  // of the last intent; zero-padded
    char action[BRAIN_ISSUE_TEXT]; // its task_type
} brain_issue_t;

typedef struct {
    char text[BRAIN_ISSUE_KEY_MAX];
    size_t size;
} brain_issue_key_t;
// `issue_type` may be absent. Both of 64 bytes at most (asserted): the schemas' limit.
bus_view_t brain_issue_key(brain_issue_key_t *ret_key, const char *intent, bus_view_t issue_type);

typedef enum {
    BRAIN_ISSUE_ACT,
    BRAIN_ISSUE_IS_OPEN,
    BRAIN_ISSUE_COOLS_DOWN,
    BRAIN_ISSUE_TOO_DEEP
} brain_issue_verdict_t;

// Whether an intent may be said at `at`, at this depth. Pure.
brain_issue_verdict_t brain_issue_decide(const brain_issue_t *self,
                                         const brain_config_t *config,
                                         uint64_t at,
                                         uint64_t depth);
// How long after its end the next may be, at this place in the row. Pure.
uint64_t brain_issue_pause_us(const brain_issue_t *self, const brain_config_t *config);

// Something was seen of it. Pure.
void brain_issue_see(brain_issue_t *self, const brain_config_t *config, uint64_t at);
// An intent is said. Pure.
void brain_issue_open(brain_issue_t *self, uint64_t at, uint64_t sla_us, bus_view_t trace);
// Its task is over. Pure.
void brain_issue_end(brain_issue_t *self, uint64_t at);

// All zero where nothing is known. BUS_IO.
BUS_CHECK bus_err_t brain_issue_load(store_txn_t *txn, bus_view_t key, brain_issue_t *ret_issue);
// BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t brain_issue_save(store_txn_t *txn, bus_view_t key, const brain_issue_t *issue);
