// enqueue.h - how tasks come in: task.enqueue, and what intents are made into.
#pragma once
#include "state.h"

enum {
    // Tasks that are not over: rows and order of a million are some hundred MiB.
    HTM_ENQUEUE_OPEN_MAX = 1000000,
    HTM_ENQUEUE_HELD_MAX = 10000, // of them, for governance: nobody waits for that many verdicts
    HTM_ENQUEUE_DELAY_DAYS_MAX = 366,
    HTM_ENQUEUE_SLA_DAYS_MAX = 3660,
    HTM_ENQUEUE_NAME_SIZE = 32,
};

// What a task is to be. Absent views and has-less numbers stand for the defaults.
typedef struct {
    bus_view_t task_id;
    bus_view_t task_type;
    bus_view_t handler;
    bus_view_t priority;
    bus_view_t context;
    bus_view_t requester;
    bus_view_t intent;
    bus_view_t issue_type;
    double sla_seconds;   // 0: by priority
    double lease_seconds; // 0: as configured
    double delay_seconds;
    int64_t max_retries; // below 0: by priority
    uint64_t asked_hash; // a repeat with the same task_id and hash is this task
    bool is_held;
} htm_enqueue_t;

// Checks it, and makes the task; or finds the one that it repeats. Answers. Returns what
// service_refuse does, or what the store returned.
bus_err_t htm_enqueue_add(service_apply_t *apply, const htm_enqueue_t *wanted);
// task.enqueue
bus_err_t htm_enqueue_apply(service_apply_t *apply, const void *message);

// What the queue calls the task of a record: task_<seq>. Nobody else may give such a name.
void htm_enqueue_name(uint64_t seq, char ret_name[HTM_ENQUEUE_NAME_SIZE]);
// Whether a text can be one token of a topic.
bool htm_enqueue_is_token(bus_view_t text);
// Refuses where too much is open. BUS_OK otherwise.
bus_err_t htm_enqueue_check_room(service_apply_t *apply);
