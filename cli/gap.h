// gap.h - tells a live subscriber what it missed, and does not cry wolf.
//
// A journaled message names in `prev` the one before it with the same first token. Where that is
// not the last one heard, it was lost or did not fit the patterns: a fetch of the interval tells
// which, and only what fits and was not heard is said. Owner: the main thread; uses the client's
// one fetch.
#pragma once
#include "reader.h"

enum {
    CLI_GAP_SETTLE_MS = 200,    // for a subscription to reach the broker; until then all is deaf
    CLI_GAP_FAMILIES_MAX = 64,  // first tokens of journaled topics
    CLI_GAP_INTERVALS_MAX = 256 // suspected and not looked into yet; then neighbours are merged
};

typedef struct {
    uint64_t first, last; // seqs
    uint32_t family;
} cli_gap_interval_t;

typedef struct {
    client_t *client;
    const char *const *patterns;
    size_t pattern_count;
    uint64_t head;       // of the journal when it began: what came before it is no loss
    uint64_t started_ms; // boot clock
    uint64_t heard[CLI_GAP_FAMILIES_MAX];                // last seq heard by family; 0: none yet
    cli_gap_interval_t intervals[CLI_GAP_INTERVALS_MAX]; // suspected
    size_t count;
    cli_gap_interval_t looked[CLI_GAP_INTERVALS_MAX]; // being looked into
    size_t looked_count;
    uint64_t end;    // the last seq of those
    uint64_t missed; // found so far in this look
    uint64_t first_missed, last_missed;
    cli_reader_t reader;
    bool is_reading;
} cli_gap_t;

// After the first welcome, and before the subscriptions.
void
cli_gap_start(cli_gap_t *self, client_t *client, const char *const *patterns, size_t pattern_count);
// A journaled message was heard.
void cli_gap_heard(cli_gap_t *self, const client_heard_t *message);
// After the client's end.
void cli_gap_clear(cli_gap_t *self);
