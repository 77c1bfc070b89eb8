// memory_episode.h - episodes: what was asked for, what was done, what came of it.
//
// A reducer over intents, task.started and task.done. An episode begins with the intent, or where a
// task came from none with its first start, and is found by its task's name. Owner: the service's
// thread.
#pragma once
#include "runtime/service.h"

typedef enum {
    KERNEL_MEMORY_EPISODES, // seq of the record that began it -> memory_episode
    KERNEL_MEMORY_TASKS,    // task_id -> that seq
    KERNEL_MEMORY_INDEX,    // kind, size of value, value, seq big-endian -> nothing
    KERNEL_MEMORY_COUNTS,   // class -> uint64_t: how many episodes of it there are
    KERNEL_MEMORY_TABLE_COUNT
} kernel_memory_table_t;

extern const store_table_t kernel_memory_tables[KERNEL_MEMORY_TABLE_COUNT];

enum {
    // Episodes of each class, intents' and others': 5 MiB or so. A flood of tasks that nobody's
    // intent asked for takes no intent's place.
    KERNEL_MEMORY_EPISODES_MAX = 10000,
    KERNEL_MEMORY_VALUE_MAX = 128, // bytes of what is looked for: a trace_id is the longest
};

// What episodes are found by.
typedef enum {
    KERNEL_MEMORY_BY_TRACE = 't',
    KERNEL_MEMORY_BY_ISSUE = 'i',
    KERNEL_MEMORY_BY_TYPE = 'k',
    KERNEL_MEMORY_BY_HANDLER = 'h',
    KERNEL_MEMORY_BY_CLASS = 'c', // "intent" or "task"
} kernel_memory_by_t;

// Each applies one message: layer3.intent.task, task.started, task.done. BUS_FULL, BUS_IO.
bus_err_t kernel_memory_episode_asked(service_apply_t *self, const void *message);
bus_err_t kernel_memory_episode_started(service_apply_t *self, const void *message);
bus_err_t kernel_memory_episode_done(service_apply_t *self, const void *message);

// Reads an episode; its views live as the transaction does. BUS_NOT_FOUND, BUS_CORRUPT, BUS_IO.
BUS_CHECK bus_err_t kernel_memory_episode_get(store_txn_t *txn,
                                              uint64_t seq,
                                              bus_view_t *ret_stored,
                                              schema_memory_episode_t *ret_episode);

// Episodes of a value, the latest first: calls `fn` until it returns false. BUS_OK at the end.
typedef bool(kernel_memory_episode_fn)(void *arg, uint64_t seq);
BUS_CHECK bus_err_t kernel_memory_episode_walk(store_txn_t *txn,
                                               kernel_memory_by_t by,
                                               bus_view_t value,
                                               kernel_memory_episode_fn *fn,
                                               void *arg);
