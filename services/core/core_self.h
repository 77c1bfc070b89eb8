// core_self.h - what Core keeps in memory, for its own .c files.
#pragma once
#include "presence.h"
#include "registry.h"
#include "runtime/service.h"
#include "runtime/transfer.h"
#include "selector.h"
#include "tables.h"
#include "task.h"

typedef struct core_multi core_multi_t; // multi.c's

enum { CORE_MULTIS_MAX = 64 }; // under way: each holds its request, of up to 1 MiB

struct core_state {
    core_registry_t *registry;
    core_random_t random;
    bool is_seeded;
    bool runs_workflows; // ENABLE_WORKFLOW_EXECUTION
    // From core_start on; NULL in a rebuild.
    service_t *service;
    core_presence_t *presence;
    transfers_t *transfers;
    // Tasks, the newest first.
    core_task_t *tasks;
    core_task_t *buckets[CORE_TASK_BUCKETS]; // the same, by the hash of their ids
    unsigned running;                        // of them
    unsigned done;                           // of them: told, and not yet applied
    core_multi_t *multis;                    // the newest first
    unsigned multi_count;
    size_t done_bytes;   // of the finished ones' answers
    uint64_t facts_lost; // outcomes that the broker refused for good, since the start
    uint64_t facts_logged_ms;
    pack_t *scratch; // a message being made; whoever uses it clears it first
};
