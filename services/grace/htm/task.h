// task.h - a task: one row of HTM_TASKS, read into a struct, changed, and written once.
//
// Owner: the service's thread. Its texts are views: into its own `text` once it was loaded, or to
// what the caller set, which must live until it is saved. So it is never copied.
#pragma once
#include "tables.h"

typedef enum {
    HTM_TASK_ID,
    HTM_TASK_TYPE,
    HTM_TASK_HANDLER,
    HTM_TASK_WORKER, // who has it, or had it last
    HTM_TASK_TRACE,
    HTM_TASK_REQUESTER,
    HTM_TASK_INTENT,
    HTM_TASK_ISSUE,
    HTM_TASK_REASON, // why it is what it is
    HTM_TASK_TEXT_COUNT
} htm_task_text_t;

enum {
    HTM_TASK_NAME_MAX = 64,     // bytes of all but the next two
    HTM_TASK_TRACE_MAX = 128,   // as the header's
    HTM_TASK_REASON_MAX = 1024, // of a worker, or governance
    HTM_TASK_TEXT_MAX = 7 * HTM_TASK_NAME_MAX + HTM_TASK_TRACE_MAX + HTM_TASK_REASON_MAX,
};

// What was said about its SLA in its present life.
enum { HTM_TASK_WARNED = 1, HTM_TASK_BREACHED = 2 };

// Times are of the journal, in microseconds; 0: never.
typedef struct {
    uint64_t seq;          // of what brought it
    uint64_t created_us;   // then
    uint64_t queued_us;    // when its SLA began: created, or requeued
    uint64_t sla_us;       // from queued_us
    uint64_t ready_us;     // since when it could start, or when it can
    uint64_t started_us;   // its last attempt
    uint64_t finished_us;  // it is over
    uint64_t lease_us;     // how long a worker may be silent
    uint64_t leased_us;    // until when, of a running one
    uint64_t due_us;       // its row in HTM_DUE
    uint64_t over_number;  // its row in HTM_OVER
    uint64_t asked_hash;   // of what it was enqueued as
    uint32_t attempts;     // begun, in all its lives
    uint32_t failures;     // of them, in this one
    uint32_t losses;       // with a lease or a worker, in this one
    uint32_t max_retries;  // after failures
    uint32_t context_size; // bytes in HTM_CONTEXTS
    uint32_t result_size;  // bytes in HTM_RESULTS
    uint32_t events;       // that happened to it (event.h)
    uint32_t lives;        // how often it was requeued
    uint32_t asked_rank;   // as it was enqueued
    uint8_t status;        // htm_status_t
    uint8_t rank;          // htm_rank_t, now
    uint8_t is_delayed;    // waits, but in HTM_DELAYED
    uint8_t said;          // HTM_TASK_WARNED, HTM_TASK_BREACHED
} htm_task_row_t;

typedef struct {
    htm_task_row_t row;
    bus_view_t texts[HTM_TASK_TEXT_COUNT]; // empty: there is none
    char text[HTM_TASK_TEXT_MAX];          // what those of a loaded one point to
} htm_task_t;

// BUS_NOT_FOUND, BUS_CORRUPT, BUS_IO.
BUS_CHECK bus_err_t htm_task_load(store_txn_t *txn, uint64_t seq, htm_task_t *ret_task);
// The same by its name.
BUS_CHECK bus_err_t htm_task_find(store_txn_t *txn, bus_view_t task_id, htm_task_t *ret_task);
// BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t htm_task_save(store_txn_t *txn, const htm_task_t *task);
// Removes it, its name, context, result and events. BUS_IO.
BUS_CHECK bus_err_t htm_task_remove(store_txn_t *txn, const htm_task_t *task);

// What its worker is handed; {} where there is nothing. Valid until the next write. BUS_CORRUPT,
// BUS_IO.
BUS_CHECK bus_err_t htm_task_context(store_txn_t *txn, uint64_t seq, bus_view_t *ret_context);

bool htm_task_is_over(const htm_task_t *task);
// When its SLA ends.
uint64_t htm_task_deadline(const htm_task_t *task);
// A text of it, absent where there is none: as messages have it.
bus_view_t htm_task_text(const htm_task_t *task, htm_task_text_t which);
