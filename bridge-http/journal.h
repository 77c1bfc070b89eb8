// journal.h - reading the journal for several: a client has one fetch in flight, so readers queue.
#pragma once
#include "proto/limits.h"
#include "server.h"

enum {
    BRIDGE_JOURNAL_JOBS_MAX = 256,         // streams and pages together
    BRIDGE_JOURNAL_PAGE_BYTES = 512 * 1024 // of records in one fetch
};

typedef struct bridge_journal_job bridge_journal_job_t;

// Owned by whoever reads; lives until its function was called or it was cancelled.
struct bridge_journal_job {
    char prefix[256];                 // of the topics wanted
    char trace_id[NAME_SIZE_MAX + 1]; // only records of this trace; "": of any
    uint64_t from;
    uint32_t max; // records
    client_page_fn *fn;
    void *arg;
    uint64_t deadline_us;       // set by bridge_journal_read
    bool is_queued;             // or in flight
    bridge_journal_job_t *next; // behind it in the queue
};

bridge_journal_t *bridge_journal_new(bridge_t *bridge);
void bridge_journal_destroy(bridge_journal_t **self_p);

// Fetches one page; `fn` is called once, with BUS_TIMEOUT after 5 s, and may read again.
// BUS_BUSY: too many wait.
BUS_CHECK bus_err_t bridge_journal_read(bridge_journal_t *self, bridge_journal_job_t *job);
// Its function is not called any more. A job that is not queued is fine.
void bridge_journal_cancel(bridge_journal_t *self, bridge_journal_job_t *job);
// A few times a second: goes on, and gives up what waited too long.
void bridge_journal_sweep(bridge_journal_t *self, uint64_t now_us);
