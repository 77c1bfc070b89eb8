// tables.h - the queue's tables on disk, and the counters and settings among them.
//
// Owner: the service's thread. Numbers within keys are big-endian, so that keys sort as they do.
#pragma once
#include "proto/auto.h"
#include "runtime/store.h"

typedef enum {
    HTM_TOTALS,   // "totals" -> htm_totals_t
    HTM_TASKS,    // seq of what brought it -> a task (task.h)
    HTM_IDS,      // task_id -> seq
    HTM_CONTEXTS, // seq -> its context, one map; none: {}
    HTM_RESULTS,  // seq -> its result, one map; none: there is none
    HTM_ORDER,    // size of handler, handler, rank, deadline, seq -> nothing: who starts next
    HTM_DELAYED,  // when it may start, seq -> nothing: waits, but not to start yet
    HTM_HELD,     // seq -> nothing: waits for governance
    HTM_RUNNING,  // size of worker, worker, seq -> nothing: who has what
    HTM_DUE,      // when, seq -> nothing: when a task is to be looked at next, each once at most
    HTM_OVER,     // status, number -> seq: the order in which they ended
    HTM_EVENTS,   // seq, number -> schema htm_event: what happened to it, where that is unusual
    HTM_WORKERS,  // name -> a worker (worker.h)
    HTM_TABLE_COUNT
} htm_table_t;

extern const store_table_t htm_tables[HTM_TABLE_COUNT];

typedef enum { HTM_CRITICAL, HTM_HIGH, HTM_NORMAL, HTM_LOW, HTM_RANK_COUNT } htm_rank_t;

typedef enum {
    HTM_IS_HELD,      // governance has not spoken
    HTM_IS_WAITING,   // to start, or for a delay to be over
    HTM_IS_RUNNING,   // a worker has it
    HTM_IS_COMPLETED, // from here on it is over
    HTM_IS_DEAD,
    HTM_IS_CANCELLED,
    HTM_STATUS_COUNT
} htm_status_t;

// Counted since the journal's first record.
typedef struct {
    uint64_t queued;
    uint64_t completed;
    uint64_t failed; // dead letters
    uint64_t cancelled;
    uint64_t retries;     // attempts that came to nothing and were not the last
    uint64_t lapsed;      // leases that ended
    uint64_t gone;        // attempts lost with their worker
    uint64_t escalations; // of waiting tasks
    uint64_t warnings;    // 80 % of an SLA
    uint64_t breaches;    // 100 %
    uint64_t duplicates;  // second words about a task, and tasks enqueued twice
    uint64_t strays;      // words about tasks that are not known, or were never handed out
    uint64_t overtakes;   // starts before an earlier task of a lower priority
    uint64_t damaged;     // rows that could not be read, left out
} htm_statistics_t;

// What a record is applied by; all of it journaled.
typedef struct {
    uint64_t lease_us;        // where a task does not say
    uint64_t backoff_us;      // before the first retry
    uint32_t losses_max;      // attempts lost before a task is dead
    uint32_t reserve;         // percent of a handler's slots for critical and high tasks
    uint32_t escalate;        // percent of the SLA left below which a waiting task becomes high
    uint32_t is_strained : 1; // normal and low tasks get a quarter of the slots
    uint32_t is_gated : 1;    // intents wait for governance
    uint32_t : 30;
} htm_settings_t;

typedef struct {
    htm_statistics_t statistics;
    htm_settings_t settings;
    uint64_t waiting[HTM_RANK_COUNT]; // now, those with a delay too
    uint64_t running;                 // now
    uint64_t held;                    // now
    uint64_t over[HTM_STATUS_COUNT];  // kept of those that are over
    uint64_t over_last;               // the number that the latest of them has
    uint64_t bytes;                   // of contexts and results kept
} htm_totals_t;

// What a fresh store has, too. BUS_CORRUPT, BUS_IO.
BUS_CHECK bus_err_t htm_tables_load(store_txn_t *txn, htm_totals_t *ret_totals);
// BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t htm_tables_save(store_txn_t *txn, const htm_totals_t *totals);

// The key of HTM_DELAYED and HTM_DUE.
enum { HTM_TABLES_TIME_KEY = 16 };
bus_view_t htm_tables_time_key(uint8_t key[HTM_TABLES_TIME_KEY], uint64_t at_us, uint64_t seq);

// Removes a record that may not be there. BUS_IO.
BUS_CHECK bus_err_t htm_tables_drop(store_txn_t *txn, htm_table_t table, bus_view_t key);

const char *htm_tables_status(htm_status_t status);
// HTM_STATUS_COUNT where it is none.
htm_status_t htm_tables_find_status(bus_view_t text);
const char *htm_tables_priority(htm_rank_t rank);
// Unknown, or absent: normal.
htm_rank_t htm_tables_find_priority(bus_view_t text);
