// reader.h - reading the journal forward by patterns, and finding the place of a time in it.
//
// Owner: the main thread. Each uses the client's one fetch: only one of them at a time.
#pragma once
#include "cli.h"
#include "runtime/client.h"

enum { CLI_READER_PATTERNS_MAX = CLIENT_FILTERS_MAX };

typedef struct {
    client_t *client;
    const char *const *patterns; // NATS-style, 1 to CLI_READER_PATTERNS_MAX
    size_t pattern_count;
    uint64_t from; // first seq; 0: the first that is kept
    bool follow;   // waits at the head for what comes
    // Takes a record that fits a pattern. False: no more of them.
    bool (*take)(void *arg, const client_heard_t *record);
    // After each page, also a failed one (page->err). False: ends. Its `next` is where it goes on.
    bool (*after)(void *arg, const client_page_t *page);
    void *arg;
} cli_reader_options_t;

typedef struct {
    cli_reader_options_t options;
    const char *filters[CLI_READER_PATTERNS_MAX]; // NUL-terminated, owned
    uint64_t next;
} cli_reader_t;

// Whether every pattern is legal and one that the broker grants, and no more than there may be;
// else says so: CLI_BAD_DATA.
BUS_CHECK int cli_reader_check(const char *const *patterns, size_t count);
// Whether `topic` fits one of the patterns.
bool cli_reader_fits(const char *const *patterns, size_t count, bus_view_t topic);
// Begins. `options` is copied; what it points to stays the caller's, as does the reader.
void cli_reader_start(cli_reader_t *self, const cli_reader_options_t *options);
// After the client's end.
void cli_reader_clear(cli_reader_t *self);
// Says on stderr why a page failed. Returns the exit status.
int cli_reader_failed(const client_page_t *page);

// --- Looking for a time ------------------------------------------------------------------------

typedef struct {
    client_t *client;
    uint64_t time_us; // looked for
    // Called once: the first seq at or after the time; the one behind the head where there is none.
    void (*found)(void *arg, const client_page_t *page, uint64_t seq);
    void *arg;
    uint64_t low, high; // the answer is in low to high
    bool began;         // the bounds are known
} cli_seek_t;

// Begins a search by halves over single records. `found` gets a failed page where it fails.
void cli_seek_start(cli_seek_t *self);
// Reads "2026-11-20T16:00:00Z", or "10m" for ten minutes ago. Says what is wrong: CLI_BAD_DATA.
BUS_CHECK int cli_seek_time(const char *text, uint64_t *ret_time_us);
